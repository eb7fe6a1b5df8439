import type { RefuseReason } from '../src/sideload/outcome.ts';
import type { Container, Pod, PodSpec, Volume } from '../src/sideload/pod.ts';
import type { ClusterFacts } from '../src/sideload/settings.ts';
import { agent, EMPTY_DIR, IMAGE_VOLUME, INSTALLER, LAUNCHED, sandbox } from './pods.ts';

export const DROPPING: ClusterFacts = { imageVolumes: 'dropped', serverVersion: 'v1.34.4', nodes: undefined };
export const ANY_METHOD = ['--allowed-sideload-methods=image-volume,init-container,host-path'];

export const method = (value: string) => ({ 'openshell.ai/sideload-method': value });
const policy = (name: string) => ({ 'openshell.ai/policy': name });
/** The operator's policy, for every pod. */
export const ENFORCED = [`--policy=image:registry.example/policy@sha256:${'a'.repeat(64)}`, '--policy-mode=enforced'];
/** All that a gateway needs but its token. */
const GATEWAY = [
  { name: 'OPENSHELL_SANDBOX_ID', value: 'sb-1' },
  { name: 'OPENSHELL_ENDPOINT', value: 'https://gateway:8080' },
  { name: 'OPENSHELL_TLS_CA', value: '/tls/ca.crt' },
  { name: 'OPENSHELL_TLS_CERT', value: '/tls/tls.crt' },
  { name: 'OPENSHELL_TLS_KEY', value: '/tls/tls.key' },
];
const mount = (mountPath: string, rest: object = {}) => ({ name: 'data', mountPath, ...rest });
const emptyData = { name: 'data', emptyDir: {} };
const configMap = { name: 'openshell-supervisor-bin', configMap: { name: 'x' } } as Volume;
/** A complete sideload with an emptyDir, in which one thing is different. */
export const installed = (parts: { container?: Partial<Container>; installer?: Partial<Container>; others?: Container[] }): Pod =>
  sandbox({
    spec: {
      volumes: [EMPTY_DIR],
      initContainers: [{ ...INSTALLER, ...parts.installer }],
      containers: [agent({ ...LAUNCHED, ...parts.container }), ...(parts.others ?? [])],
    },
  });

const NETWORK_INIT =
  '/openshell-sandbox --mode=network-init --proxy-uid 0 --proxy-gid 10001 --sidecar-state-dir /s --sidecar-tls-dir /t'.split(' ');
const helpInPlaceOf = (index: number): string[] => NETWORK_INIT.with(index, '--help');

/** The driver's sidecar topology, in which one thing is different. */
export const sidecarTopology = (init: Partial<Container> = {}, bound: Partial<Container> = {}, network: Partial<Container> = {}): Pod =>
  sandbox({
    spec: {
      volumes: [IMAGE_VOLUME],
      initContainers: [
        {
          name: 'openshell-network-init',
          image: 'ghcr.io/nvidia/openshell/supervisor:1',
          command: NETWORK_INIT,
          ...init,
        },
      ],
      containers: [
        agent({
          ...LAUNCHED,
          command: [LAUNCHED.command[0], '--mode=process'],
          securityContext: { runAsUser: 10001, allowPrivilegeEscalation: false },
          ...bound,
        }),
        {
          name: 'openshell-supervisor-network',
          image: 'ghcr.io/nvidia/openshell/supervisor:1',
          command: ['/openshell-sandbox', '--mode=network', '--upstream-proxy', 'http://proxy:3128'],
          securityContext: { runAsUser: 0 },
          ...network,
        },
      ],
    },
  });

export interface Refusal {
  readonly why: string;
  readonly reason: RefuseReason;
  readonly pod: Pod;
  readonly flags?: readonly string[];
  readonly facts?: ClusterFacts;
  /** A part of the sentence that tells what to change. */
  readonly says: string;
}

