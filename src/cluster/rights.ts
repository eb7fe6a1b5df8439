/** Permissions, as the API server's authorizers see them. */

import type { V1ResourceAttributes } from '@kubernetes/client-node';
import { type Cluster, call } from './client.ts';

/** One verb on one kind of object. */
export interface Right {
  readonly verb: string;
  /** Empty: the core group. */
  readonly group: string;
  /** Plural. */
  readonly resource: string;
  /** Without one: the object is the cluster's, or the right is one in all namespaces. */
  readonly namespace?: string;
  /** Without one: every object of the kind. */
  readonly name?: string;
}

/** As `kubectl auth can-i` is asked: `patch secrets/openshell-sideload-ca -n openshell-system`. */
export function describeRight({ verb, group, resource, namespace, name }: Right): string {
  return `${verb} ${resource}${group ? `.${group}` : ''}${name ? `/${name}` : ''}${namespace ? ` -n ${namespace}` : ''}`;
}

/**
 * The rights of this list that a user or service account lacks.
 *
 * @param account a service account; without one, the user who runs this program
 * @throws Error when the API server does not let this be asked: others may only be asked about by `create subjectaccessreviews`
 */
export async function lackedRights(
  { k8s, config }: Cluster,
  rights: readonly Right[],
  account?: { readonly namespace: string; readonly name: string },
): Promise<Right[]> {
  const api = config.makeApiClient(k8s.AuthorizationV1Api);
  const isAllowed = async (right: Right): Promise<boolean> => {
    const resourceAttributes: V1ResourceAttributes = { ...right };
    const review = account
      ? api.createSubjectAccessReview({ body: { spec: { ...subjectOf(account), resourceAttributes } } })
      : api.createSelfSubjectAccessReview({ body: { spec: { resourceAttributes } } });
    return (await call(`ask who may ${describeRight(right)}`, review)).status?.allowed === true;
  };
  const allowed = await Promise.all(rights.map(isAllowed));
  return rights.filter((_right, index) => !allowed[index]);
}

/** The groups of a service account: roles may be bound to them. Source: k8s.io/apiserver, pkg/authentication/serviceaccount. */
function subjectOf({ namespace, name }: { readonly namespace: string; readonly name: string }) {
  return {
    user: `system:serviceaccount:${namespace}:${name}`,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
  };
}
