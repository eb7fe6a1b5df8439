import { readConfig } from '../src/config/config.ts';
import { decide } from '../src/sideload/decide.ts';
import type { Pod } from '../src/sideload/pod.ts';
import { UNKNOWN_CLUSTER } from '../src/sideload/settings.ts';

/**
 * Whether the webhook would leave a pod alone because it has its whole supervisor.
 *
 * @param flags the webhook's
 */
export function isSideloaded(pod: Pod, flags: readonly string[] = []): boolean {
  const outcome = decide(pod, readConfig(flags, {}).sideload, UNKNOWN_CLUSTER);
  return outcome.verdict === 'skip' && outcome.reason === 'already-sideloaded';
}
