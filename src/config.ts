import { parseArgs } from 'node:util';
import { BadValueError, OPTIONS, type Option, type OptionName, type OptionValues } from './options.ts';
import { repositoryOf } from './sideload/image.ts';
import type { SideloadSettings } from './sideload/settings.ts';

/** Everything the process is told, read once. */
export interface Config {
  readonly sideload: SideloadSettings;
  readonly port: number;
  readonly adminPort: number;
  readonly bindAddress: string;
  /** Empty: local development certificates. */
  readonly tlsCertDir: string;
  readonly tlsMinVersion: 'TLSv1.2' | 'TLSv1.3';
  /** Seconds. */
  readonly shutdownDelay: number;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
}

/** The command line or the environment cannot be used. The message lists every problem, a line each. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}

/**
 * Reads the configuration: flags win over environment variables, which win over defaults.
 *
 * @param args the command line without program and subcommand
 * @throws ConfigError with every problem, not just the first
 */
export function readConfig(args: readonly string[], env: Readonly<Record<string, string | undefined>>): Config {
  const { flags, problems } = readFlags(args);
  const values: Partial<Record<OptionName, unknown>> = {};
  for (const [name, option] of Object.entries(OPTIONS) as [OptionName, Option<unknown>][]) {
    const flag = flags.get(name);
    const variable = env[option.variable];
    const text = flag ?? variable ?? option.default;
    try {
      values[name] = option.parse(text);
    } catch (error) {
      if (!(error instanceof BadValueError)) throw error;
      const origin = flag === undefined && variable !== undefined ? ` (from ${option.variable})` : '';
      const shown = option.secret ? '' : ` ${JSON.stringify(text)}`;
      problems.push(`--${name}${shown}${origin}: ${error.message}`);
    }
  }
  const method = values['supervisor-sideload-method'] as OptionValues['supervisor-sideload-method'] | undefined;
  const allowed = values['allowed-sideload-methods'] as OptionValues['allowed-sideload-methods'] | undefined;
  if (method && allowed && !allowed.includes(method === 'auto' ? 'init-container' : method)) {
    const needs = method === 'auto' ? 'init-container, which auto falls back to' : 'it';
    problems.push(
      `--supervisor-sideload-method "${method}": --allowed-sideload-methods ${JSON.stringify(allowed.join(','))} lacks ${needs}`,
    );
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return configFrom(values as OptionValues);
}

/** Collects the flags' texts; a repeated flag's texts are joined by newlines, as its environment variable writes them. */
function readFlags(args: readonly string[]): { flags: Map<string, string>; problems: string[] } {
  const problems: string[] = [];
  const flags = new Map<string, string>();
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(Object.keys(OPTIONS).map((name) => [name, { type: 'string' as const }])),
    strict: false,
    tokens: true,
  });
  for (const token of tokens) {
    if (token.kind === 'positional') problems.push(`unexpected argument ${JSON.stringify(token.value)}: see --help`);
    if (token.kind !== 'option') continue;
    const option: Option<unknown> | undefined = Object.hasOwn(OPTIONS, token.name) ? OPTIONS[token.name as OptionName] : undefined;
    const before = flags.get(token.name);
    if (option === undefined) problems.push(`unknown flag ${token.rawName}: see --help`);
    else if (token.value === undefined) problems.push(`--${token.name} needs a value: --${token.name}=${option.value}`);
    else if (before !== undefined && !option.repeatable)
      problems.push(`--${token.name} is given twice: ${JSON.stringify(before)} and ${JSON.stringify(token.value)}`);
    else flags.set(token.name, before === undefined ? token.value : `${before}\n${token.value}`);
  }
  return { flags, problems };
}

function configFrom(values: OptionValues): Config {
  return {
    sideload: {
      image: values['supervisor-image'],
      pullPolicy: values['supervisor-image-pull-policy'],
      layout: values['supervisor-image-layout'],
      method: values['supervisor-sideload-method'],
      allowedMethods: values['allowed-sideload-methods'],
      capabilities: values['supervisor-capabilities'],
      appArmorProfile: values['supervisor-apparmor-profile'],
      env: values['supervisor-env'],
      // Always with the configured one: what the webhook itself puts into a pod has to be recognised when it is invoked again.
      trustedImages: new Set([...values['trusted-supervisor-images'], repositoryOf(values['supervisor-image'])]),
      missingCommand: values['missing-command'],
      uid: values['sandbox-uid'],
      gid: values['sandbox-gid'],
      workdir: values['sandbox-workdir'],
    },
    port: values.port,
    adminPort: values['admin-port'],
    bindAddress: values['bind-address'],
    tlsCertDir: values['tls-cert-dir'],
    tlsMinVersion: values['tls-min-version'],
    shutdownDelay: values['shutdown-delay'],
    logLevel: values['log-level'],
  };
}
