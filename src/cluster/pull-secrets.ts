/** Pull secrets, as far as the webhook may read them: by default it may read none. */

import type { V1Secret } from '@kubernetes/client-node';
import { isConfigMapName } from '../sideload/policy.ts';
import { type Connection, call, orUndefined, request, statusOf } from './client.ts';

/** Keys of the Secrets that hold credentials for registries, by their type (k8s.io/api/core/v1, types.go). */
const KEYS: Readonly<Record<string, string>> = {
  'kubernetes.io/dockerconfigjson': '.dockerconfigjson',
  'kubernetes.io/dockercfg': '.dockercfg',
};

/**
 * Reads a pull secret.
 *
 * @returns its text; `forbidden` where a RoleBinding is missing, `missing` where there is no such Secret, `other` where its type
 *   holds no credentials for registries
 * @throws ApiError when the API server does not answer
 */
export async function readPullSecret(
  cluster: Connection,
  namespace: string,
  name: string,
): Promise<{ readonly text: string } | 'forbidden' | 'missing' | 'other'> {
  // Anything else would be another path of the API.
  if (!isConfigMapName(namespace) || !isConfigMapName(name)) return 'missing';
  const read = request<V1Secret>(cluster, 'GET', `/api/v1/namespaces/${namespace}/secrets/${name}`);
  try {
    const secret = await orUndefined(call(`read Secret ${namespace}/${name}`, read));
    if (!secret) return 'missing';
    const data = secret.data?.[KEYS[secret.type ?? ''] ?? ''];
    return data === undefined ? 'other' : { text: Buffer.from(data, 'base64').toString() };
  } catch (error) {
    if (statusOf(error) === 403) return 'forbidden';
    throw error;
  }
}
