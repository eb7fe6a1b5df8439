/**
 * The backstop (manifests/components/backstop) on a real kube-apiserver: alone, where it has to judge pods as the webhook
 * does, behind the webhook, where another webhook takes parts out again, and on API servers that drop image volumes.
 */

import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import jsonPatch, { type Operation } from 'fast-json-patch';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments, stringify } from 'yaml';
import { backstopLiterals } from '../../src/cli/backstop-literals.ts';
import { readConfig } from '../../src/config/config.ts';
import { decide } from '../../src/sideload/decide.ts';
import { PINNED_VARIABLES } from '../../src/sideload/environment.ts';
import type { Container, Pod, PodSpec, Volume } from '../../src/sideload/pod.ts';
import { UNKNOWN_CLUSTER } from '../../src/sideload/settings.ts';
import { readGolden } from '../goldens.ts';
import { agent, IMAGE_VOLUME, LAUNCHED, sandbox } from '../pods.ts';
import { ANY_METHOD, DROPPING, ENFORCED, installed, REFUSED_PODS, sidecarTopology } from '../refusals.ts';
import { type Case, changesOf, SUPERVISOR } from './backstop/changes.ts';
import { compare } from './backstop/differential.ts';
import {
  type Answer,
  allowHostPath,
  apply,
  COMPONENT,
  changePolicies,
  cluster,
  create,
  dir,
  goldens,
  HOST_PATH,
  kubectl,
  literalsOf,
  patch,
  serial,
  setLiterals,
  setUp,
  sideloaded,
  stored,
  supervised,
  tearDown,
  withHostPath,
} from './backstop/stage.ts';
import { freePorts, type Process, waitFor } from './cluster/process.ts';
import { type OtherWebhook, serveOtherWebhook } from './other-webhook.ts';
import { startWebhook, writeOverlay } from './webhook.ts';

beforeAll(setUp);
afterAll(tearDown);

/** Goldens that differ in how the supervisor gets into the pod, and into which container. */
const WAYS = [
  'agent-is-second',
  'env-from',
  'first-container',
  'half-prepended-sidecar',
  'image-volume-community',
  'init-container',
  'init-container-community',
  'named-container',
  'openshell-driver-image-volume',
  'openshell-driver-init-container',
  'openshell-driver-sidecar',
  'openshift-driver',
  'other-init-containers',
  'plain',
  'policy-annotation-init-container',
  'policy-annotation-over-gateway-default',
  'run-as-non-root-pod',
];

