/** `openshell-sideload policy`: what the checks say of policies, and the ConfigMap, as a process. */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { checkPolicyData } from '../src/cli/policy/check-policy.ts';
import { checkPolicyRules } from '../src/cli/policy/check-rules.ts';
import { configMapText, hashedName, MOST_BYTES, policyFiles } from '../src/cli/policy/config-map.ts';
import type { Finding } from '../src/cli/policy/findings.ts';

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
const example = (name: string): string => fileURLToPath(new URL(`../examples/policy/${name}`, import.meta.url));
const RULES = readFileSync(example('policy.rego'), 'utf8');
const DATA = readFileSync(example('policy.yaml'), 'utf8');
const dir = mkdtempSync(join(tmpdir(), 'sideload-policy-'));
afterAll(() => rmSync(dir, { recursive: true }));

function policy(args: readonly string[], input: string | Buffer = ''): { code: number | null; stdout: string; stderr: string } {
  const env = { PATH: process.env.PATH ?? '' };
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'policy', ...args], { input, env, encoding: 'utf8', cwd: dir });
  return { code: status, stdout, stderr };
}

const file = (name: string, text: string | Buffer): string => {
  writeFileSync(join(dir, name), text);
  return name;
};

const written = ({ level, line, message }: Finding): string => `${line}: ${level}: ${message}`;

/** A policy with nothing to say against it, but for what stands in `network`. */
const around = (network: string): string => `filesystem_policy: {read_only: [/usr], read_write: [/sandbox]}\nnetwork_policies:\n${network}`;
/** One endpoint, on line 5, and the program that may use it. */
const endpoint = (text: string): string => around(`  api:\n    endpoints:\n    - ${text}\n    binaries: [{path: /usr/bin/curl}]\n`);
const AT = 'network_policies.api.endpoints[0]';
/** The same with inspected requests. */
const rest = (text: string): string => endpoint(`{host: a.example, port: 443, protocol: rest, enforcement: enforce, ${text}}`);
const FILES = 'filesystem_policy';

describe('docs/policy.md', () => {
  it('shows data against which there is nothing to say', () => {
    const document = readFileSync(new URL('../docs/policy.md', import.meta.url), 'utf8');
    const [, data = ''] = /```yaml\n(filesystem_policy:.*?)```/s.exec(document) ?? [];
    expect(data).toContain('network_policies:');
    expect(checkPolicyData(data)).toEqual([]);
  });
});

