/** One table of all settings: the command line, the environment, `--help` and docs/reference/options.md follow from it. */

import { LAYOUTS, METHODS } from '../sideload/contract.ts';
import type { ArgumentSpec } from './arguments.ts';
import { hosts, imagesWithoutTag, mirrors, policyRules, policySource, supervisorImage } from './image-values.ts';
import {
  appArmorProfile,
  capabilities,
  methods,
  missingCommand,
  pinnedEnv,
  secretKey,
  supervisorArgs,
  supervisorEnv,
  workdir,
} from './sandbox-values.ts';
import { duration, id, integer, ipAddress, objectName, oneOf, port } from './values.ts';

export interface Option<T> extends ArgumentSpec {
  /** Environment variable; a flag wins over it. */
  readonly variable: string;
  /** As it would be written on the command line. */
  readonly default: string;
  readonly value: string;
  readonly description: string;
  /** Flag may be given several times; the variable then holds one value a line. */
  readonly repeatable?: boolean;
  /** @throws BadValueError */
  readonly parse: (value: string) => T;
}

function option<T>(
  variable: string,
  value: string,
  fallback: string,
  description: string,
  parse: ((value: string) => T) & { readonly values?: readonly string[] },
): Option<T> {
  return { variable, value, default: fallback, description, parse, ...(parse.values ? { values: parse.values } : {}) };
}