describe('alone, the backstop judges as the webhook does', () => {
  it('pods as they are written, injected, refused, and with every part of them taken away or changed', async () => {
    const outputs: Case[] = goldens.map((golden) => ({ what: golden.name, pod: sideloaded(golden) }));
    const sidecars = sidecarTopology({ network: { env: [{ name: 'OPENSHELL_SANDBOX_ID', value: 'sb-1' }] } });
    const changed: Case[] = [...outputs.filter(({ what }) => WAYS.includes(what)), { what: 'sidecars', pod: sidecars }];
    expect(changed.length).toBe(WAYS.length + 1);
    const { differences, seen } = await compare(
      [
        ...goldens.map(({ name, pod }) => ({ what: `${name}, not injected`, pod })),
        ...REFUSED_PODS.map(({ why, pod }) => ({ what: why, pod })),
        ...outputs,
        ...changed.flatMap(changesOf),
      ],
      [],
    );
    expect(differences).toEqual([]);
    expect(Object.keys(seen).sort()).toEqual([
      'admitted',
      'args-without-command',
      'container-not-found',
      'host-network',
      'image-volume-dropped',
      'incomplete-sidecar-topology',
      'init-container-name-taken',
      'invalid',
      'invalid-policy',
      'loader-variable',
      'method-not-allowed',
      'mount-path-taken',
      'not-sideloaded',
      'policy-conflict',
      'programs-covered',
      'stricter: path',
      'supervisor-options',
      'supervisor-volume-shared',
      'unknown-label-value',
      'unknown-method',
      'unsafe-neighbours',
      'untrusted-supervisor',
      'volume-name-taken',
      'windows-pod',
    ]);
    expect(seen.admitted).toBeGreaterThan(outputs.length);
  });

  it.each([
    {
      what: 'a supervisor in another container than the agent',
      pod: sandbox({ spec: { volumes: [IMAGE_VOLUME], containers: [agent({ ...LAUNCHED, name: 'other' }), agent()] } }),
      reason: 'supervisor-volume-shared',
    },
    {
      what: 'a binary where only an image volume has one',
      pod: installed({ container: { command: ['/opt/openshell/bin/usr/local/bin/openshell-sandbox'] } }),
      reason: 'not-sideloaded',
    },
    {
      what: 'a device over the binary',
      pod: sandbox({
        spec: {
          volumes: [IMAGE_VOLUME, { name: 'disk', persistentVolumeClaim: { claimName: 'disk' } } as Volume],
          containers: [agent({ ...LAUNCHED, volumeDevices: [{ name: 'disk', devicePath: '/opt/openshell/bin/x' } as object] })],
        },
      }),
      reason: 'mount-path-taken',
    },
  ])('$what', async ({ pod, reason }) => {
    const outcome = decide(pod, readConfig([], {}).sideload, UNKNOWN_CLUSTER);
    expect(await create(pod)).toMatchObject({ code: 422, reason });
    expect(outcome.reason).toBe(outcome.verdict === 'inject' ? 'converged' : reason);
  });

  it('pods by every variable that the webhook pins', async () => {
    const plain = sideloaded(readGolden('plain'));
    const [container] = plain.spec?.containers ?? [];
    const withEnv = (env: Container['env']): Pod => ({ ...plain, spec: { ...plain.spec, containers: [{ ...container, env }] } });
    const env = container?.env ?? [];
    expect(await create(withEnv(env))).toMatchObject({ code: 201 });
    for (const name of PINNED_VARIABLES) {
      const others = env.filter((variable) => variable.name !== name);
      expect(await create(withEnv(others))).toMatchObject({ code: 422, reason: 'not-sideloaded' });
      for (const value of ['0', '-1', 'sidecar']) {
        expect([name, value, (await create(withEnv([...others, { name, value }]))).reason]).toEqual([name, value, 'not-sideloaded']);
        expect([name, value, (await create(withEnv([{ name, value }, ...env]))).reason]).toEqual([name, value, 'not-sideloaded']);
      }
    }
  });

  it('pods where the operator enforces a policy', async () => {
    const [policy = ''] = ENFORCED.map((flag) => flag.replace('--policy=', ''));
    const golden = sideloaded(readGolden('policy-enforced'));
    await setLiterals(
      { operatorPolicy: JSON.stringify(policy), policyMode: '"enforced"' },
      async () => (await create(supervised())).reason === 'policy-bypassed',
    );
    const refused = REFUSED_PODS.filter(({ flags }) => flags === ENFORCED).map(({ why, pod }) => ({ what: why, pod }));
    const { differences, seen } = await compare(
      [...refused, { what: 'enforced', pod: golden }, ...changesOf({ what: 'enforced', pod: golden })],
      ENFORCED,
    );
    expect(differences).toEqual([]);
    expect(Object.keys(seen)).toEqual(expect.arrayContaining(['admitted', 'policy-not-allowed', 'policy-bypassed', 'not-sideloaded']));
    await setLiterals({ policyMode: '"default"' }, async () => (await create(supervised())).code === 201);
  });

  it('pods of a namespace that enforces the operator’s policy, and of no other', async () => {
    await kubectl('create', 'namespace', 'strict');
    await kubectl('create', 'serviceaccount', 'default', '-n', 'strict');
    await kubectl('label', 'namespace', 'strict', 'openshell.ai/sideload=enabled', 'openshell.ai/policy-mode=enforced');
    const strict = { namespace: 'strict' };
    await waitFor('the namespace to be enforced', async () => (await create(supervised(), strict)).reason === 'policy-bypassed');
    expect(await create(sideloaded(readGolden('policy-enforced')), strict)).toMatchObject({ code: 201 });
    expect(await create(supervised())).toMatchObject({ code: 201 });
    await setLiterals({ operatorPolicy: '"none"' }, async () => (await create(supervised(), strict)).reason === 'policy-not-allowed');
  });

  it('pods with the operator’s arguments, variables and rules', async () => {
    const golden = readGolden('upstream-proxy');
    const pinnedEnv = 'OPENSHELL_NETWORK_BINARY_IDENTITY=relaxed\nCOMPANY=1';
    const rules = 'configmap:openshell-rules';
    const flags = [...golden.flags, ...pinnedEnv.split('\n').map((line) => `--pinned-env=${line}`), `--policy-rules=${rules}`];
    const outcome = decide(golden.pod, readConfig(flags, {}).sideload, UNKNOWN_CLUSTER);
    if (outcome.verdict !== 'inject') throw new Error(outcome.reason);
    const pod = jsonPatch.applyPatch(structuredClone(golden.pod), outcome.operations as Operation[], true).newDocument;
    await setLiterals(literalsOf(flags), async () => (await create(pod)).code === 201);
    // A wrong Secret of the proxy makes the supervisor fail; it does not guard less.
    const changes = changesOf({ what: 'proxy', pod }).filter(({ what }) => !/\/(volumes|volumeMounts)\/2/.test(what));
    const { differences } = await compare([{ what: 'proxy', pod }, ...changes], flags);
    expect(differences).toEqual([]);
    await setLiterals(literalsOf([]), async () => (await create(supervised())).code === 201);
  });

  it('mirror pods, which are left unchanged', async () => {
    const mirror = sandbox({
      annotations: { 'kubernetes.io/config.mirror': 'x' },
      spec: { nodeName: 'node', automountServiceAccountToken: false } as object,
    });
    expect(await create(mirror)).toMatchObject({ code: 201 });
  });

  it('host paths, where they are allowed', async () => {
    expect(await create(withHostPath())).toMatchObject({ code: 403, reason: 'method-not-allowed' });
    await allowHostPath();
    const view = { name: 'view', hostPath: { path: '/opt' } };
    const spy = agent({ name: 'spy', volumeMounts: [{ name: 'view', mountPath: '/x' }] });
    const watched = sandbox({ spec: { volumes: [HOST_PATH, view], containers: [agent(LAUNCHED), spy] } });
    expect(await create(watched)).toMatchObject({ code: 422, reason: 'supervisor-volume-shared' });
    const cases = [withHostPath(), watched].flatMap((pod) => changesOf({ what: 'a host path', pod }));
    expect((await compare(cases, ANY_METHOD)).differences).toEqual([]);
  });
});

