/** Lists of pods, in pages. */

import type { V1Pod } from '@kubernetes/client-node';
import { MANAGED_BY_LABEL, MANAGED_BY_OPENSHELL, SANDBOX_LABEL } from '../sideload/contract.ts';
import { type Cluster, call } from './client.ts';

/** What selects the pods that are, or were to be, sandboxes: as the entries of the webhook configuration do. */
export const SANDBOX_SELECTORS = [
  `${SANDBOX_LABEL},${SANDBOX_LABEL}!=false`,
  `${MANAGED_BY_LABEL}=${MANAGED_BY_OPENSHELL},!${SANDBOX_LABEL}`,
] as const;

/** Pods of one response of the API server. */
const PAGE_SIZE = 500;

export interface PodList {
  readonly pods: readonly V1Pod[];
  /** Whether there are others, which were not read. */
  readonly more: boolean;
}

/**
 * Lists pods that any of some label selectors matches.
 *
 * @param namespace undefined: all
 * @param selectors an empty one matches every pod
 * @param most of one selector; a multiple of 500 is read exactly
 * @throws ApiError when the API server refuses
 */
export async function listPods(
  { k8s, config }: Cluster,
  namespace: string | undefined,
  selectors: readonly string[],
  most: number,
): Promise<PodList> {
  const core = config.makeApiClient(k8s.CoreV1Api);
  const where = namespace === undefined ? 'list pods of all namespaces' : `list pods of namespace ${namespace}`;
  const pods: V1Pod[] = [];
  let more = false;
  for (const labelSelector of selectors) {
    let next: string | undefined;
    for (let read = 0; read < most; read += PAGE_SIZE) {
      const page = { labelSelector, limit: PAGE_SIZE, ...(next === undefined ? {} : { _continue: next }) };
      const request = namespace === undefined ? core.listPodForAllNamespaces(page) : core.listNamespacedPod({ ...page, namespace });
      const { items, metadata } = await call(where, request);
      pods.push(...items);
      next = metadata?._continue || undefined;
      if (next === undefined) break;
    }
    more ||= next !== undefined;
  }
  return { pods, more };
}
