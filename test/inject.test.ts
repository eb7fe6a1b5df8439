/** `openshell-sideload inject`, as a process, and how it writes manifests. */

import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import jsonPatch, { type Operation } from 'fast-json-patch';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { injectManifest } from '../src/cli/inject.ts';
import { holdersIn } from '../src/cli/manifests/holders.ts';
import { KINDS } from '../src/cli/manifests/kinds.ts';
import { kindsWith } from '../src/cli/manifests/pods.ts';
import { parseManifests, readExactly, readManifests } from '../src/cli/manifests/read.ts';
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
    expect(code).toBe(0);
    expect(stderr.split('\n')).toEqual([
      'web.yaml#2 Deployment web: injected (method image-volume, container agent)',
      expect.stringMatching(/^web\.yaml#2 Deployment web: warning \(runtime-without-image-volumes\): the pod has hostUsers: false/),
      '',
    ]);
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
      file('c.json', JSON.stringify({ apiVersion: 'v1', kind: 'Pod', ...sandbox() })),
    ];
    const { code, stdout, stderr } = inject(files.flatMap((name) => ['-f', name]));
    expect(code, stderr).toBe(0);
    expect(parseAllDocuments(stdout).map((document) => document.toJS().metadata.name)).toEqual(['a', 'b', 'sandbox']);
  });

  it('takes a folder’s files in the order of their names, and those of folders in it with -R', () => {
    mkdirSync(join(dir, 'folder', 'deeper'), { recursive: true });
    for (const name of ['2.yaml', '1.yml', '3.json', 'README.md', 'deeper/4.yaml']) {
      const text = name.endsWith('json') ? JSON.stringify({ ...sandbox(), apiVersion: 'v1', kind: 'Pod' }) : pod(`p${name[0]}`);
      file(join('folder', name), text);
    }
    const read = (...args: string[]): (string | undefined)[] =>
      inject(args)
        .stderr.trimEnd()
        .split('\n')
        .map((line) => line.split(' ')[0]);
    expect(read('-f', 'folder')).toEqual(['folder/1.yml', 'folder/2.yaml', 'folder/3.json']);
    expect(read('-R', 'folder')).toEqual(['folder/1.yml', 'folder/2.yaml', 'folder/3.json', 'folder/deeper/4.yaml']);
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

const LABELLED = { metadata: { labels: { 'openshell.ai/sandbox': 'true' } } };
const TEMPLATE = { ...LABELLED, spec: sandbox().spec };

/** What holds a value at a JSON pointer; a list where the pointer has a number, or any item. */
function at(pointer: string, value: unknown): Record<string, unknown> {
  const [, first = '', ...rest] = pointer.split('/');
  if (pointer === '') return value as Record<string, unknown>;
  const inner = at(rest.length > 0 ? `/${rest.join('/')}` : '', value);
  return first === '*' ? ([inner] as unknown as Record<string, unknown>) : { [first]: inner };
}

/** An object of a kind with this inside. */
const objectOf = (groupKind: string, inside: object): { apiVersion: string; kind: string } => {
  const [group = '', kind = ''] = groupKind.split('/');
  return { ...inside, apiVersion: group === '' ? 'v1' : `${group}/v1`, kind };
};

function held(object: unknown, templatePaths: string[] = []) {
  const [manifest] = parseManifests('x', JSON.stringify(object));
  if (!manifest) throw new Error('no manifest');
  return holdersIn(manifest, kindsWith(templatePaths));
}

describe('where objects hold pods', () => {
  const templates = Object.entries(KINDS).flatMap(([groupKind, kind]) => kind.templates.map((pattern) => [groupKind, pattern] as const));
  const placeOf = (pattern: string): string => pattern.replaceAll('*', '0');

  it.each(templates)('%s: a template at "%s"', async (groupKind, pattern) => {
    const object = objectOf(groupKind, at(pattern, TEMPLATE));
    const [manifest] = parseManifests('x', JSON.stringify(object));
    if (!manifest) throw new Error('no manifest');
    const { operations } = await injectManifest(manifest, readConfig([], {}).sideload);
    const [holder] = held(JSON.parse(manifest.apply(operations)));
    expect(holder?.pods).toMatchObject([{ pointer: placeOf(pattern), problem: undefined }]);
    expect(isSideloaded(holder?.pods[0]?.pod as Pod)).toBe(true);
    expect(holder?.strays).toEqual([]);
  });

  const written = Object.entries(KINDS).flatMap(([groupKind, kind]) => kind.labels.map((pattern) => [groupKind, pattern] as const));
  it.each(written)('%s: labels at "%s" of pods that only the webhook can inject', (groupKind, pattern) => {
    const [holder] = held(objectOf(groupKind, at(pattern, LABELLED.metadata.labels)));
    expect(holder).toMatchObject({
      pods: [],
      strays: [{ means: 'admission', message: expect.stringContaining(`of ${groupKind} writes`) }],
    });
  });

  it.each(Object.keys(KINDS).filter((kind) => kind !== '/Pod' && !KINDS[kind]?.labels.includes('/metadata/labels')))(
    '%s: its own labels reach no pod',
    (groupKind) => {
      const [holder] = held(objectOf(groupKind, LABELLED));
      expect(holder?.strays).toMatchObject([{ means: 'unguarded', message: expect.stringContaining('move it to ') }]);
    },
  );

  it('are those of manifests as their projects document them', () => {
    const text = `
apiVersion: jobset.x-k8s.io/v1alpha2
kind: JobSet
metadata: {name: training}
spec:
  replicatedJobs:
  - name: driver
    template: {spec: {template: TEMPLATE}}
  - name: workers
    template: {spec: {template: TEMPLATE}}
---
apiVersion: leaderworkerset.x-k8s.io/v1
kind: LeaderWorkerSet
metadata: {name: vllm}
spec: {leaderWorkerTemplate: {leaderTemplate: TEMPLATE, size: 2, workerTemplate: TEMPLATE}}
---
apiVersion: kubeflow.org/v1
kind: PyTorchJob
metadata: {name: torch}
spec: {pytorchReplicaSpecs: {Master: {replicas: 1, template: TEMPLATE}, Worker: {replicas: 2, template: TEMPLATE}}}
---
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: web}
spec: {replicas: 2, template: TEMPLATE, strategy: {canary: {}}}
`.replaceAll('TEMPLATE', JSON.stringify(TEMPLATE));
    const found = parseManifests('x', text).flatMap((manifest) => holdersIn(manifest, kindsWith()));
    expect(found.flatMap(({ pods }) => pods.map(({ name }) => name))).toEqual([
      'x#1 JobSet training spec.replicatedJobs.0.template.spec.template',
      'x#1 JobSet training spec.replicatedJobs.1.template.spec.template',
      'x#2 LeaderWorkerSet vllm spec.leaderWorkerTemplate.leaderTemplate',
      'x#2 LeaderWorkerSet vllm spec.leaderWorkerTemplate.workerTemplate',
      'x#3 PyTorchJob torch spec.pytorchReplicaSpecs.Master.template',
      'x#3 PyTorchJob torch spec.pytorchReplicaSpecs.Worker.template',
      'x#4 Rollout web',
    ]);
  });

  const deployment = objectOf('apps/Deployment', { spec: { template: TEMPLATE } });
  const { apiVersion, kind, ...untyped } = deployment as Record<string, unknown>;
  it.each([
    ['List', { apiVersion: 'v1', kind: 'List', items: [{}, deployment] }, '/items/1/spec/template'],
    ['DeploymentList', { apiVersion, kind: `${kind}List`, items: [untyped] }, '/items/0/spec/template'],
    ['PodList', { apiVersion: 'v1', kind: 'PodList', items: [TEMPLATE] }, '/items/0'],
    ['ResourceList', { apiVersion: 'config.kubernetes.io/v1', kind: 'ResourceList', items: [deployment] }, '/items/0/spec/template'],
    [
      'a List in a List',
      { apiVersion: 'v1', kind: 'List', items: [{ apiVersion: 'v1', kind: 'List', items: [deployment] }] },
      '/items/0/items/0/spec/template',
    ],
    ['PodList with empty kinds', { apiVersion: 'v1', kind: 'PodList', items: [{ ...TEMPLATE, apiVersion: '', kind: null }] }, '/items/0'],
  ])('%s is opened', (_what, list, pointer) => {
    expect(held(list).flatMap(({ pods }) => pods)).toMatchObject([{ pointer, problem: undefined }]);
  });

  it('are told by --template-path', () => {
    const fleet = objectOf('example.com/Fleet', { spec: { members: [{ template: TEMPLATE }, { template: TEMPLATE }] } });
    expect(held(fleet, ['example.com/Fleet=/spec/members/*/template'])[0]?.pods.map(({ pointer }) => pointer)).toEqual([
      '/spec/members/0/template',
      '/spec/members/1/template',
    ]);
    const odd = objectOf('example.com/Odd', { 'a/b': TEMPLATE });
    expect(held(odd, ['example.com/Odd=/a~1b'])[0]?.pods).toMatchObject([{ pointer: '/a~1b' }]);
    const keyed = objectOf('example.com/Fleet', { spec: { members: { 'a/b~c': { template: TEMPLATE } } } });
    const paths = ['example.com/Fleet=/spec/members/*/template', 'example.com/Fleet=/spec/members/a~1b~0c/template'];
    expect(held(keyed, paths)).toMatchObject([{ pods: [{ pointer: '/spec/members/a~1b~0c/template' }], strays: [] }]);
    for (const wrong of ['Fleet', 'example.com/Fleet=spec', 'example.com/fleet=/spec', '=/spec'])
      expect(() => kindsWith([wrong])).toThrow(`--template-path ${JSON.stringify(wrong)}: expected GROUP/Kind=/POINTER`);
  });

  it.each([
    { apiVersion: 'example.com/v1', kind: 'Deployment', spec: { replicas: 1 } },
    { apiVersion: 'apps/v1', kind: 'Deployment' },
    { apiVersion: 'apps/v1', kind: 'Deployment', spec: null },
    { apiVersion: 'v1', kind: 'List', items: null },
    { kind: 'Pod' },
    { apiVersion: '__proto__', kind: 'constructor' },
    null,
    'text',
  ])('no pods: %j', (object) => {
    expect(held(object).flatMap(({ pods, strays }) => [...pods, ...strays])).toEqual([]);
  });
});

describe('what was to make a sandbox', () => {
  const labels = LABELLED.metadata.labels;
  const unlabelled = { spec: sandbox().spec };
  const withMetadata = (metadata: object): object => objectOf('/Pod', { ...unlabelled, metadata });

  it.each([
    [
      'a kind that is not known',
      objectOf('example.com/Fleet', { spec: { template: TEMPLATE } }),
      'example.com/Fleet is no kind that is known',
    ],
    [
      "a chart's values",
      objectOf('helm.toolkit.fluxcd.io/HelmRelease', { spec: { values: { podLabels: labels } } }),
      'at spec.values.podLabels',
    ],
    ['a document without a kind', { podLabels: labels }, 'of a document without apiVersion and kind'],
    [
      'a workload, not its template',
      objectOf('apps/Deployment', { ...LABELLED, spec: { template: unlabelled } }),
      'move it to spec.template.metadata.labels',
    ],
    [
      'the template of jobs',
      objectOf('batch/CronJob', { spec: { jobTemplate: { ...LABELLED, spec: { template: unlabelled } } } }),
      'at spec.jobTemplate.metadata.labels',
    ],
    ['a namespace', objectOf('/Namespace', LABELLED), 'a namespace opts in by openshell.ai/sideload: enabled'],
    ['an annotation', withMetadata({ annotations: labels }), 'openshell.ai/sandbox is an annotation: make it a label'],
    ["the namespaces' label", withMetadata({ labels: { 'openshell.ai/sideload': 'enabled' } }), 'is for namespaces'],
    ['a misspelt label', withMetadata({ labels: { 'openshell.ai/sanbox': 'true' } }), 'label openshell.ai/sanbox is not known'],
    [
      'another prefix',
      withMetadata({ labels: { 'openshell.nvidia.com/sandbox': 'true' } }),
      'the label of sandboxes is openshell.ai/sandbox',
    ],
    ['a dash', withMetadata({ labels: { 'openshell-sandbox': 'true' } }), 'label openshell-sandbox is not known'],
    [
      "OpenShell's own label",
      objectOf('example.com/Fleet', { pods: { 'openshell.ai/managed-by': 'openshell' } }),
      'label openshell.ai/managed-by is at pods',
    ],
  ])('%s ends with 1, and is named', (_what, object, says) => {
    const { code, stdout, stderr } = inject(['-f', '-'], JSON.stringify(object));
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toContain(says);
    expect(stderr).toContain('1 labelled where it does not count: nothing is printed\n');
    expect(held(object).flatMap(({ strays }) => strays.map(({ means }) => means))).toEqual(['unguarded']);
  });

  it.each([
    [
      'a misspelt annotation',
      { labels, annotations: { 'openshell.ai/sideload-mehtod': 'x' } },
      'did you mean openshell.ai/sideload-method?',
    ],
    ['a label that is an annotation', { labels: { ...labels, 'openshell.ai/policy': 'x' } }, 'label openshell.ai/policy is ignored'],
  ])('%s is a hint', (_what, metadata, says) => {
    const { code, stderr } = inject(['-f', '-'], JSON.stringify(withMetadata(metadata)));
    expect(code, stderr).toBe(0);
    expect(stderr).toContain(says);
  });

  it.each([
    ['selectors', objectOf('apps/Deployment', { spec: { selector: { matchLabels: labels }, template: unlabelled } })],
    ['a Service', objectOf('/Service', { ...LABELLED, spec: { selector: labels } })],
    ['a namespace that opted in', objectOf('/Namespace', { metadata: { labels: { ...labels, 'openshell.ai/sideload': 'enabled' } } })],
    ['a workload whose template has it, too', objectOf('apps/Deployment', { ...LABELLED, spec: { template: TEMPLATE } })],
    ['opting out', objectOf('example.com/Fleet', { labels: { 'openshell.ai/sandbox': 'false' } })],
    [
      'a pod of the newer OpenShell',
      objectOf('example.com/Fleet', { labels: { 'openshell.ai/managed-by': 'openshell', 'openshell.ai/component': 'x' } }),
    ],
    ['another product', withMetadata({ labels: { sandbox: 'true', 'example.com/sandbox': 'true' } })],
  ])('%s is no such label', (_what, object) => {
    expect(held(object).flatMap(({ strays }) => strays)).toEqual([]);
  });

  const meansOf = (object: object): string[] => held(object).flatMap(({ strays }) => strays.map(({ means }) => means));
  it.each([
    [
      'in a part whose pods the controller writes',
      objectOf('ray.io/RayJob', { spec: { submitterPodTemplate: TEMPLATE, rayClusterSpec: { headGroupSpec: { template: TEMPLATE } } } }),
      ['admission'],
    ],
    [
      'beside the metadata of another template',
      objectOf('kubeflow.org/PyTorchJob', {
        spec: { pytorchReplicaSpecs: { Master: { template: TEMPLATE }, Worker: { template: { ...unlabelled, labels } } } },
      }),
      ['unguarded'],
    ],
    [
      'on another template of jobs',
      objectOf('jobset.x-k8s.io/JobSet', {
        spec: {
          replicatedJobs: [{ template: { spec: { template: TEMPLATE } } }, { template: { ...LABELLED, spec: { template: unlabelled } } }],
        },
      }),
      ['unguarded'],
    ],
    [
      'around templates that have it',
      objectOf('apps/StatefulSet', { ...LABELLED, spec: { template: TEMPLATE, volumeClaimTemplates: [LABELLED] } }),
      [],
    ],
  ])('is seen beside a sandbox: %s', (_what, object, means) => {
    expect(meansOf(object)).toEqual(means);
  });

  it.each([
    ['a kind in lower case', objectOf('/pod', TEMPLATE), 'the kind /pod is written /Pod'],
    [
      'a kind that its group does not have',
      objectOf('policy/Foo', { spec: { template: TEMPLATE } }),
      'policy/Foo is no kind that is known',
    ],
    ['a List that is none', { apiVersion: 'v1', kind: 'List', items: { a: TEMPLATE } }, 'at items.a.metadata.labels'],
  ])('is %s', (_what, object, says) => {
    expect(held(object).flatMap(({ strays }) => strays)).toMatchObject([{ means: 'unguarded', message: expect.stringContaining(says) }]);
  });

  it('says what each pod is, though others are not valid', () => {
    const broken = (name: string): string => `apiVersion: v1\nkind: Pod\nmetadata: {name: ${name}}\nspec: {containers: 1}\n`;
    const { code, stdout, stderr } = inject(['-f', '-'], [broken('a'), pod('good'), broken('b')].join('---\n'));
    expect([code, stdout]).toEqual([2, '']);
    for (const says of ['Pod a is not valid', 'Pod good: injected', 'Pod b is not valid']) expect(stderr).toContain(says);
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

describe('odd documents', () => {
  const fleet = ['--template-path=example.com/Fleet=/spec/members/*/template'];

  it('keys of YAML that are no text are found again', () => {
    for (const key of ['1', 'true', '1.5', '~']) {
      const text = `apiVersion: example.com/v1\nkind: Fleet\nspec:\n  members:\n    ${key}:\n      template: ${JSON.stringify(TEMPLATE)}\n`;
      const { code, stdout, stderr } = inject(['-', ...fleet], text);
      expect(code, stderr).toBe(0);
      const { members } = parse(stdout).spec;
      expect(Object.keys(members)).toHaveLength(1);
      expect(isSideloaded((Object.values(members)[0] as { template: Pod }).template)).toBe(true);
    }
  });

  it('with many empty lines are printed', () => {
    const text = `${'\n'.repeat(200)}kind: Service\napiVersion: v1\n`;
    expect(inject(['-'], text)).toMatchObject({ code: 0, stdout: text });
  });

  it.each([
    ['a name of digits', { metadata: { ...LABELLED.metadata, name: 'NUMBER' } }, '12345678901234567890'],
    ['a name that is an object', { metadata: { ...LABELLED.metadata, name: { toString: 1 } } }, '{"toString":1}'],
    ['a name with control characters', { metadata: { ...LABELLED.metadata, name: 'a\u001b[2J\nfake' } }, 'Pod a\\u001b[2J\\nfake'],
  ])('%s is shown as it is', (_what, more, says) => {
    const text = JSON.stringify(objectOf('/Pod', { ...TEMPLATE, ...more })).replace('"NUMBER"', '12345678901234567890');
    expect(inject(['-'], text).stderr).toContain(says);
  });

  it('a member "__proto__" is refused', () => {
    expect(inject(['-'], '{"apiVersion": "v1", "kind": "Pod", "spec": {"__proto__": {}}}')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('has a member "__proto__"'),
    });
  });

  it.each([
    [{ kind: 'ConfigMap', apiVersion: 'v1', data: { port: 1 } }, 'functionConfig.data "port" is 1, expected a text'],
    [{ kind: 'ConfigMap', apiVersion: 'v1', data: { lookup: 'true' } }, 'functionConfig.data "lookup" is no setting'],
    [{}, 'functionConfig is {}, expected a ConfigMap'],
    [[1], 'functionConfig is [1], expected a ConfigMap'],
  ])('a function with %j ends with 2', (functionConfig, says) => {
    const list = { apiVersion: 'config.kubernetes.io/v1', kind: 'ResourceList', functionConfig, items: [] };
    expect(inject(['-'], JSON.stringify(list))).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining(says) });
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

describe('a URL', () => {
  const big = 17 * 1024 * 1024;
  const server = createServer((request, response) => {
    if (request.url === '/a.yaml') response.end(pod('a'));
    else if (request.url?.startsWith('/a.yaml?')) response.end(pod('a'));
    else if (request.url === '/moved.yaml') response.writeHead(302, { location: '/a.yaml' }).end();
    else if (request.url === '/big.yaml') response.end('#'.repeat(big));
    else if (request.url === '/latin.yaml') response.end(Buffer.from('# é', 'latin1'));
    else response.writeHead(404).end();
  });
  let base = '';
  beforeAll(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });
  const read = (path: string) => readManifests({ paths: [`${base}${path}`], recursive: false });

  it.each(['/a.yaml', '/moved.yaml'])('%s is read', async (path) => {
    expect(await read(path)).toMatchObject([{ source: `${base}${path}`, value: { metadata: { name: 'a' } } }]);
  });

  it.each([
    ['/none.yaml', 'HTTP 404 Not Found'],
    ['/big.yaml', 'it has more than 16777216 bytes'],
    ['/latin.yaml', 'the file is not UTF-8: line 1'],
  ])('%s is a problem: %s', async (path, says) => {
    await expect(read(path)).rejects.toThrow(`${base}${path}: ${says}`);
  });

  it('with a secret shows none', async () => {
    const [manifest] = await read('/a.yaml?token=s3cret');
    expect(manifest?.source).toBe(`${base}/a.yaml`);
    const credentials = readManifests({ paths: [base.replace('//', '//user:s3cret@')], recursive: false });
    await expect(credentials).rejects.toThrow(`${base}/: a URL with credentials is not read`);
    await expect(read('/none.yaml?token=s3cret')).rejects.toThrow(`${base}/none.yaml: HTTP 404`);
  });

  it('that nobody answers is a problem', async () => {
    await expect(readManifests({ paths: ['http://127.0.0.1:1/a.yaml'], recursive: false })).rejects.toThrow('http://127.0.0.1:1/a.yaml: ');
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
    expect(stderr).toContain('1 refused: nothing is printed\n');
  });

  it('settings count as they do for the webhook', () => {
    const { code, stderr } = inject(['-f', 'a.yaml', '--supervisor-sideload-method', 'init-container', '--diff']);
    expect([code, stderr]).toEqual([0, 'a.yaml Pod a: injected (method init-container, container agent)\n']);
  });

  it.each([
    { args: [], says: 'a file is missing: -f FILE, a folder, a URL, or - for standard input' },
    { args: ['-f'], says: '-f needs a value: -f FILE' },
    { args: ['-f', 'a.yaml', '-o', 'xml'], says: '--output "xml": expected yaml, json, patch' },
    { args: ['-f', 'a.yaml', '-o', 'json', '--diff'], says: '--diff and --output do not go together' },
    { args: ['-f', 'a.yaml', '-o', 'json', '-o', 'yaml'], says: '-o is given twice: "json" and "yaml"' },
    { args: ['-f', 'a.yaml', '--diff=yes'], says: '--diff takes no value' },
    { args: ['a.yaml', 'absent.yaml'], says: 'absent.yaml: ENOENT' },
    { args: ['-', '-f', '-'], says: 'standard input can be read once: give - once' },
    { args: ['-f', 'a.yaml', '--lookpu'], says: 'unknown flag --lookpu: did you mean --lookup?' },
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