describe('the operator’s choices', () => {
  const odd = '" a\'b" \\\\ $(X) {{y}} é <&>';
  const flags = [
    `--supervisor-image=nginx@sha256:${'0'.repeat(64)}`,
    '--allowed-sideload-methods=image-volume,init-container,host-path',
    '--neighbours=refuse',
    `--pinned-env=ODD=${odd}`,
  ];
  const literals = backstopLiterals(readConfig(flags, {}));
  const expressions = (text: string): Record<string, string> => {
    const objects = parseAllDocuments(text).map((document) => document.toJS());
    const stored = objects.find(({ kind, metadata }) => kind === 'ValidatingAdmissionPolicy' && !metadata.name.endsWith('-changed'));
    return Object.fromEntries(stored.spec.variables.map(({ name, expression }: Record<string, string>) => [name, expression]));
  };

  it('are printed by the command line, and an API server reads them', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, ['src/main.ts', 'backstop', ...flags]);
    expect(expressions(stdout)).toMatchObject(literals);
    await cluster.run(['apply', '--validate=strict', '-f', '-'], stdout);
    await waitFor('another variable is pinned', async () => (await create(supervised())).reason === 'not-sideloaded');
    const image = { reference: `docker.io/library/nginx:1@sha256:${'0'.repeat(64)}` };
    const container = agent({ ...LAUNCHED, env: [...LAUNCHED.env, { name: 'ODD', value: odd }] });
    const pod = sandbox({ spec: { volumes: [{ ...IMAGE_VOLUME, image }], containers: [container] } });
    expect(await create(pod)).toMatchObject({ message: '', code: 201 });
    await apply('alone');
    await waitFor('the shipped policy is in force', async () => (await create(supervised())).code === 201);
  });

  it('are what kustomize puts in their place', async () => {
    const folder = join(dir, 'choices');
    mkdirSync(folder, { recursive: true });
    const select = { kind: 'ValidatingAdmissionPolicy', name: 'openshell-sideload-backstop' };
    const replacements = Object.entries(literals).map(([name, sourceValue]) => ({
      sourceValue,
      targets: [{ select, fieldPaths: [`spec.variables.[name=${name}].expression`] }],
    }));
    const build = async (rest: object): Promise<Record<string, string>> => {
      writeFileSync(join(folder, 'kustomization.yaml'), stringify({ components: [relative(folder, COMPONENT)], ...rest }));
      return expressions(await kubectl('kustomize', folder));
    };
    expect(await build({ replacements })).toEqual({ ...(await build({})), ...literals });
  });
});

