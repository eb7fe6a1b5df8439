import type { Pod } from '../src/sideload/pod.ts';

/** An AdmissionReview as the API server sends it for the creation of a pod; `request` replaces members. */
export function review(pod: Pod, request: object = {}) {
  return {
    kind: 'AdmissionReview',
    apiVersion: 'admission.k8s.io/v1',
    request: {
      uid: 'u-1',
      kind: { group: '', version: 'v1', kind: 'Pod' },
      resource: { group: '', version: 'v1', resource: 'pods' },
      requestKind: { group: '', version: 'v1', kind: 'Pod' },
      namespace: 'agents',
      operation: 'CREATE',
      userInfo: { username: 'system:admin', groups: ['system:masters'] },
      object: { kind: 'Pod', apiVersion: 'v1', ...pod },
      oldObject: null,
      dryRun: false,
      options: { kind: 'CreateOptions', apiVersion: 'meta.k8s.io/v1' },
      ...request,
    },
  };
}
