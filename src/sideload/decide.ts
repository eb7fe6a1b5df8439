/** The core: pod + settings + cluster facts -> outcome. No I/O, no clock, and the pod is not changed. This folder imports no other. */

import type { Method } from './contract.ts';
import { type Existing, findExisting, findInstallers, hasAnyPart, refuseTakenInstallName } from './existing.ts';
import { placeFiles } from './files.ts';
import { identityOf } from './identity.ts';
import { refuseOptions } from './launch.ts';
import { annotatedMethod, methodFor, refuseMethod, refusePolicyMethod } from './method.ts';
import { refuseNeighbours } from './neighbours.ts';
import { inject, isRefusal, type Outcome, quote, type Refuse, refuse, skip } from './outcome.ts';
import { annotationOperations, patchFor } from './patch.ts';
import type { Plan } from './plan.ts';
import type { Container, Pod, PodSpec } from './pod.ts';
import { choosePolicy, type PolicyChoice, refuseBypass } from './policy.ts';
import { refuseCoveredPrograms, refuseLoaderVariables } from './root-programs.ts';
import { type ContainerChoice, chooseContainer, passOver, refuseHostNetwork, refuseWindows, startsRightBinary } from './selection.ts';
import type { ClusterFacts, SideloadSettings } from './settings.ts';
import { brokenTopology, isProcessOnly, networkContainers } from './topology.ts';
import { concernsOf } from './warnings.ts';

/** What a step of the decision found, for `explain`. The steps that only refuse find nothing. */
export type Seen =
  | { readonly step: 'label' }
  | { readonly step: 'container'; readonly container: Container; readonly because: ContainerChoice['because'] }
  | { readonly step: 'method'; readonly method: Method; readonly existing: Existing; readonly annotated: Method | undefined }
  | { readonly step: 'cluster'; readonly facts: ClusterFacts }
  | { readonly step: 'supervisor'; readonly parts: 'all' | 'some' | 'none' }
  | { readonly step: 'policy'; readonly choice: PolicyChoice };

/**
 * Decides what becomes of a pod that is about to be created.
 *
 * 1. A pod that is no sandbox is skipped: the labels say what it is.
 * 2. A sandbox that no supervisor can guard (Windows, the node's network) is refused.
 * 3. One container is chosen, and what it has of a supervisor already is read from the structure: command, mount, volume, image.
 * 4. The method follows from the volume that is there, the annotation, or the operator; it has to be allowed, and the cluster has
 *    to keep what it writes.
 * 5. A sidecar topology of OpenShell's driver is compared with what that driver writes, and changed in nothing.
 * 6. The policy is chosen. A pod that would get around it, around the operator's options or around the supervisor is refused.
 * 7. The patch is built from what is missing. Nothing is missing: skipped. What the operator made a refusal of a warning refuses.
 * 8. Else the pod is injected.
 *
 * Every step may end with a refusal, which names what to change. The order of the steps is in docs/architecture.md.
 *
 * @param pod passes `podShape`
 * @param seen called with what each step found, in order, up to the one that ended the decision
 * @returns skip (leave it unchanged), refuse (with a message for its author) or inject (with the operations that put the supervisor in)
 */
