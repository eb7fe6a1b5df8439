/** `openshell-sideload inject`, as a process, and how it writes manifests. */

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import jsonPatch, { type Operation } from 'fast-json-patch';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { injectManifest } from '../src/cli/inject.ts';
import { parseManifests, readExactly } from '../src/cli/manifests.ts';
import { findPods } from '../src/cli/pod-templates.ts';
import { readConfig } from '../src/config/config.ts';
import { decide } from '../src/sideload/decide.ts';
import type { Pod } from '../src/sideload/pod.ts';
import { UNKNOWN_CLUSTER } from '../src/sideload/settings.ts';
import { readCorpus } from './corpus.ts';
import { sandbox } from './pods.ts';
import { NO_LOOKUP } from './refusals.ts';
import { isSideloaded } from './sideloaded.ts';
import { oddWord, sharingDocument } from './yaml.ts';

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
const dir = mkdtempSync(join(tmpdir(), 'sideload-inject-'));
afterAll(() => rmSync(dir, { recursive: true }));

function inject(args: readonly string[], input = ''): { code: number | null; stdout: string; stderr: string } {
  const env = { PATH: process.env.PATH ?? '' };
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'inject', ...args], { input, env, encoding: 'utf8', cwd: dir });
  return { code: status, stdout, stderr };
}

const file = (name: string, text: string): string => {
  writeFileSync(join(dir, name), text);
  return name;
};

const podSpec = (indent: string): string =>
  ['containers:', '- name: agent', '  image: registry.example/agent:1', '  command: [agent]', '  envFrom: [{secretRef: {name: gateway}}]']
    .map((line) => `${indent}${line}\n`)
    .join('');
const LABELS = '{openshell.ai/sandbox: "true"}';
const pod = (name: string, labels = LABELS): string =>
  `apiVersion: v1\nkind: Pod\nmetadata: {name: ${name}, labels: ${labels}}\nspec:\n${podSpec('  ')}`;

const WEB = `# All of it.
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}   # as it is
data:
    a:   "1"
--- # the agents
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web   # a name
spec:
  template:
    # who
    metadata:
      labels:
        openshell.ai/sandbox: "true"
    spec:
      hostUsers: false

      containers:   # what
      - name: 'agent'
        image: "registry.example/agent:1"
        command: [agent, "--x"]
        envFrom: [{secretRef: {name: gateway}}]
      terminationGracePeriodSeconds: 0x1f90
`;

beforeAll(() => {
  file('web.yaml', WEB);
  file('a.yaml', pod('a').trimEnd());
});

