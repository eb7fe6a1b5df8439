/** What the owner of a pod is told about its outcome, in a Kubernetes Event: a controller's author never sees the response. */

import type { Outcome } from './outcome.ts';
import { isConfigMapName } from './policy.ts';
import { boolean, list, misfit, object, string } from './shape.ts';

/** The object that controls a pod, such as a ReplicaSet; it is in the pod's namespace. */
export interface Owner {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
}

/** One Event about an owner. */
export interface OwnerEvent {
  /** Reason code, in UpperCamelCase. */
  readonly reason: string;
  readonly action: 'RefusePod' | 'AdmitPod';
  readonly note: string;
}

/** Kubernetes' own are shorter: names by RFC 1123, a UUID. What is longer is none, and would be kept. */
const [LONGEST_NAME, LONGEST_UID] = [253, 128];
/** Source: k8s.io/kubernetes, pkg/apis/core/validation/events.go, NoteLengthLimit, in bytes. */
const NOTE_BYTES = 1024;

const ownedShape = object({
  metadata: object({ ownerReferences: list(object({ apiVersion: string, kind: string, name: string, uid: string, controller: boolean })) }),
});

/** The controller among the owners of a pod of a review; undefined for a bare pod, and where the reference is none. */
export function ownerOf(pod: unknown): Owner | undefined {
  if (misfit(ownedShape, pod, '') !== undefined) return undefined;
  const { metadata } = pod as NonNullable<(typeof ownedShape)['passes']>;
  const { apiVersion, kind, name, uid } = metadata?.ownerReferences?.find(({ controller }) => controller) ?? {};
  if (!apiVersion || !kind || !name || !uid) return undefined;
  if (Math.max(apiVersion.length, kind.length) > LONGEST_NAME || uid.length > LONGEST_UID || !isConfigMapName(name)) return undefined;
  return { apiVersion, kind, name, uid };
}

/** The Events for an outcome: one for a refusal, one for each warning. */
export function ownerEventsFor(outcome: Outcome): OwnerEvent[] {
  if (outcome.verdict === 'refuse')
    return [{ reason: upperCamelCase(outcome.reason), action: 'RefusePod', note: bounded(`pod refused: ${outcome.message}`) }];
  return (outcome.warnings ?? []).map(({ code, message }) => ({
    reason: upperCamelCase(code),
    action: 'AdmitPod',
    note: bounded(`pod admitted with a warning: ${message}`),
  }));
}

function upperCamelCase(code: string): string {
  return code.replaceAll(/(?:^|-)(\w)/g, (_, letter: string) => letter.toUpperCase());
}

/** What is cut off may be half of a character. */
function bounded(note: string): string {
  const bytes = Buffer.from(note);
  return bytes.length <= NOTE_BYTES
    ? note
    : bytes
        .subarray(0, NOTE_BYTES)
        .toString()
        .replace(/\ufffd+$/, '');
}
