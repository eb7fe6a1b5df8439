/** The core: pod + settings + cluster facts -> outcome. No I/O, no clock, and the pod is not changed. This folder imports no other. */

import type { Method } from './contract.ts';
import { type Existing, findExisting, findInstallers, isHalfThere, refuseTakenInstallName } from './existing.ts';
import { placeFiles } from './files.ts';
import { identityOf } from './identity.ts';
import { refuseOptions } from './launch.ts';
import { annotatedMethod, methodFor, refuseMethod, refusePolicyMethod } from './method.ts';
import { refuseNeighbours } from './neighbours.ts';
import { type Outcome, quote, type Refuse, refuse, skip } from './outcome.ts';
import { annotationOperations, patchFor } from './patch.ts';
import type { Plan } from './plan.ts';
import type { Container, Pod, PodSpec } from './pod.ts';
import { choosePolicy, refuseBypass } from './policy.ts';
import { refuseCoveredPrograms, refuseLoaderVariables } from './root-programs.ts';
import { chooseContainer, passOver, refuseHostNetwork, refuseWindows, startsRightBinary } from './selection.ts';
import type { ClusterFacts, SideloadSettings } from './settings.ts';
import { brokenTopology, isProcessOnly, networkContainers } from './topology.ts';
import { concernsOf } from './warnings.ts';

/**
 * Decides what becomes of a pod that is about to be created.
 *
 * @param pod passes `podShape`
 * @returns skip (leave it unchanged), refuse (with a message for its author) or inject (with the operations that put the supervisor in)
 */
export function decide(pod: Pod, settings: SideloadSettings, facts: ClusterFacts): Outcome {
  const passed = passOver(pod);
  if (passed) return passed;
  const spec = pod.spec ?? {};
  const unguardable = refuseWindows(spec) ?? refuseHostNetwork(spec);
  if (unguardable) return unguardable;
  const annotated = annotatedMethod(pod);
  if (typeof annotated === 'object') return annotated;
  const choice = chooseContainer(pod, spec.containers ?? []);
  if ('verdict' in choice) return choice;
  const { index } = choice;
  const container = spec.containers?.[index] ?? {};
  const existing = findExisting(spec, container, annotated, settings);
  if ('verdict' in existing) return existing;
  const method = methodFor(spec, existing, annotated, settings, facts);
  const installers = findInstallers(spec, container, existing, method, settings);
  if ('verdict' in installers) return installers;

  const complete = isComplete(existing, installers.length > 0, container);
  const notAllowed = refuseMethod(method, settings, facts, existing, complete);
  if (notAllowed) return notAllowed;
  const own = [container, ...installers.flatMap((position) => spec.initContainers?.[position] ?? [])];
  if (existing.launched && isProcessOnly(container)) return decideSidecarTopology(spec, container, own, complete, method, settings);

  const policy = choosePolicy(pod, container, settings);
  if ('verdict' in policy) return policy;
  const refused =
    (existing.launched ? refuseOptions(container, settings) : refuseCommand(existing, container)) ??
    (settings.policy.enforced && policy.policy ? refuseBypass(container, policy.policy, existing.launched, settings) : undefined) ??
    (method === 'init-container' && installers.length === 0 ? refuseTakenInstallName(spec) : undefined) ??
    refusePolicyMethod(policy.policy, method, facts) ??
    refuseCoveredPrograms(container) ??
    refuseLoaderVariables(container) ??
    refuseNeighbours(spec, own, method, settings);
  if (refused) return refused;
  const files = placeFiles(spec, container, policy.policy, settings);
  if ('verdict' in files) return files;
  const identity = identityOf(spec, container, settings);
  if ('verdict' in identity) return identity;

  const plan: Plan = { pod, spec, container, index, method, existing, installers, identity, policy, files };
  const operations = patchFor(plan, settings);
  const concerns = concernsOf(plan, settings, facts);
  if (operations.length === 0) return skip('already-sideloaded', concerns);
  for (const { refusal, message } of concerns) if (refusal) return refuse(refusal, message);
  return {
    verdict: 'inject',
    reason: isHalfThere(existing) ? 'converged' : 'injected',
    method,
    container: container.name ?? '',
    operations: [...operations, ...annotationOperations(plan)],
    warnings: concerns,
  };
}

/**
 * OpenShell's driver made it, or it is refused: the webhook completes no sidecar topology. Its network supervisor sees the
 * processes of the others, and is none of the neighbours that could replace a supervisor.
 */
function decideSidecarTopology(
  spec: PodSpec,
  container: Container,
  own: readonly Container[],
  complete: boolean,
  method: Method,
  settings: SideloadSettings,
): Outcome {
  if (settings.policy.enforced)
    return refuse(
      'policy-bypassed',
      'the policy is enforced here, and a sidecar topology gets its policy from a gateway: remove the sidecars and --mode',
    );
  const broken = complete ? brokenTopology(spec, container, settings) : 'a part of its supervisor is missing';
  if (broken !== undefined)
    return refuse(
      'incomplete-sidecar-topology',
      `this sidecar topology is not as OpenShell's driver makes it, ${broken}: remove --mode and $(...)`,
    );
  return refuseNeighbours(spec, [...own, ...networkContainers(spec)], method, settings) ?? skip('already-sideloaded');
}

/** Whether command, mount, volume and what fills it are all there. */
function isComplete({ method, launched, readOnly, mount }: Existing, installed: boolean, container: Container): boolean {
  if (method === undefined || !launched || mount === -1 || !readOnly) return false;
  return startsRightBinary(container, method) && (installed || method !== 'init-container');
}

/** Running args[0] as the program would be wrong: it belongs to an ENTRYPOINT that only the image knows. */
function refuseCommand(existing: Existing, container: Container): Refuse | undefined {
  if (existing.launched || container.command?.length || !container.args?.length) return undefined;
  // Another webhook took the command away and left our args.
  if (existing.mount !== -1 && container.args[0] === '--') return undefined;
  return refuse(
    'args-without-command',
    `container ${quote(container.name ?? '')} has args but no command, and the image's ENTRYPOINT is not known here: set command to the program that the args are for`,
  );
}
