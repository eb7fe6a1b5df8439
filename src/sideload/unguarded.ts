/** Which stored sandboxes lack their supervisor. */

import { decide } from './decide.ts';
import { type Pod, podShape } from './pod.ts';
import { type SideloadSettings, UNKNOWN_CLUSTER } from './settings.ts';
import { misfit } from './shape.ts';

/**
 * Whether a stored pod that runs, or will, has no complete supervisor of a trusted image. One of another release or of other
 * settings guards as well, and so does one with another policy.
 *
 * @param stored the pod as JSON
 */
export function isUnguarded(stored: unknown, settings: SideloadSettings): boolean {
  const { metadata, status } = stored as { metadata?: { deletionTimestamp?: string }; status?: { phase?: string } };
  if (metadata?.deletionTimestamp !== undefined || ['Succeeded', 'Failed'].includes(status?.phase ?? '')) return false;
  if (misfit(podShape, stored, '') !== undefined) return true;
  let isComplete = false;
  const outcome = decide(stored as Pod, settings, UNKNOWN_CLUSTER, undefined, (seen) => {
    isComplete ||= seen.step === 'supervisor' && seen.parts === 'all';
  });
  return outcome.verdict !== 'skip' && !isComplete;
}
