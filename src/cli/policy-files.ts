import { decide } from '../sideload/decide.ts';
import type { Pod } from '../sideload/pod.ts';
import { type ConfigMapFiles, configMapsOf } from '../sideload/policy-source.ts';
import { type SideloadSettings, UNKNOWN_CLUSTER } from '../sideload/settings.ts';

/** The ConfigMaps that a pod's policy needs in its namespace; none where it gets no policy from files, or is refused before. */
export function policyFilesOf(pod: Pod, settings: SideloadSettings): readonly ConfigMapFiles[] {
  let files: readonly ConfigMapFiles[] = [];
  decide(pod, settings, UNKNOWN_CLUSTER, undefined, (found) => {
    if (found.step === 'policy') files = found.choice.policy ? configMapsOf(found.choice.policy) : [];
  });
  return files;
}
