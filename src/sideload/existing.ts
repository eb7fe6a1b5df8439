/**
 * What of a sideload a pod has already: made by this webhook, by OpenShell's Kubernetes driver (combined or sidecar topology),
 * by the OpenShift driver, or what another webhook left of one.
 *
 * It is read from the structure alone: which program the container starts, from which mount, of which volume, filled from
 * which image. Markers and names prove nothing; whoever writes a pod can write them.
 */

import { isDeepStrictEqual } from 'node:util';
import {
  INSTALL_CONTAINER,
  INSTALLED_BINARY,
  METHOD_ANNOTATION,
  type Method,
  SUPERVISOR_MOUNT_PATH,
  SUPERVISOR_VOLUME,
} from './contract.ts';
import { findMountAt } from './mounts.ts';
import { quote, type Refuse, refuse } from './outcome.ts';
import { absolutePath, overlap } from './paths.ts';
import type { Container, PodSpec, Volume } from './pod.ts';
import { isLaunched } from './selection.ts';
import type { SideloadSettings } from './settings.ts';
import { BINARY_PATHS, CP_PATHS, isTrusted, runsItsImage, wordsOf } from './supervisor-container.ts';

/** What is there of a sideload, for the chosen container. */
export interface Existing {
  /** Name of the volume that is, or will be, at the mount path. */
  readonly volumeName: string;
  /** The method that this volume belongs to; undefined where there is no such volume yet. */
  readonly method: Method | undefined;
  /** Index of the mount of that volume in the container; -1 where there is none yet. */
  readonly mount: number;
  readonly readOnly: boolean;
  /** Whether the container's command is the supervisor. */
  readonly launched: boolean;
}

/** Whether some part of a sideload was in the pod before. */
export function isHalfThere(existing: Existing): boolean {
  return existing.launched || existing.mount !== -1 || existing.method !== undefined;
}

/** Volume names by which a half-stripped sideload is known: ours and OpenShell's, and the OpenShift driver's. */
const SIDELOAD_VOLUMES: readonly string[] = [SUPERVISOR_VOLUME, 'supervisor-bin'];

/** `sh -c "cp SOURCE TARGET"`, as kagenti's driver installs, with or without a chmod of what was copied. */
const SHELL_COPY = /^\s*cp (\S+) (\S+)(?: && chmod (?:\+x|a\+x|0?755) (\S+))?\s*$/;

/** The words of a copy that a shell does; other words as they are. */
function copyWords(words: readonly string[]): readonly string[] {
  const [shell = '', flag, script = '', ...more] = words;
  if (!['sh', '/bin/sh'].includes(shell) || flag !== '-c' || more.length > 0) return words;
  const [, source = '', target = '', made = INSTALLED_BINARY] = SHELL_COPY.exec(script) ?? [];
  return source !== '' && made === INSTALLED_BINARY ? ['cp', source, target] : words;
}

/** Whether an init container does nothing but copy the binary out of its image into the volume at the mount path. */
function isInstaller(container: Container, volumeName: string): boolean {
  const [program = '', ...rest] = copyWords(wordsOf(container));
  const [source = '', target = ''] = rest;
  const copiesItself = BINARY_PATHS.includes(program) && isDeepStrictEqual(rest, ['copy-self', INSTALLED_BINARY]);
  const copied =
    program === 'cp' &&
    rest.length === 2 &&
    BINARY_PATHS.includes(source) &&
    [SUPERVISOR_MOUNT_PATH, INSTALLED_BINARY].includes(absolutePath(target));
  const mountsVolume = (container.volumeMounts ?? []).some(
    (mount) =>
      mount.name === volumeName && absolutePath(mount.mountPath ?? '') === SUPERVISOR_MOUNT_PATH && !mount.subPath && !mount.subPathExpr,
  );
  return (
    (copiesItself || copied) &&
    mountsVolume &&
    container.restartPolicy !== 'Always' &&
    runsItsImage(container, copied ? CP_PATHS : BINARY_PATHS)
  );
}

function untrusted(where: string, image: string | null | undefined): Refuse {
  return refuse(
    'untrusted-supervisor',
    `${where} takes the supervisor from ${quote(image ?? '')}, which is not trusted: use a trusted image, or remove the supervisor and let the webhook add it`,
  );
}

