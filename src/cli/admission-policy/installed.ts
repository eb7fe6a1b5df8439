/** The options for which an installed policy was printed, read back from its literals. */

import { PROXY_AUTH_FILE, PROXY_AUTH_MOUNT_PATH } from '../../sideload/contract.ts';
import type { LiteralName } from '../backstop-literals.ts';
import type { PolicyVariable } from './cel.ts';
import type { InjectionLiteral } from './literals.ts';

/** How the value of each literal is written as options. */
const OPTIONS_OF: Readonly<Record<LiteralName | InjectionLiteral, readonly [option: string, how: 'one' | 'joined' | 'each']>> = {
  trustedSupervisorImages: ['trusted-supervisor-images', 'joined'],
  allowedSideloadMethods: ['allowed-sideload-methods', 'joined'],
  supervisorArgs: ['supervisor-arg', 'each'],
  pinnedEnv: ['pinned-env', 'each'],
  supervisorEnv: ['supervisor-env', 'each'],
  operatorPolicy: ['policy', 'one'],
  operatorRules: ['policy-rules', 'one'],
  policyMode: ['policy-mode', 'one'],
  neighbours: ['neighbours', 'one'],
  operatorMethod: ['supervisor-sideload-method', 'one'],
  supervisorImage: ['supervisor-image', 'one'],
  pullPolicy: ['supervisor-image-pull-policy', 'one'],
  layout: ['supervisor-image-layout', 'one'],
  capabilities: ['supervisor-capabilities', 'joined'],
  appArmorProfile: ['supervisor-apparmor-profile', 'one'],
  proxyAuthSecret: ['upstream-proxy-auth-secret', 'one'],
  missingCommand: ['missing-command', 'one'],
  missingPolicy: ['missing-policy', 'one'],
  unreachableProbes: ['unreachable-probes', 'one'],
  sandboxUid: ['sandbox-uid', 'one'],
  sandboxGid: ['sandbox-gid', 'one'],
  sandboxWorkdir: ['sandbox-workdir', 'one'],
};

/** Names of the options that a policy holds. */
export const HONOURED: readonly string[] = Object.values(OPTIONS_OF).map(([option]) => option);

/** Follows from another option. */
const PROXY_AUTH_ARGUMENT = `--upstream-proxy-auth-file=${PROXY_AUTH_MOUNT_PATH}/${PROXY_AUTH_FILE}`;

/**
 * The command line for which the backstop of an installation was printed.
 *
 * @returns undefined where it holds no literals of an injection, or some that are no JSON: it was printed by another command
 */
export function printedFor(variables: readonly PolicyVariable[]): string[] | undefined {
  const literals = new Map(variables.map(({ name, expression }) => [name, expression]));
  const flags: string[] = [];
  for (const [name, [option, how]] of Object.entries(OPTIONS_OF)) {
    let value: unknown;
    try {
      value = JSON.parse(literals.get(name) ?? '');
    } catch {
      return undefined;
    }
    const values = [value].flat().map(String);
    if (how === 'each') flags.push(...values.filter((each) => each !== PROXY_AUTH_ARGUMENT).map((each) => `--${option}=${each}`));
    else flags.push(`--${option}=${values.join(',')}`);
  }
  return [...flags, '--entrypoint=off'];
}
