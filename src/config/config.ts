/** The settings: the table of options, and reading it once, at start. May import tls/, observe/ and sideload/, and knows no cluster. */

import { ExpectedError } from '../observe/expected-error.ts';
import { PROXY_AUTH_FILE, PROXY_AUTH_MOUNT_PATH } from '../sideload/contract.ts';
import { defaultVariables, pinnedVariables } from '../sideload/environment.ts';
import { isPinned, trustedImages } from '../sideload/image.ts';
import { policyFrom } from '../sideload/policy-source.ts';
import type { PolicySettings, SideloadSettings } from '../sideload/settings.ts';
import { namesOfService } from '../tls/names.ts';
import type { Certificates } from '../tls/source.ts';
import { type Arguments, readArguments, unexpected } from './arguments.ts';
import { contradictions } from './contradictions.ts';
import { OPTIONS, type Option, type OptionName, type OptionValues } from './options.ts';
import { type ShownSetting, shownSettings } from './shown.ts';
import { type Tracing, tracingFrom } from './tracing.ts';
import { BadValueError } from './values.ts';

const METHOD = 'supervisor-sideload-method';

/** Most connections at a time: of all clients, and of one address. */
export interface ConnectionLimits {
  readonly total: number;
  readonly perPeer: number;
}

/** Where it is looked up what images run. Files are empty where there is none. */
interface ImageOptions {
  /** File with the operator's map. */
  readonly map: string;
  readonly hosts: readonly string[];
  readonly plainHttp: readonly string[];
  readonly mirrors: ReadonlyMap<string, string>;
  /** File with CAs. */
  readonly authorities: string;
  /** File with Docker's configuration. */
  readonly credentials: string;
  /** The ClusterRole that lets the webhook read pull secrets, where it is bound. */
  readonly pullSecretsRole: string;
}

/** All settings, read once. */
export interface Config {
  readonly sideload: SideloadSettings;
  readonly images: ImageOptions;
  readonly port: number;
  readonly adminPort: number;
  readonly bindAddress: string;
  readonly certificates: Certificates;
  /** Whether to ask the API server what the cluster can do. */
  readonly preflight: boolean;
  /** Whether to count the sandboxes that run without their supervisor. */
  readonly countUnguarded: boolean;
  /** Whether to write Events on the owners of pods that are refused or get warnings. */
  readonly ownerEvents: boolean;
  readonly tracing: Tracing;
  /** The webhook's own. */
  readonly namespace: string;
  /** Name of the MutatingWebhookConfiguration whose entries call this webhook. */
  readonly webhookConfiguration: string;
  readonly tlsMinVersion: 'TLSv1.2' | 'TLSv1.3';
  /** File with the CAs of client certificates; empty where none is asked for. */
  readonly clientAuthorities: string;
  readonly connections: ConnectionLimits;
  /** Seconds. */
  readonly shutdownDelay: number;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
  /** What the backstop has to know too, as the options are written. */
  readonly texts: {
    readonly pinnedEnv: string;
    readonly supervisorEnv: string;
    readonly policy: string;
    readonly policyRules: string;
    readonly policyMode: string;
  };
  /** Settings for the page of the admin port. */
  readonly shown: readonly ShownSetting[];
  /** Options whose values have another name now, with what to write. */
  readonly renamed: readonly string[];
  /** Where the sideload method comes from: `--supervisor-sideload-method`, its variable, or `default`. */
  readonly methodOrigin: string;
}

