import type { ImageFacts, UnknownImage } from '../src/sideload/image-facts.ts';
import type { RefuseReason } from '../src/sideload/outcome.ts';
import type { Container, Pod, PodSpec, Volume } from '../src/sideload/pod.ts';
import type { ClusterFacts } from '../src/sideload/settings.ts';
import { agent, EMPTY_DIR, IMAGE_VOLUME, INSTALLER, imageOf, LAUNCHED, sandbox } from './pods.ts';

export const DROPPING: ClusterFacts = { imageVolumes: 'dropped', serverVersion: 'v1.34.4', nodes: undefined };
/** Asked, and not answered yet. */
export const UNANSWERED: ClusterFacts = { imageVolumes: 'unknown', serverVersion: '', nodes: undefined };
export const ANY_METHOD = ['--allowed-sideload-methods=image-volume,init-container,host-path'];

export const method = (value: string) => ({ 'openshell.ai/sideload-method': value });
const policy = (name: string) => ({ 'openshell.ai/policy': name });
/** No image is looked up: no registry is in reach. */
export const NO_LOOKUP = ['--missing-command=shell', '--entrypoint=off'];
/** The operator's policy, for every pod. */
export const ENFORCED = [`--policy=image:registry.example/policy@sha256:${'a'.repeat(64)}`, '--policy-mode=enforced', ...NO_LOOKUP];
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

type Expression = { readonly key: string; readonly operator: string; readonly values?: readonly string[] };
/** A pod that may run on the nodes of any of these terms. */
export const requiringNodes = (...terms: readonly (readonly Expression[])[]): Pod => {
  const nodeSelectorTerms = terms.map((matchExpressions) => ({ matchExpressions }));
  return sandbox({ spec: { affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } } } } });
};

const SHARED_MOUNTS = [
  { name: 'openshell-sidecar-state', mountPath: '/run/openshell-sidecar' },
  { name: 'openshell-supervisor-tls', mountPath: '/etc/openshell-tls/proxy' },
];
const SIDECAR_DIRECTORIES = ['--sidecar-state-dir', '/run/openshell-sidecar', '--sidecar-tls-dir', '/etc/openshell-tls/proxy'];
const NETWORK_INIT = ['/openshell-sandbox', '--mode=network-init', '--proxy-uid', '0', '--proxy-gid', '10001', ...SIDECAR_DIRECTORIES];
const helpInPlaceOf = (index: number): string[] => NETWORK_INIT.with(index, '--help');
const BOUND = { runAsUser: 10001, allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } };

interface SidecarParts {
  readonly init?: Partial<Container>;
  readonly agent?: Partial<Container>;
  readonly network?: Partial<Container>;
  readonly spec?: Partial<PodSpec>;
  readonly others?: readonly Container[];
}

/** The driver's sidecar topology, in which one thing is different. */
export const sidecarTopology = ({ init, agent: bound, network, spec, others = [] }: SidecarParts = {}): Pod =>
  sandbox({
    spec: {
      shareProcessNamespace: true,
      volumes: [
        IMAGE_VOLUME,
        { name: 'openshell-sidecar-state', emptyDir: {} },
        { name: 'openshell-supervisor-tls', emptyDir: {} },
        { name: 'openshell-sa-token', projected: {} },
      ],
      initContainers: [
        {
          name: 'openshell-network-init',
          image: 'ghcr.io/nvidia/openshell/supervisor:1',
          command: NETWORK_INIT,
          volumeMounts: SHARED_MOUNTS,
          ...init,
        },
      ],
      containers: [
        agent({
          ...LAUNCHED,
          command: [LAUNCHED.command[0], '--mode=process', '--workdir', '/sandbox'],
          env: [{ name: 'OPENSHELL_SUPERVISOR_TOPOLOGY', value: 'sidecar' }],
          securityContext: BOUND,
          volumeMounts: [...LAUNCHED.volumeMounts, ...SHARED_MOUNTS],
          ...bound,
        }),
        {
          name: 'openshell-supervisor-network',
          image: 'ghcr.io/nvidia/openshell/supervisor:1',
          command: ['/openshell-sandbox', '--mode=network'],
          securityContext: { runAsUser: 0 },
          volumeMounts: [...SHARED_MOUNTS, { name: 'openshell-sa-token', mountPath: '/var/run/secrets/openshell', readOnly: true }],
          ...network,
        },
        ...others,
      ],
      ...spec,
    },
  });