/** Pods that are refused, each with a part of the sentence: at least one for every reason code. */
export const REFUSED_PODS: readonly Refusal[] = [
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
    says: 'v1.34.4 drops image volumes (feature gate ImageVolume is off), the supervisor would be missing: set annotation openshell.ai/sideload-method to init-container',
  },
  {
    why: 'an API server that drops image volumes, and no other method allowed',
    reason: 'image-volume-dropped',
    pod: sandbox(),
    flags: ['--allowed-sideload-methods=image-volume'],
    facts: DROPPING,
    says: 'the operator has to allow method init-container',
  },
  {
    why: "a driver's image volume on an API server that drops it",
    reason: 'image-volume-dropped',
    pod: sandbox({ spec: { volumes: [IMAGE_VOLUME], containers: [agent(LAUNCHED)] } }),
    facts: DROPPING,
    says: 'an init container has to fill volume "openshell-supervisor-bin" instead',
  },
  { why: 'a Windows pod by os', reason: 'windows-pod', pod: sandbox({ spec: { os: { name: 'windows' } } }), says: 'on Linux' },
  {
    why: 'a Windows pod by node selector',
    reason: 'windows-pod',
    pod: sandbox({ spec: { nodeSelector: { 'kubernetes.io/os': 'windows' } } }),
    says: 'on Linux',
  },
  {
    why: 'a container that is a process of a Windows host',
    reason: 'windows-pod',
    pod: sandbox({
      spec: { hostNetwork: true, containers: [agent({ securityContext: { windowsOptions: { hostProcess: true } } })] } as Partial<PodSpec>,
    }),
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
    pod: sandbox({ spec: { volumes: [configMap] } }),
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
        volumes: [{ ...configMap, name: 'data' }],
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
      annotations: method('init-container'),
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
    says: 'does more than copy the supervisor',
  },
  {
    why: 'an installer that keeps running',
    reason: 'supervisor-volume-shared',
    pod: installed({ installer: { restartPolicy: 'Always' } }),
    says: 'does more than copy the supervisor',
  },
  {
    why: "an installer whose binary is hidden by the user's file",
    reason: 'supervisor-volume-shared',
    pod: installed({ installer: { volumeMounts: [...(INSTALLER.volumeMounts ?? []), mount('/openshell-sandbox')] } }),
    says: 'does more than copy the supervisor',
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
    says: 'no trusted network supervisor',
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
  {
    why: 'a mode that a kubelet would expand',
    reason: 'incomplete-sidecar-topology',
    pod: sandbox({
      spec: {
        volumes: [IMAGE_VOLUME],
        containers: [
          agent({ ...LAUNCHED, command: [LAUNCHED.command[0], '$(M)', '--', 'x'], env: [{ name: 'M', value: '--mode=process' }] }),
        ],
      },
    }),
    says: 'remove --mode and $(...)',
  },
  ...(
    [
      { why: 'whose init container prints its help', init: { command: ['/openshell-sandbox', '--mode=network-init', '--help'] } },
      { why: 'whose network rules let the agent through', agent: { securityContext: { runAsUser: 0, allowPrivilegeEscalation: false } } },
      { why: 'whose agent may become root', agent: { securityContext: { runAsUser: 10001 } } },
      {
        why: 'whose agent has capabilities',
        agent: { securityContext: { runAsUser: 10001, allowPrivilegeEscalation: false, capabilities: { add: ['NET_ADMIN'] } } },
      },
      { why: 'whose init container is for another user', init: { env: [{ name: 'OPENSHELL_PROXY_UID', value: '10001' }] } },
      { why: 'whose network supervisor prints its help', network: { command: ['/openshell-sandbox', '--mode=network', '--help'] } },
      {
        why: 'whose network supervisor is told by a variable to print its help',
        network: { command: ['/openshell-sandbox', '--mode=network', '$(X)'], env: [{ name: 'X', value: '--help' }] },
      },
      { why: 'whose init container prints its help in place of a group', init: { command: helpInPlaceOf(5) } },
      { why: 'whose init container prints its help in place of a folder', init: { command: helpInPlaceOf(9) } },
      { why: 'whose network supervisor is another image', network: { image: 'evil' } },
      { why: 'without its init container', init: { name: 'other' } },
    ] as { why: string; init?: Partial<Container>; agent?: Partial<Container>; network?: Partial<Container> }[]
  ).map(
    ({ why, init, agent: bound, network }): Refusal => ({
      why: `a sidecar topology ${why}`,
      reason: 'incomplete-sidecar-topology',
      pod: sidecarTopology(init, bound, network),
      says: "as OpenShell's driver makes it",
    }),
  ),
  {
    why: 'an installer whose cp is looked up elsewhere',
    reason: 'supervisor-volume-shared',
    pod: installed({
      installer: { command: ['cp', '/usr/local/bin/openshell-sandbox', '/opt/openshell/bin/'], env: [{ name: 'PATH', value: '/x' }] },
    }),
    says: 'does more than copy the supervisor',
  },
  {
    why: 'an installer with a preloaded library',
    reason: 'supervisor-volume-shared',
    pod: installed({ installer: { env: [{ name: 'LD_PRELOAD', value: '/x/e.so' }] } }),
    says: 'does more than copy the supervisor',
  },
  {
    why: "another view of the node's directory, writable",
    reason: 'supervisor-volume-shared',
    pod: sandbox({
      annotations: method('host-path'),
      spec: {
        volumes: [{ name: 'data', hostPath: { path: '/opt/openshell' } }],
        containers: [agent(), agent({ name: 'spy', volumeMounts: [mount('/x')] })],
      },
    }),
    flags: ANY_METHOD,
    says: 'container "spy"',
  },
  {
    why: "a pod in the node's network",
    reason: 'host-network',
    pod: sandbox({ spec: { hostNetwork: true } }),
    says: 'remove hostNetwork',
  },
  ...[
    { why: 'its own policy', words: ['--policy-rules', '/tmp/mine.rego'] },
    { why: 'its own proxy', words: ['--upstream-proxy=http://evil:3128'] },
    { why: 'to print its help', words: ['--help'] },
    { why: 'to copy itself', words: ['copy-self', '/sandbox/x'] },
    { why: 'a second working directory', words: ['--workdir', '/'] },
    { why: 'a working directory in one word', words: ['--workdir=/'] },
    { why: 'both modes', words: ['--mode=network,process'] },
    { why: 'a program without --', words: ['agent'] },
  ].map(
    ({ why, words }): Refusal => ({
      why: `a complete supervisor that is told ${why}`,
      reason: 'supervisor-options',
      pod: sandbox({
        spec: {
          volumes: [IMAGE_VOLUME],
          containers: [agent({ ...LAUNCHED, command: [...LAUNCHED.command, ...words], args: ['--', 'x'] })],
        },
      }),
      says: 'its options are the operator',
    }),
  ),
  {
    why: "other proxy arguments than the operator's",
    reason: 'supervisor-options',
    pod: sandbox({
      spec: {
        volumes: [IMAGE_VOLUME],
        containers: [agent({ ...LAUNCHED, command: [...LAUNCHED.command, '--upstream-proxy=http://evil:1'] })],
      },
    }),
    flags: ['--supervisor-arg=--upstream-proxy=http://proxy:3128'],
    says: 'write only your program as command',
  },
  ...['', 'Agent', 'a_b', 'a/b', `${'a'.repeat(254)}`].map(
    (name): Refusal => ({
      why: `a policy annotation that names no ConfigMap: ${JSON.stringify(name).slice(0, 12)}`,
      reason: 'invalid-policy',
      pod: sandbox({ annotations: policy(name) }),
      says: 'set it to the name of a ConfigMap with the key policy.yaml',
    }),
  ),
  {
    why: 'a policy and a gateway',
    reason: 'policy-conflict',
    pod: sandbox({ annotations: policy('agent-policy'), spec: { containers: [agent({ env: GATEWAY })] } }),
    says: 'remove one of them',
  },
  {
    why: 'an annotation where the policy is enforced',
    reason: 'policy-not-allowed',
    pod: sandbox({ annotations: policy('agent-policy') }),
    flags: ENFORCED,
    says: 'remove the annotation',
  },
  {
    why: 'a supervisor of its own with another policy, where the policy is enforced',
    reason: 'policy-bypassed',
    pod: sandbox({ spec: { volumes: [IMAGE_VOLUME], containers: [agent(LAUNCHED)] } }),
    flags: ENFORCED,
    says: 'arrives with a supervisor that has another policy',
  },
  {
    why: "other options than the operator's, where the policy is enforced",
    reason: 'policy-bypassed',
    pod: sandbox({
      spec: { volumes: [IMAGE_VOLUME], containers: [agent({ ...LAUNCHED, command: [...LAUNCHED.command, '--policy-data', '/x'] })] },
    }),
    flags: ENFORCED,
    says: "other options than the operator's",
  },
  {
    why: 'a sidecar topology, where the policy is enforced',
    reason: 'policy-bypassed',
    pod: sidecarTopology(),
    flags: ENFORCED,
    says: 'gets its policy from a gateway',
  },
  ...['OPENSHELL_INFERENCE_ROUTES', 'OPENSHELL_ENDPOINT', 'OPENSHELL_TLS_CA', 'OPENSHELL_GATEWAY_TLS_SERVER_NAME'].map(
    (name): Refusal => ({
      why: `a pod that sets ${name}, where the policy is enforced`,
      reason: 'policy-bypassed',
      pod: sandbox({ spec: { containers: [agent({ env: [{ name, value: 'x' }] })] } }),
      flags: ENFORCED,
      says: `sets ${name}`,
    }),
  ),
  {
    why: 'an envFrom that could bring inference routes, where the policy is enforced',
    reason: 'policy-bypassed',
    pod: sandbox({ spec: { containers: [agent({ envFrom: [{ prefix: 'OPENSHELL_', configMapRef: { name: 'x' } }] })] } }),
    flags: ENFORCED,
    says: 'could bring OPENSHELL_INFERENCE_ROUTES',
  },
  ...[
    {
      why: 'no policy at all',
      env: null,
      says: 'set annotation openshell.ai/policy to a ConfigMap (the operator: --policy; --missing-policy=warn',
    },
    { why: 'rules without data', env: [{ name: 'OPENSHELL_POLICY_RULES', value: '/r' }], says: 'has no policy' },
    {
      why: 'an empty name of a file',
      env: [
        { name: 'OPENSHELL_POLICY_RULES', value: '/r' },
        { name: 'OPENSHELL_POLICY_DATA', value: '' },
      ],
      says: 'has no policy',
    },
    {
      why: 'a gateway without a token',
      env: [
        { name: 'OPENSHELL_SANDBOX_ID', value: 'sb-1' },
        { name: 'OPENSHELL_ENDPOINT', value: 'http://gateway:8080' },
      ],
      says: 'lacks "OPENSHELL_SANDBOX_TOKEN_FILE"',
    },
    {
      why: 'a gateway on https without certificates',
      env: [...GATEWAY.slice(0, 2), { name: 'OPENSHELL_K8S_SA_TOKEN_FILE', value: '/t' }],
      says: 'lacks "OPENSHELL_TLS_CA", "OPENSHELL_TLS_CERT", "OPENSHELL_TLS_KEY"',
    },
  ].map(
    ({ why, env, says }): Refusal => ({ why, reason: 'no-policy-source', pod: sandbox({ spec: { containers: [agent({ env })] } }), says }),
  ),
  ...[
    { why: 'an HTTP liveness probe', container: { livenessProbe: { httpGet: { port: 8080 } } } },
    { why: 'a TCP readiness probe by the name of its port', container: { readinessProbe: { tcpSocket: { port: 'http' } } } },
    { why: 'a gRPC startup probe', container: { startupProbe: { grpc: { port: 9000 } } } },
    { why: 'an HTTP hook after its start', container: { lifecycle: { postStart: { httpGet: { port: 8080 } } } } },
  ].map(
    ({ why, container }): Refusal => ({
      why,
      reason: 'unreachable-probes',
      pod: sandbox({ spec: { containers: [agent(container)] } }),
      says: 'it always fails; use exec, or remove it',
    }),
  ),
  {
    why: 'a volume of the policy’s name with another source',
    reason: 'volume-name-taken',
    pod: sandbox({ annotations: policy('agent-policy'), spec: { volumes: [{ name: 'openshell-policy', emptyDir: {} }] } }),
    says: 'rename the volume',
  },
  ...['/opt/openshell/policy', '/opt/openshell/policy/policy.yaml'].map(
    (path): Refusal => ({
      why: `a mount at ${path}, beside a policy`,
      reason: 'mount-path-taken',
      pod: sandbox({
        annotations: policy('agent-policy'),
        spec: { volumes: [emptyData], containers: [agent({ volumeMounts: [mount(path)] })] },
      }),
      says: '/opt/openshell/policy',
    }),
  ),
  {
    why: 'a termination message file over the policy',
    reason: 'mount-path-taken',
    pod: sandbox({
      annotations: policy('agent-policy'),
      spec: { containers: [agent({ terminationMessagePath: '/opt/openshell/policy/policy.rego' })] },
    }),
    says: 'terminationMessagePath',
  },
  {
    why: "rules in the supervisor's image, which an init container does not mount",
    reason: 'method-not-allowed',
    pod: sandbox({ annotations: { ...policy('agent-policy'), ...method('init-container') } }),
    flags: ['--policy-rules=supervisor:/policy.rego'],
    says: 'set annotation openshell.ai/sideload-method to image-volume',
  },
  {
    why: 'a policy from an image where image volumes are dropped',
    reason: 'image-volume-dropped',
    pod: sandbox({ annotations: method('init-container'), spec: { containers: [agent({ env: null })] } }),
    flags: ['--policy=image:registry.example/policy:1'],
    facts: DROPPING,
    says: 'the policy comes from an image',
  },
];