describe('what is printed', () => {
  it('keeps the documents that need nothing, and of the others comments, key order, quotes and numbers', () => {
    const { code, stdout, stderr } = inject(['-f', 'web.yaml']);
    expect([code, stderr]).toEqual([0, 'web.yaml#2 Deployment web: injected (method image-volume, container agent)\n']);
    expect(stdout.startsWith(WEB.slice(0, WEB.indexOf('--- # the agents')))).toBe(true);
    for (const kept of [
      '# the agents\n',
      '  name: web # a name\n',
      '    # who\n',
      '      hostUsers: false\n\n      containers:\n      # what\n',
      '- name: \'agent\'\n        image: "registry.example/agent:1"\n',
      '        envFrom: [{secretRef: {name: gateway}}]\n',
      '      terminationGracePeriodSeconds: 0x1f90\n',
    ])
      expect(stdout).toContain(kept);
    const [, deployment] = parseAllDocuments(stdout).map((document) => document.toJS());
    expect(isSideloaded({ metadata: deployment.spec.template.metadata, spec: deployment.spec.template.spec })).toBe(true);
    expect(Object.keys(deployment.spec.template.spec)).toEqual(['hostUsers', 'containers', 'terminationGracePeriodSeconds', 'volumes']);
  });

  it('can be given to it again, which changes nothing', () => {
    const once = inject(['-f', '-'], WEB).stdout;
    const { code, stdout, stderr } = inject(['-f', '-'], once);
    expect([code, stdout]).toEqual([0, once]);
    expect(stderr).toContain('left unchanged (already-sideloaded: ');
  });

  it('is the input, byte for byte, where nothing is to be done', () => {
    const odd = '\n# only\n---\n---\nkind:   Service\napiVersion: v1\n...\n---\na: [1,\n  2]';
    expect(inject(['-f', '-'], odd)).toEqual({
      code: 0,
      stdout: odd,
      stderr: 'no Pod and no kind with a pod template: nothing to inject\n',
    });
  });

  it('separates the documents of several files', () => {
    const files = [
      file('a.yaml', pod('a').trimEnd()),
      file('b.yml', `# b\n---\n${pod('b', '{app: x}')}`),
      file('c.json', JSON.stringify(sandbox())),
    ];
    const { code, stdout, stderr } = inject(files.flatMap((name) => ['-f', name]));
    expect(code, stderr).toBe(0);
    expect(parseAllDocuments(stdout).map((document) => document.toJS().metadata.name)).toEqual(['a', 'b', 'sandbox']);
  });

  it('takes a folder’s files in the order of their names, and not those of folders in it', () => {
    mkdirSync(join(dir, 'folder', 'deeper'), { recursive: true });
    for (const name of ['2.yaml', '1.yml', '3.json', 'README.md', 'deeper/4.yaml']) {
      const text = name.endsWith('json') ? JSON.stringify({ ...sandbox(), apiVersion: 'v1', kind: 'Pod' }) : pod(`p${name[0]}`);
      file(join('folder', name), text);
    }
    const { stderr } = inject(['-f', 'folder']);
    expect(stderr.split('\n').map((line) => line.split(' ')[0])).toEqual(['folder/1.yml', 'folder/2.yaml', 'folder/3.json', '']);
  });

  it('of JSON is JSON, with integers that no double can hold', () => {
    const text = JSON.stringify({ apiVersion: 'v1', kind: 'Pod', ...sandbox() }).replace('"spec":{', '"spec":{"future":9007199254740993,');
    const { stdout } = inject(['-f', '-'], text);
    expect(stdout).toContain('"future": 9007199254740993,');
    expect(isSideloaded(JSON.parse(stdout))).toBe(true);
  });

  it('writes out what an alias or a merge key refers to, before it is changed', () => {
    const text = `apiVersion: v1
kind: List
x: &base {image: registry.example/agent:1, command: [agent], envFrom: [{secretRef: {name: gateway}}], securityContext: &context {privileged: false}}
items:
- apiVersion: v1
  kind: Pod
  metadata: {name: a, labels: &labels ${LABELS}}
  spec:
    containers:
    - {<<: *base, name: agent}
- apiVersion: v1
  kind: Pod
  metadata: {name: b, labels: *labels}
  spec:
    containers:
    - {name: agent, image: x, command: [b], envFrom: [{secretRef: {name: gateway}}], securityContext: *context}
`;
    const { code, stdout, stderr } = inject(['-f', '-'], text);
    expect(code, stderr).toBe(0);
    const { x, items } = parse(stdout, { version: '1.1' });
    expect(x.securityContext).toEqual({ privileged: false });
    for (const item of items) expect(isSideloaded(item)).toBe(true);
    expect(items[0].spec.containers[0].image).toBe('registry.example/agent:1');
  });

  it('is a list of patches that apply to the objects', () => {
    const [{ source, object, patch }] = JSON.parse(inject(['-f', 'web.yaml', '-o', 'patch']).stdout);
    expect([source, object]).toEqual(['web.yaml#2', 'Deployment web']);
    expect(patch).toContainEqual(expect.objectContaining({ op: 'add', path: '/spec/template/spec/volumes' }));
  });

  it('is one object, or a List, as JSON; and JSON is made YAML, without losing a digit', () => {
    expect(JSON.parse(inject(['-f', 'a.yaml', '-o', 'json']).stdout)).toMatchObject({ kind: 'Pod', metadata: { name: 'a' } });
    expect(JSON.parse(inject(['-f', 'web.yaml', '-o', 'json']).stdout)).toMatchObject({
      apiVersion: 'v1',
      kind: 'List',
      items: [{ kind: 'ConfigMap' }, { kind: 'Deployment' }],
    });
    expect(inject(['-f', 'web.yaml', '-o', 'yaml']).stdout).toBe(inject(['-f', 'web.yaml']).stdout);
    const big = '{"apiVersion":"v1","kind":"Pod","spec":{"future":9007199254740993,"text":"1","empty":[]}}';
    expect(inject(['-f', '-', '-o', 'yaml'], big).stdout).toBe(
      'apiVersion: v1\nkind: Pod\nspec:\n  future: 9007199254740993\n  text: "1"\n  empty: []\n',
    );
    expect(inject(['-f', '-', '-o', 'json'], 'kind: X\nbig: 9007199254740993\noctal: 0644').stdout).toBe(
      '{\n  "kind": "X",\n  "big": 9007199254740993,\n  "octal": 420\n}\n',
    );
    expect(inject(['-f', '-', '-o', 'json'], big).stdout).toContain('"future": 9007199254740993,');
  });

  it('is a difference without noise', () => {
    const { code, stdout } = inject(['-f', 'web.yaml', '--diff']);
    const removed = stdout.split('\n').filter((line) => line.startsWith('-'));
    expect([code, removed]).toEqual([0, ['-        command: [agent, "--x"]']]);
    expect(stdout).toContain('+        - --x\n');
    expect(stdout, 'no terminal, no colours').not.toContain('\u001b[');
  });
});

