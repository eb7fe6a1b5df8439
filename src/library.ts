/**
 * The webhook's decision, for programs: `import { inject } from 'openshell-sideload'`. docs/library.md shows it. What is exported
 * here is part of the interface (docs/release.md). It needs no cluster, no registry and no server.
 */

import jsonPatch from 'fast-json-patch';
import { readConfig } from './config/config.ts';
import { decide as decidePod } from './sideload/decide.ts';
import type { Outcome } from './sideload/outcome.ts';
import { type Pod, podShape } from './sideload/pod.ts';
import { type ClusterFacts, type SideloadSettings, UNKNOWN_CLUSTER } from './sideload/settings.ts';
import { misfit } from './sideload/shape.ts';

export * from './sideload/contract.ts';
export type { Operation } from './sideload/operations.ts';
export type { Inject, Outcome, Refuse, RefuseReason, Skip, SkipReason, Warning } from './sideload/outcome.ts';
export { INJECTIONS, REFUSALS, SKIPS, WARNINGS } from './sideload/outcome.ts';
export type { Pod } from './sideload/pod.ts';
export { type ClusterFacts, enforcing, type SideloadSettings, UNKNOWN_CLUSTER } from './sideload/settings.ts';

/**
 * The settings of a webhook.
 *
 * @param args its options, as its Deployment has them: `--supervisor-image=…`. What they leave out has its default
 * @param env its environment, in which options have variables: the table is in docs/reference/options.md. Not read from the process
 * @throws an Error named UsageError, whose message has every problem, a line each
 */
export function readSettings(args: readonly string[] = [], env: Readonly<Record<string, string | undefined>> = {}): SideloadSettings {
  return readConfig(args, env).sideload;
}

/**
 * What becomes of a pod that is about to be created in a namespace that opted in. The namespace's label is not looked at.
 *
 * @param pod a v1 Pod as JSON has it, such as a V1Pod of the Kubernetes client; it is not changed
 * @param settings of the webhook; of a namespace that enforces its policy, `enforcing(settings)`
 * @param facts what is known of the cluster; without them, it takes every method
 * @returns skip (left unchanged), refuse (with a message for the author) or inject (with JSON Patch operations). A refusal with
 *   `needs` says that the webhook looks up the image first, in its registry
 * @throws TypeError where the pod is no v1 Pod
 */
// P, not Pod: a pod may be written in place, with the members that the decision does not read.
export function decide<P extends Pod>(pod: P, settings: SideloadSettings = readSettings(), facts: ClusterFacts = UNKNOWN_CLUSTER): Outcome {
  const wrong = misfit(podShape, pod, '');
  if (wrong !== undefined) throw new TypeError(`not a v1 Pod: ${wrong}`);
  return decidePod(pod, settings, facts);
}

/**
 * What becomes of a pod, and the pod as it is stored then. Parameters and errors are those of `decide`.
 *
 * @returns the outcome; the pod, a copy if it is injected, and undefined if it is refused, so that nobody creates it
 */
export function inject<P extends Pod>(
  pod: P,
  settings: SideloadSettings = readSettings(),
  facts: ClusterFacts = UNKNOWN_CLUSTER,
): { readonly outcome: Outcome; readonly pod: P | undefined } {
  const outcome = decide(pod, settings, facts);
  switch (outcome.verdict) {
    case 'skip':
      return { outcome, pod };
    case 'refuse':
      return { outcome, pod: undefined };
    case 'inject':
      return { outcome, pod: jsonPatch.applyPatch(structuredClone(pod), outcome.operations).newDocument };
  }
}
