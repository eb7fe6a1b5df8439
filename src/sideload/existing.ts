/**
 * The parts of the supervisor that a pod already has: from this webhook, from OpenShell's Kubernetes driver (combined or
 * sidecar topology), from the OpenShift driver, or what another webhook left of one.
 *
 * It is read from the structure alone: which program the container starts, from which mount, of which volume, filled from
 * which image. Markers and names prove nothing; anyone who writes a pod can write them.
 */

import { INSTALL_CONTAINER, METHOD_ANNOTATION, type Method, SUPERVISOR_MOUNT_PATH, SUPERVISOR_VOLUME } from './contract.ts';
import { repositoryOf } from './image.ts';
import { isInstaller } from './install-container.ts';
import { type FoundMount, findMountAt } from './mounts.ts';
import { isRefusal, quote, type Refuse, refuse } from './outcome.ts';
import { absolutePath, nodePathOverlaps } from './paths.ts';
import type { Container, PodSpec, Volume } from './pod.ts';
import { isLaunched } from './selection.ts';
import type { SideloadSettings } from './settings.ts';
import { isTrusted } from './supervisor-container.ts';

/** What is there of a sideload, for the chosen container. */
export interface Existing {
  /** Name of the volume that is, or will be, at the mount path. */
  readonly volumeName: string;
  /** The method that this volume belongs to; undefined where there is no such volume yet. */
  readonly method: Method | undefined;
  /** Where the container mounts that volume at the supervisor's path; undefined where it does not yet. */
  readonly mount: FoundMount | undefined;
  /** Whether the container's command is the supervisor. */
  readonly launched: boolean;
}

/** Whether some part of a sideload was in the pod before. */
export function hasAnyPart({ launched, mount, method }: Existing): boolean {
  return launched || mount !== undefined || method !== undefined;
}

/** Names of the supervisor volume, by which a partially injected pod is recognised: this webhook's and OpenShell's, and the OpenShift driver's. */
const SIDELOAD_VOLUMES: readonly string[] = [SUPERVISOR_VOLUME, 'supervisor-bin'];

function untrusted(where: string, image: string | null | undefined, { trustedImages }: SideloadSettings): Refuse {
  const pinned = (trustedImages.get(repositoryOf(image ?? ''))?.size ?? 0) > 0;
  return refuse(
    'untrusted-supervisor',
    `${where} takes the supervisor from ${quote(image ?? '')}, which is not ${pinned ? 'the digest that the operator pinned' : 'trusted'}: use a trusted image, or remove the supervisor and let the webhook add it`,
  );
}

/** The method whose volume this is, or undefined when no method makes such a volume: none has two sources. */
function methodOf({ name: _, ...sources }: Volume): Method | undefined {
  const { image, emptyDir, hostPath } = sources;
  if (Object.values(sources).filter((source) => source !== undefined && source !== null).length !== 1) return undefined;
  if (image) return 'image-volume';
  if (emptyDir) return 'init-container';
  return hostPath && absolutePath(hostPath.path ?? '') === SUPERVISOR_MOUNT_PATH ? 'host-path' : undefined;
}

/** Names of the volumes that hold the supervisor: its volume, and any other view of the node's directory. */
function viewsOf(spec: PodSpec, volumeName: string, method: Method): Set<string> {
  const views = new Set([volumeName]);
  if (method !== 'host-path') return views;
  for (const { name, hostPath } of spec.volumes ?? [])
    if (hostPath && nodePathOverlaps(hostPath.path ?? '', [SUPERVISOR_MOUNT_PATH])) views.add(name ?? '');
  return views;
}

/**
 * Finds the init containers that fill the volume. Only the sandbox container and a trusted install container may mount
 * it: a privileged container makes a read-only mount writable, and anyone who can replace the binary runs as root in the sandbox
 * container.
 *
 * @returns their indexes in spec.initContainers, or a refusal
 */
