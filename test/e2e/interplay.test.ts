/**
 * The webhook beside all else that takes part in an admission: other webhooks, the API server's own plugins, the controllers
 * that make pods, and kubectl. Every test says what is stored.
 */

import { once } from 'node:events';
import { mkdtempSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { compare } from 'fast-json-patch';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Container, Pod } from '../../src/sideload/pod.ts';
import { agent, sandbox } from '../pods.ts';
import { method } from '../refusals.ts';
import { isSideloaded } from '../sideloaded.ts';
import { findControllers } from './cluster/binaries.ts';
import { type ControlPlane, type KubectlResult, startControlPlane } from './cluster/control-plane.ts';
import { startControllerManager } from './cluster/controllers.ts';
import { freePorts, type Process, WAIT_FLAG, waitFor } from './cluster/process.ts';
import { readLog, startWebhook, writeOverlay } from './webhook.ts';

/** What the API server adds to a pod. */
interface Stored extends Pod {
  readonly metadata: NonNullable<Pod['metadata']> & { readonly ownerReferences?: readonly { readonly kind: string }[] };
  readonly spec: NonNullable<Pod['spec']> & { readonly ephemeralContainers?: readonly Container[] };
  readonly status: { readonly qosClass: string };
}

const SUPERVISOR = ['/opt/openshell/bin/openshell-sandbox', '--workdir', '/sandbox'];
const INSTALL = 'openshell-supervisor-install';
/** Members that the core does not read. */
const TOKENLESS: object = { automountServiceAccountToken: false };
const LABEL = 'openshell.ai/sandbox';
const LEFT_ALONE = { [LABEL]: 'false' };
const METHODS = ['image-volume', 'init-container'] as const;
const NO_ENTRYPOINT =
  'admission webhook "sandbox.sideload.openshell.ai" denied the request: container "agent" has args but no command, and the image\'s ENTRYPOINT is not known here';

const dir = mkdtempSync(join(tmpdir(), 'sideload-interplay-'));
let cluster: ControlPlane;
let controllers: Process;
let webhook: Process;

const kubectl = (args: readonly string[], input?: string): Promise<string> => cluster.run(args, input);
const createAll = (...objects: object[]): Promise<string> =>
  kubectl(['create', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }));

/** Makes a namespace that opted in, with objects in it, and waits until it takes pods. */
async function openNamespace(name: string, { labels = {}, objects = [] }: { labels?: object; objects?: object[] } = {}): Promise<void> {
  const metadata = { name, labels: { 'openshell.ai/sideload': 'enabled', ...labels } };
  const inside = objects.map((object) => ({ ...object, metadata: { name, namespace: name } }));
  await createAll({ apiVersion: 'v1', kind: 'Namespace', metadata }, ...inside);
  await kubectl(['wait', '--for=create', 'serviceaccount/default', '-n', name, WAIT_FLAG]);
}

let serial = 0;

/** Creates a pod with a name of its own. */
function create(pod: Pod, namespace = 'agents', args: readonly string[] = []): Promise<KubectlResult> {
  serial++;
  const metadata = { ...pod.metadata, name: `pod-${serial}`, namespace };
  return cluster.kubectl(['create', '-o', 'json', '-f', '-', ...args], JSON.stringify({ apiVersion: 'v1', kind: 'Pod', ...pod, metadata }));
}

/** Creates a pod and returns what the API server stored. */
async function stored(pod: Pod, namespace?: string, args?: readonly string[]): Promise<Stored> {
  const { code, stdout, stderr } = await create(pod, namespace, args);
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Stored;
}

/** Why a pod is refused, in the API server's words, without its name. */
async function refusal(pod: Pod, namespace?: string): Promise<string> {
  const { code, stderr } = await create(pod, namespace);
  expect(code).toBe(1);
  const said = stderr.split('\n').find((line) => !line.startsWith('Warning: ')) ?? '';
  return said.replaceAll(/pod-\d+/g, 'POD');
}

/** What is stored under a name. */
const readPod = async (name: string): Promise<Stored> =>
  JSON.parse(await kubectl(['get', 'pod', name, '-n', 'agents', '-o', 'json'])) as Stored;

const containerOf = (pod: Pod, name = 'agent'): Container => pod.spec?.containers?.find((container) => container.name === name) ?? {};
const installerOf = (pod: Pod): Container | undefined => pod.spec?.initContainers?.find(({ name }) => name === INSTALL);
const logLines = (): Promise<Record<string, unknown>[]> => readLog(dir);
/** What the webhook answered each time that it was called for a pod. */
const answersFor = async (pod: Pod): Promise<unknown[]> =>
  (await logLines()).filter(({ name }) => name === pod.metadata?.name).map(({ reason }) => reason);

beforeAll(async () => {
  cluster = await startControlPlane(join(dir, 'cluster'));
  controllers = startControllerManager(findControllers().controllerManager, cluster, dir);
  const [port = 0, adminPort = 0] = await freePorts(2);
  webhook = await startWebhook(dir, { port, adminPort });
  await openNamespace('agents');
  await kubectl(['apply', '-k', writeOverlay(dir, port)]);
  const isInForce = async (): Promise<boolean> => isSideloaded(await stored(sandbox(), 'agents', ['--dry-run=server']));
  await waitFor('the API server calls the webhook', isInForce, [webhook, controllers]);
});

afterAll(async () => {
  await webhook?.stop();
  await controllers?.stop();
  await cluster?.stop();
});

