import { describe, expect, it } from 'vitest';
import { readConfig } from '../src/config.ts';
import { decide } from '../src/sideload/decide.ts';
import { type Inject, type Outcome, REFUSALS, type RefuseReason } from '../src/sideload/outcome.ts';
import type { Container, Pod } from '../src/sideload/pod.ts';
import { type ClusterFacts, UNKNOWN_CLUSTER } from '../src/sideload/settings.ts';
import { agent, EMPTY_DIR, IMAGE_VOLUME, INSTALLER, LAUNCHED, sandbox } from './pods.ts';

function outcomeOf(pod: Pod, flags: readonly string[] = [], facts: ClusterFacts = UNKNOWN_CLUSTER): Outcome {
  return decide(pod, readConfig(flags, {}).sideload, facts);
}

function inject(pod: Pod, flags: readonly string[] = [], facts?: ClusterFacts): Inject {
  const outcome = outcomeOf(pod, flags, facts);
  if (outcome.verdict !== 'inject') throw new Error(`not injected: ${JSON.stringify(outcome)}`);
  return outcome;
}

const DROPPING: ClusterFacts = { imageVolumes: 'dropped', serverVersion: 'v1.34.4', everyNodeMountsImages: false };
const KEEPING: ClusterFacts = { imageVolumes: 'kept', serverVersion: 'v1.36.3', everyNodeMountsImages: true };
const ANY_METHOD = ['--allowed-sideload-methods=image-volume,init-container,host-path'];

const method = (value: string) => ({ 'openshell.ai/sideload-method': value });
const mount = (mountPath: string, rest: object = {}) => ({ name: 'data', mountPath, ...rest });
const emptyData = { name: 'data', emptyDir: {} };
/** A complete sideload with an emptyDir, in which one thing is different. */
const installed = (parts: { container?: Partial<Container>; installer?: Partial<Container>; others?: Container[] }): Pod =>
  sandbox({
    spec: {
      volumes: [EMPTY_DIR],
      initContainers: [{ ...INSTALLER, ...parts.installer }],
      containers: [agent({ ...LAUNCHED, ...parts.container }), ...(parts.others ?? [])],
    },
  });

interface Refusal {
  readonly why: string;
  readonly reason: RefuseReason;
  readonly pod: Pod;
  readonly flags?: readonly string[];
  readonly facts?: ClusterFacts;
  /** A part of the sentence that tells what to change. */
  readonly says: string;
}

