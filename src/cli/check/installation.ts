/** Whether the webhook is there, ready, and called. */

import { call } from '../../cluster/client.ts';
import { readDeployed } from '../deployed.ts';
import { checkBackstop } from './backstop.ts';
import type { Context } from './context.ts';
import { entriesOf, judgeEntries } from './entries.ts';
import { type Finding, failed, Obstacle, ok, problemsOr, warning } from './finding.ts';
import { checkReadiness } from './readiness.ts';
import { checkEscalation, checkInstallRights, checkWebhookRights } from './rights.ts';
import type { Group } from './run.ts';

async function deploymentThere({ deployed }: Context): Promise<Finding> {
  const { deployment, image, unknownVariables, config } = await deployed();
  if (config.renamed.length > 0)
    return warning(`${deployment} with image ${image}: ${config.renamed.join('; ')}`, 'docs/operations.md#upgrading-to-02');
  if (unknownVariables.length === 0) return ok(`${deployment} with image ${image}`);
  return warning(`${deployment} with image ${image}; not known here, because another object holds them: ${unknownVariables.join(', ')}`);
}

async function replicas(context: Context): Promise<Finding> {
  const { spec, status, metadata } = await context.deployment();
  const wanted = spec?.replicas ?? 1;
  const ready = status?.readyReplicas ?? 0;
  const detail = `${ready} of ${wanted} ready`;
  const look = `kubectl get pods -n ${metadata?.namespace}; docs/operations.md#when-it-is-down`;
  if (ready === 0)
    return failed(
      `${detail}: sandboxes are refused`,
      wanted > 0 ? look : `kubectl scale deployment/${metadata?.name} -n ${metadata?.namespace} --replicas=2`,
    );
  if (ready < wanted) return warning(detail, look);
  return wanted === 1
    ? warning(
        `${detail}: sandboxes are refused while it restarts`,
        `kubectl scale deployment/${metadata?.name} -n ${metadata?.namespace} --replicas=2`,
      )
    : ok(detail);
}

async function configurationThere({ configuration }: Context): Promise<Finding> {
  return ok((await configuration()).metadata?.name ?? '');
}

async function entries({ configuration, config, deployed }: Context): Promise<readonly Finding[]> {
  const { ownerEvents } = (await deployed().catch(() => ({ config }))).config;
  return problemsOr(judgeEntries(entriesOf(await configuration()), ownerEvents), 'every sandbox reaches the webhook, and they fail closed');
}

async function endpoints({ cluster: { k8s, config }, configuration }: Context): Promise<readonly Finding[]> {
  const discovery = config.makeApiClient(k8s.DiscoveryV1Api);
  const targets = new Map(
    entriesOf(await configuration()).map(({ clientConfig: { service, url } }) => [
      service ? `${service.namespace}/${service.name}` : url && new URL(url).host,
      service ?? url,
    ]),
  );
  return Promise.all(
    [...targets.values()].map(async (target) => {
      if (target === undefined || typeof target === 'string') return ok(`the API server calls ${target}, no Service`);
      const { name, namespace } = target;
      const labelSelector = `kubernetes.io/service-name=${name}`;
      const request = discovery.listNamespacedEndpointSlice({ namespace, labelSelector });
      const { items } = await call(`list EndpointSlices of namespace ${namespace}`, request);
      const addresses = items.flatMap((slice) => slice.endpoints ?? []).filter(({ conditions }) => conditions?.ready !== false);
      return addresses.length > 0
        ? ok(`Service ${namespace}/${name} has ${addresses.length} ready`)
        : failed(
            `Service ${namespace}/${name} has no ready endpoint: the API server reaches no replica, sandboxes are refused`,
            `kubectl get service,endpointslices -n ${namespace}; docs/operations.md#when-it-is-down`,
          );
    }),
  );
}

/** Whether something of ours is there before the installation. */
async function existing({ cluster, config: { namespace }, configuration }: Context): Promise<Finding> {
  const deployed = await readDeployed(cluster, namespace);
  if (deployed) return ok(`an upgrade: ${deployed.deployment} with image ${deployed.image} is there`);
  try {
    const { metadata } = await configuration();
    return warning(
      `MutatingWebhookConfiguration ${metadata?.name} is there, but no Deployment in ${namespace}: sandboxes may be refused`,
      `kubectl delete mutatingwebhookconfiguration ${metadata?.name}`,
    );
  } catch (error) {
    if (error instanceof Obstacle) return ok('nothing is installed yet');
    throw error;
  }
}

export const INSTALLATION: Group<Context> = {
  heading: 'installation',
  checks: [
    { name: 'Deployment', needs: ['API server'], run: deploymentThere },
    { name: 'replicas', needs: ['Deployment'], run: replicas },
    { name: 'readiness', needs: ['Deployment'], run: checkReadiness },
    { name: 'permissions of the webhook', needs: ['Deployment'], run: checkWebhookRights },
    { name: 'webhook configuration', needs: ['API server'], run: configurationThere },
    { name: 'entries', needs: ['webhook configuration'], run: entries },
    { name: 'endpoints', needs: ['webhook configuration'], run: endpoints },
    { name: 'backstop', needs: ['Deployment', 'webhook configuration'], run: checkBackstop },
  ],
};

export const BEFORE_INSTALLATION: Group<Context> = {
  heading: 'before the installation',
  checks: [
    { name: 'what is there', needs: ['API server'], run: existing },
    { name: 'your permissions', needs: ['API server'], run: checkInstallRights },
    { name: 'permissions that you grant', needs: ['API server'], run: checkEscalation },
  ],
};
