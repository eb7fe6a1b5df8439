/**
 * The contract between the webhook and the authors of pods: this file is its manual.
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

/**
 * Pod labels of OpenShell 0.1 and newer, which puts its supervisor into a pod of its own. Where one of them stands beside
 * `openshell.ai/managed-by`, the pod is one of such a pair and is left unchanged; `openshell.ai/sandbox: "true"` counts always.
 * Source: NVIDIA/OpenShell#2942 and #3144.
 */
export const TWO_POD_LABELS = ['openshell.ai/boundary-role', 'openshell.ai/boundary-pair', 'openshell.ai/component'] as const;

/** Pod label with the sandbox id; becomes OPENSHELL_SANDBOX_ID where the pod does not set that variable itself. */
export const SANDBOX_ID_LABEL = 'openshell.ai/sandbox-id';

/** Pod annotation that overrides the operator's method: one of METHODS. */
export const METHOD_ANNOTATION = 'openshell.ai/sideload-method';

/**
 * Pod annotation that names the ConfigMap, in the pod's namespace, with the sandbox's policy: its key `policy.yaml` holds the
 * data, its key `policy.rego` the rules, unless the operator's --policy-rules supplies those. Refused where the policy is enforced.
 */
export const POLICY_ANNOTATION = 'openshell.ai/policy';

/**
 * Namespace label. Value `enforced`: every sandbox of the namespace gets the operator's policy and no pod may choose another.
 * The webhook entries for such namespaces call `/mutate/enforced`.
 */
export const POLICY_MODE_LABEL = 'openshell.ai/policy-mode';
export const POLICY_ENFORCED = 'enforced';

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

// The names below are this product's own.
export const POLICY_VOLUME = 'openshell-policy';
export const POLICY_MOUNT_PATH = '/opt/openshell/policy';
/** The rules, where they do not come with the data. */
export const POLICY_RULES_VOLUME = 'openshell-policy-rules';
export const POLICY_RULES_MOUNT_PATH = '/opt/openshell/policy-rules';
/** Keys of a ConfigMap, and files at the root of an image. */
export const POLICY_DATA_FILE = 'policy.yaml';
export const POLICY_RULES_FILE = 'policy.rego';
/** The Secret of --upstream-proxy-auth-secret. */
export const PROXY_AUTH_VOLUME = 'openshell-upstream-proxy-auth';
export const PROXY_AUTH_MOUNT_PATH = '/opt/openshell/upstream-proxy-auth';
export const PROXY_AUTH_FILE = 'auth';

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

/**
 * Variables that the supervisor of OpenShell 0.0.x reads (crates/openshell-core/src/sandbox_env.rs, openshell-sandbox/src/main.rs).
 * src/sideload/environment.ts says whose each of them is.
 */
export const ENV = {
  sandboxUid: 'OPENSHELL_SANDBOX_UID',
  sandboxGid: 'OPENSHELL_SANDBOX_GID',
  ociImageUser: 'OPENSHELL_OCI_IMAGE_USER',
  /** `sidecar` leaves dropping privileges to others. */
  topology: 'OPENSHELL_SUPERVISOR_TOPOLOGY',
  /** `sidecar-nftables` leaves the network to others. */
  networkEnforcement: 'OPENSHELL_NETWORK_ENFORCEMENT_MODE',
  /** What the driver says the runtime's network can do. */
  networkCapabilities: 'OPENSHELL_NETWORK_RUNTIME_CAPABILITIES',
  /** `relaxed` switches rules for single binaries off. */
  binaryIdentity: 'OPENSHELL_NETWORK_BINARY_IDENTITY',
  /** Seconds after which a changed policy of a gateway is seen. */
  policyPollInterval: 'OPENSHELL_POLICY_POLL_INTERVAL_SECS',
  /** Least level of the events that a gateway gets. */
  logPushLevel: 'OPENSHELL_LOG_PUSH_LEVEL',
  policyRules: 'OPENSHELL_POLICY_RULES',
  policyData: 'OPENSHELL_POLICY_DATA',
  /** A file whose routes take the place of the gateway's. */
  inferenceRoutes: 'OPENSHELL_INFERENCE_ROUTES',
  sandboxId: 'OPENSHELL_SANDBOX_ID',
  sandbox: 'OPENSHELL_SANDBOX',
  endpoint: 'OPENSHELL_ENDPOINT',
  tlsCa: 'OPENSHELL_TLS_CA',
  tlsCert: 'OPENSHELL_TLS_CERT',
  tlsKey: 'OPENSHELL_TLS_KEY',
  tlsServerName: 'OPENSHELL_GATEWAY_TLS_SERVER_NAME',
  /** The token itself. */
  sandboxToken: 'OPENSHELL_SANDBOX_TOKEN',
  sandboxTokenFile: 'OPENSHELL_SANDBOX_TOKEN_FILE',
  serviceAccountTokenFile: 'OPENSHELL_K8S_SA_TOKEN_FILE',
  containerImage: 'OPENSHELL_CONTAINER_IMAGE',
  mainProcessSpec: 'OPENSHELL_MAIN_PROCESS_SPEC',
  logLevel: 'OPENSHELL_LOG_LEVEL',
  /** Its presence counts, whatever its value. */
  pidLimit: 'OPENSHELL_REQUIRE_RUNTIME_PID_LIMIT',
} as const;
