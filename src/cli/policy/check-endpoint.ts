/**
 * Checks one endpoint of a network policy. Pure.
 *
 * Rules are from NVIDIA/OpenShell at v0.0.110: `validate_l7_policies` in crates/openshell-supervisor-network/src/l7/mod.rs and
 * crates/openshell-policy/src/l7_validate.rs. What they call an error keeps the supervisor from starting.
 */

import { checkRequestRules } from './check-request-rules.ts';
import { type Findings, isEmptyList, isMap, type Members, type Path } from './findings.ts';

const PROTOCOLS = ['rest', 'websocket', 'graphql', 'sql', 'json-rpc', 'mcp'];
const PRESETS = ['read-only', 'read-write', 'full'];
const SIGNINGS = ['', 'sigv4', 'sigv4:body', 'sigv4:no_body'];
const LAST_PORT = 65535;

const FLAGS = [
  'allow_encoded_slash',
  'websocket_credential_rewrite',
  'request_body_credential_rewrite',
  'allow_uninspected_credentials',
  'provider_credentialed',
  'advisor_proposed',
];
const STRICT_FLAGS = ['mcp_strict_tool_names', 'mcp_allow_all_known_mcp_methods'];
const SIZES = ['graphql_max_body_bytes', 'json_rpc_max_body_bytes'];
const STANZAS: Readonly<Record<string, readonly string[]>> = {
  json_rpc: ['max_body_bytes'],
  mcp: ['max_body_bytes', 'strict_tool_names', 'allow_all_known_mcp_methods'],
};
const TEXTS = ['path', 'protocol', 'enforcement', 'access', 'persisted_queries', 'credential_signing', 'signing_service', 'signing_region'];
const MEMBERS = [
  ...['host', 'port', 'ports', 'tls', 'rules', 'deny_rules', 'allowed_ips', 'graphql_persisted_queries', 'credential_binding'],
  ...TEXTS,
  ...FLAGS,
  ...STRICT_FLAGS,
  ...SIZES,
  ...Object.keys(STANZAS),
];

/** Finds what is wrong with an endpoint. @param value what YAML holds there, of any type */
export function checkEndpoint(path: Path, value: unknown, findings: Findings): void {
  if (!isMap(value)) {
    findings[isEmptyList(value) ? 'warning' : 'error'](path, value, 'expected a map with host and port');
    return;
  }
  findings.unknownMembers(path, value, MEMBERS);
  checkHost(path, value, findings);
  checkPorts(path, value, findings);
  checkTypes(path, value, findings);
  checkAddresses([...path, 'allowed_ips'], value.allowed_ips, findings);
  checkProtocol(path, value, findings);
}

function checkHost(path: Path, { host, tls, allowed_ips: addresses }: Members, findings: Findings): void {
  const place = [...path, 'host'];
  if (tls !== undefined && typeof tls !== 'string') findings.error([...path, 'tls'], tls, 'expected text: skip, or remove it');
  else if (tls !== undefined && tls !== '' && tls !== 'skip')
    findings.warning(
      [...path, 'tls'],
      tls,
      'it has no effect: the supervisor ends TLS by itself; write skip to leave TLS alone, or remove it',
    );
  if (host === undefined || host === '') {
    const isOpen = Array.isArray(addresses) && addresses.length > 0;
    const problem = isOpen
      ? 'missing: every host name is allowed on the port, as far as allowed_ips reaches. Name the host'
      : 'missing: the endpoint allows nothing. Name the host';
    findings.warning(place, host, problem);
    return;
  }
  if (typeof host !== 'string') {
    findings.error(place, host, 'expected a host name; write it in quotes');
    return;
  }
  if (/[\s/]|:\/\//.test(host)) {
    findings.warning(place, host, 'no connection has this host; write the name alone, without scheme, port and path');
    return;
  }
  const problem = wildcardProblem(host);
  if (problem !== undefined) findings.error(place, host, problem);
}

function wildcardProblem(host: string): string | undefined {
  if (!host.includes('*')) return undefined;
  if (host === '*' || host === '**') return 'it stands for every host, which the supervisor does not take; write *.example.com';
  const [first = '', ...others] = host.split('.');
  if ((first.includes('**') && first !== '**') || others.some((label) => label.includes('**')))
    return '** has to be the whole first label; write **.example.com';
  if (others.some((label) => label.includes('*') && label !== '*')) return '* has to be a whole label after the first; write *.example.com';
  if (others.length < 2) return 'the wildcard stands for a whole top-level domain; write *.example.com';
  return undefined;
}