export interface Refusal {
  readonly why: string;
  readonly reason: RefuseReason;
  readonly pod: Pod;
  readonly flags?: readonly string[];
  readonly facts?: ClusterFacts;
  /** What was found out about the image of the sandbox container. */
  readonly image?: ImageFacts | UnknownImage;
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
    says: 'is not allowed here: remove volume "openshell-supervisor-bin" and its mounts',
  },
  {
    why: 'an API server that drops image volumes',
    reason: 'image-volume-dropped',
    pod: sandbox(),
    facts: DROPPING,
    says: 'v1.34.4 drops image volumes (feature gate ImageVolume is off), so the supervisor would be missing: set annotation openshell.ai/sideload-method to init-container',
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
    why: 'a Windows pod by the older label of nodes',
    reason: 'windows-pod',
    pod: sandbox({ spec: { nodeSelector: { 'beta.kubernetes.io/os': 'windows' } } }),
    says: 'on Linux',
  },
  {
    why: 'a Windows pod by node affinity',
    reason: 'windows-pod',
    pod: requiringNodes([{ key: 'kubernetes.io/os', operator: 'In', values: ['windows'] }]),
    says: 'on Linux',
  },
  {
    why: 'a pod that wants no Linux node, in each of its alternatives',
    reason: 'windows-pod',
    pod: requiringNodes(
      [
        { key: 'example.com/zone', operator: 'Exists' },
        { key: 'kubernetes.io/os', operator: 'NotIn', values: ['linux'] },
      ],
      [{ key: 'beta.kubernetes.io/os', operator: 'In', values: ['windows'] }],
    ),
    says: 'on Linux',
  },
  {
    why: 'a pod with the credentials of a Windows account',
    reason: 'windows-pod',
    pod: sandbox({ spec: { securityContext: { windowsOptions: { gmsaCredentialSpecName: 'agent' } } } as Partial<PodSpec> }),
    says: 'on Linux',
  },
  {
    why: 'a container with a Windows user',
    reason: 'windows-pod',
    pod: sandbox({
      spec: { containers: [agent({ securityContext: { windowsOptions: { runAsUserName: 'ContainerUser' } } })] } as Partial<PodSpec>,
    }),
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
    flags: NO_LOOKUP,
    says: 'set command',
  },
  {
    why: 'args that start with -- but no sideload beside',
    reason: 'args-without-command',
    pod: sandbox({ spec: { containers: [agent({ command: [], args: ['--', 'x'] })] } }),
    flags: NO_LOOKUP,
    says: 'set command',
  },
  {
    why: 'no command, and an image that nobody knows',
    reason: 'entrypoint-unknown',
    pod: sandbox({ spec: { containers: [agent({ command: null })] } }),
    image: { from: 'nowhere', reason: 'entrypoint-unknown', problem: 'registry registry.example has no image "agent" (404)' },
    says: 'registry registry.example has no image "agent" (404)',
  },
  {
    why: 'no command, and a registry that does not respond',
    reason: 'entrypoint-unavailable',
    pod: sandbox({ spec: { containers: [agent({ command: null, args: ['--port', '1'] })] } }),
    image: { from: 'nowhere', reason: 'entrypoint-unavailable', problem: 'registry registry.example does not respond in time' },
    says: 'does not respond in time',
  },
  {
    why: 'no command, and an image with neither ENTRYPOINT nor CMD',
    reason: 'entrypoint-unknown',
    pod: sandbox({ spec: { containers: [agent({ command: null })] } }),
    image: imageOf({}),
    says: 'neither ENTRYPOINT nor CMD: set command',
  },
  {
    why: 'no command, and an image that differs by platform',
    reason: 'entrypoint-ambiguous',
    pod: sandbox({ spec: { containers: [agent({ command: null })] } }),
    image: imageOf({ entrypoint: ['/bin/agent-x86'] }, { entrypoint: ['/bin/agent-arm'], architecture: 'arm64' }),
    says: 'does not run the same on "amd64", "arm64": set command, or nodeSelector kubernetes.io/arch',
  },
  {
    why: 'a variable of its image that loads code',
    reason: 'loader-variable',
    pod: sandbox({ spec: { containers: [agent({ command: null })] } }),
    image: imageOf({ entrypoint: ['agent'], env: ['LD_PRELOAD=/tmp/x.so'] }),
    says: 'sets "LD_PRELOAD"',
  },
  {
    why: 'an enforced policy, and an image that cannot be read',
    reason: 'entrypoint-unknown',
    pod: sandbox(),
    flags: ENFORCED.filter((flag) => !NO_LOOKUP.includes(flag)),
    image: { from: 'nowhere', reason: 'entrypoint-unknown', problem: 'registry registry.example refuses anonymous access (401)' },
    says: 'whose variables are checked here, cannot be read: registry registry.example refuses',
  },
  {
    why: 'an enforced policy, and an image that brings inference routes',
    reason: 'policy-bypassed',
    pod: sandbox(),
    flags: ENFORCED.filter((flag) => !NO_LOOKUP.includes(flag)),
    image: imageOf({ entrypoint: ['agent'], env: ['OPENSHELL_INFERENCE_ROUTES=/routes.yaml'] }),
    says: 'sets OPENSHELL_INFERENCE_ROUTES',
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
    why: 'a volume that belongs to a method that is not allowed, beside an annotation',
    reason: 'volume-name-taken',
    pod: sandbox({ annotations: method('init-container'), spec: { volumes: [IMAGE_VOLUME] } }),
    flags: ['--allowed-sideload-methods=init-container', '--supervisor-sideload-method=init-container'],
    says: 'says init-container: remove the volume and its mounts',
  },
  {
    why: 'an install container that is left where its method is not allowed',
    reason: 'method-not-allowed',
    pod: sandbox({ spec: { initContainers: [INSTALLER] } }),
    flags: ['--allowed-sideload-methods=image-volume'],
    says: 'remove the init container that installs the supervisor',
  },
  {
    why: 'rules from the supervisor image, with the volume of an init container',
    reason: 'method-not-allowed',
    pod: sandbox({ annotations: policy('agent-policy'), spec: { volumes: [EMPTY_DIR], initContainers: [INSTALLER] } }),
    flags: ['--policy-rules=supervisor:/policy.rego'],
    says: 'remove volume "openshell-supervisor-bin" with what mounts it, and set annotation',
  },
  {
    why: 'a volume that belongs to another method than the annotation',
    reason: 'volume-name-taken',
    pod: sandbox({ annotations: method('init-container'), spec: { volumes: [IMAGE_VOLUME] } }),
    says: 'says init-container: remove the volume and its mounts, or set the annotation to image-volume',
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
    says: 'container "spy" mounts the supervisor\'s volume and could replace the supervisor: remove the mount',
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
    says: 'there is no init container openshell-network-init',
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
      { why: 'whose network rules let the agent through', agent: { securityContext: { ...BOUND, runAsUser: 0 } } },
      { why: 'whose agent may become root', agent: { securityContext: { ...BOUND, allowPrivilegeEscalation: null } } },
      { why: 'whose agent keeps capabilities', agent: { securityContext: { ...BOUND, capabilities: {} } } },
      {
        why: 'whose agent has capabilities',
        agent: { securityContext: { ...BOUND, capabilities: { drop: ['ALL'], add: ['NET_ADMIN'] } } },
      },
      { why: 'whose agent leaves its topology to the image', agent: { env: null } },
      { why: 'whose agent starts in the root directory', agent: { command: [LAUNCHED.command[0], '--mode=process', '--workdir', '/'] } },
      { why: 'whose init container is for another user', init: { env: [{ name: 'OPENSHELL_PROXY_UID', value: '10001' }] } },
      {
        why: 'whose init container runs a false nft',
        init: { volumeMounts: [...SHARED_MOUNTS, mount('/usr/sbin/nft', { subPath: 'nft' })] },
      },
      { why: 'whose init container writes its rules elsewhere', init: { command: NETWORK_INIT.with(7, '/tmp') } },
      { why: 'whose init container is a sidecar', init: { restartPolicy: 'Always' } },
      { why: 'whose network supervisor prints its help', network: { command: ['/openshell-sandbox', '--mode=network', '--help'] } },
      {
        why: 'whose network supervisor is told by a variable to print its help',
        network: { command: ['/openshell-sandbox', '--mode=network', '$(X)'], env: [{ name: 'X', value: '--help' }] },
      },
      {
        why: 'whose network supervisor has a proxy of its own',
        network: { command: ['/openshell-sandbox', '--mode=network', '--upstream-proxy', 'http://evil:1'] },
      },
      { why: 'whose network supervisor has a policy of its own', network: { env: [{ name: 'OPENSHELL_POLICY_DATA', value: '/x' }] } },
      {
        why: 'whose network supervisor knows no single programs',
        network: { env: [{ name: 'OPENSHELL_NETWORK_BINARY_IDENTITY', value: 'relaxed' }] },
      },
      { why: 'whose network supervisor has a mount over its programs', network: { volumeMounts: [mount('/usr/sbin')] } },
      {
        why: 'whose network supervisor runs a command at its start',
        network: { lifecycle: { postStart: { exec: { command: ['/x'] } } } } as Partial<Container>,
      },
      { why: 'whose init container prints its help in place of a group', init: { command: helpInPlaceOf(5) } },
      { why: 'whose init container prints its help in place of a folder', init: { command: helpInPlaceOf(9) } },
      { why: 'whose network supervisor is another image', network: { image: 'evil' } },
      { why: 'without its init container', init: { name: 'other' } },
      {
        why: 'with a neighbour that changes the network rules',
        others: [agent({ name: 'spy', securityContext: { capabilities: { add: ['NET_ADMIN'] } } })],
      },
      { why: 'with a privileged neighbour', others: [agent({ name: 'spy', securityContext: { privileged: true } })] },
      { why: 'with a neighbour at the socket of the supervisors', others: [agent({ name: 'spy', volumeMounts: SHARED_MOUNTS })] },
      {
        why: 'whose shared directory is of the node',
        spec: { volumes: [IMAGE_VOLUME, { name: 'openshell-sidecar-state', hostPath: { path: '/x' } }] },
      },
    ] as (SidecarParts & { why: string })[]
  ).map(
    ({ why, ...parts }): Refusal => ({
      why: `a sidecar topology ${why}`,
      reason: 'incomplete-sidecar-topology',
      pod: sidecarTopology(parts),
      says: "as OpenShell's driver makes it",
    }),
  ),
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
  ...[
    '/usr/sbin/ip',
    '/sbin',
    '/usr',
    '/usr/local/bin/nft',
    '/usr/local',
    '/bin/../bin',
    '/lib64',
    '/usr/lib/x86_64-linux-gnu/libmnl.so.0',
    '/lib/x86_64-linux-gnu',
    '/usr/local/lib/libmnl.so.0.2',
    '/etc',
    '/etc/ld.so.preload',
    '/etc/ld-musl-x86_64.path',
  ].map(
    (path): Refusal => ({
      why: `a mount at ${path}`,
      reason: 'programs-covered',
      pod: sandbox({ spec: { volumes: [emptyData], containers: [agent({ volumeMounts: [mount(path, { readOnly: true })] })] } }),
      says: 'over programs or libraries that the supervisor runs as root: move it',
    }),
  ),
  {
    why: 'a block device over a program',
    reason: 'programs-covered',
    pod: sandbox({ spec: { containers: [agent({ volumeDevices: [{ devicePath: '/usr/bin/nsenter' }] })] } }),
    says: 'a volume device',
  },
  {
    why: 'a termination message file over a program',
    reason: 'programs-covered',
    pod: sandbox({ spec: { containers: [agent({ terminationMessagePath: '/sbin/ip' })] } }),
    says: 'terminationMessagePath',
  },
  {
    why: 'a mount over a program of a complete supervisor',
    reason: 'programs-covered',
    pod: sandbox({
      spec: {
        volumes: [IMAGE_VOLUME, emptyData],
        containers: [agent({ ...LAUNCHED, volumeMounts: [...LAUNCHED.volumeMounts, mount('/usr/sbin/ip', { subPath: 'ip' })] })],
      },
    }),
    says: '/usr/sbin/ip',
  },
  ...['LD_PRELOAD', 'LD_LIBRARY_PATH', 'LD_AUDIT', 'GCONV_PATH', 'GLIBC_TUNABLES', 'LOCPATH', 'XTABLES_LIBDIR'].map(
    (name): Refusal => ({
      why: `a variable ${name}`,
      reason: 'loader-variable',
      pod: sandbox({ spec: { containers: [agent({ env: [...(agent().env ?? []), { name, value: '/x' }] })] } }),
      says: `sets "${name}"`,
    }),
  ),
  {
    why: 'a variable LD_PRELOAD of a complete supervisor, from elsewhere',
    reason: 'loader-variable',
    pod: sandbox({
      spec: {
        volumes: [IMAGE_VOLUME],
        containers: [agent({ ...LAUNCHED, env: [...LAUNCHED.env, { name: 'LD_PRELOAD', valueFrom: { configMapKeyRef: {} } }] })],
      },
    }),
    says: "in your program's own command",
  },
  ...(
    [
      { why: 'a shared PID namespace', spec: { shareProcessNamespace: true }, neighbour: {}, says: 'shareProcessNamespace' },
      { why: "the node's PID namespace", spec: { hostPID: true }, neighbour: {}, says: 'hostPID' },
      { why: 'a privileged neighbour', spec: {}, neighbour: { securityContext: { privileged: true } }, says: 'is privileged' },
      {
        why: 'a neighbour with ALL',
        spec: {},
        neighbour: { securityContext: { capabilities: { add: ['all'] } } },
        says: 'adds capabilities',
      },
      {
        why: "a neighbour that opens the node's files by handle",
        spec: {},
        neighbour: { securityContext: { capabilities: { add: ['CAP_DAC_READ_SEARCH'] } } },
        says: 'adds capabilities',
      },
      ...['/', '/var/lib', '/var/lib/kubelet/pods', '/var/lib/k0s/kubelet'].map((path) => ({
        why: `a neighbour that mounts ${path} of the node`,
        spec: { volumes: [{ name: 'data', hostPath: { path } }] },
        neighbour: { volumeMounts: [mount('/host', { readOnly: true })] },
        says: "mounts the kubelet's directory",
      })),
    ] as { why: string; spec: Partial<PodSpec>; neighbour: Partial<Container>; says: string }[]
  ).map(
    ({ why, spec, neighbour, says }): Refusal => ({
      why: `${why}, with an init container`,
      reason: 'unsafe-neighbours',
      pod: sandbox({
        annotations: method('init-container'),
        spec: { ...spec, containers: [agent(), agent({ name: 'spy', ...neighbour })] },
      }),
      says,
    }),
  ),
  {
    why: 'a sidecar that waits for the install container in a shared PID namespace',
    reason: 'unsafe-neighbours',
    pod: sandbox({
      annotations: method('init-container'),
      spec: { shareProcessNamespace: true, initContainers: [agent({ name: 'spy', restartPolicy: 'Always' })] },
    }),
    says: 'set annotation openshell.ai/sideload-method to image-volume',
  },
  {
    why: 'a privileged init container before the install container of a complete supervisor',
    reason: 'unsafe-neighbours',
    pod: sandbox({
      spec: {
        volumes: [EMPTY_DIR],
        initContainers: [agent({ name: 'spy', securityContext: { privileged: true } }), INSTALLER],
        containers: [agent(LAUNCHED)],
      },
    }),
    says: 'container "spy" is privileged',
  },
  {
    why: 'a privileged agent beside a decoy, where the operator refuses such neighbours',
    reason: 'unsafe-neighbours',
    pod: sandbox({
      annotations: { 'openshell.ai/sandbox-container': 'idle' },
      spec: { containers: [agent({ securityContext: { privileged: true } }), agent({ name: 'idle' })] },
    }),
    flags: ['--neighbours=refuse'],
    says: 'container "agent" is privileged',
  },
  {
    why: 'a neighbour that remounts the read-only volume',
    reason: 'supervisor-volume-shared',
    pod: installed({
      others: [agent({ name: 'spy', volumeMounts: [{ name: 'openshell-supervisor-bin', mountPath: '/x', readOnly: true }] })],
    }),
    says: 'remove the mount',
  },
  {
    why: 'a neighbour that mounts the image volume',
    reason: 'supervisor-volume-shared',
    pod: sandbox({
      spec: {
        volumes: [IMAGE_VOLUME],
        containers: [
          agent(LAUNCHED),
          agent({ name: 'spy', volumeMounts: [{ name: 'openshell-supervisor-bin', mountPath: '/x', readOnly: true }] }),
        ],
      },
    }),
    says: 'container "spy"',
  },
  {
    why: 'a supervisor volume with two sources',
    reason: 'volume-name-taken',
    pod: sandbox({ spec: { volumes: [{ ...IMAGE_VOLUME, emptyDir: {} }], containers: [agent(LAUNCHED)] } }),
    says: 'or two',
  },
  ...[
    { why: 'another tag of the pinned repository', reference: 'ghcr.io/nvidia/openshell/supervisor:0.0.1' },
    { why: 'another digest of the pinned repository', reference: `ghcr.io/nvidia/openshell/supervisor@sha256:${'b'.repeat(64)}` },
    { why: 'the pinned digest of another repository', reference: `registry.example/supervisor@sha256:${'a'.repeat(64)}` },
  ].map(
    ({ why, reference }): Refusal => ({
      why,
      reason: 'untrusted-supervisor',
      pod: sandbox({ spec: { volumes: [{ ...IMAGE_VOLUME, image: { reference } }], containers: [agent(LAUNCHED)] } }),
      flags: [`--supervisor-image=ghcr.io/nvidia/openshell/supervisor@sha256:${'a'.repeat(64)}`],
      says: 'which is not',
    }),
  ),
  {
    why: "a driver's image volume while it is not known what becomes of it",
    reason: 'image-volume-unknown',
    pod: sandbox({ spec: { volumes: [IMAGE_VOLUME], containers: [agent(LAUNCHED)] } }),
    facts: UNANSWERED,
    says: 'try again in a moment',
  },
  {
    why: 'an annotation for an image volume while it is not known what becomes of it',
    reason: 'image-volume-unknown',
    pod: sandbox({ annotations: method('image-volume') }),
    facts: UNANSWERED,
    says: 'set annotation openshell.ai/sideload-method to init-container (the operator: --preflight=off)',
  },
  {
    why: 'a policy from an image while it is not known what becomes of it',
    reason: 'image-volume-unknown',
    pod: sandbox({ annotations: method('init-container'), spec: { containers: [agent({ env: null })] } }),
    flags: ['--policy=image:registry.example/policy:1'],
    facts: UNANSWERED,
    says: 'the policy comes from an image',
  },
];
