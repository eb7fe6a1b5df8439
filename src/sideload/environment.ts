import type { Operation } from 'fast-json-patch';
import { ENV, SANDBOX_ID_LABEL } from './contract.ts';
import { isHalfThere } from './existing.ts';
import { identityVariables } from './identity.ts';
import { append } from './operations.ts';
import type { Plan } from './plan.ts';
import type { EnvVar } from './pod.ts';
import type { SideloadSettings } from './settings.ts';

/** Whether the variable holds an identity that an earlier invocation, or the driver that made the pod, resolved. */
function isResolved(variable: EnvVar): boolean {
  if (variable.valueFrom) return false;
  return variable.name === ENV.ociImageUser ? !variable.value : /^[1-9][0-9]{0,9}$/.test(variable.value ?? '');
}

/** Variables that the webhook adds where the pod has none of that name: the sandbox id from its label, then the operator's defaults. */
function defaultVariables(plan: Plan, settings: SideloadSettings): readonly { name: string; value: string }[] {
  const sandboxId = plan.pod.metadata?.labels?.[SANDBOX_ID_LABEL];
  return sandboxId === undefined ? settings.env : [{ name: ENV.sandboxId, value: sandboxId }, ...settings.env];
}

/** Names of all variables that the sandbox container will have, so far as its own `env` and the webhook give them. */
export function variableNames(plan: Plan, settings: SideloadSettings): Set<string> {
  const own = (plan.container.env ?? []).map((variable) => variable.name ?? '');
  return new Set([...own, ...defaultVariables(plan, settings).map(({ name }) => name)]);
}

/**
 * The identity replaces what the pod says, in place, so that `$(NAME)` references keep working; on a pod that is half
 * sideloaded, where runAsUser is the supervisor's 0 already, an identity that was resolved before stays.
 */
export function environmentOperations(plan: Plan, path: string, settings: SideloadSettings): Operation[] {
  const env = plan.container.env ?? [];
  const missing = new Map(defaultVariables(plan, settings).map((variable) => [variable.name, variable]));
  const identity = new Map(identityVariables(plan.identity).map((variable) => [variable.name, variable]));
  const operations: Operation[] = [];
  const present = new Set<string>();
  for (const [index, variable] of env.entries()) {
    const name = variable.name ?? '';
    present.add(name);
    const resolved = identity.get(name);
    if (resolved === undefined || (isHalfThere(plan.existing) && isResolved(variable))) continue;
    if (variable.valueFrom || (variable.value ?? '') !== resolved.value)
      operations.push({ op: 'replace', path: `${path}/env/${index}`, value: resolved });
  }
  const added = [...identity.values(), ...missing.values()].filter(({ name }) => !present.has(name));
  return [...operations, ...append(path, 'env', env, added)];
}
