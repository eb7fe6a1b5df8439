/** What checks look at, read once and only when one of them asks for it. */

import type { V1Deployment, V1MutatingWebhookConfiguration, V1Namespace, V1Pod } from '@kubernetes/client-node';
import { type Cluster, call } from '../../cluster/client.ts';
import type { Config } from '../../config/config.ts';
import { once } from '../../observe/once.ts';
import { NAMESPACE_LABEL } from '../../sideload/contract.ts';
import type { SideloadSettings } from '../../sideload/settings.ts';
import { type Deployed, readDeployed } from '../deployed.ts';
import { entriesOf } from './entries.ts';
import { APPLY_AGAIN, Obstacle } from './finding.ts';
import { type InstalledPolicies, readPolicies } from './policies.ts';

export interface Context {
  readonly cluster: Cluster;
  readonly now: Date;
  /** What the command line says. */
  readonly config: Config;
  /** How sandboxes are made: before the installation as the command line says, afterwards as the Deployment does, or the policies. */
  readonly settings: () => Promise<SideloadSettings>;
  /** What to read from its registry; undefined: nothing. */
  readonly image: string | undefined;
  /** Where to try a pod; undefined: in the first namespace that opted in. */
  readonly sandboxNamespace: string | undefined;
  /** The webhook's settings in the cluster. Throws Obstacle when it is not there. */
  readonly deployed: () => Promise<Deployed>;
  /** What injects without the webhook; undefined where nothing does, or the API server does not tell. */
  readonly policies: () => Promise<InstalledPolicies | undefined>;
  readonly deployment: () => Promise<V1Deployment>;
  /** The webhook's pods that have not ended, nor are about to. */
  readonly replicas: () => Promise<readonly V1Pod[]>;
  /** The configuration that has entries of ours, whatever its name. Throws Obstacle when there is none. */
  readonly configuration: () => Promise<V1MutatingWebhookConfiguration>;
  /** Namespaces that opted in. */
  readonly optedInNamespaces: () => Promise<readonly V1Namespace[]>;
  /** Namespaces that carry the label, with any value. */
  readonly labelledNamespaces: () => Promise<readonly V1Namespace[]>;
}

/** @param pre whether the installation is to come */
export function contextOf(
  cluster: Cluster,
  config: Config,
  { pre, sandboxNamespace, image }: { readonly pre: boolean } & Pick<Context, 'sandboxNamespace' | 'image'>,
): Context {
  const { k8s } = cluster;
  const core = cluster.config.makeApiClient(k8s.CoreV1Api);
  const { namespace } = config;
  const deployed = once(async () => {
    const found = await readDeployed(cluster, namespace);
    if (found) return found;
    throw new Obstacle(`namespace ${namespace} has no Deployment of the webhook`, `${APPLY_AGAIN}; elsewhere: --webhook-namespace=NAME`);
  });
  const policies = once(() => readPolicies(cluster, namespace).catch(() => undefined));
  const labelledNamespaces = once(async () => {
    const request = core.listNamespace({ labelSelector: NAMESPACE_LABEL });
    return (await call('list namespaces', request)).items;
  });
  const deployment = async (): Promise<V1Deployment> => (await deployed()).object;
  return {
    cluster,
    now: new Date(),
    config,
    settings: async () =>
      (pre ? config : (await deployed().catch(async () => ({ config: (await policies())?.config ?? config }))).config).sideload,
    sandboxNamespace,
    image,
    deployed,
    policies,
    deployment,
    replicas: once(async () => {
      const labels = Object.entries((await deployment()).spec?.selector.matchLabels ?? {}).map(([key, value]) => `${key}=${value}`);
      const request = core.listNamespacedPod({ namespace, labelSelector: labels.join() });
      const { items } = await call(`list pods of namespace ${namespace}`, request);
      // Evicted pods stay as Failed.
      return items.filter(({ metadata, status }) => metadata?.deletionTimestamp === undefined && status?.phase !== 'Failed');
    }),
    configuration: once(async () => {
      const request = cluster.config.makeApiClient(k8s.AdmissionregistrationV1Api).listMutatingWebhookConfiguration();
      const { items } = await call('list MutatingWebhookConfigurations', request);
      const ours = items.filter((candidate) => entriesOf(candidate).length > 0);
      const called = ours.find(({ webhooks }) => webhooks?.some(({ clientConfig }) => clientConfig.service?.namespace === namespace));
      const found = called ?? ours[0];
      if (found) return found;
      throw new Obstacle(
        'no MutatingWebhookConfiguration has an entry of this webhook: all sandboxes start without their supervisor',
        APPLY_AGAIN,
      );
    }),
    labelledNamespaces,
    optedInNamespaces: async () => (await labelledNamespaces()).filter(({ metadata }) => metadata?.labels?.[NAMESPACE_LABEL] === 'enabled'),
  };
}
