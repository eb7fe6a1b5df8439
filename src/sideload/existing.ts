/**
 * What of a sideload a pod has already: made by this webhook, by OpenShell's Kubernetes driver (combined or sidecar topology),
 * by the OpenShift driver, or what another webhook left of one.
 *
 * It is read from the structure alone: which program the container starts, from which mount, of which volume, filled from
 * which image. Markers and names prove nothing; whoever writes a pod can write them.
 */

import { isDeepStrictEqual } from 'node:util';
import {
  IMAGE_BINARY,
  INSTALL_CONTAINER,
  INSTALLED_BINARY,
  METHOD_ANNOTATION,
  type Method,
  SUPERVISOR_MOUNT_PATH,
  SUPERVISOR_VOLUME,
} from './contract.ts';
import { repositoryOf } from './image.ts';
import { quote, type Refuse, refuse } from './outcome.ts';
import type { Container, PodSpec, Volume } from './pod.ts';
import { absolutePath, isLaunched } from './selection.ts';
import type { SideloadSettings } from './settings.ts';

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

/** Names in OpenShell's sidecar topology (crates/openshell-driver-kubernetes/src/driver.rs). */
const NETWORK_SIDECAR = 'openshell-supervisor-network';
const NETWORK_INIT_CONTAINER = 'openshell-network-init';

/** What decides which program runs when a supervisor image starts its own binary, and when it starts `cp`. */
const BINARY_PATHS: readonly string[] = Object.values(IMAGE_BINARY);
const CP_PATHS: readonly string[] = [...BINARY_PATHS, '/bin', '/sbin', '/usr', '/lib', '/lib64', '/etc/ld.so.cache', '/etc/ld.so.preload'];

function overlap(one: string, other: string): boolean {
  const [a, b] = [absolutePath(one), absolutePath(other)];
  return a === b || a === '/' || b === '/' || a.startsWith(`${b}/`) || b.startsWith(`${a}/`);
}

/**
 * Whether the container runs what its image holds at these paths: no mount covers them, and no variable makes a loader or a
 * shell's search take something else.
 */
function runsItsImage(container: Container, paths: readonly string[]): boolean {
  const covered = (container.volumeMounts ?? []).some(({ mountPath }) => paths.some((program) => overlap(mountPath ?? '', program)));
  const redirected =
    (container.env ?? []).some(({ name }) => name === 'PATH' || name?.startsWith('LD_')) || Boolean(container.envFrom?.length);
  return !covered && !redirected;
}

function wordsOf(container: Container): string[] {
  return [...(container.command ?? []), ...(container.args ?? [])];
}

