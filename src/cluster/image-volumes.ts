/** What the API server does to image volumes: asked, or concluded from its version. */

import type { V1PodTemplate, VersionInfo } from '@kubernetes/client-node';
import { type Connection, call, request, statusOf } from './client.ts';

/** Since this release the feature gate ImageVolume is on by default (KEP-4639). */
const KEPT_SINCE_MINOR = 35;

/** The image is never pulled: the pod template is not stored, and no pod is made from it. */
const PROBE: V1PodTemplate = {
  metadata: { generateName: 'openshell-sideload-preflight-' },
  template: {
    spec: {
      containers: [{ name: 'preflight', image: 'preflight' }],
      volumes: [{ name: 'preflight', image: { reference: 'preflight' } }],
    },
  },
};

/** The API server's version, such as `v1.34.4`. */
export async function readServerVersion(cluster: Connection): Promise<string> {
  return (await call("read the API server's version", request<VersionInfo>(cluster, 'GET', '/version'))).gitVersion;
}

/** Whether a release keeps image volumes with its default feature gates. */
export function keepsByVersion(serverVersion: string): boolean {
  const [, major, minor] = /^v(\d+)\.(\d+)\./.exec(serverVersion) ?? [];
  return Number(major) > 1 || Number(minor) >= KEPT_SINCE_MINOR;
}

/**
 * Asks the API server to create a pod template with an image volume, as a dry run, and looks at what it would have stored. A
 * pod template loses its fields as a pod does, but passes no admission of pods, and permission to create one does not allow running
 * anything.
 *
 * @param namespace where the webhook may create pod templates
 * @returns undefined when it may not, or another admission plugin is against it
 * @throws Error when there is no response
 */
export async function keepsImageVolumes(cluster: Connection, namespace: string): Promise<boolean | undefined> {
  const path = `/api/v1/namespaces/${namespace}/podtemplates`;
  const tried = request<V1PodTemplate>(cluster, 'POST', path, { query: { dryRun: 'All' }, body: PROBE });
  try {
    const stored = await call(`try an image volume in a pod template of namespace ${namespace}`, tried);
    return stored.template?.spec?.volumes?.[0]?.image?.reference === 'preflight';
  } catch (error) {
    const code = statusOf(error);
    if (code === undefined || code >= 500 || code === 429) throw error;
    return undefined;
  }
}