/** The method whose volume this is, or undefined when no method makes such a volume. */
function methodOf(volume: Volume): Method | undefined {
  if (volume.image) return 'image-volume';
  if (volume.emptyDir) return 'init-container';
  return volume.hostPath && absolutePath(volume.hostPath.path ?? '') === SUPERVISOR_MOUNT_PATH ? 'host-path' : undefined;
}

/** Names of the volumes through which the supervisor's directory can be written: the volume, and any other view of the node's directory. */
function writableViews(spec: PodSpec, volumeName: string, method: Method): Set<string> {
  const views = new Set([volumeName]);
  if (method !== 'host-path') return views;
  for (const { name, hostPath } of spec.volumes ?? [])
    if (hostPath && overlap(hostPath.path ?? '', SUPERVISOR_MOUNT_PATH)) views.add(name ?? '');
  return views;
}

/**
 * Finds who fills the volume. Nobody but a trusted installer may write into it: whoever can replace the binary runs as root
 * in the sandbox container. An image volume is read-only for everybody.
 */
export function findInstaller(
  spec: PodSpec,
  chosen: Container,
  { mount, volumeName }: Existing,
  method: Method,
  settings: SideloadSettings,
): boolean | Refuse {
  if (method === 'image-volume') return false;
  const views = writableViews(spec, volumeName, method);
  let installed = false;
  const initContainers = spec.initContainers ?? [];
  for (const [position, container] of [...initContainers, ...(spec.containers ?? [])].entries()) {
    const writes = (container.volumeMounts ?? []).some(
      (candidate, index) => views.has(candidate.name ?? '') && !candidate.readOnly && !(container === chosen && index === mount),
    );
    if (!writes) continue;
    const name = quote(container.name ?? '');
    if (container === chosen || position >= initContainers.length || !isInstaller(container, volumeName)) {
      return refuse(
        'supervisor-volume-shared',
        container.name === INSTALL_CONTAINER
          ? `init container ${name} does more than copy the supervisor (command, mounts over programs, PATH or LD_ variables): remove what was added to it`
          : `container ${name} mounts the supervisor's volume writable and could replace the supervisor: remove the mount or set readOnly: true`,
      );
    }
    if (!isTrusted(container.image, settings)) return untrusted(`init container ${name}`, container.image);
    installed = true;
  }
  return installed;
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
  if (typeof mount !== 'number') return mount;
  const mounted = container.volumeMounts?.[mount];
  const volumeName = mounted?.name ?? SUPERVISOR_VOLUME;
  const known = SIDELOAD_VOLUMES.includes(volumeName);
  const found: Existing = { volumeName, method: undefined, mount, readOnly: mounted?.readOnly === true, launched: isLaunched(container) };
  const pathTaken = (): Refuse =>
    refuse(
      'mount-path-taken',
      `${SUPERVISOR_MOUNT_PATH} in container ${quote(container.name ?? '')} is a mount of ${quote(volumeName)}, which holds no supervisor: mount it elsewhere`,
    );

  const volume = (spec.volumes ?? []).find((candidate) => candidate.name === volumeName);
  if (volume === undefined) return volumeName === SUPERVISOR_VOLUME ? found : pathTaken();
  const method = methodOf(volume);
  if (method === undefined) {
    return mounted && !known
      ? pathTaken()
      : refuse(
          'volume-name-taken',
          `volume ${quote(volumeName)} has a source that no sideload method makes; the webhook needs this name: rename the volume`,
        );
  }
  // An emptyDir of any name may stand at the path when it is filled; an empty one is the user's own.
  if (method === 'init-container' && !known && findInstaller(spec, container, found, method, settings) === false) return pathTaken();
  if (method === 'image-volume' && !isTrusted(volume.image?.reference, settings))
    return untrusted(`volume ${quote(volumeName)}`, volume.image?.reference);
  if (annotated !== undefined && annotated !== method) {
    return refuse(
      'volume-name-taken',
      `volume ${quote(volumeName)} belongs to method ${method}, annotation ${METHOD_ANNOTATION} says ${annotated}: remove the volume or change the annotation`,
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
