/** By which method the supervisor gets into a pod, and whether that may be. */

import { METHOD_ANNOTATION, METHODS, type Method } from './contract.ts';
import type { Existing } from './existing.ts';
import { isInstaller } from './install-container.ts';
import { quote, type Refuse, refuse } from './outcome.ts';
import type { Pod, PodSpec } from './pod.ts';
import type { Policy } from './policy-source.ts';
import { doubtfulRuntime } from './runtime.ts';
import type { ClusterFacts, SideloadSettings } from './settings.ts';

/** The method that the pod's annotation names, undefined where it names none, or a refusal where it names no method. */
export function annotatedMethod(pod: Pod): Method | undefined | Refuse {
  const value = pod.metadata?.annotations?.[METHOD_ANNOTATION];
  if (value === undefined) return undefined;
  return (
    METHODS.find((method) => method === value) ??
    refuse('unknown-method', `annotation ${METHOD_ANNOTATION} is ${quote(value)}: set it to ${METHODS.join(', ')}, or remove it`)
  );
}

/** The method of a pod: that of the volume it has; else its annotation's; else that of an install container it has left; else the operator's. */
export function methodFor(
  spec: PodSpec,
  { method, volumeName }: Existing,
  annotated: Method | undefined,
  settings: SideloadSettings,
  facts: ClusterFacts,
): Method {
  const isLeft = (): boolean => spec.initContainers?.some((container) => isInstaller(container, volumeName)) ?? false;
  return method ?? annotated ?? (isLeft() ? 'init-container' : operatorMethod(spec, settings, facts));
}

/** The method of a pod that names none. While it is not known whether image volumes are kept, an init container is sure to work. */
function operatorMethod(spec: PodSpec, settings: SideloadSettings, facts: ClusterFacts): Method {
  const unsure = facts.imageVolumes === 'unknown' && settings.allowedMethods.includes('init-container');
  if (settings.method !== 'auto') return settings.method === 'image-volume' && unsure ? 'init-container' : settings.method;
  const { total, mountingImages } = facts.nodes ?? { total: 0, mountingImages: 0 };
  const everyNode = total > 0 && mountingImages === total;
  const mayMount = everyNode && doubtfulRuntime(spec, facts) === undefined;
  const imageVolumes = facts.imageVolumes === 'kept' && mayMount && settings.allowedMethods.includes('image-volume');
  return imageVolumes ? 'image-volume' : 'init-container';
}

/**
 * Refuses a method that the operator does not allow or that would come to nothing. What another driver put into a pod from a
 * trusted image may use any method that an image fills; only the node's own directory needs the operator's word.
 */
export function refuseMethod(
  method: Method,
  annotated: Method | undefined,
  settings: SideloadSettings,
  facts: ClusterFacts,
  existing: Existing,
  complete: boolean,
): Refuse | undefined {
  if (!settings.allowedMethods.includes(method) && (!complete || method === 'host-path')) {
    const fix = [
      // The volume, or the install container, says the method, whatever an annotation says.
      ...(existing.method ? [`remove volume ${quote(existing.volumeName)} and its mounts`] : []),
      ...(!existing.method && !annotated ? ['remove the init container that installs the supervisor'] : []),
      ...(annotated ? [`set annotation ${METHOD_ANNOTATION} to ${settings.allowedMethods.join(' or ')}`] : []),
    ];
    return refuse('method-not-allowed', `sideload method ${method} is not allowed here: ${fix.join(' and ')}`);
  }
  if (method === 'image-volume' && facts.imageVolumes === 'dropped') {
    return refuse(
      'image-volume-dropped',
      `API server ${facts.serverVersion} drops image volumes (feature gate ImageVolume is off), so the supervisor would be missing: ${withoutImageVolume(settings, existing)}`,
    );
  }
  if (method === 'image-volume' && facts.imageVolumes === 'unknown') return unknownImageVolumes(settings, existing);
  return undefined;
}

/** A pod whose image volume is dropped would start whatever its own image has at the supervisor's path. */
function unknownImageVolumes(settings: SideloadSettings, existing: Existing): Refuse {
  return refuse(
    'image-volume-unknown',
    `it is not known yet whether the API server keeps image volumes: try again in a moment, or ${withoutImageVolume(settings, existing)} (the operator: --preflight=off)`,
  );
}

/** Refuses a method, or an API server, by which the files of a policy would not get into the pod. */
export function refusePolicyMethod(
  policy: Policy | undefined,
  method: Method,
  existing: Existing,
  { imageVolumes, serverVersion }: ClusterFacts,
): Refuse | undefined {
  if (policy?.usesSupervisorImage && method !== 'image-volume') {
    const remove = existing.method ? `remove volume ${quote(existing.volumeName)} with what mounts it, and ` : '';
    return refuse(
      'method-not-allowed',
      `method ${method} does not mount the supervisor's image, where the operator has the policy's rules: ${remove}set annotation ${METHOD_ANNOTATION} to image-volume`,
    );
  }
  if (policy?.usesImages && imageVolumes === 'dropped')
    return refuse(
      'image-volume-dropped',
      `API server ${serverVersion} drops image volumes (feature gate ImageVolume is off), and the policy comes from an image: Kubernetes 1.35 is needed, or a policy from a ConfigMap`,
    );
  if (policy?.usesImages && imageVolumes === 'unknown')
    return refuse(
      'image-volume-unknown',
      'it is not known yet whether the API server keeps image volumes, and the policy comes from an image: try again in a moment (the operator: --preflight=off)',
    );
  return undefined;
}

/** What to do where image volumes are dropped. */
function withoutImageVolume({ allowedMethods }: SideloadSettings, { method, volumeName }: Existing): string {
  if (method) return `an init container has to fill volume ${quote(volumeName)} instead`;
  if (allowedMethods.includes('init-container')) return `set annotation ${METHOD_ANNOTATION} to init-container`;
  return 'the operator has to allow method init-container, or Kubernetes 1.35 is needed';
}