describe('policy data', () => {
  it.each([
    ['the example', DATA],
    ['one host for one program', endpoint('{host: api.example.com, port: 443}')],
    [
      'inspected requests',
      rest('rules: [{allow: {method: GET, path: "/**", query: {q: {any: [a, b]}}}}], deny_rules: [{method: POST, path: /x}]'),
    ],
    ['a preset', rest('access: read-only')],
    ['a wildcard', endpoint('{host: "*.example.com", ports: [80, 443], allowed_ips: [10.1.0.0/16, "fd00::/8"]}')],
    ['mcp', endpoint('{host: a.example, port: 443, protocol: mcp, enforcement: enforce, mcp: {allow_all_known_mcp_methods: true}}')],
    [
      'mcp with tools',
      endpoint('{host: a.b, port: 1, protocol: mcp, enforcement: enforce, rules: [{allow: {method: tools/call, tool: "read_*"}}]}'),
    ],
    ['json-rpc', endpoint('{host: a.b, port: 1, protocol: json-rpc, enforcement: enforce, rules: [{allow: {method: ping}}]}')],
    [
      'graphql',
      endpoint('{host: a.b, port: 1, protocol: graphql, enforcement: enforce, rules: [{allow: {operation_type: query, fields: [me]}}]}'),
    ],
    [
      'a middleware',
      `${around('  {}\n')}network_middlewares: {a: {middleware: openshell/regex, endpoints: {include: ["*.example.com"]}}}\n`,
    ],
  ])('has nothing to say against %s', (_name, text) => {
    expect(checkPolicyData(text).map(written)).toEqual([]);
  });

  it.each<[string, string, string]>([
    ['no text', '', '1: error: the policy null: expected a map with the sections filesystem_policy, landlock, process, network_policies'],
    ['a list', '- a', '1: error: the policy ["a"]: expected a map with the sections'],
    ['bad YAML', 'a: 1\nb: [1', '2: error: the file is not valid YAML: '],
    ['a tab', 'a:\n\tb: 1', '2: error: the file is not valid YAML: '],
    ['two documents', `${DATA}---\na: 1\n`, 'error: the file holds several YAML documents: keep one, without the separator ---'],
    [
      'policies that are null',
      around('').trimEnd(),
      '2: error: network_policies null: expected a map of policies by name; write network_policies: {} for none',
    ],
    ['policies in a list', around('  - a\n'), '2: error: network_policies ["a"]: expected a map of policies by name'],
    ['a policy that is text', around('  api: x\n'), '3: error: network_policies.api "x": expected a map with endpoints and binaries'],
    ['a numeric name', around('  api: {name: 7}\n'), '3: error: network_policies.api.name 7: expected text; write it in quotes'],
    [
      'endpoints in a map',
      around('  api: {endpoints: {host: a}}\n'),
      '3: error: network_policies.api.endpoints {"host":"a"}: expected a list of endpoints',
    ],
    [
      'an endpoint that is text',
      endpoint('api.example.com:443'),
      `5: error: ${AT} "api.example.com:443": expected a map with host and port`,
    ],
    ['a numeric host', endpoint('{host: 10, port: 443}'), `5: error: ${AT}.host 10: expected a host name; write it in quotes`],
    ['a numeric tls', endpoint('{host: a.b, port: 443, tls: 1}'), `5: error: ${AT}.tls 1: expected text: skip, or remove it`],
    ['every host', endpoint('{host: "*", port: 443}'), `5: error: ${AT}.host "*": it stands for every host`],
    [
      'a top-level domain',
      endpoint('{host: "*.com", port: 443}'),
      `5: error: ${AT}.host "*.com": the wildcard stands for a whole top-level domain`,
    ],
    ['a late **', endpoint('{host: "a.**.b.com", port: 443}'), `5: error: ${AT}.host "a.**.b.com": ** has to be the whole first label`],
    [
      'half a label',
      endpoint('{host: "a.b*.com", port: 443}'),
      `5: error: ${AT}.host "a.b*.com": * has to be a whole label after the first`,
    ],
    [
      'an unknown protocol',
      endpoint('{host: a.b, port: 1, protocol: http, access: full, enforcement: enforce}'),
      `5: error: ${AT}.protocol "http": expected rest, websocket, graphql, sql, json-rpc, mcp`,
    ],
    [
      'a protocol without rules',
      rest(''),
      `5: error: ${AT}.protocol "rest": rules are missing; write rules, or access: read-only, read-write or full`,
    ],
    [
      'rules and access',
      rest('access: full, rules: [{allow: {method: GET, path: /}}]'),
      `5: error: ${AT}.access "full": rules are there too; keep one of them`,
    ],
    ['empty rules', rest('access: full, rules: []'), `5: error: ${AT}.rules: the list is empty`],
    ['rules without allow', rest('rules: [{method: GET}]'), `5: error: ${AT}.rules [{"method":"GET"}]: no rule allows anything`],
    [
      'denials of nothing',
      rest('deny_rules: [{method: GET, path: /}]'),
      `5: error: ${AT}.deny_rules: there is nothing that they could narrow; write rules or access`,
    ],
    [
      'denials without protocol',
      endpoint('{host: a.b, port: 1, access: full, deny_rules: [{method: GET, path: /}]}'),
      `5: error: ${AT}.deny_rules: protocol is missing; write protocol: rest`,
    ],
    [
      'a numeric matcher',
      rest('rules: [{allow: {method: GET, path: /, query: {n: 1}}}]'),
      `5: error: ${AT}.rules[0].allow.query.n 1: expected a pattern, {glob: PATTERN}`,
    ],
    [
      'a tool outside mcp',
      rest('rules: [{allow: {method: GET, path: /, tool: x}}]'),
      `5: error: ${AT}.rules[0].allow.tool "x": it is for protocol mcp only; remove it`,
    ],
    ['a path without slash', rest('access: full, path: v1'), `5: error: ${AT}.path "v1": expected a path that starts with /, or **`],
    [
      'enforced sql',
      endpoint('{host: a.b, port: 1, protocol: sql, access: full, enforcement: enforce}'),
      `5: error: ${AT}.enforcement "enforce": the supervisor cannot enforce sql; write audit`,
    ],
    [
      'json-rpc with a preset',
      endpoint('{host: a.b, port: 1, protocol: json-rpc, access: full, enforcement: enforce}'),
      `5: error: ${AT}.access "full": protocol json-rpc has no presets`,
    ],
    [
      'mcp without host',
      endpoint('{port: 1, protocol: mcp, enforcement: enforce, mcp: {allow_all_known_mcp_methods: true}}'),
      `5: error: ${AT}.host: protocol mcp needs a host`,
    ],
    [
      'an unknown member of mcp',
      endpoint('{host: a.b, port: 1, protocol: mcp, enforcement: enforce, rules: [{allow: {method: ping}}], mcp: {x: 1}}'),
      `5: error: ${AT}.mcp.x: the supervisor does not know it`,
    ],
    [
      'a graphql rule of another kind',
      endpoint('{host: a.b, port: 1, protocol: graphql, enforcement: enforce, rules: [{allow: {operation_type: read}}]}'),
      `5: error: ${AT}.rules[0].allow.operation_type "read": expected query, mutation, subscription, *`,
    ],
    [
      'a size of 0',
      rest('access: full, json_rpc_max_body_bytes: 0'),
      `5: error: ${AT}.json_rpc_max_body_bytes 0: expected a whole number of bytes above 0`,
    ],
    [
      'a middleware without hosts',
      `${around('  {}\n')}network_middlewares: {a: {middleware: openshell/regex}}\n`,
      '4: error: network_middlewares.a.endpoints: expected a map with include: a list of hosts',
    ],
    [
      'an unknown member of a middleware',
      `${around('  {}\n')}network_middlewares: {a: {middleware: openshell/regex, y: 1, endpoints: {include: [a]}}}\n`,
      '4: error: network_middlewares.a.y: the supervisor does not know it',
    ],
    [
      'two middlewares of one order',
      `${around('  {}\n')}network_middlewares:\n  a: &m {middleware: openshell/regex, endpoints: {include: [a]}}\n  b: *m\n`,
      '6: error: network_middlewares.b.order 0: a has the same order',
    ],
  ])('has an error for %s', (_name, text, expected) => {
    const errors = checkPolicyData(text).filter(({ level }) => level === 'error');
    expect(errors.map(written)).toEqual(expect.arrayContaining([expect.stringContaining(expected)]));
  });

  it.each<[string, string, string]>([
    [
      'an unknown section',
      `${around('  {}\n')}filesystem: {}\n`,
      '4: warning: filesystem: the rules can read it, the supervisor ignores it; correct its name',
    ],
    ['no files', 'network_policies: {}', `1: warning: ${FILES}: missing: the sandbox gets only what the supervisor adds`],
    [
      'no network',
      `${FILES}: {read_only: [/usr]}`,
      '1: warning: network_policies: missing: no network is allowed. Write network_policies: {} to say so',
    ],
    [
      'an unknown member',
      `${FILES}:\n  readonly: [/usr]\nnetwork_policies: {}`,
      `2: warning: ${FILES}.readonly: the supervisor ignores it; correct its name or remove it. Known here: include_workdir`,
    ],
    [
      'a path that is no list',
      `${FILES}:\n  read_only: /usr\nnetwork_policies: {}`,
      `2: warning: ${FILES}.read_only "/usr": expected a list of paths`,
    ],
    [
      'a path that is a number',
      `${FILES}:\n  read_only:\n  - /usr\n  - 7\nnetwork_policies: {}`,
      `4: warning: ${FILES}.read_only[1] 7: expected a path`,
    ],
    [
      'a relative path',
      `${FILES}:\n  read_only: [usr]\nnetwork_policies: {}`,
      `2: warning: ${FILES}.read_only[0] "usr": the path is relative`,
    ],
    [
      'a pattern',
      `${FILES}:\n  read_only: ["/home/*"]\nnetwork_policies: {}`,
      `2: warning: ${FILES}.read_only[0] "/home/*": Landlock takes no patterns`,
    ],
    [
      'a path that goes up',
      `${FILES}:\n  read_only: [/a/../b]\nnetwork_policies: {}`,
      `2: warning: ${FILES}.read_only[0] "/a/../b": the path goes up with ..`,
    ],
    [
      'everything writable',
      `${FILES}:\n  read_write: [/]\nnetwork_policies: {}`,
      `2: warning: ${FILES}.read_write[0] "/": the whole file system is writable`,
    ],
    [
      'read-only below writable',
      `${FILES}:\n  read_write: [/a/]\n  read_only: [/ab, /a/b]\nnetwork_policies: {}`,
      `3: warning: ${FILES}.read_only[1] "/a/b": it is writable, since read_write has /a: Landlock adds permissions up`,
    ],
    [
      'yes for true',
      `${FILES}:\n  include_workdir: no\nnetwork_policies: {}`,
      `2: warning: ${FILES}.include_workdir "no": expected true or false; the supervisor takes true`,
    ],
    [
      'another compatibility',
      `${around('  {}\n')}landlock: {compatibility: hard-requirement}\n`,
      '4: warning: landlock.compatibility "hard-requirement": expected best_effort or hard_requirement; the supervisor takes best_effort',
    ],
    [
      'a user',
      `${around('  {}\n')}process: {run_as_user: root}\n`,
      '4: warning: process.run_as_user "root": it has no effect: the webhook gives the supervisor the id. Set securityContext.runAsUser',
    ],
    [
      'a key twice',
      `${around('  {}\n')}landlock: {}\nlandlock: {}\n`,
      '5: warning: landlock: the key is there twice, and only the last one counts; keep one',
    ],
    [
      'a merge key',
      `x: &x {read_only: [/usr]}\n${FILES}:\n  <<: *x\nnetwork_policies: {}`,
      `3: warning: ${FILES}.<<: the supervisor does not apply merge keys; write the members out`.replace('.<<', '."<<"'),
    ],
    [
      'port and ports',
      endpoint('{host: a.b, port: 1, ports: [2]}'),
      `5: warning: ${AT}.port 1: ports is there too, and only that counts; keep one of them`,
    ],
    [
      'a port in quotes',
      endpoint('{host: a.b, port: "443"}'),
      `5: warning: ${AT}.port "443": the endpoint allows nothing; write port: 443, without quotes`,
    ],
    ['a port out of range', endpoint('{host: a.b, ports: [443, 70000]}'), `5: warning: ${AT}.ports[1] 70000: no connection has this port`],
    [
      'a URL for a host',
      endpoint('{host: "https://a.b/", port: 443}'),
      `5: warning: ${AT}.host "https://a.b/": no connection has this host`,
    ],
    [
      'no enforcement',
      endpoint('{host: a.b, port: 443, protocol: rest, access: read-only}'),
      `5: warning: ${AT}.enforcement: rules of this endpoint are logged but not enforced; write enforcement: enforce`,
    ],
    [
      'rules without protocol',
      endpoint('{host: a.b, port: 443, access: read-only}'),
      `5: warning: ${AT}.protocol: missing: rules and access have no effect`,
    ],
    [
      'an unknown preset',
      rest('access: readonly'),
      `5: warning: ${AT}.access "readonly": it allows nothing; expected read-only, read-write, full`,
    ],
    [
      'loopback',
      endpoint('{host: a.b, port: 443, allowed_ips: [127.0.0.1]}'),
      `5: warning: ${AT}.allowed_ips[0] "127.0.0.1": the supervisor denies loopback`,
    ],
    ['no CIDR', endpoint('{host: a.b, port: 443, allowed_ips: [office]}'), `5: warning: ${AT}.allowed_ips[0] "office": no address or CIDR`],
    [
      'no programs',
      around('  api: {endpoints: [{host: a.b, port: 443}]}\n'),
      '3: warning: network_policies.api.binaries: missing: no program may use the policy',
    ],
    [
      'a program as text',
      around('  api: {endpoints: [{host: a.b, port: 443}], binaries: [/usr/bin/curl]}\n'),
      '3: warning: network_policies.api.binaries[0] "/usr/bin/curl": expected a map',
    ],
    [
      'a program that is a number',
      around('  api: {endpoints: [{host: a.b, port: 443}], binaries: [{path: 7}]}\n'),
      '3: warning: network_policies.api.binaries[0].path 7: expected a path; with this value the rules fail and every connection is denied',
    ],
    [
      'a program without folder',
      around('  api: {endpoints: [{host: a.b, port: 443}], binaries: [{path: curl}]}\n'),
      '3: warning: network_policies.api.binaries[0].path "curl": no program has this path',
    ],
  ])('warns of %s, and of nothing else', (_name, text, expected) => {
    const found = checkPolicyData(text).map(written);
    expect(found).toEqual(expect.arrayContaining([expect.stringContaining(expected)]));
    expect(found.filter((line) => line.includes(': error: '))).toEqual([]);
  });

  it('never fails on a value of any type at any place', () => {
    const places = ['network_policies', 'filesystem_policy', 'landlock', 'process', 'network_middlewares'];
    const members = [
      'endpoints',
      'binaries',
      'read_only',
      'host',
      'port',
      'rules',
      'deny_rules',
      'allow',
      'mcp',
      'protocol',
      'tool',
      'query',
      'a',
    ];
    const { value } = fc.letrec<{ value: unknown }>((tie) => ({
      value: fc.oneof(
        { depthSize: 'medium', withCrossShrink: true },
        fc.constantFrom(null, true, 0, -1, 443, 'rest', 'mcp', '*', '/', ''),
        fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom(...members), tie('value'), { maxKeys: 4 }),
      ),
    }));
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...places), value), (data) => {
        for (const { line, message } of checkPolicyData(JSON.stringify(data))) {
          expect(line).toBe(1);
          expect(message).toMatch(/: \S/);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('rules', () => {
  it('has nothing to say against the example, which defines every rule that the supervisor asks for', () => {
    expect(checkPolicyRules(RULES)).toEqual([]);
  });

  const without = (rule: string): string =>
    RULES.split('\n')
      .filter((line) => !line.startsWith(`${rule} `))
      .join('\n');
  it.each(['filesystem_policy', 'landlock_policy', 'process_policy'])('has an error for a missing %s', (rule) => {
    const found = checkPolicyRules(without(rule)).map(written);
    expect(found).toEqual([expect.stringContaining(`error: ${rule}: the rule is missing, and the supervisor exits`)]);
  });

  it.each([
    ['network_action', 'every connection is denied'],
    ['_matching_endpoint_configs', 'allowed connections are not inspected'],
    ['endpoint_credential_guards', 'allowed connections are closed'],
    ['network_middlewares', 'connections of allowed hosts are closed'],
    ['allow_request', 'requests of inspected connections fail'],
  ])('warns of a missing %s', (rule, effect) => {
    expect(checkPolicyRules(without(rule)).map(written)).toEqual([
      expect.stringContaining(`warning: ${rule}: the rule is missing: ${effect}`),
    ]);
  });

  it.each<[string, string, string]>([
    ['no text', '', '1: error: package is missing; begin the rules with: package openshell.sandbox'],
    ['no package', '# x\n\nx := 1\n', '3: error: package is missing'],
    ['another package', 'package openshell\n', '1: error: package openshell: the supervisor asks openshell.sandbox'],
    ['an open bracket', `${RULES}\nx if {\n`, `${RULES.split('\n').length + 1}: error: { is not closed`],
    ['a bracket too many', 'package openshell.sandbox\nx := [1)]\n', '2: error: ) closes nothing'],
    ['open text', 'package openshell.sandbox\nx := "a\n', '2: error: " opens text that does not end on this line'],
    ['the old form of rules', `${RULES}x {\n  true\n}\n`, 'error: x: Rego v1 needs the word if before {; write x if {'],
    ['the old form of functions', `${RULES}f(a) {\n  a\n}\n`, 'error: f: Rego v1 needs the word if'],
    ['a late import', `${RULES}import rego.v1\n`, 'error: import: it has to be above all rules'],
  ])('has an error for %s', (_name, text, expected) => {
    expect(checkPolicyRules(text).map(written)).toEqual(expect.arrayContaining([expect.stringContaining(expected)]));
  });

  it('takes brackets, quotes and rules in text and comments for what they are', () => {
    const odd = [
      'x := "a } \\" [ #"',
      'y := `',
      'network_action {',
      '` # ) "',
      'z := {"a": [1]}',
      'w contains v if {',
      '\tsome v in [1]',
      '}',
      '',
    ];
    expect(checkPolicyRules(RULES + odd.join('\n'))).toEqual([]);
  });
});

describe('policy check', () => {
  it('ends with 0 for the example, and with 1 with --strict for a warning', () => {
    const args = ['check', example('policy.yaml'), '--rules', example('policy.rego')];
    expect(policy(args)).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/policy\.yaml: 0 errors, 0 warnings\n.*policy\.rego: 0 errors, 0 warnings\n$/),
    });
    expect(policy([...args, '--strict']).code).toBe(0);
    expect(policy(['check', '-', '--strict'], 'network_policies: {}').code).toBe(1);
    expect(policy(['check', '-'], 'network_policies: {}').code).toBe(0);
  });

  it('names file, line, thing, value and fix, and ends with 1', () => {
    file('bad.yaml', endpoint('{host: "*", port: 443}'));
    const { code, stdout, stderr } = policy(['check', '-f', 'bad.yaml', example('policy.rego')]);
    expect([code, stderr]).toEqual([1, '']);
    expect(stdout).toContain(
      `bad.yaml:5: error: ${AT}.host "*": it stands for every host, which the supervisor does not take; write *.example.com\n`,
    );
    expect(stdout).toContain('bad.yaml: 1 error, 0 warnings\n');
  });

  it('reads ConfigMaps, with the lines of the manifest', () => {
    const text = configMapText('p', 'agents', policyFiles('landlock:\n  compatibility: x\nnetwork_policies: []\n', RULES), 'yaml');
    const { code, stdout } = policy(['check', file('map.yaml', `kind: Service\napiVersion: v1\n---\n${text}`)]);
    const line = `kind: Service\napiVersion: v1\n---\n${text}`.split('\n').indexOf('    network_policies: []') + 1;
    expect([code, stdout]).toEqual([1, expect.stringContaining(`map.yaml:${line}: error: network_policies []: expected a map`)]);
    expect(stdout).toContain(`map.yaml:${line - 1}: warning: landlock.compatibility "x"`);
    expect(stdout).toContain('map.yaml ConfigMap agents/p policy.rego: 0 errors, 0 warnings\n');
  });

  it.each<[string, string[], string]>([
    ['no file', ['check'], 'a file is missing: policy check FILE'],
    ['a file that is not there', ['check', 'nowhere.yaml'], 'nowhere.yaml: ENOENT'],
    ['no action', [], 'policy "": expected check or configmap'],
    ['another action', ['lint'], 'policy "lint": expected check or configmap'],
    ['standard input twice', ['check', '-', '--rules', '-'], 'standard input can be read once'],
    ['a switch of configmap', ['check', '-', '--hash'], '--hash is for policy configmap'],
    ['no name', ['configmap', '-f', '-'], 'expected one name, found []'],
    ['a bad name', ['configmap', 'My_Policy', '-f', '-'], '"My_Policy": no name of a ConfigMap'],
    ['a bad namespace', ['configmap', 'p', '-f', '-', '-n', 'a.b'], '-n "a.b": no name of a namespace'],
    ['no data', ['configmap', 'p'], '-f is missing'],
    ['another format', ['configmap', 'p', '-f', '-', '-o', 'xml'], '--output "xml": expected yaml, json'],
  ])('ends with 2 for %s', (_name, args, expected) => {
    const { code, stdout, stderr } = policy(args);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(expected);
  });

  it('ends with 2 for manifests without a policy', () => {
    expect(policy(['check', '-'], 'apiVersion: v1\nkind: ConfigMap\ndata: {a: b}\n')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('stdin: no ConfigMap with policy.yaml or policy.rego below data'),
    });
  });
});

