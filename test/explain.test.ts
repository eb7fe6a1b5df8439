import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { explainPod, type Surroundings } from '../src/cli/explain/steps.ts';
import { matchesSelector } from '../src/cli/label-selector.ts';
import { readConfig } from '../src/config/config.ts';
import { decide } from '../src/sideload/decide.ts';
import { REFUSALS } from '../src/sideload/outcome.ts';
import type { Pod } from '../src/sideload/pod.ts';
import { type ClusterFacts, UNKNOWN_CLUSTER } from '../src/sideload/settings.ts';
import { readCorpus } from './corpus.ts';
import { listGoldens, readGolden } from './goldens.ts';
import { agent, IMAGE_VOLUME, LAUNCHED, sandbox } from './pods.ts';
import { DROPPING, ENFORCED, method, NO_LOOKUP, REFUSED_PODS } from './refusals.ts';

const AROUND: Surroundings = {
  namespace: { name: 'agents', labels: { 'openshell.ai/sideload': 'enabled' } },
  configMaps: [],
  stored: true,
  times: { created: undefined, installed: undefined, optedIn: undefined },
  entries: [
    {
      name: 'sandbox.sideload.openshell.ai',
      namespaceSelector: {
        matchLabels: { 'openshell.ai/sideload': 'enabled' },
        matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: ['kube-system'] }],
      },
      objectSelector: { matchExpressions: [{ key: 'openshell.ai/sandbox', operator: 'Exists' }] },
    },
  ],
};

/** What is said of a pod, a line a step. */
function explained(
  pod: Pod,
  { flags = [] as string[], around = AROUND as Surroundings | 'none', facts = UNKNOWN_CLUSTER as ClusterFacts } = {},
): string[] {
  return explainPod(pod, around === 'none' ? undefined : around, readConfig(flags, {}), facts).map(
    ({ mark, name, detail }) => `${mark} ${name}: ${detail}`,
  );
}