const refusals: Refusal[] = [
  {
    why: 'a typo in the label',
    reason: 'unknown-label-value',
    pod: sandbox({ labels: { 'openshell.ai/sandbox': 'True' } }),
    says: 'is "True": set it to "true"',
  },
  { why: 'an empty label', reason: 'unknown-label-value', pod: sandbox({ labels: { 'openshell.ai/sandbox': '' } }), says: 'is ""' },
  {
    why: 'a typo in the label beside managed-by',
    reason: 'unknown-label-value',
    pod: sandbox({ labels: { 'openshell.ai/sandbox': 'yes', 'openshell.ai/managed-by': 'openshell' } }),
    says: 'is "yes"',
  },
  {
    why: 'an unknown method',
    reason: 'unknown-method',
    pod: sandbox({ annotations: method('imagevolume') }),
    says: 'is "imagevolume": set it to image-volume, init-container, host-path',
  },
  { why: 'an empty method', reason: 'unknown-method', pod: sandbox({ annotations: method('') }), says: 'is ""' },
  {
    why: 'host-path where it is not allowed',
    reason: 'method-not-allowed',
    pod: sandbox({ annotations: method('host-path') }),
    says: 'to image-volume or init-container',
  },
  {
    why: 'the operator allows one method only',
    reason: 'method-not-allowed',
    pod: sandbox({ annotations: method('image-volume') }),
    flags: ['--allowed-sideload-methods=init-container', '--supervisor-sideload-method=init-container'],
    says: 'to init-container',
  },
  {
    why: 'a whole host-path sideload where host-path is not allowed',
    reason: 'method-not-allowed',
    pod: sandbox({
      spec: { volumes: [{ name: 'openshell-supervisor-bin', hostPath: { path: '/opt/openshell/bin' } }], containers: [agent(LAUNCHED)] },
    }),
    says: 'host-path is not allowed',
  },
  {
    why: 'an API server that drops image volumes',
    reason: 'image-volume-dropped',
    pod: sandbox(),
    facts: DROPPING,
    says: 'v1.34.4 drops image volumes (feature gate ImageVolume is off)',
  },
  {
    why: "a driver's image volume on an API server that drops it",
    reason: 'image-volume-dropped',
    pod: sandbox({ spec: { volumes: [IMAGE_VOLUME], containers: [agent(LAUNCHED)] } }),
    facts: DROPPING,
    says: 'set annotation openshell.ai/sideload-method to init-container',
  },
  { why: 'a Windows pod by os', reason: 'windows-pod', pod: sandbox({ spec: { os: { name: 'windows' } } }), says: 'on Linux' },
  {
    why: 'a Windows pod by node selector',
    reason: 'windows-pod',
    pod: sandbox({ spec: { nodeSelector: { 'kubernetes.io/os': 'windows' } } }),
    says: 'on Linux',
  },
  { why: 'no containers', reason: 'no-containers', pod: sandbox({ spec: { containers: null } }), says: 'spec.containers is empty' },
  {
    why: 'no spec',
    reason: 'no-containers',
    pod: { metadata: { labels: { 'openshell.ai/sandbox': 'true' } } },
    says: 'spec.containers is empty',
  },
  {
    why: 'a container that is not there',
    reason: 'container-not-found',
    pod: sandbox({ annotations: { 'openshell.ai/sandbox-container': 'worker' } }),
    says: 'name one of "agent"',
  },
  {
    why: 'an init container named as the sandbox container',
    reason: 'container-not-found',
    pod: sandbox({ annotations: { 'openshell.ai/sandbox-container': 'fetch' }, spec: { initContainers: [{ name: 'fetch' }] } }),
    says: 'is "fetch", which spec.containers does not have',
  },
  {
    why: 'args without a command',
    reason: 'args-without-command',
    pod: sandbox({ spec: { containers: [agent({ command: null, args: ['--port', '1'] })] } }),
    says: 'set command',
  },
  {
    why: 'args that start with -- but no sideload beside',
    reason: 'args-without-command',
    pod: sandbox({ spec: { containers: [agent({ command: [], args: ['--', 'x'] })] } }),
    says: 'set command',
  },
  {
    why: 'no command where the operator requires one',
    reason: 'missing-command',
    pod: sandbox({ spec: { containers: [agent({ command: null })] } }),
    flags: ['--missing-command=refuse'],
    says: 'set command or OPENSHELL_MAIN_PROCESS_SPEC',
  },
  {
    why: 'a user id beyond 2^31',
    reason: 'invalid-identity',
    pod: sandbox({ spec: { containers: [agent({ securityContext: { runAsUser: 2 ** 31 } })] } }),
    says: 'runAsUser is 2147483648: set an id from 0 to 2147483647',
  },
  {
    why: 'a negative group id',
    reason: 'invalid-identity',
    pod: sandbox({ spec: { securityContext: { runAsGroup: -1 } } }),
    says: 'runAsGroup is -1',
  },
  {
    why: "a volume of the supervisor's name with another source",
    reason: 'volume-name-taken',
    pod: sandbox({ spec: { volumes: [{ name: 'openshell-supervisor-bin' }] } }),
    says: 'rename the volume',
  },
  {
    why: "a host path of the supervisor's name elsewhere on the node",
    reason: 'volume-name-taken',
    pod: sandbox({ spec: { volumes: [{ name: 'openshell-supervisor-bin', hostPath: { path: '/tmp/evil' } }] } }),
    flags: ANY_METHOD,
    says: 'rename the volume',
  },
  {
    why: 'a volume that belongs to another method than the annotation',
    reason: 'volume-name-taken',
    pod: sandbox({ annotations: method('init-container'), spec: { volumes: [IMAGE_VOLUME] } }),
    says: 'belongs to method image-volume, annotation openshell.ai/sideload-method says init-container',
  },
  ...[
    '/opt/openshell/bin',
    '/opt/openshell/bin/',
    '//opt/./openshell/bin/x',
    '/opt/openshell',
    '/opt',
    '/',
    'opt/openshell/bin',
    '/opt/openshell/bin/openshell-sandbox',
  ].map(
    (path): Refusal => ({
      why: `a mount at ${path}`,
      reason: 'mount-path-taken',
      pod: sandbox({ spec: { volumes: [emptyData], containers: [agent({ volumeMounts: [mount(path)] })] } }),
      says: '/opt/openshell/bin',
    }),
  ),
  {
    why: 'a mount of our volume by subPath',
    reason: 'mount-path-taken',
    pod: sandbox({
      spec: {
        volumes: [IMAGE_VOLUME],
        containers: [agent({ ...LAUNCHED, volumeMounts: [{ ...LAUNCHED.volumeMounts[0], subPath: 'evil' }] })],
      },
    }),
    says: 'move it',
  },
  {
    why: 'a file mounted over the binary of a complete sideload',
    reason: 'mount-path-taken',
    pod: sandbox({
      spec: {
        volumes: [IMAGE_VOLUME, emptyData],
        containers: [agent({ ...LAUNCHED, volumeMounts: [...LAUNCHED.volumeMounts, mount('/opt/openshell/bin/openshell-sandbox')] })],
      },
    }),
    says: 'move it',
  },
  {
    why: 'a block device over the binary',
    reason: 'mount-path-taken',
    pod: sandbox({ spec: { containers: [agent({ volumeDevices: [{ devicePath: '/opt/openshell/bin/openshell-sandbox' }] })] } }),
    says: 'a volume device',
  },
  {
    why: 'a termination message file over the binary',
    reason: 'mount-path-taken',
    pod: sandbox({ spec: { containers: [agent({ terminationMessagePath: '/opt/openshell/bin/openshell-sandbox' })] } }),
    says: 'terminationMessagePath',
  },
  {
    why: 'a mount at the path whose volume is missing',
    reason: 'mount-path-taken',
    pod: sandbox({ spec: { containers: [agent({ volumeMounts: [mount('/opt/openshell/bin', { readOnly: true })] })] } }),
    says: 'holds no supervisor',
  },
  {
    why: 'a config map at the path, launched as the supervisor',
    reason: 'mount-path-taken',
    pod: sandbox({
      spec: {
        volumes: [{ name: 'data' }],
        containers: [agent({ ...LAUNCHED, volumeMounts: [mount('/opt/openshell/bin', { readOnly: true })] })],
      },
    }),
    says: 'holds no supervisor',
  },
  {
    why: 'an init container of the install name that does something else',
    reason: 'init-container-name-taken',
    pod: sandbox({
      annotations: method('init-container'),
      spec: { initContainers: [{ name: 'openshell-supervisor-install', command: ['true'] }] },
    }),
    says: 'rename it',
  },
  {
    why: 'a container of the install name',
    reason: 'init-container-name-taken',
    pod: sandbox({
      annotations: method('init-container'),
      spec: { containers: [agent(), agent({ name: 'openshell-supervisor-install' })] },
    }),
    says: 'rename it',
  },
  {
    why: 'a sidecar that waits for the supervisor volume to come',
    reason: 'supervisor-volume-shared',
    pod: sandbox({
      spec: { containers: [agent(), agent({ name: 'spy', volumeMounts: [{ name: 'openshell-supervisor-bin', mountPath: '/x' }] })] },
    }),
    says: 'container "spy" mounts the supervisor\'s volume',
  },
  {
    why: 'a sidecar that can write into a complete sideload',
    reason: 'supervisor-volume-shared',
    pod: installed({ others: [agent({ name: 'spy', volumeMounts: [{ name: 'openshell-supervisor-bin', mountPath: '/x' }] })] }),
    says: 'readOnly: true',
  },
  {
    why: 'a second, writable mount in the sandbox container',
    reason: 'supervisor-volume-shared',
    pod: installed({ container: { volumeMounts: [...LAUNCHED.volumeMounts, { name: 'openshell-supervisor-bin', mountPath: '/x' }] } }),
    says: 'container "agent"',
  },
  {
    why: 'a trusted image that runs something else as installer',
    reason: 'supervisor-volume-shared',
    pod: installed({ installer: { command: ['sh', '-c', 'fetch evil'] } }),
    says: 'could replace the supervisor',
  },
  {
    why: 'an installer that keeps running',
    reason: 'supervisor-volume-shared',
    pod: installed({ installer: { restartPolicy: 'Always' } }),
    says: 'could replace the supervisor',
  },
  {
    why: "an installer whose binary is hidden by the user's file",
    reason: 'supervisor-volume-shared',
    pod: installed({ installer: { volumeMounts: [...(INSTALLER.volumeMounts ?? []), mount('/openshell-sandbox')] } }),
    says: 'could replace the supervisor',
  },
  {
    why: 'an installer from an untrusted image',
    reason: 'untrusted-supervisor',
    pod: installed({ installer: { image: 'ghcr.io/evil/supervisor:1' } }),
    says: '"ghcr.io/evil/supervisor:1", which is not trusted',
  },
  {
    why: 'an image volume of an untrusted image',
    reason: 'untrusted-supervisor',
    pod: sandbox({
      spec: {
        volumes: [{ ...IMAGE_VOLUME, image: { reference: 'ghcr.io/nvidia/openshell/supervisor-evil:1' } }],
        containers: [agent(LAUNCHED)],
      },
    }),
    says: 'which is not trusted',
  },
  {
    why: 'an image volume of an untrusted image, not launched',
    reason: 'untrusted-supervisor',
    pod: sandbox({ spec: { volumes: [{ ...IMAGE_VOLUME, image: { reference: 'evil' } }] } }),
    says: '"evil"',
  },
  {
    why: 'a process-only supervisor alone',
    reason: 'incomplete-sidecar-topology',
    pod: sandbox({
      spec: { volumes: [IMAGE_VOLUME], containers: [agent({ ...LAUNCHED, command: [LAUNCHED.command[0], '--mode=process', '--', 'x'] })] },
    }),
    says: 'without a trusted network supervisor',
  },
  {
    why: 'a process-only supervisor by two words, in args',
    reason: 'incomplete-sidecar-topology',
    pod: sandbox({ spec: { volumes: [IMAGE_VOLUME], containers: [agent({ ...LAUNCHED, args: ['--mode', 'process', '--', 'x'] })] } }),
    says: 'remove --mode',
  },
  {
    why: 'a network-only supervisor as the sandbox',
    reason: 'incomplete-sidecar-topology',
    pod: sandbox({ spec: { volumes: [IMAGE_VOLUME], containers: [agent({ ...LAUNCHED, args: ['--mode=network'] })] } }),
    says: 'remove --mode',
  },
];