describe('which objects hold pods', () => {
  const template = { metadata: { labels: { 'openshell.ai/sandbox': 'true' } }, spec: sandbox().spec };
  it.each([
    ['v1', 'Pod', '', template],
    ['v1', 'PodTemplate', '/template', { template }],
    ['v1', 'ReplicationController', '/spec/template', { spec: { template } }],
    ['apps/v1', 'Deployment', '/spec/template', { spec: { template } }],
    ['apps/v1', 'ReplicaSet', '/spec/template', { spec: { template } }],
    ['apps/v1', 'StatefulSet', '/spec/template', { spec: { template } }],
    ['apps/v1', 'DaemonSet', '/spec/template', { spec: { template } }],
    ['batch/v1', 'Job', '/spec/template', { spec: { template } }],
    ['batch/v1', 'CronJob', '/spec/jobTemplate/spec/template', { spec: { jobTemplate: { spec: { template } } } }],
    ['agents.x-k8s.io/v1beta1', 'Sandbox', '/spec/podTemplate', { spec: { podTemplate: template } }],
    ['agents.x-k8s.io/v1alpha1', 'Sandbox', '/spec/podTemplate', { spec: { podTemplate: template } }],
    ['extensions.agents.x-k8s.io/v1beta1', 'SandboxTemplate', '/spec/podTemplate', { spec: { podTemplate: template } }],
  ])('%s %s: at "%s"', async (apiVersion, kind, pointer, rest) => {
    const object = { apiVersion, kind, ...rest };
    expect(findPods(object)).toEqual([{ pointer, pod: kind === 'Pod' ? object : template }]);
    expect(findPods({ apiVersion: 'v1', kind: 'List', items: [{}, object] })).toMatchObject([{ pointer: `/items/1${pointer}` }]);
    const [manifest] = parseManifests('x', JSON.stringify(object));
    if (!manifest) throw new Error('no manifest');
    const { operations } = await injectManifest(manifest, readConfig([], {}).sideload);
    const [injected] = findPods(JSON.parse(manifest.apply(operations)));
    expect(injected?.pointer).toBe(pointer);
    expect(isSideloaded(injected?.pod as Pod)).toBe(true);
  });

  it.each([
    { apiVersion: 'v1', kind: 'Service', spec: { template } },
    { apiVersion: 'example.com/v1', kind: 'Deployment', spec: { template } },
    { apiVersion: 'apps/v1', kind: 'Deployment' },
    { apiVersion: 'apps/v1', kind: 'Deployment', spec: null },
    { apiVersion: 'v1', kind: 'List', items: null },
    { kind: 'Pod' },
    { apiVersion: '__proto__', kind: 'constructor' },
    null,
    'text',
  ])('no pods: %j', (object) => {
    expect(findPods(object)).toEqual([]);
  });
});

