/** Which options a policy can honour: it sees the pod and its namespace, asks nobody, and is no server. */

import { type Config, UsageError } from '../../config/config.ts';
import { OPTIONS, type OptionName } from '../../config/options.ts';
import { HONOURED } from './installed.ts';

const LOOKUPS: readonly OptionName[] = [
  ...(['entrypoint-map', 'inspect-images', 'pin-resolved-images', 'registry-hosts', 'registry-plain-http'] as const),
  ...(['registry-mirrors', 'registry-ca', 'registry-config'] as const),
];

/** What a policy holds, and what is judged by its value. All others are of the server. */
const OTHERS: readonly string[] = [...HONOURED, ...LOOKUPS, 'entrypoint', 'webhook-namespace'];

/**
 * The configuration as a policy honours it: if --missing-command is not given, pods without a command are refused.
 *
 * @param flags the options of the command line, by long name
 * @param env the environment, which may hold options of the webhook's server: those do not count
 * @throws UsageError with every option that only the webhook can honour
 */
export function honoured(
  config: Config,
  flags: ReadonlyMap<string, readonly string[]>,
  env: Readonly<Record<string, string | undefined>>,
): Config {
  const { sideload } = config;
  const isGiven = (name: OptionName): boolean =>
    flags.has(name) || (env[OPTIONS[name].variable] ?? OPTIONS[name].default) !== OPTIONS[name].default;
  const problems: string[] = [];
  if (sideload.method === 'auto')
    problems.push(
      '--supervisor-sideload-method "auto": a policy does not see the nodes: set image-volume or init-container, or install the webhook',
    );
  const looksUp = sideload.missingCommand === 'lookup';
  if (looksUp && (flags.has('missing-command') || env[OPTIONS['missing-command'].variable] !== undefined))
    problems.push('--missing-command "lookup": a policy asks no registry: set refuse or shell, or install the webhook');
  if (flags.has('entrypoint') && sideload.entrypoint !== 'off')
    problems.push(`--entrypoint "${sideload.entrypoint}": a policy asks no registry: leave it out, or install the webhook`);
  for (const name of LOOKUPS)
    if (isGiven(name)) problems.push(`--${name}: a policy looks nothing up: leave it out, or install the webhook`);
  for (const name of Object.keys(OPTIONS))
    if (!OTHERS.includes(name) && flags.has(name)) problems.push(`--${name}: a policy has no server: leave it out`);
  if (problems.length > 0) throw new UsageError(problems);
  return { ...config, sideload: { ...sideload, entrypoint: 'off', missingCommand: looksUp ? 'refuse' : sideload.missingCommand } };
}