/** As large as pods get: hundreds of volumes, variables and containers, and a long script. */
function largePod(): Pod {
  const list = <T>(length: number, element: (index: number) => T): T[] => Array.from({ length }, (_, index) => element(index));
  const volumes = list(200, (index) => ({ name: `data-${index}`, emptyDir: {} }));
  const volumeMounts = volumes.map(({ name }) => ({ name, mountPath: `/data/of/some/length/${name}` }));
  const env = list(300, (index) => ({ name: `VARIABLE_${index}`, value: 'x'.repeat(100) }));
  const sidecars = list(200, (index) => agent({ name: `sidecar-${index}`, volumeMounts: volumeMounts.slice(0, 20) }));
  const args = ['--', 'sh', '-c', 'x'.repeat(100_000)];
  const { spec, ...pod } = installed({
    container: { args, env: [...LAUNCHED.env, ...env], volumeMounts: [...LAUNCHED.volumeMounts, ...volumeMounts] },
    others: sidecars,
  });
  return { ...pod, spec: { ...spec, volumes: [...(spec?.volumes ?? []), ...volumes] } };
}

it('a large pod stays within the costs that the API server allows', async () => {
  expect(await create(largePod())).toMatchObject({ code: 201 });
});

it.each([10_000, 20_000])('so does a pod with %i variables', async (length) => {
  const more = Array.from({ length }, (_, index) => ({ name: `V${index}`, value: 'x' }));
  expect(await create(installed({ container: { env: [...LAUNCHED.env, ...more] } }))).toMatchObject({ message: '', code: 201 });
});