const isPort = (value: unknown): boolean => Number.isInteger(value) && (value as number) > 0 && (value as number) <= LAST_PORT;

function checkPorts(path: Path, { port, ports }: Members, findings: Findings): void {
  const has = { port: typeof port === 'number' && port > 0, ports: Array.isArray(ports) && ports.length > 0 };
  if (has.port && has.ports) findings.warning([...path, 'port'], port, 'ports is there too, and only that counts; keep one of them');
  if (has.ports) {
    (ports as unknown[]).forEach((value, index) => {
      if (!isPort(value))
        findings.warning([...path, 'ports', index], value, 'no connection has this port; write a number from 1 to 65535 without quotes');
    });
  } else if (port === undefined && ports === undefined) {
    findings.warning([...path, 'port'], undefined, 'missing: the endpoint allows nothing. Write port: 443');
  } else if (!isPort(port)) {
    const name = port === undefined ? 'ports' : 'port';
    findings.warning(
      [...path, name],
      port ?? ports,
      `the endpoint allows nothing; write ${name === 'port' ? 'port: 443' : 'ports: [443]'}, without quotes`,
    );
  }
}

function checkTypes(path: Path, value: Members, findings: Findings): void {
  for (const name of TEXTS)
    if (value[name] !== undefined && typeof value[name] !== 'string')
      findings.warning([...path, name], value[name], 'expected text; the supervisor ignores it. Write it in quotes or remove it');
  for (const name of FLAGS)
    if (value[name] !== undefined && typeof value[name] !== 'boolean')
      findings.warning([...path, name], value[name], 'expected true or false; the supervisor takes false');
  for (const name of STRICT_FLAGS) {
    if (value[name] === undefined) continue;
    if (typeof value[name] !== 'boolean') findings.error([...path, name], value[name], 'expected true or false');
    if (value.protocol !== 'mcp') findings.error([...path, name], value[name], 'it is for protocol mcp only; remove it');
  }
  for (const name of SIZES)
    if (value[name] !== undefined && !(Number.isInteger(value[name]) && (value[name] as number) > 0))
      findings.error([...path, name], value[name], 'expected a whole number of bytes above 0');
  for (const [name, members] of Object.entries(STANZAS)) checkStanza([...path, name], value[name], members, value.protocol, findings);
}

function checkStanza(path: Path, value: unknown, members: readonly string[], protocol: unknown, findings: Findings): void {
  if (value === undefined || value === null) return;
  if (!isMap(value)) {
    findings.error(path, value, `expected a map with ${members.join(', ')}`);
    return;
  }
  for (const [name, member] of Object.entries(value)) {
    const place = [...path, name];
    if (!members.includes(name)) findings.error(place, undefined, `the supervisor does not know it; known here: ${members.join(', ')}`);
    else if (name === 'max_body_bytes') {
      if (!Number.isInteger(member) || (member as number) < 0 || (member as number) > 0xffff_ffff)
        findings.error(place, member, 'expected a whole number of bytes');
    } else if (typeof member !== 'boolean') findings.error(place, member, 'expected true or false');
    else if (protocol !== 'mcp') findings.error(place, member, 'it is for protocol mcp only; remove it');
  }
}

function checkAddresses(path: Path, value: unknown, findings: Findings): void {
  if (value === undefined) return;
  if (!Array.isArray(value)) {
    findings.warning(path, value, 'expected a list of addresses; the supervisor ignores it');
    return;
  }
  value.forEach((address: unknown, index) => {
    if (typeof address !== 'string' || !/^(\d{1,3}(\.\d{1,3}){3}|[\da-f:.]*:[\da-f:.]*)(\/\d{1,3})?$/i.test(address))
      findings.warning([...path, index], address, 'no address or CIDR; every connection of this endpoint is denied. Write "10.1.2.0/24"');
    else if (/^(127\.|169\.254\.|0\.0\.0\.0|::1?(\/|$)|fe80:)/i.test(address))
      findings.warning([...path, index], address, 'the supervisor denies loopback, link-local and unspecified addresses always; remove it');
  });
}

const isFilled = (value: unknown): value is unknown[] => Array.isArray(value) && value.length > 0;