/** The command line or the environment cannot be used. The message lists every problem, a line each. */
export class UsageError extends ExpectedError {
  override readonly name = 'UsageError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}

/**
 * Reads the configuration from a command line that has settings only.
 *
 * @param args the command line without program and subcommand
 * @throws UsageError with every problem, not just the first
 */
export function readConfig(args: readonly string[], env: Readonly<Record<string, string | undefined>>): Config {
  const { flags, positionals, problems } = readArguments(args, OPTIONS);
  return configOf({ flags, positionals: [], problems: [...positionals.map(unexpected), ...problems] }, env);
}

/**
 * Makes the configuration of what was read: flags win over environment variables, which win over defaults.
 *
 * @throws UsageError with every problem, those of `read` first
 */
export function configOf(read: Arguments, env: Readonly<Record<string, string | undefined>>): Config {
  const { flags } = read;
  const problems = [...read.problems];
  const values: Partial<Record<OptionName, unknown>> = {};
  const texts = new Map<OptionName, string>();
  for (const [name, option] of Object.entries(OPTIONS) as [OptionName, Option<unknown>][]) {
    // As its environment variable writes them: one value a line.
    const flag = flags.get(name)?.join('\n');
    const variable = env[option.variable];
    const text = flag ?? variable ?? option.default;
    texts.set(name, text);
    try {
      values[name] = option.parse(text);
    } catch (error) {
      if (!(error instanceof BadValueError)) throw error;
      const origin = flag === undefined && variable !== undefined ? ` (from ${option.variable})` : '';
      const shown = option.secret ? '' : ` ${JSON.stringify(text)}`;
      problems.push(`--${name}${shown}${origin}: ${error.message}`);
    }
  }
  problems.push(...contradictions(values as Partial<OptionValues>));
  if (problems.length > 0) throw new UsageError(problems);
  const { variable } = OPTIONS[METHOD];
  const methodOrigin = flags.has(METHOD) ? `--${METHOD}` : env[variable] === undefined ? 'default' : variable;
  const textOf = (name: OptionName): string => texts.get(name) ?? '';
  return {
    ...configFrom(values as OptionValues, 'KUBERNETES_SERVICE_HOST' in env),
    methodOrigin,
    tracing: tracingFrom(env),
    shown: shownSettings(texts),
    renamed: texts.get('missing-command') === 'warn' ? ['--missing-command "warn" is called "shell" now'] : [],
    texts: {
      pinnedEnv: textOf('pinned-env'),
      supervisorEnv: textOf('supervisor-env'),
      policy: textOf('policy'),
      policyRules: textOf('policy-rules'),
      policyMode: textOf('policy-mode'),
    },
  };
}

function certificatesFrom(values: OptionValues, inCluster: boolean): Certificates {
  const { certificates, 'tls-cert-dir': dir, 'webhook-namespace': namespace } = values;
  const automatic = dir !== '' ? 'directory' : inCluster ? 'self-managed' : 'local';
  const source = certificates === 'auto' ? automatic : certificates;
  const names = namesOfService(values['service-name'], namespace);
  switch (source) {
    case 'directory':
      return { source, dir };
    case 'local':
      return { source, names };
    case 'self-managed':
      return {
        source,
        names,
        policy: {
          caLifetime: values['ca-lifetime'],
          servingLifetime: values['serving-cert-lifetime'],
          settleTime: values['ca-settle-time'],
        },
        objects: { namespace, secret: values['ca-secret'], webhookConfiguration: values['webhook-configuration'] },
      };
  }
}

function policyFromOptions(values: OptionValues): PolicySettings {
  const { policy: data, 'policy-rules': rules } = values;
  const pinnedRules =
    rules.from === 'same' ||
    (rules.from === 'image' && isPinned(rules.reference)) ||
    (rules.from === 'supervisor' && isPinned(values['supervisor-image']));
  return {
    operator: data && policyFrom(data, rules, values['supervisor-image-pull-policy']),
    rules,
    enforced: values['policy-mode'] === 'enforced',
    enforceable: data?.from === 'image' && isPinned(data.reference) && pinnedRules,
    missing: values['missing-policy'],
  };
}

function configFrom(values: OptionValues, inCluster: boolean): Omit<Config, 'methodOrigin' | 'texts' | 'renamed' | 'tracing' | 'shown'> {
  return {
    sideload: {
      image: values['supervisor-image'],
      pullPolicy: values['supervisor-image-pull-policy'],
      layout: values['supervisor-image-layout'],
      method: values['supervisor-sideload-method'],
      allowedMethods: values['allowed-sideload-methods'],
      capabilities: values['supervisor-capabilities'],
      appArmorProfile: values['supervisor-apparmor-profile'],
      env: defaultVariables(values['supervisor-env']),
      pinnedEnv: pinnedVariables(values['pinned-env']),
      supervisorArgs: values['upstream-proxy-auth-secret']
        ? [...values['supervisor-arg'], `--upstream-proxy-auth-file=${PROXY_AUTH_MOUNT_PATH}/${PROXY_AUTH_FILE}`]
        : values['supervisor-arg'],
      proxyAuthSecret: values['upstream-proxy-auth-secret'],
      policy: policyFromOptions(values),
      unreachableProbes: values['unreachable-probes'],
      // Always with the configured one: what the webhook itself puts into a pod has to be recognised when it is invoked again.
      trustedImages: trustedImages([...values['trusted-supervisor-images'], values['supervisor-image']]),
      neighbours: values.neighbours,
      missingCommand: values['missing-command'],
      entrypoint: values.entrypoint,
      inspectImages: values['inspect-images'],
      pinResolvedImages: values['pin-resolved-images'] === 'true',
      uid: values['sandbox-uid'],
      gid: values['sandbox-gid'],
      workdir: values['sandbox-workdir'],
    },
    images: {
      map: values['entrypoint-map'],
      hosts: values['registry-hosts'],
      plainHttp: values['registry-plain-http'],
      mirrors: values['registry-mirrors'],
      authorities: values['registry-ca'],
      credentials: values['registry-config'],
      pullSecretsRole: `${values['service-name']}-pull-secrets`,
    },
    port: values.port,
    adminPort: values['admin-port'],
    bindAddress: values['bind-address'],
    certificates: certificatesFrom(values, inCluster),
    preflight: values.preflight === 'auto' ? inCluster : values.preflight === 'on',
    countUnguarded: values['count-unguarded'] === 'true',
    ownerEvents: values['owner-events'] === 'true',
    namespace: values['webhook-namespace'],
    webhookConfiguration: values['webhook-configuration'],
    tlsMinVersion: values['tls-min-version'],
    clientAuthorities: values['require-client-cert'],
    connections: { total: values['max-connections'], perPeer: values['max-connections-per-peer'] },
    shutdownDelay: values['shutdown-delay'],
    logLevel: values['log-level'],
  };
}