describe('a pod is refused with a sentence that says what to change', () => {
  it.each(refusals)('$reason: $why', ({ pod, flags, facts, reason, says }) => {
    const outcome = outcomeOf(pod, flags, facts);
    expect(outcome).toMatchObject({ verdict: 'refuse', reason, message: expect.stringContaining(says) });
  });

  it('for every reason there is', () => {
    expect(new Set(refusals.map(({ reason }) => reason))).toEqual(new Set(Object.keys(REFUSALS)));
  });

  it.each(refusals)('below 256 characters, whatever the names: $reason, $why', ({ pod, flags, facts }) => {
    const stretched = JSON.parse(
      JSON.stringify(pod).replaceAll(/"(agent|spy|data|worker|fetch|imagevolume|True|evil)"/g, (_, word) => `"${`${word}-`.repeat(60)}"`),
    ) as Pod;
    const outcome = outcomeOf(stretched, flags, facts);
    expect(outcome.verdict).toBe('refuse');
    if (outcome.verdict === 'refuse') expect(outcome.message.length, outcome.message).toBeLessThan(256);
  });
});

describe('a pod is left alone', () => {
  const marked = { 'openshell.ai/sideloaded': 'image-volume' };
  it.each([
    { why: 'without labels', pod: sandbox({ labels: {} }), reason: 'not-labelled' },
    { why: 'managed by something else', pod: sandbox({ labels: { 'openshell.ai/managed-by': 'helm' } }), reason: 'not-labelled' },
    {
      why: 'that opted out',
      pod: sandbox({ labels: { 'openshell.ai/sandbox': 'false', 'openshell.ai/managed-by': 'openshell' } }),
      reason: 'opted-out',
    },
    { why: 'that mirrors a static pod', pod: sandbox({ annotations: { 'kubernetes.io/config.mirror': 'x' } }), reason: 'mirror-pod' },
    {
      why: 'that is complete with an image volume',
      pod: sandbox({ spec: { volumes: [IMAGE_VOLUME], containers: [agent(LAUNCHED)] } }),
      reason: 'already-sideloaded',
    },
    { why: 'that is complete with an init container', pod: installed({}), reason: 'already-sideloaded' },
    {
      why: 'that is complete with an init container, although the operator allows image volumes only',
      pod: installed({}),
      flags: ['--allowed-sideload-methods=image-volume'],
      reason: 'already-sideloaded',
    },
    {
      why: 'that is complete with an allowed host path',
      pod: sandbox({
        spec: { volumes: [{ name: 'openshell-supervisor-bin', hostPath: { path: '/opt/openshell/bin/' } }], containers: [agent(LAUNCHED)] },
      }),
      flags: ANY_METHOD,
      reason: 'already-sideloaded',
    },
    {
      why: 'whose trusted image is pinned by digest on a registry with a port',
      pod: sandbox({
        spec: {
          volumes: [{ ...IMAGE_VOLUME, image: { reference: `mirror.example:5000/supervisor:1@sha256:${'a'.repeat(64)}` } }],
          containers: [agent(LAUNCHED)],
        },
      }),
      flags: ['--trusted-supervisor-images=mirror.example:5000/supervisor'],
      reason: 'already-sideloaded',
    },
  ])('$why', ({ pod, flags, reason }) => {
    expect(outcomeOf(pod, flags)).toEqual({ verdict: 'skip', reason });
  });

  it('but not for a marker: an annotation proves nothing', () => {
    expect(inject(sandbox({ annotations: marked })).reason).toBe('injected');
  });

  it('but not for a program that only lies under the mount path', () => {
    const pod = sandbox({ spec: { containers: [agent({ command: ['/opt/openshell/bin/evil'] })] } });
    expect(inject(pod).operations).toContainEqual({ op: 'add', path: '/spec/containers/0/args', value: ['--', '/opt/openshell/bin/evil'] });
  });
});

