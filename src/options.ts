/** One table of all settings: the command line, the environment, `--help` and the README's configuration section follow from it. */

import { isIP } from 'node:net';
import { ENV, LAYOUTS, METHODS, type Method } from './sideload/contract.ts';
import { PINNED_VARIABLES } from './sideload/environment.ts';

/** The value cannot be taken. The message says what is allowed. */
export class BadValueError extends Error {
  override readonly name = 'BadValueError';
}

export interface Option<T> {
  /** Environment variable; a flag wins over it. */
  readonly variable: string;
  /** As it would be written on the command line. */
  readonly default: string;
  /** What stands for the value in `--help`. */
  readonly value: string;
  readonly description: string;
  /** Flag may be given several times; the variable then holds one value a line. */
  readonly repeatable?: boolean;
  /** The value may hold a secret: messages do not show it. */
  readonly secret?: boolean;
  /** @throws BadValueError */
  readonly parse: (value: string) => T;
}

function option<T>(variable: string, value: string, fallback: string, description: string, parse: (value: string) => T): Option<T> {
  return { variable, value, default: fallback, description, parse };
}

function oneOf<const T extends string>(...values: readonly T[]): (value: string) => T {
  return (value) => {
    const found = values.find((candidate) => candidate === value);
    if (found === undefined) throw new BadValueError(`expected ${values.map((candidate) => candidate || 'an empty value').join(', ')}`);
    return found;
  };
}

function integer(min: number, max: number, what: string): (value: string) => number {
  return (value) => {
    const number = Number(value);
    if (!/^\d{1,10}$/.test(value) || number < min || number > max) throw new BadValueError(`expected ${what}, ${min} to ${max}`);
    return number;
  };
}

function matching(pattern: RegExp, expected: string): (value: string) => string {
  return (value) => {
    if (!pattern.test(value)) throw new BadValueError(`expected ${expected}`);
    return value;
  };
}

/** Milliseconds, written as 90s, 10m or 24h. */
function duration(value: string): number {
  const [, number, unit] = /^([1-9]\d{0,6})([smh])$/.exec(value) ?? [];
  if (number === undefined) throw new BadValueError('expected a duration such as 90s, 10m or 24h');
  return Number(number) * { s: 1_000, m: 60_000, h: 3_600_000 }[unit as 's' | 'm' | 'h'];
}

function words(value: string): string[] {
  return value
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
}

function methods(value: string): Method[] {
  const allowed = words(value).map(oneOf(...METHODS));
  if (allowed.length === 0) throw new BadValueError(`expected at least one of ${METHODS.join(', ')}`);
  return [...new Set(allowed)];
}

function capabilities(value: string): string[] {
  return words(value).map((name) => {
    // The API server refuses CAP_SYS_ADMIN beside allowPrivilegeEscalation: false, and takes SYS_ADMIN.
    if (name.startsWith('CAP_')) throw new BadValueError(`expected capability names without CAP_: write ${name.slice('CAP_'.length)}`);
    if (name === 'ALL' || !/^[A-Z][A-Z0-9_]*$/.test(name))
      throw new BadValueError('expected capability names such as SYS_ADMIN, separated by commas');
    return name;
  });
}

function appArmorProfile(value: string): string {
  if (['', 'Unconfined', 'RuntimeDefault'].includes(value) || /^Localhost\/./.test(value)) return value;
  throw new BadValueError('expected Unconfined, RuntimeDefault, Localhost/NAME or an empty value');
}

/** Written by the webhook from each pod; an operator's default would contradict it. */
const RESERVED_VARIABLES: readonly string[] = [...PINNED_VARIABLES, ENV.sandboxId];

function variables(value: string): { name: string; value: string }[] {
  const found = new Map<string, string>();
  for (const [index, line] of value.split('\n').entries()) {
    if (line === '') continue;
    const [, name, text] = /^([A-Za-z_][A-Za-z0-9_]*)=(.*)$/.exec(line) ?? [];
    if (name === undefined || text === undefined)
      throw new BadValueError(`value ${index + 1}: expected NAME=VALUE, the name of letters, digits and _`);
    if (RESERVED_VARIABLES.includes(name)) throw new BadValueError(`${name} is set by the webhook itself`);
    if (found.has(name)) throw new BadValueError(`${name} is given twice`);
    found.set(name, text);
  }
  return [...found].map(([name, text]) => ({ name, value: text }));
}

/** Optional registry with port, then path: github.com/distribution/reference, without its length limits. */
const COMPONENT = '[a-z0-9]+(?:[._-]+[a-z0-9]+)*';
const REPOSITORY = `(?:[A-Za-z0-9]+(?:[.-]+[A-Za-z0-9]+)*(?::[0-9]+)?/)?${COMPONENT}(?:/${COMPONENT})*`;
const REFERENCE = new RegExp(`^${REPOSITORY}(?::[\\w][\\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$`);

function repositories(value: string): string[] {
  return words(value).map(matching(new RegExp(`^${REPOSITORY}$`), 'repositories without tag or digest, separated by commas'));
}