describe('a change of a stored pod', () => {
  const withFinalizer = (pod: Pod): Pod => ({ ...pod, metadata: { ...pod.metadata, finalizers: ['example.com/job'] } as object });
  const image = (name: string, reference: string, list = 'containers') => ({ spec: { [list]: [{ name, image: reference }] } });
  const labels = (values: Record<string, string | null>) => ({ metadata: { labels: values } });
  const gated = (): Pod => {
    const { spec, ...pod } = supervised();
    return {
      ...pod,
      spec: { ...spec, schedulingGates: [{ name: 'example.com/gate' }], initContainers: [agent({ name: 'fetch' })] } as PodSpec,
    };
  };
  const managed = (): Pod => ({ ...supervised(), metadata: { labels: { 'openshell.ai/managed-by': 'openshell' } } });

  it.each([
    {
      what: 'the label taken away',
      pod: supervised(),
      change: labels({ 'openshell.ai/sandbox': null }),
      code: 403,
      reason: 'not-labelled',
    },
    {
      what: 'the label set to "false"',
      pod: supervised(),
      change: labels({ 'openshell.ai/sandbox': 'false' }),
      code: 403,
      reason: 'opted-out',
    },
    {
      what: 'a typo in the label',
      pod: supervised(),
      change: labels({ 'openshell.ai/sandbox': 'True' }),
      code: 422,
      reason: 'unknown-label-value',
    },
    {
      what: 'OpenShell’s label taken away',
      pod: managed(),
      change: labels({ 'openshell.ai/managed-by': null }),
      code: 403,
      reason: 'not-labelled',
    },
    {
      what: 'an opt-out beside OpenShell’s label',
      pod: managed(),
      change: labels({ 'openshell.ai/sandbox': 'false' }),
      code: 403,
      reason: 'opted-out',
    },
    {
      what: 'another installer image',
      pod: installed({}),
      change: image('openshell-supervisor-install', 'registry.example/evil:1', 'initContainers'),
      code: 403,
      reason: 'untrusted-supervisor',
    },
    {
      what: 'another tag of the installer',
      pod: installed({}),
      change: image('openshell-supervisor-install', `${SUPERVISOR}:2`, 'initContainers'),
      code: 403,
      reason: 'untrusted-supervisor',
    },
    {
      what: 'another init container behind a scheduling gate',
      pod: gated(),
      change: image('fetch', 'registry.example/evil:1', 'initContainers'),
      code: 403,
      reason: 'untrusted-supervisor',
    },
    {
      what: 'another network supervisor',
      pod: sidecarTopology(),
      change: image('openshell-supervisor-network', `${SUPERVISOR}-evil:1`),
      code: 403,
      reason: 'untrusted-supervisor',
    },
  ])('$what is refused in a supervised pod', async ({ pod, change, code, reason }) => {
    expect(await patch(await stored(pod), change)).toMatchObject({ code, reason });
  });

  it.each([
    { what: 'an annotation', pod: supervised(), change: { metadata: { annotations: { 'openshell.ai/sandbox-container': 'other' } } } },
    { what: 'another label', pod: supervised(), change: labels({ app: 'x' }) },
    { what: 'both labels for one', pod: managed(), change: labels({ 'openshell.ai/sandbox': 'true', 'openshell.ai/managed-by': null }) },
    { what: "the agent's image", pod: installed({}), change: image('agent', 'registry.example/agent:2') },
    { what: 'a finalizer', pod: supervised(), change: { metadata: { finalizers: ['example.com/other'] } } },
    { what: 'a toleration', pod: supervised(), change: { spec: { tolerations: [{ key: 'x', operator: 'Exists' }] } } },
  ])('$what is admitted in a supervised pod', async ({ pod, change }) => {
    expect(await patch(await stored(pod), change)).toMatchObject({ code: 200 });
  });

  describe('that makes it a sandbox', () => {
    const evil = (): Pod => sandbox({ labels: { app: 'x' }, spec: { containers: [agent({ securityContext: { privileged: true } })] } });
    const unlabelled = (): Pod => ({ ...supervised(), metadata: { labels: { app: 'x' } } });
    const twoPods = { 'openshell.ai/managed-by': 'openshell', 'openshell.ai/boundary-role': 'workload' };
    it.each([
      { what: 'the label', pod: evil(), change: labels({ 'openshell.ai/sandbox': 'true' }) },
      { what: 'OpenShell’s label', pod: evil(), change: labels({ 'openshell.ai/managed-by': 'openshell' }) },
      {
        what: 'the label that takes the place of an opt-out',
        pod: sandbox({ labels: { 'openshell.ai/sandbox': 'false' } }),
        change: labels({ 'openshell.ai/sandbox': 'true' }),
      },
      { what: 'half of OpenShell’s pair', pod: sandbox({ labels: twoPods }), change: labels({ 'openshell.ai/boundary-role': null }) },
    ])('$what is refused without the supervisor', async ({ pod, change }) => {
      const answer = await patch(await stored(pod), change);
      expect(answer).toMatchObject({ code: 422, reason: 'not-sideloaded' });
      expect(answer.message).toContain('a pod that is there cannot become a sandbox: create it with its label');
    });

    it('a typo in the label is refused', async () => {
      expect(await patch(await stored(evil()), labels({ 'openshell.ai/sandbox': 'True' }))).toMatchObject({
        code: 422,
        reason: 'unknown-label-value',
      });
    });

    it('is admitted with the supervisor', async () => {
      expect(await patch(await stored(unlabelled()), labels({ 'openshell.ai/sandbox': 'true' }))).toMatchObject({ code: 200 });
    });
  });

  it('is admitted whatever it takes away, while the pod is being deleted', async () => {
    const pod = await stored(withFinalizer(installed({})));
    await kubectl('delete', 'pod', '-n', 'agents', pod.metadata?.name ?? '', '--wait=false');
    for (const change of [
      image('openshell-supervisor-install', 'registry.example/evil:1', 'initContainers'),
      labels({ 'openshell.ai/sandbox': null }),
      { metadata: { finalizers: null } },
    ])
      expect(await patch(pod, change)).toMatchObject({ code: 200 });
  });

  it('is admitted in a pod that was there without a supervisor before the namespace opted in', async () => {
    const [changed, removed] = [
      await stored(withFinalizer(sandbox()), { namespace: 'elsewhere' }),
      await stored(withFinalizer(sandbox()), { namespace: 'elsewhere' }),
    ];
    await kubectl('label', 'namespace', 'elsewhere', 'openshell.ai/sideload=enabled');
    await waitFor(
      'the namespace has opted in',
      async () => (await create(sandbox(), { namespace: 'elsewhere' })).reason === 'not-sideloaded',
    );
    const debug = { spec: { ephemeralContainers: [{ name: 'debug', image: 'registry.example/debug:1' }] } };
    expect(await patch(changed, debug, '/ephemeralcontainers')).toMatchObject({ code: 200 });
    for (const change of [
      image('agent', 'registry.example/agent:2'),
      labels({ 'openshell.ai/sandbox': null }),
      { metadata: { finalizers: null } },
    ])
      expect(await patch(changed, change)).toMatchObject({ code: 200 });
    await kubectl('delete', 'pod', '-n', 'elsewhere', removed.metadata?.name ?? '', '--wait=false');
    expect(await patch(removed, { metadata: { finalizers: null } })).toMatchObject({ code: 200 });
    expect((await cluster.kubectl(['get', 'pod', '-n', 'elsewhere', removed.metadata?.name ?? ''])).stderr).toContain('NotFound');
  });
});