describe('another mutating webhook', () => {
  interface Mutable {
    name: string;
    image?: string;
    command?: string[];
    args?: string[];
    restartPolicy?: string;
    env?: { name: string; value: string }[];
    readinessProbe?: object;
  }
  type MutableSpec = { containers: Mutable[]; initContainers?: Mutable[] };

  const PROXY = { name: 'proxy', image: 'registry.example/proxy:1' };
  const WRAPPER = '/wrapper/run';
  const READY = { httpGet: { path: '/app-health/agent/readyz', port: 15020, scheme: 'HTTP' } };
  /** As one that hands secrets to a program by starting it. */
  const wrap = (container: Mutable): void => {
    container.args = [...(container.command ?? []), ...(container.args ?? [])];
    container.command = [WRAPPER];
  };
  const everywhere = ({ containers, initContainers = [] }: MutableSpec): Mutable[] => [...initContainers, ...containers];
  const setEverywhere = (name: string, value: string) => (spec: MutableSpec) => {
    for (const container of everywhere(spec)) container.env = [...(container.env ?? []), { name, value }];
  };
  const INJECTORS: Record<string, (spec: MutableSpec) => void> = {
    // As a service mesh that holds the application until its proxy has started.
    'proxy-first': ({ containers }) => containers.unshift({ ...PROXY, args: ['serve'] }),
    'proxy-with-command-first': ({ containers }) => containers.unshift({ ...PROXY, command: ['proxy', 'serve'] }),
    'native-sidecar': (spec) => {
      spec.initContainers = [{ ...PROXY, args: ['serve'], restartPolicy: 'Always' }, ...(spec.initContainers ?? [])];
    },
    // As a service mesh whose proxy asks the application.
    probes: ({ containers }) => {
      for (const container of containers) if (container.readinessProbe) container.readinessProbe = READY;
    },
    wrapper: ({ containers }) => containers.forEach(wrap),
    'wrapper-everywhere': (spec) => everywhere(spec).forEach(wrap),
    'variable-everywhere': setEverywhere('TRACE_ENDPOINT', 'http://trace:4317'),
    // As a tracer that has itself loaded into every program.
    'preload-everywhere': setEverywhere('LD_PRELOAD', '/trace/preload.so'),
  };
  let injectors: Server;

  /** A sandbox that goes through an injector before or after ours. */
  const through = (injector: string, position: 'before' | 'after', parts: Parameters<typeof sandbox>[0] = {}): Pod =>
    sandbox({ ...parts, labels: { [LABEL]: 'true', [position]: injector } });

  beforeAll(async () => {
    const tls = { cert: readFileSync(join(dir, 'tls', 'tls.crt')), key: readFileSync(join(dir, 'tls', 'tls.key')) };
    injectors = createServer(tls, async (request, response) => {
      const { request: admission } = (await json(request)) as { request: { uid: string; object: { spec: MutableSpec } } };
      const injected = structuredClone(admission.object);
      // The API server adds its timeout to the URL.
      INJECTORS[new URL(request.url ?? '', 'https://injectors').pathname.slice(1)]?.(injected.spec);
      const patch = Buffer.from(JSON.stringify(compare(admission.object, injected))).toString('base64');
      response.setHeader('content-type', 'application/json');
      response.end(
        JSON.stringify({
          apiVersion: 'admission.k8s.io/v1',
          kind: 'AdmissionReview',
          response: { uid: admission.uid, allowed: true, patchType: 'JSONPatch', patch },
        }),
      );
    });
    await once(injectors.listen(0, '127.0.0.1'), 'listening');
    const { port } = injectors.address() as AddressInfo;
    const caBundle = readFileSync(join(dir, 'tls', 'ca.crt')).toString('base64');
    // The API server calls configurations in the order of their names.
    const configurations = { before: 'aa-injectors', after: 'zz-injectors' };
    await createAll(
      ...Object.entries(configurations).map(([position, name]) => ({
        apiVersion: 'admissionregistration.k8s.io/v1',
        kind: 'MutatingWebhookConfiguration',
        metadata: { name },
        webhooks: Object.keys(INJECTORS).map((injector) => ({
          name: `${injector}.${position}.example`,
          admissionReviewVersions: ['v1'],
          sideEffects: 'None',
          failurePolicy: 'Fail',
          clientConfig: { url: `https://127.0.0.1:${port}/${injector}`, caBundle },
          rules: [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods'] }],
          objectSelector: { matchLabels: { [position]: injector } },
        })),
      })),
    );
    for (const position of ['before', 'after'] as const) {
      const isCalled = async (): Promise<boolean> =>
        (await stored(through('native-sidecar', position), 'agents', ['--dry-run=server'])).spec.initContainers !== undefined;
      await waitFor(`the webhooks ${position} ours are called`, isCalled, [webhook]);
    }
  });

  afterAll(async () => {
    await kubectl(['delete', 'mutatingwebhookconfiguration', 'aa-injectors', 'zz-injectors']);
    injectors.close();
  });

  describe('that puts its container first, before ours,', () => {
    it.each([
      { why: 'by its name', annotations: undefined, name: 'agent' },
      { why: 'by the annotation', annotations: { 'openshell.ai/sandbox-container': 'main' }, name: 'main' },
    ])('leaves a sandbox container that is known $why under the supervisor', async ({ annotations, name }) => {
      const pod = await stored(
        through('proxy-first', 'before', { ...(annotations ? { annotations } : {}), spec: { containers: [agent({ name })] } }),
      );
      expect(pod.spec.containers?.map((container) => [container.name, container.command, container.args])).toEqual([
        ['proxy', undefined, ['serve']],
        [name, SUPERVISOR, ['--', 'agent']],
      ]);
      expect(isSideloaded(pod)).toBe(true);
    });

    it('leaves a sandbox container under the supervisor that it names as the default one', async () => {
      const annotations = { 'kubectl.kubernetes.io/default-container': 'main' };
      const pod = await stored(
        through('proxy-with-command-first', 'before', { annotations, spec: { containers: [agent({ name: 'main' })] } }),
      );
      expect(containerOf(pod, 'proxy').command).not.toEqual(SUPERVISOR);
      expect(containerOf(pod, 'main').command).toEqual(SUPERVISOR);
      expect(isSideloaded(pod)).toBe(true);
    });

    it('stands where a sandbox container was that is known only as the first: refused, as it has no command', async () => {
      const pod = through('proxy-first', 'before', { spec: { containers: [agent({ name: 'main' })] } });
      expect(await refusal(pod)).toContain('container "proxy" has args but no command');
    });

    it('stands where a sandbox container was that is known only as the first: with a command it is the sandbox, and a warning says so', async () => {
      const { code, stdout, stderr } = await create(
        through('proxy-with-command-first', 'before', {
          annotations: { 'openshell.ai/policy': 'agent-policy' },
          spec: { containers: [agent({ name: 'main' })] },
        }),
      );
      expect(code, stderr).toBe(0);
      expect(stderr).toContain('Warning: only container "proxy" runs under the supervisor, not "main"');
      const pod = JSON.parse(stdout) as Stored;
      expect(containerOf(pod, 'proxy').command).toEqual(SUPERVISOR);
      expect(containerOf(pod, 'main').command).toEqual(['agent']);
    });
  });

  describe.each(METHODS)('that puts a native sidecar first, beside method %s,', (by) => {
    const initContainers = by === 'init-container' ? ['proxy', INSTALL] : ['proxy'];
    it.each([
      { position: 'before', answers: ['injected'] },
      { position: 'after', answers: ['injected', 'already-sideloaded'] },
    ] as const)('$position ours, has it stored as it is, ahead of what we add', async ({ position, answers }) => {
      const parts = { annotations: method(by), spec: TOKENLESS };
      const { stdout, stderr } = await create(through('native-sidecar', position, parts));
      expect(stderr).toBe('Warning: only container "agent" runs under the supervisor, not "proxy"\n');
      const pod = JSON.parse(stdout) as Stored;
      expect(pod.spec.initContainers?.map(({ name }) => name)).toEqual(initContainers);
      expect(pod.spec.initContainers?.[0]).toMatchObject({ ...PROXY, args: ['serve'], restartPolicy: 'Always' });
      expect(pod.spec.initContainers?.[0]?.securityContext).toBeUndefined();
      expect(containerOf(pod)).toMatchObject({ command: SUPERVISOR, args: ['--', 'agent'] });
      expect(isSideloaded(pod)).toBe(true);
      expect(await answersFor(pod)).toEqual(answers);
    });
  });

  it.each(['before', 'after'] as const)(
    'that has probes ask its proxy, %s ours, has them refused: nothing reaches the program',
    async (position) => {
      const probed = agent({ readinessProbe: { httpGet: { port: 80 } } });
      expect(await refusal(through('probes', position, { spec: { containers: [probed] } }))).toContain('it always fails; use exec');
    },
  );

  describe('that adds a variable to every container', () => {
    it('after ours, has it stored in the sandbox container, and taken out of the install container', async () => {
      const pod = await stored(through('variable-everywhere', 'after', { annotations: method('init-container') }));
      expect(containerOf(pod).env).toContainEqual({ name: 'TRACE_ENDPOINT', value: 'http://trace:4317' });
      expect(installerOf(pod)?.env).toBeUndefined();
      expect(isSideloaded(pod)).toBe(true);
      expect(await answersFor(pod)).toEqual(['injected', 'converged']);
    });

    it.each(METHODS)('after ours, has a pod refused when the variable loads other code, by method %s', async (by) => {
      const preloaded = through('preload-everywhere', 'after', { annotations: method(by) });
      expect(await refusal(preloaded)).toContain('container "agent" sets "LD_PRELOAD", which loads code');
    });
  });

  describe('that starts programs through its own', () => {
    it.each(METHODS)('before ours, is under the supervisor with the program, by method %s', async (by) => {
      const pod = await stored(through('wrapper-everywhere', 'before', { annotations: method(by) }));
      expect(containerOf(pod)).toMatchObject({ command: SUPERVISOR, args: ['--', WRAPPER, 'agent'] });
      expect(isSideloaded(pod)).toBe(true);
    });

    it('after ours, is started by the supervisor in front, and the one behind it is gone', async () => {
      const pod = await stored(through('wrapper', 'after'));
      expect(containerOf(pod)).toMatchObject({ command: SUPERVISOR, args: ['--', WRAPPER, 'agent'] });
      expect(isSideloaded(pod)).toBe(true);
      expect(await answersFor(pod)).toEqual(['injected', 'converged']);
    });

    it('after ours, has a pod refused whose install container it wraps too', async () => {
      expect(await refusal(through('wrapper-everywhere', 'after', { annotations: method('init-container') }))).toContain(
        `init container "${INSTALL}" does more than copy the supervisor`,
      );
    });
  });
});

/** The request and limit of one container, of a size that every limit below admits. */
const SIZED = { requests: { cpu: '200m', memory: '64Mi' }, limits: { cpu: '200m', memory: '64Mi' } };

/** A sandbox by install container, whose own container has these resources. */
const sized = (resources: object | undefined, labels?: Record<string, string>): Pod =>
  sandbox({
    ...(labels ? { labels } : {}),
    annotations: method('init-container'),
    spec: { containers: [agent(resources ? { resources } : {})] },
  });

describe('a LimitRange', () => {
  const limitRange = (limits: object) => ({ apiVersion: 'v1', kind: 'LimitRange', spec: { limits: [limits] } });
  const DEFAULTS = {
    type: 'Container',
    defaultRequest: { cpu: '100m', memory: '32Mi' },
    default: { cpu: '200m', memory: '64Mi' },
    min: { cpu: '50m', memory: '16Mi' },
    max: { cpu: '400m', memory: '128Mi' },
    maxLimitRequestRatio: { cpu: '2' },
  };

  it.each([
    {
      namespace: 'limits-defaults',
      why: 'defaults, within the limits of each container',
      limits: DEFAULTS,
      resources: undefined,
      gets: { requests: DEFAULTS.defaultRequest, limits: DEFAULTS.default },
      qosClass: 'Burstable',
    },
    {
      namespace: 'limits-own',
      why: "its container's own size, whatever the defaults",
      limits: DEFAULTS,
      resources: SIZED,
      gets: SIZED,
      qosClass: 'Guaranteed',
    },
    {
      namespace: 'limits-min',
      why: 'a minimum, which is a default request too',
      limits: { type: 'Container', min: { cpu: '100m' } },
      resources: undefined,
      gets: { requests: { cpu: '100m' } },
      qosClass: 'Burstable',
    },
    {
      namespace: 'limits-pod',
      why: 'room for one container in the whole pod',
      limits: { type: 'Pod', max: SIZED.limits },
      resources: SIZED,
      gets: SIZED,
      qosClass: 'Guaranteed',
    },
  ])('gives the install container $why', async ({ namespace, limits, resources, gets, qosClass }) => {
    await openNamespace(namespace, { objects: [limitRange(limits)] });
    const pod = await stored(sized(resources), namespace);
    expect(containerOf(pod).resources).toEqual(gets);
    expect(installerOf(pod)?.resources).toEqual(gets);
    expect(pod.status.qosClass).toBe(qosClass);
    expect((await stored(sized(resources, LEFT_ALONE), namespace)).status.qosClass, 'without a supervisor').toBe(qosClass);
    expect(isSideloaded(pod)).toBe(true);
  });

  it.each([
    {
      namespace: 'limits-too-small',
      why: 'a container below the minimum',
      limits: { type: 'Container', min: { cpu: '300m' } },
      resources: SIZED,
      says: 'pods "POD" is forbidden: minimum cpu usage per Container is 300m, but request is 200m',
    },
    {
      namespace: 'limits-too-big',
      why: 'a container above the maximum',
      limits: { type: 'Container', max: { memory: '32Mi' } },
      resources: SIZED,
      says: 'pods "POD" is forbidden: maximum memory usage per Container is 32Mi, but limit is 64Mi',
    },
    {
      namespace: 'limits-no-size',
      why: 'a pod without a size where pods have a minimum',
      limits: { type: 'Pod', min: { cpu: '100m' } },
      resources: undefined,
      says: 'pods "POD" is forbidden: minimum cpu usage per Pod is 100m.  No request is specified',
    },
  ])('has $why refused in its own words, with a supervisor or without', async ({ namespace, limits, resources, says }) => {
    await openNamespace(namespace, { objects: [limitRange(limits)] });
    const alone = await refusal(sized(resources, LEFT_ALONE), namespace);
    expect(alone).toContain(says);
    // With a supervisor the same is said once for each container that it holds for.
    expect(await refusal(sized(resources), namespace)).toContain(says.replace('pods "POD" is forbidden: ', ''));
  });
});

describe('the class of service', () => {
  it.each([
    { qosClass: 'BestEffort', why: 'no size', spec: {} },
    { qosClass: 'Guaranteed', why: 'limits that are the requests', spec: { containers: [agent({ resources: SIZED })] } },
    { qosClass: 'Burstable', why: 'requests alone', spec: { containers: [agent({ resources: { requests: SIZED.requests } })] } },
    { qosClass: 'Guaranteed', why: 'a size for the whole pod', spec: { resources: SIZED } },
  ])('of a pod with $why stays $qosClass', async ({ qosClass, spec }) => {
    const pod = await stored(sandbox({ annotations: method('init-container'), spec }));
    expect(installerOf(pod)?.resources).toEqual(containerOf(pod).resources);
    expect(pod.status.qosClass).toBe(qosClass);
    expect((await stored(sandbox({ labels: LEFT_ALONE, spec }))).status.qosClass, 'without a supervisor').toBe(qosClass);
  });
});

describe('a ResourceQuota', () => {
  const hard = { pods: '2', 'requests.cpu': '500m', 'requests.memory': '1Gi', 'limits.cpu': '1', 'limits.memory': '1Gi' };
  const one = { pods: '1', 'requests.cpu': '200m', 'requests.memory': '64Mi', 'limits.cpu': '200m', 'limits.memory': '64Mi' };

  beforeAll(async () => {
    await openNamespace('quota', { objects: [{ apiVersion: 'v1', kind: 'ResourceQuota', spec: { hard } }] });
    const isCounted = async (): Promise<boolean> => (await create(sized(SIZED, LEFT_ALONE), 'quota', ['--dry-run=server'])).code === 0;
    await waitFor('the quota to be counted', isCounted, [controllers]);
  });

  it('admits a sandbox whose containers have sizes, and counts no more than the one container', async () => {
    expect(isSideloaded(await stored(sized(SIZED), 'quota'))).toBe(true);
    expect(JSON.parse(await kubectl(['get', 'resourcequota', 'quota', '-n', 'quota', '-o', 'json'])).status.used).toEqual(one);
  });

  it('has a sandbox refused whose container has no size, in its own words', async () => {
    expect(await refusal(sized(undefined, LEFT_ALONE), 'quota')).toContain('failed quota: quota: must specify limits.cpu for: agent;');
    expect(await refusal(sized(undefined), 'quota')).toContain(`failed quota: quota: must specify limits.cpu for: agent,${INSTALL};`);
  });

  it('has a sandbox refused that exceeds it, in its own words', async () => {
    const tooBig = { requests: { ...SIZED.requests, cpu: '400m' }, limits: { ...SIZED.limits, cpu: '400m' } };
    expect(await refusal(sized(tooBig), 'quota')).toContain(
      'exceeded quota: quota, requested: requests.cpu=400m, used: requests.cpu=200m, limited: requests.cpu=500m',
    );
  });
});

describe('Pod Security', () => {
  const level = (mode: string, name: string) => ({ labels: { [`pod-security.kubernetes.io/${mode}`]: name } });

  beforeAll(async () => {
    for (const name of ['privileged', 'baseline', 'restricted']) await openNamespace(`enforce-${name}`, level('enforce', name));
    for (const mode of ['warn', 'audit']) await openNamespace(`${mode}-restricted`, level(mode, 'restricted'));
  });

  it.each(METHODS)('admits a sandbox by method %s at level privileged', async (by) => {
    expect(isSideloaded(await stored(sandbox({ annotations: method(by) }), 'enforce-privileged'))).toBe(true);
  });

  it.each(['baseline', 'restricted'].flatMap((name) => METHODS.map((by) => ({ name, by }))))(
    'refuses a sandbox by method $by at level $name, in its own words',
    async ({ name, by }) => {
      const said = await refusal(sandbox({ annotations: method(by) }), `enforce-${name}`);
      expect(said).toContain(`pods "POD" is forbidden: violates PodSecurity "${name}:latest": `);
      expect(said).toContain('container "agent" must not include "NET_ADMIN", "SYSLOG", "SYS_ADMIN", "SYS_PTRACE"');
    },
  );

  it('refuses a sandbox in a user namespace at level baseline too', async () => {
    expect(await refusal(sandbox({ spec: { hostUsers: false } }), 'enforce-baseline')).toContain('violates PodSecurity "baseline:latest"');
  });

  it('stores a sandbox where restricted only warns, and prints the warning', async () => {
    const { code, stdout, stderr } = await create(sandbox(), 'warn-restricted');
    expect([code, stderr]).toEqual([0, expect.stringMatching(/^Warning: would violate PodSecurity "restricted:latest": [^\n]*\n$/)]);
    expect(isSideloaded(JSON.parse(stdout))).toBe(true);
  });

  it('stores a sandbox where restricted is only audited, and prints nothing', async () => {
    const { code, stdout, stderr } = await create(sandbox(), 'audit-restricted');
    expect([code, stderr]).toEqual([0, '']);
    expect(isSideloaded(JSON.parse(stdout))).toBe(true);
  });
});

describe("the API server's own plugins", () => {
  it('keep what they wrote before ours: token, priority, runtime class, tolerations', async () => {
    const overhead = { podFixed: { cpu: '250m', memory: '64Mi' } };
    const scheduling = { nodeSelector: { sandboxed: 'yes' } };
    await createAll(
      { apiVersion: 'scheduling.k8s.io/v1', kind: 'PriorityClass', metadata: { name: 'agents' }, value: 1000 },
      { apiVersion: 'node.k8s.io/v1', kind: 'RuntimeClass', metadata: { name: 'sandboxed' }, handler: 'runsc', overhead, scheduling },
    );
    const classes: object = { priorityClassName: 'agents', runtimeClassName: 'sandboxed' };
    const pod = await stored(sandbox({ spec: classes }));
    const seconds = { effect: 'NoExecute', operator: 'Exists', tolerationSeconds: 300 };
    expect(pod.spec).toMatchObject({
      ...classes,
      priority: 1000,
      overhead: overhead.podFixed,
      nodeSelector: scheduling.nodeSelector,
      tolerations: [
        { ...seconds, key: 'node.kubernetes.io/not-ready' },
        { ...seconds, key: 'node.kubernetes.io/unreachable' },
      ],
    });
    const [token] = pod.spec.volumes ?? [];
    expect(token).toMatchObject({ name: expect.stringMatching(/^kube-api-access-/), projected: {} });
    expect(containerOf(pod).volumeMounts).toMatchObject([
      { name: token?.name, mountPath: '/var/run/secrets/kubernetes.io/serviceaccount' },
      { name: 'openshell-supervisor-bin', mountPath: '/opt/openshell/bin' },
    ]);
    expect(isSideloaded(pod)).toBe(true);
    expect(await answersFor(pod), 'none of them changed it again').toEqual(['injected']);
  });

  it('run once more after ours: the install container gets the token, and ours is asked again', async () => {
    const pod = await stored(sandbox({ annotations: method('init-container') }));
    expect(installerOf(pod)?.volumeMounts?.map(({ mountPath }) => mountPath)).toEqual([
      '/opt/openshell/bin',
      '/var/run/secrets/kubernetes.io/serviceaccount',
    ]);
    expect(isSideloaded(pod)).toBe(true);
    expect(await answersFor(pod)).toEqual(['injected', 'already-sideloaded']);
  });

  it('have nothing to add to a pod without a token', async () => {
    const pod = await stored(sandbox({ annotations: method('init-container'), spec: TOKENLESS }));
    expect(installerOf(pod)?.volumeMounts?.map(({ mountPath }) => mountPath)).toEqual(['/opt/openshell/bin']);
    expect(pod.spec.volumes?.map(({ name }) => name)).toEqual(['openshell-supervisor-bin']);
    expect(await answersFor(pod)).toEqual(['injected']);
  });
});

describe('a pod in a user namespace', () => {
  it.each(METHODS)('is stored with the capabilities that it needs there, by method %s', async (by) => {
    const pod = await stored(sandbox({ annotations: method(by), spec: { hostUsers: false } }));
    expect(pod.spec.hostUsers).toBe(false);
    expect(containerOf(pod).securityContext?.capabilities?.add).toEqual([
      ...['SYS_ADMIN', 'NET_ADMIN', 'SYS_PTRACE', 'SYSLOG'],
      ...['SETUID', 'SETGID', 'DAC_READ_SEARCH'],
    ]);
    expect(isSideloaded(pod)).toBe(true);
  });
});

it('a pod with generateName is stored under the name that it gets', async () => {
  const { metadata, spec } = sandbox();
  const { name, ...unnamed } = metadata ?? {};
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { ...unnamed, generateName: 'generated-' }, spec };
  const result = JSON.parse(await kubectl(['create', '-o', 'json', '-f', '-'], JSON.stringify(pod))) as Stored;
  expect(result.metadata.name).toMatch(/^generated-.{5}$/);
  expect(isSideloaded(result)).toBe(true);
  expect(await logLines()).toContainEqual(expect.objectContaining({ generateName: 'generated-', reason: 'injected' }));
});

