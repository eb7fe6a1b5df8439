/** ConfigMaps that hold policies, as far as the user may read them. */

import { type Cluster, call, orUndefined, statusOf } from './client.ts';

/**
 * Reads which keys a ConfigMap has.
 *
 * @returns its keys; `missing` where there is none, `forbidden` where the user may not read it
 * @throws Error when the API server does not answer
 */
export async function readConfigMapKeys(
  { k8s, config }: Cluster,
  namespace: string,
  name: string,
): Promise<readonly string[] | 'missing' | 'forbidden'> {
  const request = config.makeApiClient(k8s.CoreV1Api).readNamespacedConfigMap({ name, namespace });
  try {
    const found = await orUndefined(call(`read ConfigMap ${namespace}/${name}`, request));
    return found ? [...Object.keys(found.data ?? {}), ...Object.keys(found.binaryData ?? {})] : 'missing';
  } catch (error) {
    if (statusOf(error) === 403) return 'forbidden';
    throw error;
  }
}