describe('an ephemeral container', () => {
  const debug = (parts: object = {}) => ({
    spec: { ephemeralContainers: [{ name: 'debug', image: 'registry.example/debug:1', ...parts }] },
  });
  const writable = { volumeMounts: [{ name: 'openshell-supervisor-bin', mountPath: '/x' }] };
  const toPod = async (change: object, pod = installed({})): Promise<Answer> => patch(await stored(pod), change, '/ephemeralcontainers');

  it('is refused in a supervised pod', async () => {
    expect(await toPod(debug())).toMatchObject({ code: 403, reason: 'containers-outside' });
    expect(await toPod(debug({ targetContainerName: 'agent' }))).toMatchObject({ code: 403, reason: 'containers-outside' });
  });

  it('is refused also after the annotation was changed that names the sandbox container', async () => {
    const pod = await stored(installed({}));
    expect(await patch(pod, { metadata: { annotations: { 'openshell.ai/sandbox-container': 'other' } } })).toMatchObject({ code: 200 });
    expect(await patch(pod, debug(), '/ephemeralcontainers')).toMatchObject({ code: 403, reason: 'containers-outside' });
  });

  it('is admitted in a pod that opted out', async () => {
    expect(await toPod(debug(), sandbox({ labels: { 'openshell.ai/sandbox': 'false' } }))).toMatchObject({ code: 200 });
  });

  it('is admitted where the operator allows it, unless it could replace the supervisor', async () => {
    const pod = await stored(supervised());
    await setLiterals(
      { ephemeralContainers: '"allow"' },
      async () => (await patch(pod, debug(), '/ephemeralcontainers?dryRun=All')).code === 200,
    );
    expect(await toPod(debug(writable))).toMatchObject({ code: 422, reason: 'supervisor-volume-shared' });
    const readOnly = debug({ volumeMounts: [{ ...writable.volumeMounts[0], readOnly: true }] });
    expect(await toPod(readOnly)).toMatchObject({ code: 422, reason: 'supervisor-volume-shared' });
    expect(await toPod(debug({ name: 'other' }))).toMatchObject({ code: 200 });
  });
});