/** A Deployment and its like, whose pods have the label app=NAME. */
function workload(kind: 'Deployment' | 'StatefulSet' | 'DaemonSet' | 'Job', name: string, container: Container, rest: object = {}) {
  const template = {
    metadata: { labels: { app: name, [LABEL]: 'true' }, annotations: method('init-container') },
    spec: { containers: [container], ...(kind === 'Job' ? { restartPolicy: 'Never' } : {}) },
  };
  const selector = kind === 'Job' ? {} : { selector: { matchLabels: { app: name } } };
  const apiVersion = kind === 'Job' ? 'batch/v1' : 'apps/v1';
  return { apiVersion, kind, metadata: { name, namespace: 'agents' }, spec: { ...selector, template, ...rest } };
}

/** The pods of a workload, as soon as there are some that fit. */
async function podsOf(name: string, fits: (pod: Stored) => boolean = () => true): Promise<Stored[]> {
  let pods: Stored[] = [];
  const areThere = async (): Promise<boolean> => {
    const { items } = JSON.parse(await kubectl(['get', 'pods', '-n', 'agents', '-l', `app=${name}`, '-o', 'json']));
    pods = items.filter(fits);
    return pods.length > 0;
  };
  await waitFor(`pods of ${name}`, areThere, [controllers]);
  return pods;
}

