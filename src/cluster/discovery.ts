/** Kinds of objects, as people name them to kubectl: found among those that the API server serves. */

import type { V1APIResource } from '@kubernetes/client-node';
import { type Cluster, call, statusOf } from './client.ts';

/** A kind of objects. */
export interface Resource {
  /** Group and version, such as `apps/v1`; `v1` of the core group. */
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespaced: boolean;
}

/** Searched first: what people mean where several groups have the name. */
const FIRST = ['apps', 'batch'];

/**
 * Finds a kind by its plural, singular or short name, or by the kind itself, each with `.GROUP` behind it where it has to be told
 * from another: `deploy`, `pods`, `rollouts.argoproj.io`. Source: k8s.io/client-go, restmapper/shortcut.go.
 *
 * @returns undefined where no group that answers has it
 * @throws ApiError when the API server does not tell its groups
 */
export async function findResource({ k8s, config }: Cluster, name: string): Promise<Resource | undefined> {
  const [wanted = '', ...group] = name.toLowerCase().split('.');
  const wantedGroup = group.join('.');
  const core = config.makeApiClient(k8s.CoreV1Api);
  const custom = config.makeApiClient(k8s.CustomObjectsApi);
  const among = (resources: readonly V1APIResource[], apiVersion: string): Resource | undefined => {
    const found = resources.find(
      ({ name: plural, singularName, shortNames = [], kind }) =>
        !plural.includes('/') && [plural, singularName, ...shortNames, kind.toLowerCase()].includes(wanted),
    );
    return found && { apiVersion, kind: found.kind, namespaced: found.namespaced };
  };

  if (wantedGroup === '') {
    const { resources } = await call('read which resources v1 has', core.getAPIResources());
    const found = among(resources, 'v1');
    if (found) return found;
  }
  const { groups } = await call('read the API groups', config.makeApiClient(k8s.ApisApi).getAPIVersions());
  const versions = groups.flatMap(({ name: own, preferredVersion, versions: [newest] }) => {
    const version = preferredVersion?.version ?? newest?.version;
    return version !== undefined && (wantedGroup === '' || own === wantedGroup) ? [{ group: own, version }] : [];
  });
  const search = async ({ group: own, version }: { group: string; version: string }): Promise<Resource | undefined> => {
    try {
      const { resources } = await call(`read which resources ${own}/${version} has`, custom.getAPIResources({ group: own, version }));
      return among(resources, `${own}/${version}`);
    } catch (error) {
      // An aggregated API server that is down is no reason not to know the others.
      if (statusOf(error) === undefined || statusOf(error) === 503 || statusOf(error) === 404) return undefined;
      throw error;
    }
  };
  for (const version of versions.filter(({ group: own }) => FIRST.includes(own))) {
    const found = await search(version);
    if (found) return found;
  }
  const others = await Promise.all(versions.filter(({ group: own }) => !FIRST.includes(own)).map(search));
  return others.find((found) => found !== undefined);
}