describe('every pod of the corpus', () => {
  it('is written to YAML with its operations applied as JSON Patch applies them', () => {
    for (const { pod: manifest } of readCorpus()) {
      const object = {
        apiVersion: 'v1',
        kind: 'Pod',
        ...manifest,
        metadata: { ...manifest.metadata, labels: { 'openshell.ai/sandbox': 'true' } },
      };
      const text = JSON.stringify(object);
      const asYaml = injected(text, 'yaml');
      expect(asYaml).toEqual(injected(text, 'json'));
    }
  });

  /** The object after its operations, applied to its text as a YAML document or as JSON. */
  function injected(text: string, as: 'yaml' | 'json'): unknown {
    const [manifest] = parseManifests('x', as === 'yaml' ? `# a comment\n${text}` : text);
    if (!manifest) throw new Error('no manifest');
    const outcome = decide(manifest.value as Parameters<typeof decide>[0], readConfig([], {}).sideload, UNKNOWN_CLUSTER);
    return parse(manifest.apply(outcome.verdict === 'inject' ? outcome.operations : []), { version: '1.1' });
  }
});

describe('what is written once and read in several places', () => {
  const lenient = readConfig(['--missing-policy=warn', ...NO_LOOKUP], {}).sideload;
  const injectText = async (text: string): Promise<{ before: unknown; after: unknown }> => {
    const [manifest] = parseManifests('x', text);
    if (!manifest) throw new Error(text);
    const { operations } = await injectManifest(manifest, lenient);
    expect(operations.length, text).toBeGreaterThan(0);
    const before = jsonPatch.applyPatch(structuredClone(readExactly(text, false)), operations as Operation[]).newDocument;
    return { before, after: readExactly(manifest.apply(operations), false) };
  };

  it('is changed in the sandbox alone', async () => {
    await fc.assert(
      fc.asyncProperty(sharingDocument, async (text) => {
        const { before, after } = await injectText(text);
        expect(after, text).toEqual(before);
      }),
      { numRuns: 1000 },
    );
  });

  it.each([
    [
      'an unlabelled pod',
      'items:\n- &p {apiVersion: v1, kind: Pod, metadata: {labels: LABELS}, spec: &s SPEC}\n- {<<: *p, metadata: {}}\n- {kind: Pod, spec: *s}',
    ],
    [
      'a member that is a word',
      'w: &w run\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {labels: LABELS}, spec: {containers: [{name: *w, image: *w, command: [*w]}]}}',
    ],
    ['the document', '&d\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {labels: LABELS}, spec: SPEC}'],
  ])('as %s', async (_what, text) => {
    const spec = '{containers: [{name: agent, image: x, command: [a]}]}';
    const { before, after } = await injectText(
      `apiVersion: v1\nkind: List\n${text.replaceAll('LABELS', LABELS).replaceAll('SPEC', spec)}\n`.replace(
        /^(.*)\n(.*)\n&d\n/,
        '--- &d\n$1\n$2\n',
      ),
    );
    expect(after).toEqual(before);
  });

  it('keeps the type of each word', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(oddWord), async (words) => {
        const text = JSON.stringify({
          apiVersion: 'v1',
          kind: 'Pod',
          ...sandbox({ spec: { containers: [{ name: 'agent', image: 'x', command: ['run', ...words] }] } }),
        });
        const { before, after } = await injectText(`# YAML\n${text}`);
        expect(after).toEqual(before);
      }),
    );
  });

  it('a hundred times and more, is read', () => {
    const text = `a: &a x\nlist: [${Array.from({ length: 500 }, () => '*a').join()}]`;
    expect(readExactly(text, false)).toEqual({ a: 'x', list: Array.from({ length: 500 }, () => 'x') });
  });

  it.each([
    ['integers', 'a: [9223372036854775807, -9223372036854775808, 18446744073709551615, 9007199254740993]'],
    ['integers of JSON', '{"a": [9223372036854775807, -9223372036854775808, 18446744073709551615, 9007199254740993]}'],
  ])('%s that no double holds keep their digits', (_what, text) => {
    const expected = '{"a":[9223372036854775807,-9223372036854775808,18446744073709551615,9007199254740993]}';
    expect(JSON.stringify(readExactly(text, text.startsWith('{')))).toBe(expected);
    const [manifest] = parseManifests('x', text);
    expect(JSON.stringify(readExactly(manifest?.apply([{ op: 'add', path: '/b', value: 1 }]) ?? '', text.startsWith('{')))).toBe(
      expected.replace(']}', '],"b":1}'),
    );
  });
});