export function decide(pod: Pod, settings: SideloadSettings, facts: ClusterFacts, seen?: (found: Seen) => void): Outcome {
  const passed = passOver(pod);
  if (passed) return passed;
  seen?.({ step: 'label' });
  const spec = pod.spec ?? {};
  const unguardable = refuseWindows(spec) ?? refuseHostNetwork(spec);
  if (unguardable) return unguardable;
  const annotated = annotatedMethod(pod);
  if (isRefusal(annotated)) return annotated;
  const choice = chooseContainer(pod, spec.containers ?? []);
  if (isRefusal(choice)) return choice;
  const { index, because } = choice;
  const container = spec.containers?.[index] ?? {};
  seen?.({ step: 'container', container, because });
  const existing = findExisting(spec, container, annotated, settings);
  if (isRefusal(existing)) return existing;
  const method = methodFor(spec, existing, annotated, settings, facts);
  seen?.({ step: 'method', method, existing, annotated });
  const installers = findInstallers(spec, container, existing, method, settings);
  if (isRefusal(installers)) return installers;

  const complete = isComplete(existing, installers.length > 0, container);
  if (method === 'image-volume') seen?.({ step: 'cluster', facts });
  const notAllowed = refuseMethod(method, annotated, settings, facts, existing, complete);
  if (notAllowed) return notAllowed;
  seen?.({ step: 'supervisor', parts: complete ? 'all' : hasAnyPart(existing) ? 'some' : 'none' });
  const own = [container, ...installers.flatMap((position) => spec.initContainers?.[position] ?? [])];
  if (existing.launched && isProcessOnly(container)) {
    const broken = refuseSidecarTopology(spec, container, complete, settings);
    // The network supervisor sees the processes of the others, and is none of the neighbours that could replace a supervisor.
    return broken ?? refuseNeighbours(spec, [...own, ...networkContainers(spec)], method, existing, settings) ?? skip('already-sideloaded');
  }

  const policy = choosePolicy(pod, container, settings);
  if (isRefusal(policy)) return policy;
  seen?.({ step: 'policy', choice: policy });
  const refused =
    (existing.launched ? refuseOptions(container, settings) : refuseCommand(existing, container)) ??
    (settings.policy.enforced && policy.policy ? refuseBypass(container, policy.policy, existing.launched, settings) : undefined) ??
    (method === 'init-container' && installers.length === 0 ? refuseTakenInstallName(spec) : undefined) ??
    refusePolicyMethod(policy.policy, method, existing, facts) ??
    refuseCoveredPrograms(container) ??
    refuseLoaderVariables(container) ??
    refuseNeighbours(spec, own, method, existing, settings);
  if (refused) return refused;
  const files = placeFiles(spec, container, policy.policy, settings);
  if (isRefusal(files)) return files;
  const identity = identityOf(spec, container, settings);
  if (isRefusal(identity)) return identity;

  const plan: Plan = { pod, spec, container, index, method, existing, installers, identity, policy, files };
  const operations = patchFor(plan, settings);
  const warnings = concernsOf(plan, settings, facts);
  if (operations.length === 0) return skip('already-sideloaded', warnings);
  for (const { refusal, message } of warnings) if (refusal) return refuse(refusal, message);
  return inject(hasAnyPart(existing) ? 'converged' : 'injected', {
    method,
    container: container.name ?? '',
    operations: [...operations, ...annotationOperations(plan)],
    warnings,
  });
}

/** OpenShell's driver made it, or it is refused: the webhook completes no sidecar topology. */
function refuseSidecarTopology(spec: PodSpec, container: Container, complete: boolean, settings: SideloadSettings): Refuse | undefined {
  if (settings.policy.enforced)
    return refuse(
      'policy-bypassed',
      'the policy is enforced here, and a sidecar topology gets its policy from a gateway: remove the sidecars and --mode',
    );
  const broken = complete ? brokenTopology(spec, container, settings) : 'a part of its supervisor is missing';
  if (broken === undefined) return undefined;
  return refuse(
    'incomplete-sidecar-topology',
    `this sidecar topology is not as OpenShell's driver makes it, ${broken}: remove --mode and $(...)`,
  );
}

/** Whether command, mount, volume and what fills it are all there. */
function isComplete({ method, launched, mount }: Existing, installed: boolean, container: Container): boolean {
  if (method === undefined || !launched || !mount?.readOnly) return false;
  return startsRightBinary(container, method) && (installed || method !== 'init-container');
}

/** Running args[0] as the program would be wrong: it belongs to an ENTRYPOINT that only the image knows. */
function refuseCommand(existing: Existing, container: Container): Refuse | undefined {
  if (existing.launched || container.command?.length || !container.args?.length) return undefined;
  // Another webhook took the command away and left our args.
  if (existing.mount && container.args[0] === '--') return undefined;
  return refuse(
    'args-without-command',
    `container ${quote(container.name ?? '')} has args but no command, and the image's ENTRYPOINT is not known here: set command to the program that the args are for`,
  );
}
