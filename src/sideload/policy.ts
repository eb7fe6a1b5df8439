/**
 * Where a sandbox gets its policy: files that are mounted beside the supervisor, named by the pod's annotation or by the
 * operator. A gateway serves only pods that it made itself, so that files are the way for pods of all other tools.
 */

import { ENV, POLICY_ANNOTATION, POLICY_DATA_FILE } from './contract.ts';
import { isSame } from './environment.ts';
import { GATEWAY_VARIABLES, hasGateway, literalOf, setsVariable } from './gateway.ts';
import { quote, type Refuse, refuse } from './outcome.ts';
import type { Container, Pod } from './pod.ts';
import { type Policy, policyFrom } from './policy-source.ts';
import type { SideloadSettings } from './settings.ts';

/** Names of ConfigMaps: DNS subdomains of RFC 1123, at most 253 characters. */
const CONFIG_MAP_NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/** Whether a ConfigMap can have this name. */
export function isConfigMapName(name: string): boolean {
  return name.length <= 253 && CONFIG_MAP_NAME.test(name);
}

/** Whether the container's variables name the files of this policy. */
function namesFilesOf(container: Container, { variables }: Policy): boolean {
  return variables.every(({ name, value }) => literalOf(container, name) === value);
}

/** Whether container or operator name both files, and not those of the operator's policy. */
function bringsFiles(container: Container, { env, policy: { operator } }: SideloadSettings): boolean {
  const has = (name: string): boolean => setsVariable(container, name) || env.some((variable) => variable.name === name);
  return has(ENV.policyRules) && has(ENV.policyData) && !(operator && namesFilesOf(container, operator));
}

/** Where the policy of a pod comes from. */
export type PolicyChoice =
  | { readonly from: 'annotation' | 'operator'; readonly policy: Policy }
  /** The pod's own files, the pod's gateway, envFrom that may name either, or nothing that can be seen. */
  | { readonly from: 'files' | 'gateway' | 'envFrom' | 'nothing'; readonly policy: undefined };

/**
 * Chooses the policy of a pod: the annotation's; else, where the pod names files or a gateway itself, none is injected; else
 * the operator's. Where the policy is enforced, it is the operator's, and an annotation is refused.
 */
export function choosePolicy(pod: Pod, container: Container, settings: SideloadSettings): PolicyChoice | Refuse {
  const { operator, rules, enforced, enforceable } = settings.policy;
  const annotated = pod.metadata?.annotations?.[POLICY_ANNOTATION];
  if (enforced) {
    if (!operator || !enforceable)
      return refuse(
        'policy-not-allowed',
        'this namespace enforces a policy, and the operator has none that can be enforced: set --policy to image:REPOSITORY@sha256:DIGEST, with its rules',
      );
    if (annotated !== undefined)
      return refuse(
        'policy-not-allowed',
        `annotation ${POLICY_ANNOTATION} is ${quote(annotated)}, and the operator's policy is enforced here: remove the annotation`,
      );
    return { from: 'operator', policy: operator };
  }
  if (annotated !== undefined) {
    if (!isConfigMapName(annotated))
      return refuse(
        'invalid-policy',
        `annotation ${POLICY_ANNOTATION} is ${quote(annotated)}: set it to the name of a ConfigMap with the key ${POLICY_DATA_FILE}`,
      );
    if (setsVariable(container, ENV.endpoint) && setsVariable(container, ENV.sandboxId))
      return refuse(
        'policy-conflict',
        `container ${quote(container.name ?? '')} has annotation ${POLICY_ANNOTATION} and a gateway (${ENV.endpoint}), which the files would replace: remove one of them`,
      );
    return { from: 'annotation', policy: policyFrom({ from: 'configmap', name: annotated }, rules, settings.pullPolicy) };
  }
  if (bringsFiles(container, settings)) return { from: 'files', policy: undefined };
  if (hasGateway(pod, container, settings)) return { from: 'gateway', policy: undefined };
  if (operator) return { from: 'operator', policy: operator };
  return { from: container.envFrom?.length ? 'envFrom' : 'nothing', policy: undefined };
}

/** Whether envFrom could bring a variable of that name: its content cannot be seen at admission, but its prefix is known. */
function mayBring({ envFrom }: Container, name: string): boolean {
  return envFrom?.some(({ prefix }) => name.startsWith(prefix ?? '')) ?? false;
}

/**
 * Refuses a pod that would get around an enforced policy: it arrives with a supervisor that has another one, or it names a
 * gateway or inference routes, which would add to the operator's policy. The file of inference routes cannot be pinned: the
 * supervisor takes an empty name for a file, and exits.
 *
 * @param launched whether the pod arrives with its supervisor
 */
export function refuseBypass(
  container: Container,
  policy: Policy,
  launched: boolean,
  { env, pinnedEnv }: SideloadSettings,
): Refuse | undefined {
  const bypassed = (what: string, fix: string): Refuse =>
    refuse('policy-bypassed', `container ${quote(container.name ?? '')} ${what}, and the operator's policy is enforced here: ${fix}`);
  if (launched && !namesFilesOf(container, policy))
    return bypassed('arrives with a supervisor that has another policy', 'write only your program as command');
  const routes = ENV.inferenceRoutes;
  const operators = [...pinnedEnv, ...env];
  const own = [routes, ...GATEWAY_VARIABLES].find((name) => {
    const there = container.env?.findLast((variable) => variable.name === name);
    return there && !operators.some((variable) => variable.name === name && isSame(there, variable));
  });
  if (own !== undefined) return bypassed(`sets ${own}`, 'remove the variable');
  if (mayBring(container, routes))
    return bypassed(`has envFrom, which could bring ${routes}`, 'list its variables in env, or give it a prefix');
  return undefined;
}