describe('the pods of a controller', () => {
  const data = { metadata: { name: 'data' }, spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } } };

  beforeAll(async () => {
    // One for the DaemonSet; nothing runs there.
    await createAll({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'nowhere' } });
  });

  it.each([
    { kind: 'Deployment', maker: 'ReplicaSet', named: { generateName: expect.stringMatching(/^deployment-.*-$/) }, rest: {} },
    {
      kind: 'StatefulSet',
      maker: 'StatefulSet',
      named: { name: 'statefulset-0' },
      rest: { serviceName: 'statefulset', volumeClaimTemplates: [data] },
    },
    { kind: 'DaemonSet', maker: 'DaemonSet', named: { generateName: 'daemonset-' }, rest: {} },
    { kind: 'Job', maker: 'Job', named: { generateName: 'job-0-' }, rest: { completionMode: 'Indexed', completions: 1 } },
  ] as const)('$kind are stored under their supervisor', async ({ kind, maker, named, rest }) => {
    const name = kind.toLowerCase();
    const mounts = kind === 'StatefulSet' ? { volumeMounts: [{ name: 'data', mountPath: '/data' }] } : {};
    await createAll(workload(kind, name, agent(mounts), rest));
    const pods = await podsOf(name);
    expect(pods).toHaveLength(1);
    for (const pod of pods) {
      expect(pod.metadata.ownerReferences).toMatchObject([{ kind: maker }]);
      expect(containerOf(pod)).toMatchObject({ command: SUPERVISOR, args: ['--', 'agent'] });
      expect(isSideloaded(pod)).toBe(true);
    }
    expect(await logLines()).toContainEqual(expect.objectContaining({ ...named, reason: 'injected' }));
    // What only this controller adds.
    if (kind === 'StatefulSet')
      expect(pods[0]?.spec.volumes).toContainEqual({ name: 'data', persistentVolumeClaim: { claimName: 'data-statefulset-0' } });
    if (kind === 'Job') expect(containerOf(pods[0] ?? {}).env?.map((variable) => variable.name)).toContain('JOB_COMPLETION_INDEX');
  });

  it('CronJob are stored under their supervisor, by way of its Job', async () => {
    const job = workload('Job', 'cronjob', agent());
    const spec = { schedule: '0 0 1 1 *', jobTemplate: { spec: job.spec } };
    await createAll({ apiVersion: 'batch/v1', kind: 'CronJob', metadata: job.metadata, spec });
    await kubectl(['create', 'job', 'by-hand', '--from=cronjob/cronjob', '-n', 'agents']);
    expect((await podsOf('cronjob')).map((pod) => isSideloaded(pod))).toEqual([true]);
  });

  it.each([
    { kind: 'Deployment', maker: 'ReplicaSet', rest: {} },
    { kind: 'StatefulSet', maker: 'StatefulSet', rest: { serviceName: 'none' } },
    { kind: 'DaemonSet', maker: 'DaemonSet', rest: {} },
    { kind: 'Job', maker: 'Job', rest: {} },
  ] as const)('$kind that are refused are an event FailedCreate of the $maker, with our sentence', async ({ kind, maker, rest }) => {
    const name = `refused-${kind.toLowerCase()}`;
    await createAll(workload(kind, name, agent({ command: null, args: ['--port', '1'] }), rest));
    const messages = async (): Promise<string[]> => {
      const selector = `--field-selector=reason=FailedCreate,involvedObject.kind=${maker}`;
      const { items } = JSON.parse(await kubectl(['get', 'events', '-n', 'agents', selector, '-o', 'json']));
      const own = items.filter(({ involvedObject }: { involvedObject: { name: string } }) => involvedObject.name.startsWith(name));
      return own.map(({ message }: { message: string }) => message);
    };
    await waitFor(`an event of ${name}`, async () => (await messages()).length > 0, [controllers]);
    for (const message of await messages()) expect(message).toContain(NO_ENTRYPOINT);
    expect(await kubectl(['get', 'pods', '-n', 'agents', '-l', `app=${name}`, '-o', 'name'])).toBe('');
  });

  it('Deployment that are refused show in its condition ReplicaFailure too', async () => {
    const condition = `jsonpath={.status.conditions[?(@.type=="ReplicaFailure")].message}`;
    const read = (): Promise<string> => kubectl(['get', 'deployment', 'refused-deployment', '-n', 'agents', '-o', condition]);
    await waitFor('the condition', async () => (await read()) !== '', [controllers]);
    expect(await read()).toContain(NO_ENTRYPOINT);
  });
});