describe('the method', () => {
  const auto = ['--supervisor-sideload-method=auto'];
  it.each([
    { why: 'is the operator’s', flags: ['--supervisor-sideload-method=init-container'], expected: 'init-container' },
    { why: 'is the annotation’s before the operator’s', annotations: method('init-container'), expected: 'init-container' },
    { why: 'auto is an image volume where the whole cluster takes them', flags: auto, facts: KEEPING, expected: 'image-volume' },
    {
      why: 'auto is an init container where a node may not',
      flags: auto,
      facts: { ...KEEPING, everyNodeMountsImages: false },
      expected: 'init-container',
    },
    { why: 'auto is an init container where the API server drops them', flags: auto, facts: DROPPING, expected: 'init-container' },
    { why: 'auto is an init container where nothing is known', flags: auto, expected: 'init-container' },
  ])('$why', ({ annotations, flags, facts, expected }) => {
    expect(inject(sandbox(annotations ? { annotations } : {}), flags, facts).method).toBe(expected);
  });
});

describe('the sandbox container', () => {
  const containers = [agent({ name: 'mesh' }), agent({ name: 'agent' }), agent({ name: 'main' })];
  it.each([
    { why: 'is the annotated one', annotations: { 'openshell.ai/sandbox-container': 'main' }, containers, expected: 'main' },
    { why: 'is the one named agent', containers, expected: 'agent' },
    { why: 'is the first where none is named agent', containers: [containers[0], containers[2]], expected: 'mesh' },
    {
      why: 'is the one that bears a supervisor already',
      containers: [containers[0], containers[1], agent({ ...LAUNCHED, name: 'main' })],
      expected: 'main',
    },
  ])('$why', ({ annotations, containers: list, expected }) => {
    const pod = sandbox({ ...(annotations ? { annotations } : {}), spec: { containers: list as Container[] } });
    expect(inject(pod).container).toBe(expected);
  });
});