describe('behind the webhook', () => {
  let webhook: Process;
  let ports: { port: number; adminPort: number };
  let other: OtherWebhook;
  /** What the other webhook does: at first something that ours puts right, so that both are called again. */
  const provocation: readonly Operation[] = [{ op: 'remove', path: '/spec/containers/0/command' }];
  let first = provocation;
  let last: readonly Operation[] = [];
  const calls = new Map<string, number>();

  const called = ({ metadata }: Pod): readonly Operation[] => {
    const name = metadata?.name ?? '';
    const times = (calls.get(name) ?? 0) + 1;
    calls.set(name, times);
    return times === 1 ? first : last;
  };

  beforeAll(async () => {
    const [port = 0, adminPort = 0] = await freePorts(2);
    ports = { port, adminPort };
    webhook = await startWebhook(dir, ports, ANY_METHOD);
    await apply('both', [writeOverlay(dir, port)]);
    await allowHostPath();

    other = await serveOtherWebhook(dir, called);
    const entry = (reinvocationPolicy: 'Never' | 'IfNeeded') => ({
      name: `${reinvocationPolicy.toLowerCase()}.example.com`,
      admissionReviewVersions: ['v1'],
      sideEffects: 'None',
      reinvocationPolicy,
      clientConfig: other.clientConfig(),
      rules: [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods'] }],
      objectSelector: { matchLabels: { 'example.com/called': reinvocationPolicy } },
    });
    // After ours: the API server calls configurations in the order of their names.
    const configuration = {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'MutatingWebhookConfiguration',
      metadata: { name: 'zz-other' },
      webhooks: [entry('Never'), entry('IfNeeded')],
    };
    await cluster.run(['create', '-f', '-'], JSON.stringify(configuration));
    const both = sandbox({ labels: { 'openshell.ai/sandbox': 'true', 'example.com/called': 'IfNeeded' } });
    await waitFor('both webhooks are called', async () => (await create(both)).code === 201 && calls.get(`pod-${serial}`) === 2, [webhook]);
  });
  afterAll(async () => {
    other?.close();
    await webhook?.stop();
  });

  it('every golden pod is admitted, by both', async () => {
    let inUse = ANY_METHOD.join();
    for (const golden of [...goldens].sort((a, b) => a.flags.join().localeCompare(b.flags.join()))) {
      if (golden.flags.join() !== inUse) {
        await webhook.stop();
        webhook = await startWebhook(dir, ports, golden.flags);
        inUse = golden.flags.join();
        await setLiterals(literalsOf(golden.flags), async () => (await create(golden.pod)).code === 201);
      }
      const settings = golden.config.sideload;
      const before = decide(golden.pod, settings, UNKNOWN_CLUSTER);
      const expected = before.verdict === 'skip' ? before.reason : 'already-sideloaded';
      for (const pod of [golden.pod, sideloaded(golden)]) {
        const { message, object } = await create(pod);
        expect([golden.name, message]).toEqual([golden.name, '']);
        expect([golden.name, decide(object, settings, UNKNOWN_CLUSTER).reason]).toEqual([golden.name, expected]);
      }
    }
    await webhook.stop();
    webhook = await startWebhook(dir, ports, ANY_METHOD);
    await setLiterals(literalsOf(ANY_METHOD), async () => (await create(supervised())).code === 201);
  });

  const container = '/spec/containers/0';
  const mount = (name: string, mountPath: string): Operation => ({
    op: 'add',
    path: `${container}/volumeMounts/-`,
    value: { name, mountPath },
  });
  const spy = { name: 'spy', image: 'registry.example/spy:1', volumeMounts: [{ name: 'openshell-supervisor-bin', mountPath: '/x' }] };
  const remove = (path: string): Operation => ({ op: 'remove', path });
  const replace = (path: string, value: unknown): Operation => ({ op: 'replace', path, value });
  const rewrites: readonly { what: string; method?: string; does: readonly Operation[]; reason: string }[] = [
    { what: 'takes the mount away', does: [remove(`${container}/volumeMounts/0`)], reason: 'not-sideloaded' },
    {
      what: 'takes mount and image volume away',
      does: [remove(`${container}/volumeMounts/0`), remove('/spec/volumes/0')],
      reason: 'image-volume-dropped',
    },
    { what: 'takes the command away', does: [remove(`${container}/command`)], reason: 'not-sideloaded' },
    { what: 'wraps the command', does: [{ op: 'add', path: `${container}/command/0`, value: 'env' }], reason: 'not-sideloaded' },
    { what: 'makes the mount writable', does: [remove(`${container}/volumeMounts/0/readOnly`)], reason: 'not-sideloaded' },
    {
      what: 'takes the install container away',
      method: 'init-container',
      does: [remove('/spec/initContainers/0')],
      reason: 'not-sideloaded',
    },
    { what: 'takes root away', does: [replace(`${container}/securityContext/runAsUser`, 1000)], reason: 'not-sideloaded' },
    { what: 'takes all variables away', does: [remove(`${container}/env`)], reason: 'not-sideloaded' },
    {
      what: 'asks for sidecars',
      does: [{ op: 'add', path: `${container}/env/-`, value: { name: 'OPENSHELL_SUPERVISOR_TOPOLOGY', value: 'sidecar' } }],
      reason: 'not-sideloaded',
    },
    {
      what: 'swaps the image of the volume',
      does: [replace('/spec/volumes/0/image/reference', 'registry.example/evil')],
      reason: 'untrusted-supervisor',
    },
    {
      what: 'swaps the image of the install container',
      method: 'init-container',
      does: [replace('/spec/initContainers/0/image', 'registry.example/evil')],
      reason: 'untrusted-supervisor',
    },
    {
      what: 'lets another container write',
      method: 'init-container',
      does: [{ op: 'add', path: '/spec/containers/-', value: spy }],
      reason: 'supervisor-volume-shared',
    },
    {
      what: 'mounts something over the binary',
      does: [
        { op: 'add', path: '/spec/volumes/-', value: { name: 'data', emptyDir: {} } },
        mount('data', '/opt/openshell/bin/openshell-sandbox'),
      ],
      reason: 'mount-path-taken',
    },
    {
      what: 'puts another volume in the place of the supervisor’s',
      does: [replace('/spec/volumes/0', { name: 'openshell-supervisor-bin', configMap: { name: 'x' } })],
      reason: 'volume-name-taken',
    },
    {
      what: 'lets the supervisor leave the network to others',
      does: [{ op: 'add', path: `${container}/command/1`, value: '--mode=process' }],
      reason: 'incomplete-sidecar-topology',
    },
    {
      what: 'moves the pod to Windows',
      does: [{ op: 'add', path: '/spec/nodeSelector', value: { 'kubernetes.io/os': 'windows' } }],
      reason: 'windows-pod',
    },
  ];
  const rewritten = (reinvocationPolicy: string, method = 'image-volume'): Pod =>
    sandbox({
      labels: { 'openshell.ai/sandbox': 'true', 'example.com/called': reinvocationPolicy },
      annotations: { 'openshell.ai/sideload-method': method },
      // Its token would be volume and mount 0.
      spec: { automountServiceAccountToken: false } as object,
    });

  it.each(rewrites)('another webhook that $what, and has the last word, is caught', async ({ method, does, reason }) => {
    last = does;
    expect(await create(rewritten('IfNeeded', method))).toMatchObject({ code: expect.toBeOneOf([403, 422]), reason });
    expect(calls.get(`pod-${serial}`)).toBe(2);
  });

  it('a volume that is taken away while its mount stays is refused by the API server itself', async () => {
    last = [remove('/spec/volumes/0')];
    expect(await create(rewritten('IfNeeded'))).toMatchObject({
      code: 422,
      reason: undefined,
      message: expect.stringContaining('volumeMounts[0].name: Not found: "openshell-supervisor-bin"'),
    });
  });

  it('what another webhook takes away without having the last word is put back', async () => {
    const { code, object } = await create(rewritten('Never'));
    expect([code, calls.get(`pod-${serial}`)]).toEqual([201, 1]);
    expect(decide(object, readConfig(ANY_METHOD, {}).sideload, UNKNOWN_CLUSTER).reason).toBe('already-sideloaded');
  });

  it('a label that another webhook adds makes a sandbox, which the webhook never saw', async () => {
    const unseen = sandbox({ labels: { 'example.com/called': 'Never' } });
    first = [];
    expect(await create(unseen)).toMatchObject({ code: 201 });
    first = [{ op: 'add', path: '/metadata/labels/openshell.ai~1sandbox', value: 'true' }];
    expect(await create(unseen)).toMatchObject({ code: 422, reason: 'not-sideloaded' });
  });
});

describe.each(['1.34', '1.30'] as const)('kube-apiserver %s, which drops image volumes', (release) => {
  beforeAll(async () => {
    await kubectl('delete', 'mutatingwebhookconfiguration', '--all');
    // Made again by this API server, which judges the policies themselves.
    await kubectl('delete', 'validatingadmissionpolicy,validatingadmissionpolicybinding', '--all');
    await cluster.stopApiserver();
    await cluster.startApiserver({ release });
    await changePolicies(release, async () => {
      await apply('alone');
      await waitFor('the policy is in force', async () => (await create(sandbox())).reason === 'not-sideloaded');
      await allowHostPath();
    });
  });

  it('refuses the pods whose supervisor it dropped, and admits the others', async () => {
    const answers = await Promise.all(
      // Of an image that the operator does not trust here, and of no sandbox, nothing is said.
      goldens
        .filter(({ name }) => !/^(kagenti|two-pod)/.test(name))
        .map(async (golden) => {
          const pod = sideloaded(golden);
          const { code, reason } = await create(pod);
          const image = pod.spec?.volumes?.some((volume) => volume.image && volume.name !== 'openshell-policy') ?? false;
          return { name: golden.name, image, admitted: code === 201, reason };
        }),
    );
    expect(answers.filter(({ image, admitted }) => image === admitted)).toEqual([]);
    const reasons = answers.filter(({ image }) => image).map(({ reason }) => reason);
    expect([...new Set(reasons)].sort()).toEqual(['image-volume-dropped']);
  });

  it('refuses what the webhook refuses', async () => {
    const { differences } = await compare(
      REFUSED_PODS.map(({ why, pod }) => ({ what: why, pod })),
      ANY_METHOD,
      DROPPING,
    );
    expect(differences).toEqual([]);
  });

  it('judges a large pod within the costs that it allows', async () => {
    expect(await create(largePod())).toMatchObject({ code: 201 });
  });
});