describe('kubectl run', () => {
  const SANDBOX = `--labels=${LABEL}=true`;
  const runPod = (name: string, ...args: string[]): Promise<KubectlResult> =>
    cluster.kubectl([
      'run',
      name,
      '--image=registry.example/agent:1',
      '-n',
      'agents',
      '--annotations=openshell.ai/policy=agent-policy',
      ...args,
    ]);

  it('without a label stores a pod as it is', async () => {
    expect((await runPod('run-plain', '--command', '--', 'agent')).code).toBe(0);
    expect(containerOf(await readPod('run-plain'), 'run-plain').command).toEqual(['agent']);
  });

  it('with the label and --command stores a sandbox', async () => {
    expect((await runPod('run-command', SANDBOX, '--command', '--', 'agent', '-x')).code).toBe(0);
    const pod = await readPod('run-command');
    expect(containerOf(pod, 'run-command')).toMatchObject({ command: SUPERVISOR, args: ['--', 'agent', '-x'] });
    expect(isSideloaded(pod)).toBe(true);
  });

  it('with the label alone stores a sandbox that starts the supervisor’s shell, and warns', async () => {
    expect((await runPod('run-image', SANDBOX)).stderr).toContain('Warning: container "run-image" has no command');
    const { command, args } = containerOf(await readPod('run-image'), 'run-image');
    expect([command, args]).toEqual([SUPERVISOR, undefined]);
  });

  it('with the label and words that are no --command is refused: they are args', async () => {
    const { code, stderr } = await runPod('run-args', SANDBOX, '--', 'agent');
    expect([code, stderr]).toEqual([1, expect.stringContaining(NO_ENTRYPOINT.replace('"agent"', '"run-args"'))]);
  });

  it('with --overrides stores what they ask for', async () => {
    const overrides = {
      metadata: { annotations: { ...method('init-container'), 'openshell.ai/policy': 'agent-policy' } },
      spec: { hostUsers: false },
    };
    await runPod('run-overrides', SANDBOX, `--overrides=${JSON.stringify(overrides)}`, '--command', '--', 'agent');
    const pod = await readPod('run-overrides');
    expect(installerOf(pod)).toBeDefined();
    expect(pod.spec.hostUsers).toBe(false);
    expect(isSideloaded(pod)).toBe(true);
  });

  it('with --dry-run=server prints the sandbox and stores nothing', async () => {
    const { stdout } = await runPod('run-dry', SANDBOX, '--dry-run=server', '-o', 'json', '--command', '--', 'agent');
    expect(isSideloaded(JSON.parse(stdout))).toBe(true);
    expect((await cluster.kubectl(['get', 'pod', 'run-dry', '-n', 'agents'])).stderr).toContain('NotFound');
  });
});

