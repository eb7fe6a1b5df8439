/**
 * Checks `rules` and `deny_rules` of an endpoint. Pure. Rules: `validate_l7_policies` and what it calls in
 * crates/openshell-supervisor-network/src/l7/mod.rs of NVIDIA/OpenShell v0.0.110.
 */

import { type Findings, isMap, type Members, type Path } from './findings.ts';

const METHODS: Readonly<Record<string, readonly string[]>> = {
  rest: ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', '*'],
  websocket: ['GET', 'WEBSOCKET_TEXT', '*'],
};
const OPERATIONS = ['query', 'mutation', 'subscription', '*'];
const GRAPHQL = ['operation_type', 'operation_name', 'fields'];
const MEMBERS = ['method', 'path', 'command', 'query', ...GRAPHQL, 'tool', 'params'];

const textOf = (value: Members, name: string): string => (typeof value[name] === 'string' ? value[name] : '');
const isThere = (value: unknown): boolean => value !== undefined && value !== null;
const hasWildcard = (text: string): boolean => /[*?[\]{}]/.test(text);

/** Finds what is wrong with the request rules of an endpoint. */
export function checkRequestRules(path: Path, endpoint: Members, findings: Findings): void {
  const { rules, deny_rules: denyRules } = endpoint;
  for (const [name, list] of Object.entries({ rules, deny_rules: denyRules }))
    if (list !== undefined && !Array.isArray(list))
      findings.warning([...path, name], list, 'expected a list; the supervisor ignores it. Write each rule as an entry of a list');
  if (Array.isArray(rules) && rules.length > 0) {
    const allowed = rules.map((rule: unknown) => (isMap(rule) ? rule.allow : undefined));
    const isEmpty = (allow: unknown): boolean =>
      !isMap(allow) ||
      !(['method', 'path', 'command', 'operation_type', 'operation_name'].some((name) => textOf(allow, name) !== '') || hasTool(allow));
    const { mcp } = endpoint;
    const allowsAllMcp = endpoint.mcp_allow_all_known_mcp_methods === true || (isMap(mcp) && mcp.allow_all_known_mcp_methods === true);
    if (allowed.every(isEmpty) && !(endpoint.protocol === 'mcp' && allowsAllMcp))
      findings.error([...path, 'rules'], rules, 'no rule allows anything; write - allow: {method: GET, path: "/**"}');
    else
      allowed.forEach((allow, index) => {
        const place = [...path, 'rules', index];
        if (!isMap(allow)) findings.warning(place, rules[index], 'expected a map with allow; this rule allows nothing');
        else checkRule([...place, 'allow'], allow, endpoint, findings, allowsAllMcp);
      });
  }
  if (Array.isArray(denyRules))
    denyRules.forEach((rule: unknown, index) => {
      const place = [...path, 'deny_rules', index];
      if (!isMap(rule)) findings.warning(place, rule, 'expected a map; this rule denies nothing');
      else if (isMap(rule.deny) || isMap(rule.allow))
        findings.warning(place, rule, 'this rule denies nothing; write method and path without deny: or allow: above');
      else checkRule(place, rule, endpoint, findings, true);
    });
}

const hasTool = (rule: Members): boolean => isThere(rule.tool) || (isMap(rule.params) && isThere(rule.params.name));

function checkRule(path: Path, rule: Members, { protocol }: Members, findings: Findings, methodMayBeMissing: boolean): void {
  findings.unknownMembers(path, rule, MEMBERS);
  const method = textOf(rule, 'method');
  const methods = typeof protocol === 'string' && Object.hasOwn(METHODS, protocol) ? METHODS[protocol] : undefined;
  if (methods && method !== '' && !methods.includes(method.toUpperCase()))
    findings.warning([...path, 'method'], method, `expected ${methods.join(', ')}`);
  if (method !== '' && protocol === 'rest' && rule.path === undefined)
    findings.warning([...path, 'path'], undefined, 'missing: the rule matches no request. Write path: "/**"');
  if (isThere(rule.query)) checkMatchers([...path, 'query'], rule.query, findings);
  if (protocol === 'json-rpc' || protocol === 'mcp') checkJsonRpcRule(path, rule, protocol, method, findings, methodMayBeMissing);
  else
    for (const name of ['tool', 'params'])
      if (isThere(rule[name])) findings.error([...path, name], rule[name], 'it is for protocol mcp only; remove it');
  const isGraphql = GRAPHQL.some((name) => isThere(rule[name]));
  if (protocol === 'graphql' || (protocol === 'websocket' && isGraphql)) checkGraphqlRule(path, rule, findings);
  else if (isGraphql)
    findings.warning(path, undefined, `${GRAPHQL.join(', ')} have no effect; they are for protocol graphql and websocket`);
  if (protocol === 'websocket' && isGraphql && ['method', 'path', 'query'].some((name) => isThere(rule[name])))
    findings.error(
      path,
      undefined,
      'method, path and query do not go together with operation_type, operation_name and fields; make two rules',
    );
}

