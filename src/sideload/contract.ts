/**
 * The contract between the webhook and everybody who creates pods: this file is its manual.
 *
 * A pod is put under the OpenShell supervisor when it carries one of the two pod labels below and lives in a namespace
 * that opted in. Everything else here is a name that other tools may rely on.
 */

// ---- what users write -------------------------------------------------------------------------------------------------

/** Namespace label. Value `enabled` opts in; pods of other namespaces never reach the webhook (its namespaceSelector). */
export const NAMESPACE_LABEL = 'openshell.ai/sideload';

/**
 * Pod label. `"true"`: this pod is a sandbox, inject. `"false"`: leave it alone. Anything else is refused, because a typo
 * must not start a sandbox without its guard.
 */
export const SANDBOX_LABEL = 'openshell.ai/sandbox';

/**
 * Pod label of OpenShell's own, with the value `openshell`. It counts where `openshell.ai/sandbox` is absent. The OpenShift
 * driver sets it on every pod, OpenShell's Kubernetes driver where SPIFFE is on or the template says so.
 * Source: NVIDIA/OpenShell, crates/openshell-core/src/driver_utils.rs, LABEL_MANAGED_BY.
 */
export const MANAGED_BY_LABEL = 'openshell.ai/managed-by';
export const MANAGED_BY_OPENSHELL = 'openshell';

/** Pod label with the sandbox id; becomes OPENSHELL_SANDBOX_ID where the pod does not set that variable itself. */
export const SANDBOX_ID_LABEL = 'openshell.ai/sandbox-id';

/** Pod annotation that overrides the operator's method: one of METHODS. */
export const METHOD_ANNOTATION = 'openshell.ai/sideload-method';

/**
 * Pod annotation that names the container to put under the supervisor. Without it: `agent`, else what Kubernetes' own
 * annotation for the default container names, else the first container.
 */
export const CONTAINER_ANNOTATION = 'openshell.ai/sandbox-container';

/**
 * Kubernetes' annotation for the container that kubectl means where none is named. Injectors that put their container first
 * set it to what was the first one (Istio's sidecar injector does), so that others still find it.
 * Source: kubernetes.io/docs/reference/labels-annotations-taints.
 */
export const DEFAULT_CONTAINER_ANNOTATION = 'kubectl.kubernetes.io/default-container';

// ---- what the webhook writes ------------------------------------------------------------------------------------------

/** Pod annotation, written: the method. It informs people and is never read back as proof of anything. */
export const SIDELOADED_ANNOTATION = 'openshell.ai/sideloaded';

/** How the supervisor binary gets into the pod. `host-path` works only where the operator allows it. */
export const METHODS = ['image-volume', 'init-container', 'host-path'] as const;
export type Method = (typeof METHODS)[number];

/**
 * How the supervisor image is laid out. `scratch`: the binary alone at the root. `community`: a distribution image with
 * the binary under /usr/local/bin and a `cp` to copy it with.
 */
export const LAYOUTS = ['scratch', 'community'] as const;
export type Layout = (typeof LAYOUTS)[number];

// The names below are OpenShell's own (crates/openshell-driver-kubernetes/src/driver.rs), so that its tools recognise the pods.
export const SUPERVISOR_VOLUME = 'openshell-supervisor-bin';
export const INSTALL_CONTAINER = 'openshell-supervisor-install';
export const SUPERVISOR_MOUNT_PATH = '/opt/openshell/bin';
export const DEFAULT_SANDBOX_CONTAINER = 'agent';

/** Where the binary is inside an image of each layout. */
export const IMAGE_BINARY: Record<Layout, string> = {
  scratch: '/openshell-sandbox',
  community: '/usr/local/bin/openshell-sandbox',
};

/** Where the binary is in the sandbox container when it was copied there, or when an image of layout `scratch` is mounted. */
export const INSTALLED_BINARY = `${SUPERVISOR_MOUNT_PATH}/openshell-sandbox`;

/**
 * Where the binary is in the sandbox container.
 *
 * An image volume is mounted whole, never by subPath: containerd 2.1 ignores a subPath on an image volume without a word,
 * and the container then fails to find its command.
 */
export function supervisorBinary(method: Method, layout: Layout): string {
  return method === 'image-volume' ? SUPERVISOR_MOUNT_PATH + IMAGE_BINARY[layout] : INSTALLED_BINARY;
}

/** The command of the init container that copies the binary into the volume; the supervisor copies itself where there is no `cp`. */
export function installCommand(layout: Layout): string[] {
  const binary = IMAGE_BINARY[layout];
  return layout === 'scratch' ? [binary, 'copy-self', INSTALLED_BINARY] : ['cp', binary, `${SUPERVISOR_MOUNT_PATH}/`];
}

/** Variables that the supervisor reads (crates/openshell-core/src/sandbox_env.rs and openshell-sandbox/src/main.rs). */
export const ENV = {
  sandboxUid: 'OPENSHELL_SANDBOX_UID',
  sandboxGid: 'OPENSHELL_SANDBOX_GID',
  ociImageUser: 'OPENSHELL_OCI_IMAGE_USER',
  sandboxId: 'OPENSHELL_SANDBOX_ID',
  endpoint: 'OPENSHELL_ENDPOINT',
  policyRules: 'OPENSHELL_POLICY_RULES',
  policyData: 'OPENSHELL_POLICY_DATA',
  mainProcessSpec: 'OPENSHELL_MAIN_PROCESS_SPEC',
  /** `sidecar` leaves dropping privileges to others. */
  topology: 'OPENSHELL_SUPERVISOR_TOPOLOGY',
  /** `sidecar-nftables` leaves the network to others. */
  networkEnforcement: 'OPENSHELL_NETWORK_ENFORCEMENT_MODE',
} as const;