describe('kubectl debug', () => {
  const debug = (...args: string[]): Promise<string> => kubectl(['debug', 'debugged', '-n', 'agents', ...args]);
  const DEBUGGER = ['--image=registry.example/tools:1', '--container=tools'];
  const ALONE = '--share-processes=false';

  beforeAll(async () => {
    const { metadata, ...pod } = sandbox({ annotations: method('init-container') });
    await createAll({ apiVersion: 'v1', kind: 'Pod', ...pod, metadata: { ...metadata, name: 'debugged' } });
  });

  it('adds an ephemeral container outside the supervisor, and the webhook is not asked', async () => {
    await debug(...DEBUGGER, '--target=agent', '--', 'sh');
    const pod = await readPod('debugged');
    expect(pod.spec.ephemeralContainers).toMatchObject([{ name: 'tools', command: ['sh'], targetContainerName: 'agent' }]);
    expect(isSideloaded(pod)).toBe(true);
    expect(await answersFor(pod), 'when it was created').toEqual(['injected', 'already-sideloaded']);
  });

  it('copies the pod without labels: not ours any more, and stored with the supervisor that it had', async () => {
    await debug(...DEBUGGER, '--copy-to=copied', '--', 'sh');
    const pod = await readPod('copied');
    expect(pod.metadata.labels).toBeUndefined();
    expect(containerOf(pod)).toMatchObject({ command: SUPERVISOR, args: ['--', 'agent'] });
    expect(containerOf(pod, 'tools')).toMatchObject({ command: ['sh'] });
    expect(await answersFor(pod)).toEqual([]);
  });

  it('copies the pod with its labels: left unchanged, since it has its supervisor', async () => {
    await debug(...DEBUGGER, '--copy-to=copied-labels', '--keep-labels', ALONE, '--', 'sh');
    const pod = await readPod('copied-labels');
    expect(await answersFor(pod)).toEqual(['already-sideloaded']);
    expect(containerOf(pod)).toMatchObject({ command: SUPERVISOR, args: ['--', 'agent'] });
  });

  it('copies no pod with its labels into a shared PID namespace, in which the copy could replace the supervisor', async () => {
    await expect(debug(...DEBUGGER, '--copy-to=copied-shared', '--keep-labels', '--', 'sh')).rejects.toThrow(
      'container "tools" shares a PID namespace with the others (shareProcessNamespace)',
    );
  });

  it('copies the pod with its labels and another command: the supervisor starts that', async () => {
    await debug('--container=agent', '--copy-to=copied-command', '--keep-labels', '--', 'sh');
    const pod = await readPod('copied-command');
    expect(containerOf(pod)).toMatchObject({ command: SUPERVISOR, args: ['--', 'sh'] });
    expect(pod.spec.initContainers).toHaveLength(1);
    expect(isSideloaded(pod)).toBe(true);
  });

  it('copies the pod without labels and with another command: that runs with the supervisor’s rights, outside it', async () => {
    await debug('--container=agent', '--copy-to=copied-bare', '--', 'sh');
    const pod = await readPod('copied-bare');
    expect(containerOf(pod)).toMatchObject({ command: ['sh'], securityContext: { runAsUser: 0 } });
    expect(await answersFor(pod)).toEqual([]);
  });

  it('copies the pod with its labels and no init containers: the install container is added again', async () => {
    await debug(...DEBUGGER, '--copy-to=copied-init', '--keep-labels', '--keep-init-containers=false', ALONE, '--', 'sh');
    const pod = await readPod('copied-init');
    expect(pod.spec.initContainers?.map(({ name }) => name)).toEqual([INSTALL]);
    expect(isSideloaded(pod)).toBe(true);
    expect((await answersFor(pod))[0]).toBe('converged');
  });
});