function checkJsonRpcRule(
  path: Path,
  rule: Members,
  protocol: string,
  method: string,
  findings: Findings,
  methodMayBeMissing: boolean,
): void {
  if (textOf(rule, 'path') !== '' || (isMap(rule.query) && Object.keys(rule.query).length > 0))
    findings.error(path, undefined, `protocol ${protocol} takes method, not path and query; remove them`);
  if (protocol === 'json-rpc') {
    if (method === '') findings.error([...path, 'method'], undefined, 'missing: name a method, or "*" for all');
    else if (method !== '*' && hasWildcard(method))
      findings.error([...path, 'method'], method, 'patterns are not possible; name a method, or "*" for all');
    for (const name of ['tool', 'params'])
      if (isThere(rule[name])) findings.error([...path, name], rule[name], 'it is for protocol mcp only; remove it');
    return;
  }
  if (method === '' && !methodMayBeMissing)
    findings.error(
      [...path, 'method'],
      undefined,
      'missing: name a method, or write mcp: {allow_all_known_mcp_methods: true} on the endpoint',
    );
  else if (hasWildcard(method) && !method.startsWith('tools/'))
    findings.error([...path, 'method'], method, 'patterns are possible below tools/ only');
  else if (hasTool(rule) && method !== '' && method !== 'tools/call')
    findings.error([...path, 'method'], method, 'a rule with a tool is about tools/call; write that, or leave method out');
  if (isThere(rule.tool)) checkMatcher([...path, 'tool'], rule.tool, findings);
  const { params } = rule;
  if (!isThere(params)) return;
  if (!isMap(params)) {
    findings.error([...path, 'params'], params, 'expected a map with name');
    return;
  }
  if (isThere(rule.tool) && Object.hasOwn(params, 'name'))
    findings.error([...path, 'tool'], rule.tool, 'params.name is there too; keep one of them');
  for (const [name, matcher] of Object.entries(params)) {
    if (name === 'name') checkMatcher([...path, 'params', name], matcher, findings);
    else findings.error([...path, 'params', name], matcher, 'arguments of tools cannot be matched; remove it');
  }
}

function checkGraphqlRule(path: Path, rule: Members, findings: Findings): void {
  const operation = textOf(rule, 'operation_type');
  if (!OPERATIONS.includes(operation.toLowerCase()))
    findings.error([...path, 'operation_type'], rule.operation_type, `expected ${OPERATIONS.join(', ')}`);
  const { fields } = rule;
  if (!isThere(fields)) return;
  if (!Array.isArray(fields) || fields.length === 0 || !fields.every((field) => typeof field === 'string' && field !== ''))
    findings.error([...path, 'fields'], fields, 'expected a list of names, not empty; remove it for all fields');
}

function checkMatchers(path: Path, value: unknown, findings: Findings): void {
  if (!isMap(value)) {
    findings.error(path, value, 'expected a map of patterns by name');
    return;
  }
  for (const [name, matcher] of Object.entries(value)) checkMatcher([...path, name], matcher, findings);
}

function checkMatcher(path: Path, value: unknown, findings: Findings): void {
  if (typeof value === 'string') return;
  const [only, ...others] = isMap(value) ? Object.entries(value) : [];
  if (only !== undefined && others.length === 0) {
    const [name, pattern] = only;
    if (name === 'glob' && typeof pattern === 'string') return;
    if (name === 'any' && Array.isArray(pattern) && pattern.length > 0 && pattern.every((item) => typeof item === 'string')) return;
  }
  findings.error(path, value, 'expected a pattern, {glob: PATTERN} or {any: [PATTERN, …]}; numbers in quotes');
}