describe('a pod is explained step by step', () => {
  it('that is injected', () => {
    const facts: ClusterFacts = {
      imageVolumes: 'kept',
      serverVersion: 'v1.36.3',
      nodes: { total: 3, mountingImages: 3, mountingMapped: 3 },
    };
    expect(explained(sandbox(), { facts })).toEqual([
      'yes namespace: agents carries openshell.ai/sideload=enabled',
      'yes webhook: called by sandbox.sideload.openshell.ai',
      'yes label: openshell.ai/sandbox: "true"',
      'yes container: agent: its name',
      "yes method: image-volume: the operator's (default)",
      'yes cluster: API server v1.36.3 keeps image volumes, 3 of 3 schedulable Linux nodes are known to mount them',
      'yes supervisor: none yet',
      'yes policy: files that OPENSHELL_POLICY_RULES and OPENSHELL_POLICY_DATA name',
      'result result: NOT under a supervisor: created while the webhook was not called for it, or labelled later; recreate it',
      'result recreated: injected: the supervisor was put into the pod',
    ]);
    expect(explained(sandbox(), { around: 'none' }).at(-1)).toBe('result result: injected: the supervisor was put into the pod');
  });

  const at = (minute: number): Date => new Date(Date.UTC(2026, 0, 1, 0, minute));
  it.each([
    { times: { created: at(1), installed: at(2), optedIn: at(3) }, says: 'before the webhook was installed (2026-01-01T00:02:00.000Z)' },
    {
      times: { created: at(2), installed: at(1), optedIn: at(3) },
      says: 'before the label of the namespace was written (2026-01-01T00:03:00.000Z)',
    },
    { times: { created: at(3), installed: at(1), optedIn: at(2) }, says: 'while the webhook was not called for it, or labelled later' },
  ])('that runs without its supervisor, with the reason: $says', ({ times, says }) => {
    const steps = explainPod(sandbox(), { ...AROUND, times }, readConfig([], {}), UNKNOWN_CLUSTER);
    const result = steps.find(({ name }) => name === 'result');
    expect(result).toEqual({
      ...{ mark: 'result', name: 'result', fails: true },
      detail: `NOT under a supervisor: created ${times.created.toISOString()}${says.startsWith('before') ? ', ' : ' '}${says}; recreate it`,
    });
  });

  it('that runs under its supervisor, wherever that comes from', () => {
    const complete = sandbox({ spec: { volumes: [IMAGE_VOLUME], containers: [agent(LAUNCHED)] } });
    for (const around of [AROUND, { ...AROUND, entries: undefined }]) {
      const steps = explainPod(complete, around, readConfig([], {}), UNKNOWN_CLUSTER);
      expect(steps.some(({ fails }) => fails)).toBe(false);
    }
  });

  it.each([
    {
      why: 'the annotation',
      pod: sandbox({ annotations: method('init-container') }),
      says: 'yes method: init-container: annotation openshell.ai/sideload-method',
    },
    {
      why: 'an option',
      flags: ['--supervisor-sideload-method=init-container'],
      says: "yes method: init-container: the operator's (--supervisor-sideload-method)",
    },
    {
      why: 'auto',
      flags: ['--supervisor-sideload-method=auto'],
      says: "yes method: init-container: auto, the operator's (--supervisor-sideload-method)",
    },
    {
      why: "the pod's own volume",
      pod: sandbox({ spec: { volumes: [IMAGE_VOLUME] } }),
      says: "yes method: image-volume: the pod's own volume openshell-supervisor-bin",
    },
    {
      why: 'a method that is not allowed',
      flags: ['--allowed-sideload-methods=image-volume'],
      pod: sandbox({ annotations: method('init-container') }),
      says: 'no method: init-container: annotation openshell.ai/sideload-method: the operator does not allow the method',
    },
  ])('with the method from $why', ({ pod = sandbox(), flags = [], says }) => {
    expect(explained(pod, { flags })).toContain(says);
  });

  it.each([
    { why: 'its name', pod: sandbox(), says: 'yes container: agent: its name' },
    {
      why: 'the annotation',
      pod: sandbox({ annotations: { 'openshell.ai/sandbox-container': 'agent' } }),
      says: 'yes container: agent: annotation openshell.ai/sandbox-container',
    },
    {
      why: 'being the first',
      pod: sandbox({ spec: { containers: [agent({ name: 'a' }), agent({ name: 'b' })] } }),
      says: 'yes container: a: it is the first',
    },
    {
      why: 'its supervisor',
      pod: sandbox({ spec: { containers: [agent({ name: 'a' }), agent({ ...LAUNCHED, name: 'b' })] } }),
      says: 'yes container: b: it has a supervisor already',
    },
  ])('with the container because of $why', ({ pod, says }) => {
    expect(explained(pod)).toContain(says);
  });

  it.each([
    {
      why: 'of a namespace that did not opt in',
      around: { ...AROUND, namespace: { name: 'agents', labels: {} } },
      says: [
        'no namespace: agents has no label openshell.ai/sideload',
        'no webhook: no entry of the MutatingWebhookConfiguration selects this pod in this namespace',
      ],
    },
    {
      why: 'of kube-system',
      around: { ...AROUND, namespace: { name: 'kube-system', labels: { 'openshell.ai/sideload': 'enabled' } } },
      says: [
        'yes namespace: kube-system carries openshell.ai/sideload=enabled',
        'no webhook: no entry of the MutatingWebhookConfiguration selects this pod in this namespace',
      ],
    },
    {
      why: 'of a cluster without the webhook',
      around: { ...AROUND, entries: undefined },
      says: ['no webhook: the MutatingWebhookConfiguration does not exist'],
    },
  ])('$why, which never reaches the webhook', ({ around, says }) => {
    const lines = explained(sandbox(), { around });
    for (const line of says) expect(lines).toContain(line);
    expect(lines.at(-1)).toBe('result result: NOT under a supervisor: the webhook is not called, and the pod was stored unchanged');
    expect(explained(sandbox({ labels: {} }), { around }).at(-1)).toBe(
      'result result: the webhook is not called: the pod is stored unchanged',
    );
  });

  it('that a manifest holds, without a cluster', () => {
    expect(explained(sandbox(), { around: 'none' })[0]).toBe(
      'unknown namespace: not checked: it needs the label openshell.ai/sideload=enabled',
    );
  });

  it('that the API server would strip', () => {
    expect(explained(sandbox(), { facts: DROPPING })).toContain(
      'no cluster: API server v1.34.4 drops image volumes: the API server would drop the image volume',
    );
  });

  it.each([
    {
      why: 'the annotation',
      pod: sandbox({ annotations: { 'openshell.ai/policy': 'agent-policy' } }),
      says: 'yes policy: ConfigMap agent-policy: annotation openshell.ai/policy',
    },
    {
      why: 'the operator',
      pod: sandbox({ spec: { containers: [agent({ env: null })] } }),
      flags: ['--policy=configmap:sandbox-policy', '--policy-rules=image:registry.example/rules:1'],
      says: "yes policy: ConfigMap sandbox-policy, rules from image registry.example/rules:1: the operator's (--policy)",
    },
    {
      why: 'nowhere',
      pod: sandbox({ spec: { containers: [agent({ env: null })] } }),
      says: 'no policy: none that can be seen at admission: the pod has no policy, and the supervisor would exit',
    },
    {
      why: 'the image, perhaps',
      pod: sandbox({ spec: { containers: [agent({ env: null })] } }),
      flags: ['--missing-policy=warn'],
      says: 'unknown policy: none that can be seen at admission',
    },
    {
      why: 'the operator, whose policy the namespace enforces',
      pod: sandbox(),
      flags: ENFORCED.slice(0, 1),
      around: { ...AROUND, namespace: { name: 'agents', labels: { ...AROUND.namespace.labels, 'openshell.ai/policy-mode': 'enforced' } } },
      says: `yes policy: image registry.example/policy@sha256:${'a'.repeat(64)}: the operator's (--policy), enforced`,
    },
  ])('with its policy from $why', ({ pod, flags = [], around = AROUND, says }) => {
    expect(explained(pod, { flags, around })).toContain(says);
  });

  it.each([
    { keys: ['policy.yaml', 'policy.rego'], says: 'yes policy files: ConfigMap agents/p has policy.yaml, policy.rego' },
    { keys: ['policy.yaml'], says: 'no policy files: ConfigMap agents/p lacks policy.rego: the pod waits until it is added' },
    { keys: 'missing' as const, says: 'no policy files: ConfigMap agents/p does not exist: the pod waits until it is created' },
    { keys: 'forbidden' as const, says: 'unknown policy files: you may not read ConfigMap agents/p' },
  ])('with the ConfigMap of its policy: $keys', ({ keys, says }) => {
    const configMaps = [{ name: 'agents/p', wanted: ['policy.yaml', 'policy.rego'], keys }];
    expect(explained(sandbox({ annotations: { 'openshell.ai/policy': 'p' } }), { around: { ...AROUND, configMaps } })).toContain(says);
  });

  it('with its warnings', () => {
    expect(explained(sandbox({ spec: { containers: [agent(), agent({ name: 'logs' })] } })).at(-1)).toBe(
      'note containers-outside: only container "agent" runs under the supervisor, not "logs"',
    );
  });

  it.each(REFUSED_PODS)('with one failed step, the one that refuses: $why', ({ pod, flags = [], facts, image, reason }) => {
    const steps = explainPod(pod, undefined, readConfig(flags, {}), facts ?? UNKNOWN_CLUSTER, image);
    expect(steps.filter(({ mark }) => mark === 'no').map(({ name }) => name)).toEqual([REFUSALS[reason].step]);
    // Nothing is told of what was not looked at.
    expect(steps.slice(-2).map(({ mark }) => mark)).toEqual(['no', 'result']);
    expect(new Set(steps.map(({ name }) => name)).size).toBe(steps.length);
  });

  it('with no failed step where it is injected or needs no change', () => {
    const pods = [...listGoldens().inputs.map((name) => readGolden(name)), ...readCorpus().map(({ pod }) => ({ pod, flags: NO_LOOKUP }))];
    expect(pods.length).toBeGreaterThan(180);
    for (const { pod, flags } of pods) {
      const { reason, verdict } = decide(pod, readConfig(flags, {}).sideload, UNKNOWN_CLUSTER);
      const lines = explained(pod, { flags: [...flags], around: 'none' });
      expect(lines.find((line) => line.startsWith('result'))).toContain(reason);
      const ends = verdict === 'refuse' || ['not-labelled', 'opted-out', 'mirror-pod', 'two-pod-openshell'].includes(reason);
      expect(lines.filter((line) => line.startsWith('no ')).length, reason).toBe(ends ? 1 : 0);
    }
  });
});

