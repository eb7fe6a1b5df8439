import type { Container, Pod, PodSpec } from '../src/sideload/pod.ts';

/** A container that needs no warning. */
export function agent(container: Partial<Container> = {}): Container {
  return {
    name: 'agent',
    image: 'registry.example/agent:1',
    command: ['agent'],
    env: [
      { name: 'OPENSHELL_SANDBOX_ID', value: 'sb-1' },
      { name: 'OPENSHELL_ENDPOINT', value: 'https://gateway:8080' },
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

/** What OpenShell's Kubernetes driver puts into its sandbox container and pod. */
export const LAUNCHED = {
  command: ['/opt/openshell/bin/openshell-sandbox', '--workdir', '/sandbox'],
  securityContext: { runAsUser: 0 },
  volumeMounts: [{ name: 'openshell-supervisor-bin', mountPath: '/opt/openshell/bin', readOnly: true }],
} as const;

export const IMAGE_VOLUME = { name: 'openshell-supervisor-bin', image: { reference: 'ghcr.io/nvidia/openshell/supervisor:1' } } as const;
export const EMPTY_DIR = { name: 'openshell-supervisor-bin', emptyDir: {} } as const;

/** The driver's init container. */
export const INSTALLER: Container = {
  name: 'openshell-supervisor-install',
  image: 'ghcr.io/nvidia/openshell/supervisor:1',
  command: ['/openshell-sandbox', 'copy-self', '/opt/openshell/bin/openshell-sandbox'],
  securityContext: { runAsUser: 0 },
  volumeMounts: [{ name: 'openshell-supervisor-bin', mountPath: '/opt/openshell/bin' }],
};
