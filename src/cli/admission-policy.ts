/** `openshell-sideload admission-policy`: prints what injects the supervisor inside the API server, without a webhook. */

import type { Config } from '../config/config.ts';
import { honoured } from './admission-policy/honoured.ts';
import { injectionLiterals } from './admission-policy/literals.ts';
import { admissionPolicies } from './admission-policy/manifests.ts';
import { BACKSTOP_OPTIONS, ephemeralContainersOf, readBackstop } from './backstop.ts';
import { backstopLiterals } from './backstop-literals.ts';
import { type Command, type CommandLine, EXIT } from './command.ts';

/**
 * All objects for the settings, as YAML.
 *
 * @param ephemeralContainers what to do with ephemeral containers in sandboxes: `refuse` or `allow`
 */
export function policyTexts(config: Config, ephemeralContainers: string): string {
  const literals = {
    ...backstopLiterals(config),
    ...injectionLiterals(config),
    ephemeralContainers: JSON.stringify(ephemeralContainers),
  };
  const { stored, changed } = readBackstop();
  return admissionPolicies(stored, changed, literals).replaceAll('openshell-system', config.namespace);
}

async function run({ flags, config }: CommandLine): Promise<number> {
  process.stdout.write(policyTexts(honoured(config, flags, process.env), ephemeralContainersOf(flags)));
  return EXIT.done;
}

export const admissionPolicy: Command = {
  summary: 'Prints policies by which the API server injects sandboxes itself (experimental).',
  usage: 'admission-policy [--ephemeral-containers ACTION] [SETTINGS]',
  description:
    'Experimental, Kubernetes 1.36 or newer: prints policies by which the API server injects sandboxes itself, without the webhook: a MutatingAdmissionPolicy, the backstop, and a policy that warns. Apply them with kubectl. Pods without a command are refused, unless --missing-command is shell. It needs no cluster.',
  options: BACKSTOP_OPTIONS,
  examples: [['admission-policy --policy=configmap:sandbox | kubectl apply -f -', 'without the webhook, on Kubernetes 1.36 or newer']],
  takesWords: false,
  run,
};