describe('a label selector', () => {
  it.each([
    [undefined, {}, true],
    [{}, { a: '1' }, true],
    [{ matchLabels: { a: '1' } }, { a: '1', b: '2' }, true],
    [{ matchLabels: { a: '1' } }, { a: '2' }, false],
    [{ matchExpressions: [{ key: 'a', operator: 'In', values: ['1', '2'] }] }, { a: '2' }, true],
    [{ matchExpressions: [{ key: 'a', operator: 'In', values: ['1'] }] }, {}, false],
    [{ matchExpressions: [{ key: 'a', operator: 'NotIn', values: ['1'] }] }, {}, true],
    [{ matchExpressions: [{ key: 'a', operator: 'NotIn', values: ['1'] }] }, { a: '1' }, false],
    [{ matchExpressions: [{ key: 'a', operator: 'Exists' }] }, { a: '' }, true],
    [{ matchExpressions: [{ key: 'a', operator: 'Exists' }] }, {}, false],
    [{ matchExpressions: [{ key: 'a', operator: 'DoesNotExist' }] }, {}, true],
    [{ matchExpressions: [{ key: 'a', operator: 'DoesNotExist' }] }, { a: '1' }, false],
    [{ matchLabels: { a: '1' }, matchExpressions: [{ key: 'b', operator: 'Exists' }] }, { a: '1' }, false],
    [{ matchExpressions: [{ key: 'a', operator: 'Near' }] }, { a: '1' }, false],
  ])('%j on %j: %s', (selector, labels, expected) => {
    expect(matchesSelector(selector, labels)).toBe(expected);
  });
});

