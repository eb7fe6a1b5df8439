/** Containers that run a trusted supervisor image: whether what they start is really what the image holds. */

import { IMAGE_BINARY } from './contract.ts';
import { repositoryOf } from './image.ts';
import { overlap } from './paths.ts';
import type { Container } from './pod.ts';
import type { SideloadSettings } from './settings.ts';

/** What decides which program runs when a supervisor image starts its own binary, and when it starts `cp`. */
export const BINARY_PATHS: readonly string[] = Object.values(IMAGE_BINARY);
export const CP_PATHS: readonly string[] = [
  ...BINARY_PATHS,
  '/bin',
  '/sbin',
  '/usr',
  '/lib',
  '/lib64',
  '/etc/ld.so.cache',
  '/etc/ld.so.preload',
];

/**
 * Whether the container runs what its image holds at these paths: no mount covers them, and no variable makes a loader or a
 * shell's search take something else.
 */
export function runsItsImage(container: Container, paths: readonly string[]): boolean {
  const covered = (container.volumeMounts ?? []).some(({ mountPath }) => paths.some((program) => overlap(mountPath ?? '', program)));
  const redirected =
    (container.env ?? []).some(({ name }) => name === 'PATH' || name?.startsWith('LD_')) || Boolean(container.envFrom?.length);
  return !covered && !redirected;
}

/** What a container starts: command, then args. */
export function wordsOf(container: Container): string[] {
  return [...(container.command ?? []), ...(container.args ?? [])];
}

/** Whether an image is one that the operator trusts to be a supervisor. */
export function isTrusted(image: string | null | undefined, settings: SideloadSettings): boolean {
  return settings.trustedImages.has(repositoryOf(image ?? ''));
}