function checkProtocol(path: Path, value: Members, findings: Findings): void {
  const text = (name: string): string => (typeof value[name] === 'string' ? value[name] : '');
  const [protocol, access, enforcement] = [text('protocol'), text('access'), text('enforcement')];
  const isKnown = PROTOCOLS.includes(protocol.toLowerCase());
  const { rules, deny_rules: denyRules } = value;
  const place = [...path, 'protocol'];
  if (protocol !== '' && !isKnown)
    findings.error(place, protocol, `expected ${PROTOCOLS.join(', ')}, or remove it to allow the connection uninspected`);
  if (text('path') !== '' && !text('path').startsWith('/') && text('path') !== '**')
    findings.error([...path, 'path'], value.path, 'expected a path that starts with /, or **');
  if (isFilled(rules) && access !== '') findings.error([...path, 'access'], access, 'rules are there too; keep one of them');
  if (Array.isArray(rules) && rules.length === 0)
    findings.error([...path, 'rules'], undefined, 'the list is empty, which would deny everything; remove it or write access: full');
  if (Array.isArray(denyRules) && denyRules.length === 0)
    findings.error([...path, 'deny_rules'], undefined, 'the list is empty; remove it');
  checkBaseOfRules(path, value, protocol.toLowerCase(), access, findings);
  if (protocol === 'sql' && enforcement === 'enforce')
    findings.error([...path, 'enforcement'], enforcement, 'the supervisor cannot enforce sql; write audit');
  if (protocol !== '' && protocol !== 'sql' && enforcement !== 'enforce')
    findings.warning(
      [...path, 'enforcement'],
      value.enforcement,
      'rules of this endpoint are logged but not enforced; write enforcement: enforce',
    );
  if (protocol === '' && (isFilled(rules) || access !== ''))
    findings.warning(place, undefined, 'missing: rules and access have no effect, every request is allowed. Write protocol: rest');
  if (access !== '' && !PRESETS.includes(access))
    findings.warning([...path, 'access'], access, `it allows nothing; expected ${PRESETS.join(', ')}`);
  if (value.tls === 'skip' && protocol !== '')
    findings.warning([...path, 'tls'], 'skip', 'requests inside TLS cannot be inspected; remove it or the protocol');
  if (!['', 'deny', 'allow_registered'].includes(text('persisted_queries')))
    findings.error([...path, 'persisted_queries'], value.persisted_queries, 'expected deny or allow_registered');
  if (value.graphql_persisted_queries !== undefined && !isMap(value.graphql_persisted_queries))
    findings.error([...path, 'graphql_persisted_queries'], value.graphql_persisted_queries, 'expected a map by hash or id');
  const signing = text('credential_signing');
  if (!SIGNINGS.includes(signing) || (signing !== '' && text('signing_service') === ''))
    findings.warning(
      [...path, 'credential_signing'],
      signing,
      'the supervisor drops the inspection of this endpoint; expected sigv4, with signing_service',
    );
  checkRequestRules(path, value, findings);
}

function checkBaseOfRules(
  path: Path,
  { rules, deny_rules: denyRules, mcp, ...value }: Members,
  protocol: string,
  access: string,
  findings: Findings,
): void {
  const place = [...path, 'protocol'];
  const hasBase = isFilled(rules) || access !== '';
  const stanza = isMap(mcp) ? mcp.allow_all_known_mcp_methods : undefined;
  const allowsAllMcp = value.mcp_allow_all_known_mcp_methods === true || stanza === true;
  if ((protocol === 'json-rpc' || protocol === 'mcp') && access !== '')
    findings.error([...path, 'access'], access, `protocol ${protocol} has no presets; write rules with allow.method`);
  if (protocol === 'mcp') {
    if (typeof value.host !== 'string' || value.host.trim() === '')
      findings.error([...path, 'host'], value.host, 'protocol mcp needs a host');
    if (!isPort(value.port) && !(Array.isArray(value.ports) && value.ports.some(isPort)))
      findings.error([...path, 'port'], value.port, 'protocol mcp needs a port');
    if (!hasBase && !allowsAllMcp)
      findings.error(place, protocol, 'rules are missing; write them, or mcp: {allow_all_known_mcp_methods: true}');
  } else if (PROTOCOLS.includes(protocol) && !hasBase) {
    const fix = protocol === 'json-rpc' ? 'write rules with allow.method' : 'write rules, or access: read-only, read-write or full';
    findings.error(place, protocol, `rules are missing; ${fix}`);
  }
  if (isFilled(denyRules) && protocol === '')
    findings.error([...path, 'deny_rules'], undefined, 'protocol is missing; write protocol: rest');
  if (isFilled(denyRules) && protocol !== 'mcp' && !hasBase)
    findings.error([...path, 'deny_rules'], undefined, 'there is nothing that they could narrow; write rules or access');
}