describe('explain -f', () => {
  const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
  function run(input: string, ...args: string[]): { code: number | null; stdout: string; stderr: string } {
    const env = { PATH: process.env.PATH ?? '' };
    const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'explain', '-f', '-', ...args], { input, env, encoding: 'utf8' });
    return { code: status, stdout, stderr };
  }
  const object = (apiVersion: string, kind: string, rest: object): string => `${JSON.stringify({ apiVersion, kind, ...rest })}\n`;
  const pod = object('v1', 'Pod', sandbox());
  const namespace = (labels: object): string => object('v1', 'Namespace', { metadata: { name: 'agents', labels } });
  const labels = { 'openshell.ai/sandbox': 'true' };

  it('looks at the namespace that the manifests make', () => {
    expect(run(namespace({ 'openshell.ai/sideload': 'enabled' }) + pod)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('✓ namespace   agents carries openshell.ai/sideload=enabled'),
    });
    const { code, stdout } = run(namespace({}) + pod);
    expect(stdout).toContain('✗ namespace  agents has no label openshell.ai/sideload');
    expect(stdout).toContain('NOT under a supervisor: the webhook is not called, and the pod is stored unchanged');
    expect(code).toBe(1);
  });

  it.each([
    [
      'a label that no pod gets',
      object('apps/v1', 'Deployment', { metadata: { name: 'web', labels }, spec: { template: { spec: sandbox().spec } } }),
      1,
      '✗ label',
    ],
    [
      'a kind that is not known',
      object('example.com/v1', 'Fleet', { spec: { template: { metadata: { labels } } } }),
      1,
      'is no kind that is known',
    ],
    [
      'a kind whose pods only the webhook can inject',
      object('argoproj.io/v1alpha1', 'Workflow', { spec: { podMetadata: { labels } } }),
      0,
      '? label',
    ],
    [
      'a pod that is not valid',
      object('v1', 'Pod', { metadata: { name: 'x' }, spec: { containers: 1 } }) + pod,
      2,
      'not valid: spec.containers is a number',
    ],
  ])('says of %s what it is, with the exit code', (_what, input, code, says) => {
    const ended = run(input);
    expect(ended.stdout).toContain(says);
    expect(ended.code, ended.stdout).toBe(code);
    const json = run(input, '-o', 'json');
    expect([json.code, (JSON.parse(json.stdout) as { ok: boolean }).ok]).toEqual([code, code === 0]);
  });

  it('hides no pod behind another that is not valid', () => {
    const { stdout } = run(object('v1', 'Pod', { metadata: { name: 'x' }, spec: { containers: 1 } }) + pod);
    expect(stdout).toContain('injected: the supervisor was put into the pod');
  });
});
