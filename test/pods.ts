import type { ImageConfig, ImageFacts } from '../src/sideload/image-facts.ts';
import type { Container, Pod, PodSpec } from '../src/sideload/pod.ts';

/** A container that needs no warning. */
export function agent(container: Partial<Container> = {}): Container {
  return {
    name: 'agent',
    image: 'registry.example/agent:1',
    command: ['agent'],
    env: [
      // The policy lies in its image.
      { name: 'OPENSHELL_POLICY_RULES', value: '/etc/agent/policy.rego' },
      { name: 'OPENSHELL_POLICY_DATA', value: '/etc/agent/policy.yaml' },
    ],
    ...container,
  };
}

interface Parts {
  readonly labels?: Record<string, string>;
  readonly annotations?: Record<string, string>;
  readonly spec?: Partial<PodSpec>;
}

/** A labelled pod; without parts, one container named `agent`. */
export function sandbox({ labels = { 'openshell.ai/sandbox': 'true' }, annotations, spec }: Parts = {}): Pod {
  return {
    metadata: { name: 'sandbox', namespace: 'agents', labels, ...(annotations ? { annotations } : {}) },
    spec: { containers: [agent()], ...spec },
  };
}

type Platform = Partial<Omit<ImageConfig, 'platform'>> & { readonly architecture?: string };

/** An image as its registry tells it, for each of these platforms. */
export function imageOf(...platforms: readonly Platform[]): ImageFacts {
  const configs = platforms.map(({ architecture = 'amd64', ...rest }) => ({
    ...{ entrypoint: [], cmd: [], env: [], workingDir: '', user: '' },
    ...rest,
    platform: { os: 'linux', architecture, variant: undefined },
  }));
  return { from: 'registry', digest: `sha256:${'d'.repeat(64)}`, configs };
}

/** The sandbox container as the webhook writes it. */
export const LAUNCHED = {
  command: ['/opt/openshell/bin/openshell-sandbox', '--workdir', '/sandbox'],
  env: [
    ...(agent().env ?? []),
    { name: 'OPENSHELL_SANDBOX_UID', value: '1000' },
    { name: 'OPENSHELL_SANDBOX_GID', value: '1000' },
    { name: 'OPENSHELL_OCI_IMAGE_USER', value: '' },
    { name: 'OPENSHELL_SUPERVISOR_TOPOLOGY', value: '' },
    { name: 'OPENSHELL_NETWORK_ENFORCEMENT_MODE', value: '' },
    { name: 'OPENSHELL_NETWORK_RUNTIME_CAPABILITIES', value: '' },
    { name: 'OPENSHELL_NETWORK_BINARY_IDENTITY', value: 'required' },
    { name: 'OPENSHELL_POLICY_POLL_INTERVAL_SECS', value: '10' },
    { name: 'OPENSHELL_LOG_PUSH_LEVEL', value: 'info' },
    { name: 'OPENSHELL_CONTAINER_IMAGE', value: 'registry.example/agent:1' },
    { name: 'OPENSHELL_LOG_LEVEL', value: 'info' },
  ],
  securityContext: {
    runAsUser: 0,
    appArmorProfile: { type: 'Unconfined' },
    capabilities: { add: ['SYS_ADMIN', 'NET_ADMIN', 'SYS_PTRACE', 'SYSLOG'] },
  },
  volumeMounts: [{ name: 'openshell-supervisor-bin', mountPath: '/opt/openshell/bin', readOnly: true }],
} as const;

export const IMAGE_VOLUME = {
  name: 'openshell-supervisor-bin',
  image: { reference: 'ghcr.io/nvidia/openshell/supervisor:0.0.110' },
} as const;
export const EMPTY_DIR = { name: 'openshell-supervisor-bin', emptyDir: {} } as const;

/** The driver's init container. */
export const INSTALLER: Container = {
  name: 'openshell-supervisor-install',
  image: 'ghcr.io/nvidia/openshell/supervisor:0.0.110',
  command: ['/openshell-sandbox', 'copy-self', '/opt/openshell/bin/openshell-sandbox'],
  securityContext: { runAsUser: 0 },
  volumeMounts: [{ name: 'openshell-supervisor-bin', mountPath: '/opt/openshell/bin' }],
};
