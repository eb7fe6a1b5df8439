/** Follows the sandboxes of the cluster and counts those that run without their supervisor. */

import type { V1Namespace, V1Pod } from '@kubernetes/client-node';
import { NAMESPACE_LABEL } from '../sideload/contract.ts';
import type { SideloadSettings } from '../sideload/settings.ts';
import { isUnguarded } from '../sideload/unguarded.ts';
import type { Connection } from './client.ts';
import { type Collection, follow } from './follow.ts';
import { SANDBOX_SELECTORS } from './pods.ts';

/** A pod that has ended needs no supervisor. */
const HAS_NOT_ENDED = 'status.phase!=Succeeded,status.phase!=Failed';

/** Only the names of unguarded pods are kept. */
function unguardedPods(labelSelector: string, settings: SideloadSettings): Collection<V1Pod, true> {
  return {
    what: 'pods',
    path: '/api/v1/pods',
    selectors: { labelSelector, fieldSelector: HAS_NOT_ENDED },
    // The client's classes carry dates; these come as JSON, which the core reads.
    keep: (pod) => isUnguarded(pod, settings) || undefined,
  };
}

/** @param own the webhook's namespace, which the webhook configuration excludes as it does kube-system */
function optedInNamespaces(own: string): Collection<V1Namespace, true> {
  return {
    what: 'namespaces',
    path: '/api/v1/namespaces',
    selectors: { labelSelector: `${NAMESPACE_LABEL}=enabled`, fieldSelector: `metadata.name!=kube-system,metadata.name!=${own}` },
    keep: () => true,
  };
}

/**
 * Counts the sandboxes that run without their supervisor in namespaces that opted in, until ended.
 *
 * @param own the webhook's own namespace
 * @param onCount called when the count differs from the last one; undefined when pods or namespaces may not be listed
 * @param onProblem called once for each cause
 * @returns a function that ends it
 */
export function followUnguarded(
  cluster: Connection,
  own: string,
  settings: SideloadSettings,
  onCount: (unguarded: number | undefined) => void,
  onProblem: (message: string) => void,
): () => void {
  type Names = ReadonlyMap<string, true> | undefined;
  let namespaces: Names;
  const pods: Names[] = SANDBOX_SELECTORS.map(() => undefined);
  let last: number | undefined;
  const reported = new Map<string, string>();
  const tell = (): void => {
    let count: number | undefined = namespaces && 0;
    for (const names of pods) {
      if (count === undefined || names === undefined) count = undefined;
      else for (const name of names.keys()) if (namespaces?.has(`/${name.slice(0, name.indexOf('/'))}`)) count++;
    }
    if (count !== undefined) reported.clear();
    if (count === last) return;
    last = count;
    onCount(count);
  };
  // Both selectors fail for the same reason.
  const reporter = (what: string) => (message: string) => {
    if (reported.get(what) !== message) onProblem(message);
    reported.set(what, message);
  };
  const ends = SANDBOX_SELECTORS.map((selector, index) =>
    follow(cluster, unguardedPods(selector, settings), {
      onChange: (names) => {
        pods[index] = names;
        tell();
      },
      onProblem: reporter('pods'),
    }),
  );
  ends.push(
    follow(cluster, optedInNamespaces(own), {
      onChange: (names) => {
        namespaces = names;
        tell();
      },
      onProblem: reporter('namespaces'),
    }),
  );
  return () => {
    for (const end of ends) end();
  };
}
