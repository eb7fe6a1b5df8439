/**
 * Checks Rego rules as far as that is possible without an engine. Pure.
 *
 * Which rules the supervisor of 0.0.110 asks, and what it does without them: `eval_rule` in
 * crates/openshell-supervisor-network/src/opa.rs and src/l7/relay.rs of NVIDIA/OpenShell. Its engine (regorus 0.9, Rego v1)
 * ends a query for a rule that no module defines with an error.
 */

import type { Finding } from './findings.ts';

const PACKAGE = 'openshell.sandbox';
const CURE = "define it, or use OpenShell's rules of the supervisor's version";

/** Asked at the start: without one of them the supervisor exits. */
const REQUIRED = ['filesystem_policy', 'landlock_policy', 'process_policy'];

/** Asked later, and what happens without them. */
const ASKED: Readonly<Record<string, string>> = {
  network_action: 'every connection is denied',
  matched_network_policy: 'every connection is denied',
  deny_reason: 'denied connections are logged without their reason',
  _matching_endpoint_configs: 'allowed connections are not inspected: rules, access, tls and allowed_ips of the data have no effect',
  endpoint_credential_guards: 'allowed connections are closed',
  exact_declared_endpoint_host: 'hosts with a private address are denied',
  network_middlewares: 'connections of allowed hosts are closed',
  allow_request: 'requests of inspected connections fail',
  request_deny_reason: 'denied requests of inspected connections fail without their reason',
};

const CLOSING: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' };

/** A text in which strings and comments are blank, so that only the language is left. Lines stay. */
function masked(text: string): string {
  return text.replace(/"(?:\\.|[^"\\\n])*"|`[^`]*`|#[^\n]*/g, (part) => {
    const blank = part.replace(/[^\n]/g, ' ');
    return part.startsWith('#') ? blank : `""${blank.slice(2)}`;
  });
}

interface Line {
  readonly number: number;
  readonly text: string;
}

/** The lines that begin outside of all brackets, or the bracket that does not fit. */
function outerLines(text: string): { readonly lines: Line[]; readonly wrong?: Finding } {
  const lines: Line[] = [];
  const open: { readonly bracket: string; readonly line: number }[] = [];
  for (const [index, line] of masked(text).split('\n').entries()) {
    const number = index + 1;
    if (open.length === 0 && line.trim() !== '') lines.push({ number, text: line.trim() });
    for (const character of line) {
      if (Object.hasOwn(CLOSING, character)) open.push({ bracket: character, line: number });
      else if (Object.values(CLOSING).includes(character)) {
        const last = open.pop();
        if (last === undefined || CLOSING[last.bracket] !== character)
          return { lines, wrong: { level: 'error', line: number, message: `${character} closes nothing; remove it or open it before` } };
      } else if (character === '`') {
        return { lines, wrong: { level: 'error', line: number, message: '` opens text that does not end; close it' } };
      }
    }
    const quotes = line.split('"').length - 1;
    if (quotes % 2 === 1)
      return { lines, wrong: { level: 'error', line: number, message: '" opens text that does not end on this line; close it' } };
  }
  const [first] = open;
  return first === undefined
    ? { lines }
    : { lines, wrong: { level: 'error', line: first.line, message: `${first.bracket} is not closed` } };
}

/**
 * Checks the text of a policy.rego.
 *
 * @returns errors (the supervisor would not start) and warnings (a rule that it asks for is missing), in the order of their lines.
 *   A text without findings may still be invalid: no engine reads it
 */
export function checkPolicyRules(text: string): Finding[] {
  const { lines, wrong } = outerLines(text);
  if (wrong) return [wrong];
  const [first, ...others] = lines;
  const name = first && /^package\s+([\w.]+)$/.exec(first.text)?.[1];
  if (first === undefined || name === undefined) {
    return [{ level: 'error', line: first?.number ?? 1, message: `package is missing; begin the rules with: package ${PACKAGE}` }];
  }
  if (name !== PACKAGE)
    return [{ level: 'error', line: first.number, message: `package ${name}: the supervisor asks ${PACKAGE}; write package ${PACKAGE}` }];
  const findings: Finding[] = [];
  const defined = new Set<string>();
  for (const { number, text: line } of others) {
    const [, rule = '', rest = ''] = /^(?:default\s+)?([A-Za-z_]\w*)(.*)$/.exec(line) ?? [];
    if (rule === 'import') {
      if (defined.size > 0) findings.push({ level: 'error', line: number, message: 'import: it has to be above all rules; move it up' });
      continue;
    }
    if (/^(\([^()]*\))?\s*\{/.test(rest) && rule !== 'else')
      findings.push({ level: 'error', line: number, message: `${rule}: Rego v1 needs the word if before {; write ${rule} if {` });
    if (rule !== '') defined.add(rule);
  }
  const end = first.number;
  for (const rule of REQUIRED)
    if (!defined.has(rule))
      findings.push({ level: 'error', line: end, message: `${rule}: the rule is missing, and the supervisor exits; ${CURE}` });
  for (const [rule, effect] of Object.entries(ASKED))
    if (!defined.has(rule)) findings.push({ level: 'warning', line: end, message: `${rule}: the rule is missing: ${effect}; ${CURE}` });
  return findings.toSorted((a, b) => a.line - b.line);
}
