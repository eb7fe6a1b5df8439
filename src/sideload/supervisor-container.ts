/**
 * Containers that run a trusted supervisor image. What they start is what the image holds only where nothing was added that a
 * loader, a shell or the program itself reads, so they are compared with what the webhook, or OpenShell's driver, writes.
 */

import { IMAGE_BINARY } from './contract.ts';
import { isAmong } from './image.ts';
import type { Container } from './pod.ts';
import type { SideloadSettings } from './settings.ts';

export const BINARY_PATHS: readonly string[] = Object.values(IMAGE_BINARY);

/** What such a container may have, whatever its value: none of it chooses what runs. */
export const FREE_MEMBERS: readonly string[] = [
  ...['name', 'image', 'imagePullPolicy', 'resources', 'securityContext', 'terminationMessagePolicy'],
  // Compared by those who look at the container.
  ...['command', 'args', 'volumeMounts'],
];

/** What an API server writes where a container names no file (pkg/apis/core/v1/defaults.go). */
export const TERMINATION_MESSAGE_PATH = '/dev/termination-log';

/** Where the API server's ServiceAccount plugin mounts a token into every container. */
const TOKEN_PATH = '/var/run/secrets/kubernetes.io/serviceaccount';

/** What a member of an API object can be named (API conventions, "Naming conventions"); an API server takes others away. */
const MEMBER = /^[a-z][A-Za-z0-9]*$/;

function isEmpty(value: unknown): boolean {
  return !value || (typeof value === 'object' && Object.keys(value).length === 0);
}

/**
 * Names of the members of a container that were added to what the webhook and OpenShell's driver write: variables, hooks,
 * probes, devices, a restart policy.
 *
 * @param more members that this container may have besides
 */
export function addedMembers(container: Container, ...more: readonly string[]): string[] {
  const added: string[] = [];
  for (const [member, value] of Object.entries(container)) {
    if (isEmpty(value) || !MEMBER.test(member) || FREE_MEMBERS.includes(member) || more.includes(member)) continue;
    if (member !== 'terminationMessagePath' || value !== TERMINATION_MESSAGE_PATH) added.push(member);
  }
  return added;
}

export type Mount = NonNullable<Container['volumeMounts']>[number];

/** Whether this is the mount of a token that an API server adds to every container. */
export function isTokenMount({ mountPath, subPath, subPathExpr }: Mount): boolean {
  return mountPath === TOKEN_PATH && !subPath && !subPathExpr;
}

/** What a container starts: command, then args. */
export function wordsOf(container: Container): string[] {
  return [...(container.command ?? []), ...(container.args ?? [])];
}

/** Whether an image is one that the operator trusts to be a supervisor. */
export function isTrusted(image: string | null | undefined, settings: SideloadSettings): boolean {
  return isAmong(image ?? '', settings.trustedImages);
}