describe('JSON', () => {
  const object = (name: string, more: object = {}): string =>
    JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, ...more });
  const names = (text: string): unknown[] =>
    parseManifests('x', text).map(({ value }) => (value as { metadata: { name: string } }).metadata.name);

  it.each([
    ['one after the other', object('a') + object('b'), ['a', 'b']],
    ['on lines of their own, with braces in their words', `${object('a', { x: '}{"' })}\n${object('b')}\n`, ['a', 'b']],
    ['and YAML behind it', `${object('a')}\n---\napiVersion: v1\nmetadata: {name: b}\n`, ['a', 'b']],
    ['behind YAML', `metadata: {name: a}\n---\n${object('b')}\n`, ['a', 'b']],
    ['that is YAML after all', "{metadata: {name: 'a'}}\n---\n{metadata: {name: b}}\n", ['a', 'b']],
  ])('%s', (_what, text, expected) => {
    expect(names(text)).toEqual(expected);
  });

  it('is printed as it came, and what has to change as JSON', () => {
    const sandboxed = JSON.stringify({ apiVersion: 'v1', kind: 'Pod', ...sandbox() });
    const { code, stdout, stderr } = inject(['-f', '-'], `${object('a')}\n${sandboxed}\n${object('c')}\n`);
    expect(code, stderr).toBe(0);
    expect(stderr).toContain('stdin#2 Pod agents/sandbox: injected');
    expect(names(stdout)).toEqual(['a', 'sandbox', 'c']);
    expect(stdout.startsWith(object('a'))).toBe(true);
    expect(parseAllDocuments(inject(['-f', '-', '-o', 'yaml'], `${object('a')}${sandboxed}`).stdout)).toHaveLength(2);
  });

  it('with a byte order mark is read', () => {
    writeFileSync(join(dir, 'bom.json'), `\ufeff${JSON.stringify({ apiVersion: 'v1', kind: 'Pod', ...sandbox() })}`);
    expect(inject(['-f', 'bom.json'])).toMatchObject({ code: 0, stderr: expect.stringContaining('injected') });
  });
});

describe('a file in another encoding', () => {
  const text = pod('é');
  it.each([
    [
      'UTF-16, little endian',
      Buffer.from(`\ufeff${text}`, 'utf16le'),
      'the file is not UTF-8: it has the byte order mark of UTF-16, little endian',
    ],
    [
      'UTF-16, big endian',
      Buffer.from(`\ufeff${text}`, 'utf16le').swap16(),
      'the file is not UTF-8: it has the byte order mark of UTF-16, big endian',
    ],
    ['UTF-16 without a mark', Buffer.from(text, 'utf16le'), 'the file is not UTF-8: byte 2 is NUL'],
    ['Latin-1', Buffer.from(text, 'latin1'), 'the file is not UTF-8: line 3 has a byte that UTF-8 does not allow there'],
  ])('%s ends with 2 and its name', (_what, bytes, says) => {
    writeFileSync(join(dir, 'encoded.yaml'), bytes);
    const { code, stdout, stderr } = inject(['-f', 'encoded.yaml']);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(`encoded.yaml: ${says}`);
    expect(stderr).toContain('write it as UTF-8');
  });
});