/** Whether an init container does nothing but copy the binary out of its image into the volume at the mount path. */
function isInstaller(container: Container, volumeName: string): boolean {
  const [program = '', ...rest] = wordsOf(container);
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

function isTrusted(image: string | null | undefined, settings: SideloadSettings): boolean {
  return settings.trustedImages.has(repositoryOf(image ?? ''));
}

function untrusted(where: string, image: string | null | undefined): Refuse {
  return refuse(
    'untrusted-supervisor',
    `${where} takes the supervisor from ${quote(image ?? '')}, which is not trusted: use a trusted image, or remove the supervisor and let the webhook add it`,
  );
}

/** Finds the mount at the supervisor's path; anything else at, above or below that path would hide the supervisor. */
function findMount(container: Container): number | Refuse {
  const taken = (what: string, path: string): Refuse =>
    refuse(
      'mount-path-taken',
      `${what} of container ${quote(container.name ?? '')} is at ${quote(path)}; the supervisor's mount needs ${SUPERVISOR_MOUNT_PATH} for itself: move it`,
    );
  let found = -1;
  for (const [index, mount] of (container.volumeMounts ?? []).entries()) {
    const path = mount.mountPath ?? '';
    if (!overlap(path, SUPERVISOR_MOUNT_PATH)) continue;
    const exact = absolutePath(path) === SUPERVISOR_MOUNT_PATH && !mount.subPath && !mount.subPathExpr;
    if (!exact || found !== -1) return taken(`mount ${quote(mount.name ?? '')}`, path);
    found = index;
  }
  for (const { devicePath } of container.volumeDevices ?? []) {
    if (devicePath && overlap(devicePath, SUPERVISOR_MOUNT_PATH)) return taken('a volume device', devicePath);
  }
  // A kubelet mounts a writable file at this path.
  const messages = container.terminationMessagePath;
  if (messages && overlap(messages, SUPERVISOR_MOUNT_PATH)) return taken('terminationMessagePath', messages);
  return found;
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
  for (const container of [...(spec.initContainers ?? []), ...(spec.containers ?? [])]) {
    const writes = (container.volumeMounts ?? []).some(
      (candidate, index) => views.has(candidate.name ?? '') && !candidate.readOnly && !(container === chosen && index === mount),
    );
    if (!writes) continue;
    const name = quote(container.name ?? '');
    if (container === chosen || !spec.initContainers?.includes(container) || !isInstaller(container, volumeName)) {
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
  const mount = findMount(container);
  if (typeof mount !== 'number') return mount;
  const mounted = container.volumeMounts?.[mount];
  const volumeName = mounted?.name ?? SUPERVISOR_VOLUME;
  const known = SIDELOAD_VOLUMES.includes(volumeName);
  const found: Existing = { volumeName, method: undefined, mount, readOnly: mounted?.readOnly === true, launched: isLaunched(container) };
  const pathTaken = refuse(
    'mount-path-taken',
    `${SUPERVISOR_MOUNT_PATH} in container ${quote(container.name ?? '')} is a mount of ${quote(volumeName)}, which holds no supervisor: mount it elsewhere`,
  );

  const volume = (spec.volumes ?? []).find((candidate) => candidate.name === volumeName);
  if (volume === undefined) return volumeName === SUPERVISOR_VOLUME ? found : pathTaken;
  const method = methodOf(volume);
  if (method === undefined) {
    return mounted && !known
      ? pathTaken
      : refuse(
          'volume-name-taken',
          `volume ${quote(volumeName)} has a source that no sideload method makes; the webhook needs this name: rename the volume`,
        );
  }
  // An emptyDir of any name may stand at the path when it is filled; an empty one is the user's own.
  if (method === 'init-container' && !known && findInstaller(spec, container, found, method, settings) === false) return pathTaken;
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

/**
 * Whether the supervisor of this container leaves the network to a sidecar. Reads what the supervisor's own command line
 * would take as options: everything before `--`. What a kubelet will expand there cannot be read, and counts as such.
 */
export function isProcessOnly(container: Container): boolean {
  const words = wordsOf(container);
  const end = words.indexOf('--');
  const options = end === -1 ? words : words.slice(0, end);
  if (options.some((word) => word.includes('$('))) return true;
  const at = options.findIndex((word) => word === '--mode' || word.startsWith('--mode='));
  if (at === -1) return false;
  const word = options[at] ?? '';
  const modes = (word === '--mode' ? (options[at + 1] ?? '') : word.slice('--mode='.length)).split(',').map((mode) => mode.trim());
  return !(modes.includes('process') && modes.includes('network'));
}

/**
 * Whether the pod has what a process-only supervisor relies on, as OpenShell's driver writes it: an init container that sets
 * the network up for one user, a network supervisor that runs as this user, both trusted, and an agent that is another user
 * without capabilities (supervisor_network_init_container and supervisor_sidecar_container in driver.rs).
 */
export function hasNetworkSupervisor(spec: PodSpec, agent: Container, settings: SideloadSettings): boolean {
  const sidecars = [...(spec.containers ?? []), ...(spec.initContainers ?? []).filter((container) => container.restartPolicy === 'Always')];
  const init = (spec.initContainers ?? []).find((container) => container.name === NETWORK_INIT_CONTAINER);
  const network = sidecars.find((container) => container.name === NETWORK_SIDECAR);
  if (!init || !network) return false;
  const isSupervisor = (container: Container): boolean =>
    isTrusted(container.image, settings) &&
    BINARY_PATHS.includes(container.command?.[0] ?? '') &&
    !container.args?.length &&
    runsItsImage(container, BINARY_PATHS);
  const proxyUid = network.securityContext?.runAsUser;
  const initWords = init.command?.slice(1) ?? [];
  const initIsDrivers =
    isDeepStrictEqual(initWords.slice(0, 4), ['--mode=network-init', '--proxy-uid', String(proxyUid), '--proxy-gid']) &&
    isDeepStrictEqual([initWords[5], initWords[7]], ['--sidecar-state-dir', '--sidecar-tls-dir']) &&
    initWords.length === 9 &&
    !init.env?.length;
  const [mode, ...options] = network.command?.slice(1) ?? [];
  const networkIsDrivers = mode === '--mode=network' && options.every((word) => !word.startsWith('-') || word.startsWith('--upstream-'));
  const { runAsUser, capabilities, privileged } = agent.securityContext ?? {};
  const agentIsBound = Boolean(runAsUser) && runAsUser !== proxyUid && !capabilities?.add?.length && !privileged;
  return [init, network].every(isSupervisor) && initIsDrivers && networkIsDrivers && agentIsBound;
}