describe('kubectl on what is there', () => {
  const manifest = JSON.stringify({ apiVersion: 'v1', kind: 'Pod', ...sandbox() });
  const onAgents = (...args: string[]): Promise<string> => kubectl([...args, '-n', 'agents']);
  const SPEC = ['-o', 'jsonpath={.spec}'];

  it('apply --server-side of a bare pod a second time is refused by the API server, replace --force stores a new sandbox', async () => {
    const apply = ['apply', '--server-side', '-f', '-'];
    await kubectl(apply, manifest);
    expect((await cluster.kubectl(apply, manifest)).stderr).toContain('pod updates may not change fields other than');
    const { uid } = (await readPod('sandbox')).metadata as { uid?: string };
    await kubectl(['replace', '--force', '-f', '-'], manifest);
    const pod = await readPod('sandbox');
    expect((pod.metadata as { uid?: string }).uid).not.toBe(uid);
    expect(isSideloaded(pod)).toBe(true);
  });

  it('annotate, label and set image on a sandbox change nothing of the supervisor, and the webhook is not asked', async () => {
    await createAll({ apiVersion: 'v1', kind: 'Pod', ...sandbox(), metadata: { ...sandbox().metadata, name: 'changed' } });
    await onAgents('annotate', 'pod', 'changed', 'openshell.ai/sideload-method=init-container');
    await onAgents('label', 'pod', 'changed', `${LABEL}=false`, '--overwrite');
    await onAgents('set', 'image', 'pod/changed', 'agent=registry.example/agent:2');
    const pod = await readPod('changed');
    expect(containerOf(pod)).toMatchObject({ image: 'registry.example/agent:2', command: SUPERVISOR, args: ['--', 'agent'] });
    expect(await answersFor(pod), 'when it was created').toEqual(['injected']);
  });

  it('label makes no sandbox of a pod that is there', async () => {
    const { metadata } = await stored(sandbox({ labels: {} }));
    const name = metadata.name ?? '';
    const before = await onAgents('get', 'pod', name, ...SPEC);
    await onAgents('label', 'pod', name, `${LABEL}=true`);
    expect(await onAgents('get', 'pod', name, ...SPEC)).toBe(before);
  });

  it('apply, diff, rollout restart and set image work on a Deployment as without the webhook', async () => {
    const deployment = JSON.stringify(workload('Deployment', 'updated', agent()));
    await kubectl(['apply', '-f', '-'], deployment);
    const [first] = await podsOf('updated');
    expect(await kubectl(['apply', '-f', '-'], deployment)).toBe('deployment.apps/updated unchanged\n');
    expect(await cluster.kubectl(['diff', '-f', '-'], deployment)).toMatchObject({ code: 0, stdout: '' });
    await onAgents('rollout', 'restart', 'deployment/updated');
    const restarted = await podsOf('updated', ({ metadata }) => 'kubectl.kubernetes.io/restartedAt' in (metadata.annotations ?? {}));
    await onAgents('set', 'image', 'deployment/updated', 'agent=registry.example/agent:2');
    const renewed = await podsOf('updated', (pod) => containerOf(pod).image === 'registry.example/agent:2');
    expect([first ?? {}, ...restarted, ...renewed].map((pod) => isSideloaded(pod))).toEqual([true, true, true]);
  });
});

describe('AlwaysPullImages, where the API server has it on', () => {
  beforeAll(async () => {
    await cluster.stopApiserver();
    await cluster.startApiserver({ release: '1.36', flags: ['--enable-admission-plugins=AlwaysPullImages'] });
  });

  it.each(METHODS)('runs once more after ours: the supervisor image is always pulled too, by method %s', async (by) => {
    const pod = await stored(sandbox({ annotations: method(by), spec: TOKENLESS }));
    const source = by === 'image-volume' ? pod.spec.volumes?.[0]?.image : installerOf(pod);
    expect(source).toMatchObject(by === 'image-volume' ? { pullPolicy: 'Always' } : { imagePullPolicy: 'Always' });
    expect(containerOf(pod)).toMatchObject({ imagePullPolicy: 'Always' });
    expect(isSideloaded(pod)).toBe(true);
    expect(await answersFor(pod)).toEqual(['injected', 'already-sideloaded']);
  });
});