export const OPTIONS = {
  'supervisor-image': option(
    'OPENSHELL_SUPERVISOR_IMAGE',
    'REFERENCE',
    'ghcr.io/nvidia/openshell/supervisor:0.0.110',
    'Image with the supervisor of OpenShell 0.0.x. Images of 0.1 and newer hold no supervisor that runs in the pod.',
    supervisorImage,
  ),
  'supervisor-image-pull-policy': option(
    'OPENSHELL_SUPERVISOR_IMAGE_PULL_POLICY',
    'POLICY',
    'IfNotPresent',
    'Always, IfNotPresent or Never; empty leaves it to Kubernetes.',
    oneOf('', 'Always', 'IfNotPresent', 'Never'),
  ),
  'supervisor-image-layout': option(
    'OPENSHELL_SUPERVISOR_IMAGE_LAYOUT',
    'LAYOUT',
    'scratch',
    'scratch: the binary is /openshell-sandbox. community: it is /usr/local/bin/openshell-sandbox, beside a cp.',
    oneOf(...LAYOUTS),
  ),
  'supervisor-sideload-method': option(
    'OPENSHELL_SUPERVISOR_SIDELOAD_METHOD',
    'METHOD',
    'image-volume',
    'Default method: image-volume, init-container, host-path, or auto (image-volume if every node is known to mount images, else init-container).',
    oneOf(...METHODS, 'auto'),
  ),
  'allowed-sideload-methods': option(
    'OPENSHELL_ALLOWED_SIDELOAD_METHODS',
    'METHODS',
    'image-volume,init-container',
    'Methods that pods may use, separated by commas.',
    methods,
  ),
  'supervisor-capabilities': option(
    'OPENSHELL_SUPERVISOR_CAPABILITIES',
    'NAMES',
    'SYS_ADMIN,NET_ADMIN,SYS_PTRACE,SYSLOG',
    'Capabilities added to the sandbox container; empty leaves capabilities to the pod.',
    capabilities,
  ),
  'supervisor-apparmor-profile': option(
    'OPENSHELL_SUPERVISOR_APPARMOR_PROFILE',
    'PROFILE',
    'Unconfined',
    'AppArmor profile if the pod sets none: Unconfined, RuntimeDefault or Localhost/NAME; empty leaves it to the pod.',
    appArmorProfile,
  ),
  'supervisor-env': {
    ...option(
      'OPENSHELL_SUPERVISOR_ENV',
      'NAME=VALUE',
      '',
      'Variable added to the sandbox container if it has none of that name: NAME=VALUE, NAME=secret:SECRET/KEY or NAME=configmap:NAME/KEY. Repeatable; in the environment, one per line.',
      supervisorEnv,
    ),
    repeatable: true,
    secret: true,
  },
  'pinned-env': {
    ...option(
      'OPENSHELL_PINNED_ENV',
      'NAME=VALUE',
      '',
      'Variable of the sandbox container that no pod, envFrom or image can override: NAME=VALUE, NAME=secret:SECRET/KEY or NAME=configmap:NAME/KEY. Repeatable; in the environment, one per line.',
      pinnedEnv,
    ),
    repeatable: true,
    secret: true,
  },
  'supervisor-arg': {
    ...option(
      'OPENSHELL_SUPERVISOR_ARGS',
      '--upstream-NAME[=VALUE]',
      '',
      'Option of the supervisor, for the corporate proxy: only --upstream-…, each one word. Repeatable; in the environment, one per line.',
      supervisorArgs,
    ),
    repeatable: true,
    secret: true,
  },
  'upstream-proxy-auth-secret': option(
    'OPENSHELL_UPSTREAM_PROXY_AUTH_SECRET',
    'NAME/KEY',
    '',
    "Key of a Secret, in the pod's namespace, with the credentials of the corporate proxy (user:password); mounted for root only.",
    secretKey,
  ),
  policy: option(
    'OPENSHELL_SANDBOX_POLICY',
    'SOURCE',
    'none',
    "Policy for pods without one: configmap:NAME (in the pod's namespace, keys policy.yaml and policy.rego), image:REFERENCE (files of these names at its root), or none.",
    policySource,
  ),
  'policy-rules': option(
    'OPENSHELL_SANDBOX_POLICY_RULES',
    'SOURCE',
    'same',
    "Source of the rules (policy.rego): same, as the data; configmap:NAME; image:REFERENCE; or supervisor:/PATH, a file of the supervisor's image (method image-volume only).",
    policyRules,
  ),
  'policy-mode': option(
    'OPENSHELL_SANDBOX_POLICY_MODE',
    'MODE',
    'default',
    'default: --policy is for pods without one. enforced: every sandbox gets it, from images named by digest, and no pod can choose another.',
    oneOf('default', 'enforced'),
  ),
  'missing-policy': option(
    'OPENSHELL_MISSING_POLICY',
    'ACTION',
    'refuse',
    'Pods without any policy: refuse; or warn, if your images bring a policy in their ENV.',
    oneOf('refuse', 'warn'),
  ),
  'unreachable-probes': option(
    'OPENSHELL_UNREACHABLE_PROBES',
    'ACTION',
    'refuse',
    'HTTP, TCP and gRPC probes of the sandbox container, which cannot reach its program: refuse or warn.',
    oneOf('refuse', 'warn'),
  ),
  neighbours: option(
    'OPENSHELL_NEIGHBOURS',
    'ACTION',
    'by-method',
    'Pods whose other containers could replace the supervisor (privileged, mounts the kubelet’s directory, shares a PID namespace): refuse, warn, or by-method, which refuses unless the method is image-volume.',
    oneOf('by-method', 'refuse', 'warn'),
  ),
  'trusted-supervisor-images': option(
    'OPENSHELL_TRUSTED_SUPERVISOR_IMAGES',
    'IMAGES',
    'ghcr.io/nvidia/openshell/supervisor,ghcr.io/nvidia/openshell-community/supervisor',
    'Image repositories from which a pod may bring its own supervisor; the one of --supervisor-image is always trusted. With a digest (REPOSITORY@sha256:…, or in --supervisor-image), only that image of the repository. If another webhook rewrites images, list the mirror too.',
    imagesWithoutTag,
  ),
  'missing-command': option(
    'OPENSHELL_MISSING_COMMAND',
    'ACTION',
    'lookup',
    'Sandbox containers without a command: lookup (what the image would run, by --entrypoint), shell (the supervisor starts its default shell), or refuse.',
    missingCommand,
  ),
  entrypoint: option(
    'OPENSHELL_ENTRYPOINT',
    'SOURCE',
    'registry',
    'Where --missing-command=lookup finds the ENTRYPOINT and CMD of an image: registry (--entrypoint-map first), map (only --entrypoint-map), or off.',
    oneOf('registry', 'map', 'off'),
  ),
  'entrypoint-map': option(
    'OPENSHELL_ENTRYPOINT_MAP',
    'FILE',
    '',
    'File (YAML) that says what images run: a list of image (a glob), entrypoint, cmd and workingDir. The first match counts. Reloaded when it changes.',
    (value) => value,
  ),
  'inspect-images': option(
    'OPENSHELL_INSPECT_IMAGES',
    'WHICH',
    'when-needed',
    'Images whose ENV counts as the pod’s own variables: when-needed, those that are looked up for their program; always, all images of sandbox containers. In namespaces that enforce the policy: always.',
    oneOf('when-needed', 'always'),
  ),
  'pin-resolved-images': option(
    'OPENSHELL_PIN_RESOLVED_IMAGES',
    'BOOLEAN',
    'true',
    'Whether an image that was looked up is run by its digest. false: for nodes with preloaded images.',
    oneOf('true', 'false'),
  ),
  'registry-hosts': option(
    'OPENSHELL_REGISTRY_HOSTS',
    'HOSTS',
    '',
    'Registries that may be asked, also at private addresses: HOST or HOST:PORT, separated by commas. Empty: all on the Internet.',
    hosts,
  ),
  'registry-plain-http': option(
    'OPENSHELL_REGISTRY_PLAIN_HTTP',
    'HOSTS',
    '',
    'Registries that are asked without TLS, also at private addresses.',
    hosts,
  ),
  'registry-mirrors': option(
    'OPENSHELL_REGISTRY_MIRRORS',
    'HOST=MIRROR',
    '',
    'Mirrors that are asked first, such as docker.io=mirror.example:5000/hub, separated by commas.',
    mirrors,
  ),
  'registry-ca': option(
    'OPENSHELL_REGISTRY_CA',
    'FILE',
    '',
    'File (PEM) with CAs of registries, beside the public ones. Reloaded when it changes.',
    (value) => value,
  ),
  'registry-config': option(
    'OPENSHELL_REGISTRY_CONFIG',
    'FILE',
    '',
    'Docker configuration (config.json) with credentials for registries. They win over the pull secrets of pods. Reloaded when it changes.',
    (value) => value,
  ),
  'sandbox-uid': option(
    'OPENSHELL_SANDBOX_UID',
    'UID',
    '1000',
    'User id of the sandboxed process if the pod sets no runAsUser, or root.',
    id,
  ),
  'sandbox-gid': option(
    'OPENSHELL_SANDBOX_GID',
    'GID',
    '1000',
    'Group id of the sandboxed process if the pod sets no runAsGroup, or root.',
    id,
  ),
  'sandbox-workdir': option(
    'OPENSHELL_SANDBOX_WORKDIR',
    'PATH',
    '/sandbox',
    'Working directory of the sandboxed process if the container sets none, or a system directory.',
    workdir,
  ),
  port: option('OPENSHELL_LISTEN_PORT', 'PORT', '8443', 'Port of the webhook (HTTPS).', port),
  'admin-port': option(
    'OPENSHELL_ADMIN_LISTEN_PORT',
    'PORT',
    '8081',
    'Port of a status page at /, and of /healthz, /readyz and /metrics (plain HTTP).',
    port,
  ),
  'bind-address': option('OPENSHELL_BIND_ADDRESS', 'ADDRESS', '::', 'Address of both ports; :: is every address, IPv4 too.', ipAddress),
  certificates: option(
    'OPENSHELL_CERTIFICATES',
    'SOURCE',
    'auto',
    'directory: from --tls-cert-dir. self-managed: signed by each replica with a CA that all replicas share through a Secret. local: made in ./certs. auto: directory if --tls-cert-dir is set, else self-managed inside a cluster, else local.',
    oneOf('auto', 'directory', 'self-managed', 'local'),
  ),
  'tls-cert-dir': option(
    'OPENSHELL_TLS_CERT_DIR',
    'DIR',
    '',
    'Directory with tls.crt and tls.key, reloaded when they change.',
    (value) => value,
  ),
  'webhook-namespace': option(
    'OPENSHELL_NAMESPACE',
    'NAME',
    'openshell-system',
    'Namespace of the webhook, its Service and its CA Secret; the preflight dry-runs a pod template there.',
    objectName,
  ),
  'service-name': option(
    'OPENSHELL_SERVICE_NAME',
    'NAME',
    'openshell-sideload',
    'Service by which the API server calls the webhook.',
    objectName,
  ),
  'webhook-configuration': option(
    'OPENSHELL_WEBHOOK_CONFIGURATION',
    'NAME',
    'openshell-sideload',
    'MutatingWebhookConfiguration whose entries get caBundle; self-managed certificates only.',
    objectName,
  ),
  'ca-secret': option(
    'OPENSHELL_CA_SECRET',
    'NAME',
    'openshell-sideload-ca',
    'Secret with the shared CA; self-managed certificates only.',
    objectName,
  ),
  'ca-lifetime': option(
    'OPENSHELL_CA_LIFETIME',
    'DURATION',
    '8760h',
    'Life of a self-managed CA; it is replaced after two thirds.',
    duration,
  ),
  'serving-cert-lifetime': option(
    'OPENSHELL_SERVING_CERT_LIFETIME',
    'DURATION',
    '24h',
    'Life of a self-managed serving certificate; it is replaced after two thirds.',
    duration,
  ),
  'ca-settle-time': option(
    'OPENSHELL_CA_SETTLE_TIME',
    'DURATION',
    '60s',
    'Time between writing a new CA into caBundle and signing with it: API servers learn caBundle by watch.',
    duration,
  ),
  preflight: option(
    'OPENSHELL_PREFLIGHT',
    'MODE',
    'auto',
    'on: ask the API server whether it keeps image volumes, and which nodes mount them. off: do not ask. auto: on inside a cluster. Outside, it uses KUBECONFIG.',
    oneOf('auto', 'on', 'off'),
  ),
  'count-unguarded': option(
    'OPENSHELL_COUNT_UNGUARDED',
    'BOOLEAN',
    'false',
    'true: follow the sandboxes of all namespaces and count those that run without their supervisor, in a metric. Needs permission to list and watch pods and namespaces.',
    oneOf('true', 'false'),
  ),
  'owner-events': option(
    'OPENSHELL_OWNER_EVENTS',
    'BOOLEAN',
    'false',
    'true: write an Event on the controller of a pod that is refused, or admitted with a warning. Needs permission to create Events in the namespaces of sandboxes.',
    oneOf('true', 'false'),
  ),
  'tls-min-version': option(
    'OPENSHELL_TLS_MIN_VERSION',
    'VERSION',
    'TLSv1.3',
    'Lowest TLS version accepted: TLSv1.3 or TLSv1.2.',
    oneOf('TLSv1.3', 'TLSv1.2'),
  ),
  'require-client-cert': option(
    'OPENSHELL_REQUIRE_CLIENT_CERT',
    'FILE',
    '',
    'File (PEM) with the CAs of the API servers’ client certificates, reloaded when it changes: other clients get 403. Empty: no certificate is asked for.',
    (value) => value,
  ),
  'max-connections': option(
    'OPENSHELL_MAX_CONNECTIONS',
    'COUNT',
    '2000',
    'Maximum of concurrent connections; more are closed before their handshake. An API server opens one for each concurrent review.',
    integer(1, 100_000, 'a number of connections'),
  ),
  'max-connections-per-peer': option(
    'OPENSHELL_MAX_CONNECTIONS_PER_PEER',
    'COUNT',
    '1000',
    'Maximum of concurrent connections from one address. API servers behind one proxy share an address.',
    integer(1, 100_000, 'a number of connections'),
  ),
  'shutdown-delay': option(
    'OPENSHELL_SHUTDOWN_DELAY',
    'SECONDS',
    '5',
    'Seconds for which new connections are still accepted after SIGTERM, while endpoints propagate. Keep it 15 s below terminationGracePeriodSeconds.',
    integer(0, 60, 'seconds'),
  ),
  'log-level': option('OPENSHELL_LOG_LEVEL', 'LEVEL', 'info', 'debug, info, warn or error.', oneOf('debug', 'info', 'warn', 'error')),
} as const;

export type OptionName = keyof typeof OPTIONS;

/** What each option's value is once it is read. */
export type OptionValues = { readonly [N in OptionName]: ReturnType<(typeof OPTIONS)[N]['parse']> };