describe('what cannot be done', () => {
  it('a refused document: nothing is printed, and the end is 1', () => {
    const refused = pod('typo', '{openshell.ai/sandbox: "yes"}');
    const { code, stdout, stderr } = inject(['-f', '-'], `${pod('good')}---\n${refused}`);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toContain('stdin#2 Pod typo: refused (unknown-label-value, 422): label openshell.ai/sandbox is "yes"');
    expect(stderr).toContain('1 of 2 refused: nothing is printed\n');
  });

  it('settings count as they do for the webhook', () => {
    const { code, stderr } = inject(['-f', 'a.yaml', '--supervisor-sideload-method', 'init-container', '--diff']);
    expect([code, stderr]).toEqual([0, 'a.yaml Pod a: injected (method init-container, container agent)\n']);
  });

  it.each([
    { args: [], says: '-f is missing: -f FILE, a folder, or - for standard input' },
    { args: ['-f'], says: '-f needs a value: -f FILE' },
    { args: ['-f', 'a.yaml', '-o', 'xml'], says: '--output "xml": expected yaml, json, patch' },
    { args: ['-f', 'a.yaml', '-o', 'json', '--diff'], says: '--diff and --output do not go together' },
    { args: ['-f', 'a.yaml', '-o', 'json', '-o', 'yaml'], says: '-o is given twice: "json" and "yaml"' },
    { args: ['-f', 'a.yaml', '--diff=yes'], says: '--diff takes no value' },
    { args: ['-f', 'a.yaml', 'b.yaml'], says: 'unexpected argument "b.yaml"' },
    { args: ['-f', 'a.yaml', '--supervisor-image='], says: '--supervisor-image ""' },
    { args: ['-f', 'absent.yaml'], says: 'absent.yaml: ENOENT: no such file or directory' },
    { args: ['-f', 'empty'], says: 'empty: the folder has no .yaml, .yml or .json files' },
    { args: ['-f', 'broken.yaml'], says: 'broken.yaml: ' },
    { args: ['-f', 'broken.json'], says: 'broken.json: ' },
    { args: ['-f', 'unknown-alias.yaml'], says: 'unknown-alias.yaml#2: line 4: alias *x has no anchor before it' },
    { args: ['-f', 'itself.yaml'], says: 'itself.yaml: line 2: anchor &a contains itself' },
    { args: ['-f', 'merge.yaml'], says: 'merge.yaml: line 1: a merge key (<<) needs a map, or a list of maps' },
    { args: ['-f', 'bomb.yaml'], says: 'its aliases expand to more than 1000000 values' },
    { args: ['-f', 'misshapen.yaml'], says: 'misshapen.yaml Pod x is not valid: spec.containers[0].command is a string, not a list' },
    {
      args: ['-f', 'unquoted.yaml'],
      says: 'unquoted.yaml Deployment x is not valid: spec.template.metadata.labels["openshell.ai/sandbox"] is a boolean, not a string',
    },
  ])('$args ends with 2: $says', ({ args, says }) => {
    mkdirSync(join(dir, 'empty'), { recursive: true });
    file('broken.yaml', 'a: [1\nb: 2\n');
    file('broken.json', '{"a": 1');
    file('unknown-alias.yaml', 'a: &x 1\n---\nb:\n- *x\n');
    file('itself.yaml', 'a: &a\n- *a\n');
    file('merge.yaml', 'a: {<<: 1}\n');
    file('bomb.yaml', Array.from({ length: 30 }, (_, i) => `a${i}: &a${i} [${i === 0 ? 'x' : `*a${i - 1}, *a${i - 1}`}]\n`).join(''));
    file('misshapen.yaml', 'apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: [{name: a, command: run}]}\n');
    file(
      'unquoted.yaml',
      'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\nspec: {template: {metadata: {labels: {openshell.ai/sandbox: yes}}}}\n',
    );
    const { code, stdout, stderr } = inject(args);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(says);
  });
});
