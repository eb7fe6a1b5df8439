/** The core: pod + settings + cluster facts -> outcome. No I/O, no clock, and the pod is not changed. This folder imports no other. */

import type { Method } from './contract.ts';
import { type Existing, findExisting, findInstallers, hasAnyPart, refuseTakenInstallName } from './existing.ts';
import { placeFiles } from './files.ts';
import { identityOf } from './identity.ts';
import { type BroughtImage, broughtBy, type ImageFacts, imageNeed, lacksProgram, type UnknownImage, withImage } from './image-facts.ts';
import { refuseOptions } from './launch.ts';
import { annotatedMethod, methodFor, refuseMethod, refusePolicyMethod } from './method.ts';
import { refuseNeighbours } from './neighbours.ts';
import { type ImageNeed, inject, isRefusal, type Outcome, quote, type Refuse, refuse, skip } from './outcome.ts';
import { annotationOperations, patchFor } from './patch.ts';
import type { Plan } from './plan.ts';
import type { Container, Pod, PodSpec } from './pod.ts';
import { choosePolicy, type PolicyChoice, refuseBypass } from './policy.ts';
import { refuseCoveredPrograms, refuseLoaderVariables } from './root-programs.ts';
import { type ContainerChoice, chooseContainer, passOver, refuseHostNetwork, refuseWindows, startsRightBinary } from './selection.ts';
import type { ClusterFacts, SideloadSettings } from './settings.ts';
import { brokenTopology, isProcessOnly, networkContainers } from './topology.ts';
import { type Concern, concernsOf } from './warnings.ts';

/** What a step of the decision found, for `explain`. The steps that only refuse find nothing. */
export type Seen =
  | { readonly step: 'label' }
  | { readonly step: 'container'; readonly container: Container; readonly because: ContainerChoice['because'] }
  | { readonly step: 'method'; readonly method: Method; readonly existing: Existing; readonly annotated: Method | undefined }
  | { readonly step: 'cluster'; readonly facts: ClusterFacts }
  | { readonly step: 'supervisor'; readonly parts: 'all' | 'some' | 'none' }
  | { readonly step: 'image'; readonly brought: BroughtImage }
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
 * 6. What its image brings counts as the pod's own where the pod has nothing: the program, above all.
 * 7. The policy is chosen. A pod that would get around it, around the operator's options or around the supervisor is refused.
 * 8. The patch is built from what is missing. Nothing is missing: skipped. What the operator made a refusal of a warning refuses.
 * 9. Else the pod is injected.
 *
 * Every step may end with a refusal, which names what to change. The order of the steps is in docs/architecture.md.
 *
 * @param pod passes `podShape`
 * @param image what was found out about the sandbox container's image. Undefined: not looked up. If it has to be, and nothing else
 *   is wrong with the pod, the decision is a refusal that says so in `needs`: look the image up, and decide again
 * @param seen called with what each step found, in order, up to the one that ended the decision
 * @returns skip (leave it unchanged), refuse (with a message for its author) or inject (with the operations that put the supervisor in)
 */
