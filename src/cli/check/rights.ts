/** Rights: those of the webhook's service account, and of the user who is about to install it. */

import { describeRight, lackedRights, type Right } from '../../cluster/rights.ts';
import { type Config, readConfig } from '../../config/config.ts';
import type { Context } from './context.ts';
import { APPLY_AGAIN, type Finding, failed, ok, warning } from './finding.ts';

const RBAC = 'rbac.authorization.k8s.io';

function rights(verbs: readonly string[], right: Omit<Right, 'verb'>): Right[] {
  return verbs.map((verb) => ({ verb, ...right }));
}

/** What the webhook needs for its certificates, for asking what the cluster can do, and for what the operator switched on. */
export function webhookRights({ certificates, preflight, countUnguarded, namespace }: Config): Right[] {
  const group = 'admissionregistration.k8s.io';
  const forCertificates = (secret: string, name: string): Right[] => [
    ...rights(['get', 'watch', 'create', 'patch'], { group: '', resource: 'secrets', namespace, name: secret }),
    ...rights(['get', 'watch', 'patch'], { group, resource: 'mutatingwebhookconfigurations', name }),
  ];
  const forPreflight = [
    ...rights(['create'], { group: '', resource: 'podtemplates', namespace }),
    ...rights(['list', 'watch'], { group: '', resource: 'nodes' }),
  ];
  return [
    ...(certificates.source === 'self-managed'
      ? forCertificates(certificates.objects.secret, certificates.objects.webhookConfiguration)
      : []),
    ...(preflight ? forPreflight : []),
    ...(countUnguarded ? ['pods', 'namespaces'].flatMap((resource) => rights(['list', 'watch'], { group: '', resource })) : []),
  ];
}

/** What `kubectl apply -k manifests/base` does. */
export function installRights(namespace: string): Right[] {
  const verbs = ['get', 'create', 'patch'];
  const ofCluster = [
    ['', 'namespaces'],
    [RBAC, 'clusterroles'],
    [RBAC, 'clusterrolebindings'],
    ['admissionregistration.k8s.io', 'mutatingwebhookconfigurations'],
    ['admissionregistration.k8s.io', 'validatingadmissionpolicies'],
    ['admissionregistration.k8s.io', 'validatingadmissionpolicybindings'],
  ] as const;
  const ofNamespace = [
    ['', 'serviceaccounts'],
    ['', 'services'],
    ['', 'resourcequotas'],
    ['apps', 'deployments'],
    ['policy', 'poddisruptionbudgets'],
    ['networking.k8s.io', 'networkpolicies'],
    [RBAC, 'roles'],
    [RBAC, 'rolebindings'],
  ] as const;
  return [
    ...ofCluster.flatMap(([group, resource]) => rights(verbs, { group, resource })),
    ...ofNamespace.flatMap(([group, resource]) => rights(verbs, { group, resource, namespace })),
  ];
}

export async function checkWebhookRights(context: Context): Promise<Finding> {
  const { cluster, deployed, deployment, optedInNamespaces } = context;
  const { namespace } = context.config;
  const { config } = await deployed();
  const name = (await deployment()).spec?.template.spec?.serviceAccountName ?? 'default';
  const forEvents = (config.ownerEvents ? await optedInNamespaces() : []).flatMap(({ metadata }) =>
    rights(['create'], { group: 'events.k8s.io', resource: 'events', namespace: metadata?.name ?? '' }),
  );
  const wanted = [...webhookRights(config), ...forEvents];
  if (wanted.length === 0) return ok('the webhook needs none');
  const denied = await lackedRights(cluster, wanted, { namespace, name });
  // An operator may grant Events for single namespaces: then they are not missed in the others.
  const grantsEvents = forEvents.some((right) => !denied.includes(right));
  const lacked = denied.filter((right) => !grantsEvents || !forEvents.includes(right));
  if (lacked.length === 0) return ok(`service account ${name} has all ${wanted.length - denied.length}`);
  return failed(
    `service account ${name} may not ${lacked.map(describeRight).join(', ')}`,
    `${APPLY_AGAIN}\ndocs/security.md#who-may-do-what says what each is for`,
  );
}

export async function checkInstallRights({ cluster, config: { namespace } }: Context): Promise<Finding> {
  const lacked = await lackedRights(cluster, installRights(namespace));
  if (lacked.length === 0) return ok('you may create, read and change all kinds of manifests/base');
  return failed(`you may not ${lacked.map(describeRight).join(', ')}`, 'install it as cluster-admin, or as a user with these permissions');
}

/**
 * Who makes a role or binds it needs all rights that it gives, or the verbs escalate and bind: the API server's rule against
 * escalation. Source: kubernetes.io/docs/reference/access-authn-authz/rbac, "Privilege escalation prevention and bootstrapping".
 */
export async function checkEscalation({ cluster, config: { namespace } }: Context): Promise<Finding> {
  // As it is in a pod, where Kubernetes sets that variable.
  const granted = [
    ...webhookRights(readConfig([`--webhook-namespace=${namespace}`], { KUBERNETES_SERVICE_HOST: '' })),
    // The role that is bound only where pull secrets may be read.
    ...rights(['get'], { group: '', resource: 'secrets' }),
  ];
  const lacked = await lackedRights(cluster, granted);
  if (lacked.length === 0) return ok('you have every permission that its roles grant');
  const around = ['roles', 'clusterroles'].flatMap((resource) =>
    rights(['escalate', 'bind'], { group: RBAC, resource, ...(resource === 'roles' ? { namespace } : {}) }),
  );
  const lackedAround = await lackedRights(cluster, around);
  const detail = `its roles grant permissions that you do not have: ${lacked.map(describeRight).join(', ')}`;
  if (lackedAround.length === 0) return warning(`${detail}; but you hold escalate and bind`);
  return failed(detail, 'install it as cluster-admin, or with the verbs escalate and bind on roles and clusterroles');
}
