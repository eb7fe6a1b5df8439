/** What stands at a path of a container. */

import { quote, type Refuse, refuse } from './outcome.ts';
import { absolutePath, overlap } from './paths.ts';
import type { Container } from './pod.ts';

/** A mount of a container. */
export interface FoundMount {
  /** In volumeMounts. */
  readonly index: number;
  readonly name: string;
  readonly readOnly: boolean;
}

/**
 * Finds the mount at a path that the supervisor needs for itself. Anything else at, above or below that path would hide what
 * is mounted there, or could be written.
 *
 * @returns undefined where there is none, or a refusal that names what is in the way
 */
export function findMountAt(container: Container, path: string): FoundMount | undefined | Refuse {
  const taken = (what: string, where: string): Refuse =>
    refuse(
      'mount-path-taken',
      `${what} of container ${quote(container.name ?? '')} is at ${quote(where)}; the supervisor's mount needs ${path} for itself: move it`,
    );
  let found: FoundMount | undefined;
  for (const [index, mount] of (container.volumeMounts ?? []).entries()) {
    const at = mount.mountPath ?? '';
    if (!overlap(at, path)) continue;
    const exact = absolutePath(at) === path && !mount.subPath && !mount.subPathExpr;
    if (!exact || found) return taken(`mount ${quote(mount.name ?? '')}`, at);
    found = { index, name: mount.name ?? '', readOnly: mount.readOnly === true };
  }
  for (const { devicePath } of container.volumeDevices ?? []) {
    if (devicePath && overlap(devicePath, path)) return taken('a volume device', devicePath);
  }
  // A kubelet mounts a writable file at this path.
  const messages = container.terminationMessagePath;
  if (messages && overlap(messages, path)) return taken('terminationMessagePath', messages);
  return found;
}