const objectName = matching(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/, 'the name of a Kubernetes object');
function ipAddress(value: string): string {
  if (isIP(value) === 0) throw new BadValueError('expected an IP address');
  return value;
}

const port = integer(0, 65535, 'a port, or 0 for any free one');
const id = integer(1, 2 ** 31 - 1, 'an id other than root');

export const OPTIONS = {
  'supervisor-image': option(
    'OPENSHELL_SUPERVISOR_IMAGE',
    'REFERENCE',
    'ghcr.io/nvidia/openshell/supervisor:latest',
    'Image that holds the supervisor.',
    matching(REFERENCE, 'an image reference such as ghcr.io/nvidia/openshell/supervisor:1.2.3'),
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
    'Method of pods that name none: image-volume, init-container, host-path, or auto (image-volume where the whole cluster is known to mount images, else init-container).',
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
    'AppArmor profile where the pod sets none: Unconfined, RuntimeDefault or Localhost/NAME; empty leaves it to the pod.',
    appArmorProfile,
  ),
  'supervisor-env': {
    ...option(
      'OPENSHELL_SUPERVISOR_ENV',
      'NAME=VALUE',
      '',
      'Variable added to the sandbox container where it has none of that name. Repeatable; in the environment, one a line.',
      variables,
    ),
    repeatable: true,
    secret: true,
  },
  'trusted-supervisor-images': option(
    'OPENSHELL_TRUSTED_SUPERVISOR_IMAGES',
    'REPOSITORIES',
    'ghcr.io/nvidia/openshell/supervisor,ghcr.io/nvidia/openshell-community/supervisor',
    'Repositories, as pods write them, whose supervisors are accepted in pods that bring one; that of --supervisor-image always is. List the mirror too where another webhook rewrites images.',
    repositories,
  ),
  'missing-command': option(
    'OPENSHELL_MISSING_COMMAND',
    'ACTION',
    'warn',
    'What to do with a sandbox container that has neither command nor args: warn or refuse.',
    oneOf('warn', 'refuse'),
  ),
  'sandbox-uid': option(
    'OPENSHELL_SANDBOX_UID',
    'UID',
    '1000',
    'User id of the sandboxed process where the pod sets no runAsUser, or root.',
    id,
  ),
  'sandbox-gid': option(
    'OPENSHELL_SANDBOX_GID',
    'GID',
    '1000',
    'Group id of the sandboxed process where the pod sets no runAsGroup, or root.',
    id,
  ),
  'sandbox-workdir': option(
    'OPENSHELL_SANDBOX_WORKDIR',
    'PATH',
    '/sandbox',
    'Working directory of the sandboxed process where the container sets none.',
    matching(/^\//, 'an absolute path'),
  ),
  port: option('OPENSHELL_LISTEN_PORT', 'PORT', '8443', 'Port of the webhook (HTTPS).', port),
  'admin-port': option('OPENSHELL_ADMIN_LISTEN_PORT', 'PORT', '8081', 'Port of /healthz, /readyz and /metrics (plain HTTP).', port),
  'bind-address': option('OPENSHELL_BIND_ADDRESS', 'ADDRESS', '::', 'Address of both ports; :: is every address, IPv4 too.', ipAddress),
  certificates: option(
    'OPENSHELL_CERTIFICATES',
    'SOURCE',
    'auto',
    'directory: those of --tls-cert-dir. self-managed: signed by each replica with a CA that all share through a Secret. local: made under ./certs. auto: directory where --tls-cert-dir is set, else self-managed inside a cluster, else local.',
    oneOf('auto', 'directory', 'self-managed', 'local'),
  ),
  'tls-cert-dir': option(
    'OPENSHELL_TLS_CERT_DIR',
    'DIR',
    '',
    'Directory with tls.crt and tls.key, reloaded when they change.',
    (value) => value,
  ),
  namespace: option(
    'OPENSHELL_NAMESPACE',
    'NAME',
    'openshell-system',
    'Namespace of the webhook, with its Service and its CA Secret.',
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
    'Time from a new CA in caBundle to the first certificate that it signs: API servers learn caBundle by watch.',
    duration,
  ),
  'tls-min-version': option(
    'OPENSHELL_TLS_MIN_VERSION',
    'VERSION',
    'TLSv1.3',
    'Lowest TLS version accepted: TLSv1.3 or TLSv1.2.',
    oneOf('TLSv1.3', 'TLSv1.2'),
  ),
  'shutdown-delay': option(
    'OPENSHELL_SHUTDOWN_DELAY',
    'SECONDS',
    '5',
    'Seconds for which new connections are still taken after SIGTERM, while endpoints propagate. Keep it 15 s below terminationGracePeriodSeconds.',
    integer(0, 60, 'seconds'),
  ),
  'log-level': option('OPENSHELL_LOG_LEVEL', 'LEVEL', 'info', 'debug, info, warn or error.', oneOf('debug', 'info', 'warn', 'error')),
} as const;

export type OptionName = keyof typeof OPTIONS;

/** What each option's value is once it is read. */
export type OptionValues = { readonly [N in OptionName]: ReturnType<(typeof OPTIONS)[N]['parse']> };