export function decide(
  pod: Pod,
  settings: SideloadSettings,
  facts: ClusterFacts,
  image?: ImageFacts | UnknownImage,
  seen?: (found: Seen) => void,
): Outcome {
  const passed = passOver(pod);
  if (passed) return passed;
  seen?.({ step: 'label' });
  const writtenSpec = pod.spec ?? {};
  const unguardable = refuseWindows(writtenSpec) ?? refuseHostNetwork(writtenSpec);
  if (unguardable) return unguardable;
  const annotated = annotatedMethod(pod);
  if (isRefusal(annotated)) return annotated;
  const choice = chooseContainer(pod, writtenSpec.containers ?? []);
  if (isRefusal(choice)) return choice;
  const { index, because } = choice;
  const written = writtenSpec.containers?.[index] ?? {};
  seen?.({ step: 'container', container: written, because });
  const existing = findExisting(writtenSpec, written, annotated, settings);
  if (isRefusal(existing)) return existing;
  const method = methodFor(writtenSpec, existing, annotated, settings, facts);
  seen?.({ step: 'method', method, existing, annotated });
  const installers = findInstallers(writtenSpec, written, existing, method, settings);
  if (isRefusal(installers)) return installers;

  const complete = isComplete(existing, installers.length > 0, written);
  if (method === 'image-volume') seen?.({ step: 'cluster', facts });
  const notAllowed = refuseMethod(method, annotated, settings, facts, existing, complete);
  if (notAllowed) return notAllowed;
  seen?.({ step: 'supervisor', parts: complete ? 'all' : hasAnyPart(existing) ? 'some' : 'none' });
  const ownContainers = (chosen: Container): Container[] => [
    chosen,
    ...installers.flatMap((position) => writtenSpec.initContainers?.[position] ?? []),
  ];
  if (existing.launched && isProcessOnly(written)) {
    const broken = refuseSidecarTopology(writtenSpec, written, complete, settings);
    // The network supervisor sees the processes of the others, and is none of the neighbours that could replace a supervisor.
    const own = [...ownContainers(written), ...networkContainers(writtenSpec)];
    return broken ?? refuseNeighbours(writtenSpec, own, method, existing, settings) ?? skip('already-sideloaded');
  }

  const need = imageNeed(written, existing, settings);
  const brought = need && image ? broughtBy(image, need, writtenSpec, written) : undefined;
  if (isRefusal(brought)) return brought;
  const container = need && brought ? withImage(written, need, brought, settings) : written;
  const spec = brought ? { ...writtenSpec, containers: writtenSpec.containers?.with(index, container) } : writtenSpec;
  if (brought) seen?.({ step: 'image', brought });

  const policy = choosePolicy(pod, container, settings);
  if (isRefusal(policy)) return policy;
  seen?.({ step: 'policy', choice: policy });
  const refused =
    (existing.launched ? refuseOptions(container, settings) : need?.forProgram ? undefined : refuseCommand(existing, container)) ??
    (settings.policy.enforced && policy.policy ? refuseBypass(container, policy.policy, existing.launched, settings) : undefined) ??
    (method === 'init-container' && installers.length === 0 ? refuseTakenInstallName(spec) : undefined) ??
    refusePolicyMethod(policy.policy, method, existing, facts) ??
    refuseCoveredPrograms(container) ??
    refuseLoaderVariables(container) ??
    refuseNeighbours(spec, ownContainers(container), method, existing, settings);
  if (refused) return refused;
  const files = placeFiles(spec, container, policy.policy, settings);
  if (isRefusal(files)) return files;
  const identity = identityOf(spec, container, settings);
  if (isRefusal(identity)) return identity;

  const plan: Plan = { pod, spec, container, written, image: brought, index, method, existing, installers, identity, policy, files };
  const operations = patchFor(plan, settings);
  const warnings = concernsOf(plan, settings, facts);
  if (need && !brought) return refuseUnread(need, written, warnings);
  if (operations.length === 0) return skip('already-sideloaded', warnings);
  for (const { refusal, message } of warnings) if (refusal) return refuse(refusal, message);
  return inject(hasAnyPart(existing) ? 'converged' : 'injected', {
    method,
    container: container.name ?? '',
    operations: [...operations, ...annotationOperations(plan)],
    warnings,
    imageDigest: brought?.facts.digest,
  });
}

/** A pod that is refused whatever its image brings needs no lookup; the image may bring a policy. */
function refuseUnread(need: ImageNeed, container: Container, concerns: readonly Concern[]): Refuse {
  for (const { refusal, message } of concerns) if (refusal && refusal !== 'no-policy-source') return refuse(refusal, message);
  const [where, image] = [`container ${quote(container.name ?? '')}`, quote(need.image)];
  const message = need.forProgram
    ? `${where} has no command: what image ${image} runs is looked up at admission; set command to need no lookup`
    : `the variables that image ${image} brings to ${where} are looked up at admission`;
  return refuse('entrypoint-unknown', message, need);
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
  if (!lacksProgram(container, existing) || !container.args?.length) return undefined;
  return refuse(
    'args-without-command',
    `container ${quote(container.name ?? '')} has args but no command, and what its image runs is not looked up: set command to the program that the args are for`,
  );
}