describe('warnings', () => {
  it.each([
    { why: 'none for a pod that brings all', container: {}, codes: [] },
    { why: 'no command', container: { command: null }, codes: ['no-command'] },
    {
      why: 'no command, but the main process is specified',
      container: { command: null, env: [{ name: 'OPENSHELL_MAIN_PROCESS_SPEC', value: '{}' }] },
      codes: ['no-policy-source'],
    },
    { why: 'half a policy source', container: { env: [{ name: 'OPENSHELL_SANDBOX_ID', value: '1' }] }, codes: ['no-policy-source'] },
    { why: 'rules without data', container: { env: [{ name: 'OPENSHELL_POLICY_RULES', value: '1' }] }, codes: ['no-policy-source'] },
    { why: 'nothing where envFrom may bring it', container: { command: null, env: null, envFrom: [{}] }, codes: [] },
    { why: 'an exec probe', container: { startupProbe: { exec: {} } }, codes: ['hooks-outside'] },
    { why: 'an exec hook', container: { lifecycle: { postStart: { exec: {} } } }, codes: ['hooks-outside'] },
    { why: 'no exec in a probe', container: { livenessProbe: {} }, codes: [] },
  ])('$why', ({ container, codes }) => {
    expect(inject(sandbox({ spec: { containers: [agent(container)] } })).warnings.map(({ code }) => code)).toEqual(codes);
  });

  it('name the containers that stay outside, native sidecars too, init containers not', () => {
    const initContainers = [{ name: 'fetch' }, { name: 'mesh', restartPolicy: 'Always' }];
    const [warning] = inject(sandbox({ spec: { initContainers, containers: [agent(), agent({ name: 'logs' })] } })).warnings;
    expect(warning).toEqual({
      code: 'containers-outside',
      message: 'only container "agent" runs under the supervisor; "logs", "mesh" stay outside',
    });
  });

  it('stay below 256 characters with the longest names', () => {
    const name = 'n'.repeat(63);
    const exec = { exec: {} };
    const everything = agent({
      name,
      command: null,
      env: null,
      livenessProbe: exec,
      readinessProbe: exec,
      startupProbe: exec,
      lifecycle: { postStart: exec, preStop: exec },
    });
    const others = Array.from({ length: 9 }, (_, i) => agent({ name: `${i}${'o'.repeat(62)}` }));
    const { warnings } = inject(
      sandbox({ annotations: { 'openshell.ai/sandbox-container': name }, spec: { containers: [everything, ...others] } }),
    );
    expect(warnings.map(({ code }) => code)).toEqual(['no-command', 'no-policy-source', 'hooks-outside', 'containers-outside']);
    for (const { message } of warnings) expect(message.length, message).toBeLessThan(256);
  });
});
