import type { Operation } from 'fast-json-patch';
import { ENV, SANDBOX_ID_LABEL } from './contract.ts';
import { isHalfThere } from './existing.ts';
import type { Identity } from './identity.ts';
import { append } from './operations.ts';
import type { Plan } from './plan.ts';
import type { Container, EnvVar } from './pod.ts';
import type { SideloadSettings } from './settings.ts';

/** Variables by which a supervisor is told that others drop privileges and guard the network. */
const TOPOLOGY_VARIABLES: readonly string[] = [ENV.topology, ENV.networkEnforcement];

/** Variables that the webhook writes itself: an operator's default for them would contradict it. */
export const PINNED_VARIABLES: readonly string[] = [ENV.sandboxUid, ENV.sandboxGid, ENV.ociImageUser, ...TOPOLOGY_VARIABLES];

interface Variable {
  readonly name: string;
  readonly value: string;
}

/** The same for every pod. */
const CLEARED: readonly Variable[] = [ENV.ociImageUser, ...TOPOLOGY_VARIABLES].map((name) => ({ name, value: '' }));

/**
 * What no pod, envFrom or image may choose otherwise: the identity; no OCI user, which would choose another identity; and no
 * sidecar topology, in which the supervisor neither drops privileges nor guards the network
 * (crates/openshell-sandbox/src/lib.rs, process_enforcement_mode and sidecar_network_enforcement_enabled).
 */
function pinnedVariables({ uid, gid }: Identity): readonly Variable[] {
  return [{ name: ENV.sandboxUid, value: String(uid) }, { name: ENV.sandboxGid, value: String(gid) }, ...CLEARED];
}

/** Whether the container's environment tells the supervisor to leave work to sidecars, or could: nobody can look into envFrom. */
export function mayAskForSidecars({ env, envFrom }: Container): boolean {
  return TOPOLOGY_VARIABLES.some((name) => {
    const own = (env ?? []).filter((variable) => variable.name === name);
    return own.length === 0 ? Boolean(envFrom?.length) : own.some(({ value, valueFrom }) => value || valueFrom);
  });
}

/** Whether the variable holds an id that an earlier invocation, or the driver that made the pod, resolved. */
function isResolvedId({ name, value, valueFrom }: EnvVar): boolean {
  return (name === ENV.sandboxUid || name === ENV.sandboxGid) && !valueFrom && /^[1-9][0-9]{0,9}$/.test(value ?? '');
}

/** Variables that the webhook adds where the pod has none of that name: the sandbox id from its label, then the operator's defaults. */
function defaultVariables(plan: Plan, settings: SideloadSettings): readonly Variable[] {
  const sandboxId = plan.pod.metadata?.labels?.[SANDBOX_ID_LABEL];
  return sandboxId ? [{ name: ENV.sandboxId, value: sandboxId }, ...settings.env] : settings.env;
}

function names(variables: Container['env'], name: string): boolean {
  return variables?.some((variable) => variable.name === name) ?? false;
}

/** Whether the sandbox container will have a variable, so far as its own `env`, its label and the operator's defaults give it. */
export function willHaveVariable(name: string, { pod, container }: Plan, settings: SideloadSettings): boolean {
  const fromLabel = name === ENV.sandboxId && Boolean(pod.metadata?.labels?.[SANDBOX_ID_LABEL]);
  return fromLabel || names(container.env, name) || names(settings.env, name);
}

/**
 * Pinned variables replace what the pod says, in place, so that `$(NAME)` references keep working; on a pod that is half
 * sideloaded, where runAsUser is the supervisor's 0 already, an id that was resolved before stays.
 */
export function environmentOperations(plan: Plan, path: string, settings: SideloadSettings): Operation[] {
  const env = plan.container.env ?? [];
  const pinned = pinnedVariables(plan.identity);
  const operations: Operation[] = [];
  env.forEach((variable, index) => {
    const wanted = pinned.find(({ name }) => name === variable.name);
    if (wanted === undefined || (isHalfThere(plan.existing) && isResolvedId(variable))) return;
    if (variable.valueFrom || (variable.value ?? '') !== wanted.value)
      operations.push({ op: 'replace', path: `${path}/env/${index}`, value: wanted });
  });
  const added = [...pinned, ...defaultVariables(plan, settings)].filter(({ name }) => !names(env, name));
  return [...operations, ...append(path, 'env', env, added)];
}