describe('policy configmap', () => {
  it.each(['yaml', 'json'])('prints the files byte for byte as %s', (output) => {
    const args = ['configmap', 'coding', '-f', example('policy.yaml'), '--rules', example('policy.rego'), '-n', 'agents', '-o', output];
    const { code, stdout } = policy(args);
    expect(code).toBe(0);
    expect(parse(stdout)).toEqual({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'coding', namespace: 'agents' },
      data: { 'policy.yaml': DATA, 'policy.rego': RULES },
    });
    if (output === 'yaml') expect(stdout).toContain('\ndata:\n  policy.yaml: |\n    # The data');
  });

  it('keeps any text, as YAML 1.1 and 1.2 read it', () => {
    const piece = fc.constantFrom(
      'a',
      ' ',
      '\n',
      '\r\n',
      '\t',
      '#',
      ': ',
      '- ',
      '"',
      '|',
      '\\',
      'é',
      '😀',
      '\u0085',
      '\u2028',
      '\ufeff',
      '\u0000',
      '---\n',
      '...\n',
      '%',
    );
    const text = fc.oneof(
      fc.array(piece).map((pieces) => pieces.join('')),
      fc.string({ unit: 'binary' }),
    );
    fc.assert(
      fc.property(text, fc.option(text, { nil: undefined }), (data, rules) => {
        const files = policyFiles(data, rules);
        const yaml = configMapText('p', undefined, files, 'yaml');
        expect(parse(yaml).data).toEqual(files);
        expect(parse(yaml, { version: '1.1' }).data).toEqual(files);
        expect(JSON.parse(configMapText('p', undefined, files, 'json')).data).toEqual(files);
      }),
      { numRuns: 1000 },
    );
  });

  it('says who supplies the rules where there are none', () => {
    const { code, stdout, stderr } = policy(['configmap', 'p', '-f', '-'], DATA);
    expect([code, Object.keys(parse(stdout).data)]).toEqual([0, ['policy.yaml']]);
    expect(stderr).toContain("no rules: give policy.rego with --rules, or the operator's --policy-rules has to supply them\n");
  });

  it('gives a changed policy a new name with --hash', () => {
    const name = (data: string): string => parse(policy(['configmap', 'p', '-f', '-', '--hash'], data).stdout).metadata.name;
    expect(name(DATA)).toMatch(/^p-[0-9a-f]{10}$/);
    expect(name(DATA)).toBe(name(DATA));
    expect(name(DATA)).not.toBe(name(`${DATA}\n`));
    expect(hashedName('p', policyFiles('ab', 'c'))).not.toBe(hashedName('p', policyFiles('a', 'bc')));
  });

  it.each<[string, string[], string | Buffer, string]>([
    ['a policy with an error', ['p'], 'network_policies: []', '1 error: the supervisor would not start, so nothing is printed'],
    ['a policy above 1 MiB', ['p'], `${DATA}#${'x'.repeat(MOST_BYTES)}\n`, ' bytes: a ConfigMap holds 1048576 (1 MiB); shorten them'],
    ['a name that the hash makes too long', ['p'.repeat(250), '--hash'], DATA, 'with its hash the name has 261 characters'],
  ])('prints nothing for %s, and ends with 1', (_name, args, input, expected) => {
    const { code, stdout, stderr } = policy(['configmap', '-f', '-', ...args], input);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toContain(expected);
  });

  it('does not take bytes that a ConfigMap cannot keep', () => {
    expect(policy(['configmap', 'p', '-f', '-'], Buffer.from([0x61, 0x3a, 0x20, 0xff]))).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('stdin: the file is not UTF-8'),
    });
  });
});
