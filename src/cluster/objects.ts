/** Objects of any kind, and the pods that controllers made for them. */

import type { KubernetesObject, V1ObjectMeta, V1Pod } from '@kubernetes/client-node';
import { type Cluster, call } from './client.ts';
import type { Resource } from './discovery.ts';
import { listPods } from './pods.ts';

/** Which objects of a kind. */
export interface Choice {
  /** Undefined: all namespaces. */
  readonly namespace: string | undefined;
  /** Undefined: all that the selector matches. */
  readonly name: string | undefined;
  /** A label selector; an empty one matches everything. */
  readonly selector: string;
}

/** Most objects of a list, and pods of a namespace, that are read. */
const MOST_OBJECTS = 1000;
const MOST_PODS = 10_000;

/**
 * Reads objects of a kind.
 *
 * @returns at most MOST_OBJECTS of a list, and whether there may be others: of kinds that it does not know, the client does not tell
 * @throws ApiError when there is none of that name, or the API server refuses
 */
export async function readObjects(
  { k8s, config }: Cluster,
  resource: Resource,
  choice: Choice,
): Promise<{ objects: KubernetesObject[]; more: boolean }> {
  const api = k8s.KubernetesObjectApi.makeApiClient(config);
  const { apiVersion, kind } = resource;
  const { namespace, name, selector } = choice;
  if (name !== undefined) {
    const request = api.read({ apiVersion, kind, metadata: { name, ...(namespace === undefined ? {} : { namespace }) } });
    return { objects: [{ ...(await call(`read ${kind} ${namespace}/${name}`, request)), apiVersion, kind }], more: false };
  }
  const where = namespace === undefined ? 'all namespaces' : `namespace ${namespace}`;
  const request = api.list(apiVersion, kind, namespace, undefined, undefined, undefined, undefined, selector, MOST_OBJECTS);
  const { items } = await call(`list ${kind}s of ${where}`, request);
  // The items of a list of one kind leave it out.
  return { objects: items.map((item) => ({ ...item, apiVersion, kind })), more: items.length >= MOST_OBJECTS };
}

/** Controllers between a workload and its pods. */
const BETWEEN = [
  { apiVersion: 'apps/v1', kind: 'ReplicaSet' },
  { apiVersion: 'batch/v1', kind: 'Job' },
] as const;

const controllerOf = (metadata: V1ObjectMeta | undefined): string | undefined =>
  metadata?.ownerReferences?.find(({ controller }) => controller)?.uid;

/**
 * The pods of each controller of a namespace, by its UID: its own, and those of the ReplicaSets and Jobs that it controls.
 *
 * @returns also whether the namespace has other pods, which were not read
 * @throws ApiError when the API server refuses
 */
export async function podsByController(
  cluster: Cluster,
  namespace: string,
): Promise<{ readonly pods: ReadonlyMap<string, readonly V1Pod[]>; readonly more: boolean }> {
  const { k8s, config } = cluster;
  const api = k8s.KubernetesObjectApi.makeApiClient(config);
  const above = new Map<string, string>();
  for (const { apiVersion, kind } of BETWEEN) {
    const { items } = await call(`list ${kind}s of namespace ${namespace}`, api.list(apiVersion, kind, namespace));
    for (const { metadata } of items) {
      const controller = controllerOf(metadata);
      if (metadata?.uid !== undefined && controller !== undefined) above.set(metadata.uid, controller);
    }
  }
  const { pods, more } = await listPods(cluster, namespace, [''], MOST_PODS);
  const found = new Map<string, V1Pod[]>();
  for (const pod of pods) {
    for (let uid = controllerOf(pod.metadata); uid !== undefined; uid = above.get(uid)) {
      const known = found.get(uid);
      if (known) known.push(pod);
      else found.set(uid, [pod]);
    }
  }
  return { pods: found, more };
}