export function findInstallers(
  spec: PodSpec,
  chosen: Container,
  { mount, volumeName }: Existing,
  method: Method,
  settings: SideloadSettings,
): readonly number[] | Refuse {
  const views = viewsOf(spec, volumeName, method);
  const installers: number[] = [];
  const initContainers = spec.initContainers ?? [];
  for (const [position, container] of [...initContainers, ...(spec.containers ?? [])].entries()) {
    const mounted = (container.volumeMounts ?? []).some(
      ({ name }, index) => views.has(name ?? '') && !(container === chosen && index === mount?.index),
    );
    if (!mounted) continue;
    const name = quote(container.name ?? '');
    if (position >= initContainers.length || method !== 'init-container' || !isInstaller(container, volumeName)) {
      return refuse(
        'supervisor-volume-shared',
        container.name === INSTALL_CONTAINER
          ? `init container ${name} does more than copy the supervisor into its volume: remove what was added to its command and mount`
          : `container ${name} mounts the supervisor's volume and could replace the supervisor: remove the mount`,
      );
    }
    if (!isTrusted(container.image, settings)) return untrusted(`init container ${name}`, container.image, settings);
    installers.push(position);
  }
  return installers;
}

/**
 * Reads what is there of a sideload.
 *
 * @param annotated the method that the pod's annotation names, if any
 * @returns what is there, or a refusal when something else stands in the supervisor's place or the supervisor is not to be trusted
 */
export function findExisting(
  spec: PodSpec,
  container: Container,
  annotated: Method | undefined,
  settings: SideloadSettings,
): Existing | Refuse {
  const mount = findMountAt(container, SUPERVISOR_MOUNT_PATH);
  if (isRefusal(mount)) return mount;
  const volumeName = mount?.name ?? SUPERVISOR_VOLUME;
  const known = SIDELOAD_VOLUMES.includes(volumeName);
  const found: Existing = { volumeName, method: undefined, mount, launched: isLaunched(container) };
  const pathTaken = (): Refuse =>
    refuse(
      'mount-path-taken',
      `${SUPERVISOR_MOUNT_PATH} in container ${quote(container.name ?? '')} is a mount of ${quote(volumeName)}, which holds no supervisor: mount it elsewhere`,
    );
  const remove = mount ? `remove the volume and its mount at ${SUPERVISOR_MOUNT_PATH}` : 'rename the volume';

  const volume = (spec.volumes ?? []).find((candidate) => candidate.name === volumeName);
  if (volume === undefined) return volumeName === SUPERVISOR_VOLUME ? found : pathTaken();
  const method = methodOf(volume);
  if (method === undefined) {
    return mount && !known
      ? pathTaken()
      : refuse(
          'volume-name-taken',
          `volume ${quote(volumeName)} has a source that no sideload method makes, or two; the webhook needs this name: ${remove}`,
        );
  }
  // An emptyDir of any name may stand at the path when it is filled; an empty one is the user's own.
  if (method === 'init-container' && !known) {
    const installers = findInstallers(spec, container, found, method, settings);
    if (isRefusal(installers)) return installers;
    if (installers.length === 0) return pathTaken();
  }
  if (method === 'image-volume' && !isTrusted(volume.image?.reference, settings))
    return untrusted(`volume ${quote(volumeName)}`, volume.image?.reference, settings);
  if (annotated !== undefined && annotated !== method) {
    // What is not allowed would be refused next.
    const keep = settings.allowedMethods.includes(method) ? `, or set the annotation to ${method}` : '';
    return refuse(
      'volume-name-taken',
      `volume ${quote(volumeName)} belongs to method ${method}, annotation ${METHOD_ANNOTATION} says ${annotated}: remove the volume and its mounts${keep}`,
    );
  }
  return { ...found, method };
}

/** Whether another container has the name that the install container needs. */
export function refuseTakenInstallName(spec: PodSpec): Refuse | undefined {
  const taken = [...(spec.initContainers ?? []), ...(spec.containers ?? [])].some((container) => container.name === INSTALL_CONTAINER);
  if (!taken) return undefined;
  return refuse(
    'init-container-name-taken',
    `the pod has a container named ${INSTALL_CONTAINER} that does not install the supervisor; method init-container needs this name: rename it`,
  );
}
