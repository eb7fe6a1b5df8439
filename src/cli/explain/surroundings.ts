/** What a cluster has around pods: everything that decides what becomes of one. */

import type { V1ManagedFieldsEntry, V1MutatingWebhookConfiguration, V1Namespace } from '@kubernetes/client-node';
import { type Cluster, call, orUndefined } from '../../cluster/client.ts';
import { readConfigMapKeys } from '../../cluster/config-maps.ts';
import { keepsByVersion, keepsImageVolumes, readServerVersion } from '../../cluster/image-volumes.ts';
import { countNodes } from '../../cluster/nodes.ts';
import type { Config } from '../../config/config.ts';
import { NAMESPACE_LABEL } from '../../sideload/contract.ts';
import type { Pod } from '../../sideload/pod.ts';
import { type ClusterFacts, settingsIn } from '../../sideload/settings.ts';
import { type InstalledPolicies, injectingEntries, readPolicies } from '../check/policies.ts';
import { readDeployed } from '../deployed.ts';
import { policyFilesOf } from '../policy-files.ts';
import type { Surroundings } from './steps.ts';

/** The webhook of a cluster: its settings, what calls it, and what the cluster can do. */
export interface Installed {
  readonly config: Config;
  readonly facts: ClusterFacts;
  readonly configuration: V1MutatingWebhookConfiguration | undefined;
  /** What injects in its place, where it has no Deployment. */
  readonly policies: InstalledPolicies | undefined;
}

/**
 * Reads what is the same for all pods.
 *
 * @param namespace of a pod: image volumes are tried there
 * @param fallback the settings where there is no Deployment; its namespace says where the webhook is
 * @throws ApiError when the API server refuses
 */
export async function readInstalled(cluster: Cluster, namespace: string, fallback: Config): Promise<Installed> {
  const deployed = await readDeployed(cluster, fallback.namespace);
  // An API server before 1.36 knows no such policies.
  const policies = deployed ? undefined : await readPolicies(cluster, fallback.namespace).catch(() => undefined);
  const config = deployed?.config ?? policies?.config ?? fallback;
  const name = config.webhookConfiguration;
  const admission = cluster.config.makeApiClient(cluster.k8s.AdmissionregistrationV1Api);
  const request = call(`read MutatingWebhookConfiguration ${name}`, admission.readMutatingWebhookConfiguration({ name }));
  const configuration = await orUndefined(request);
  const serverVersion = await readServerVersion(cluster);
  const kept = (await keepsImageVolumes(cluster, namespace)) ?? keepsByVersion(serverVersion);
  const nodes = await countNodes(cluster).catch(() => undefined);
  return { config, configuration, policies, facts: { imageVolumes: kept ? 'kept' : 'dropped', serverVersion, nodes } };
}

/**
 * Reads what is around one pod.
 *
 * @param created when it was; undefined where it is the template of pods to come
 * @throws ApiError when the API server refuses
 */
export async function readSurroundings(
  cluster: Cluster,
  { config, configuration, policies }: Installed,
  { metadata }: V1Namespace,
  pod: Pod,
  created: Date | undefined,
): Promise<Surroundings> {
  const { name = '', labels = {} } = metadata ?? {};
  const configMaps = await Promise.all(
    policyFilesOf(pod, settingsIn(labels, config.sideload)).map(async ({ name: file, keys }) => ({
      name: `${name}/${file}`,
      wanted: keys,
      keys: await readConfigMapKeys(cluster, name, file),
    })),
  );
  return {
    namespace: { name, labels },
    configMaps,
    entries: configuration?.webhooks ?? (policies && injectingEntries(policies)),
    stored: created !== undefined,
    times: { created, installed: configuration?.metadata?.creationTimestamp, optedIn: labelledAt(metadata?.managedFields) },
  };
}

/** When the namespace's label was written last, as the API server notes it for each writer. */
function labelledAt(managers: readonly V1ManagedFieldsEntry[] | undefined): Date | undefined {
  const labels = ({ fieldsV1 }: V1ManagedFieldsEntry): object =>
    (fieldsV1 as { 'f:metadata'?: { 'f:labels'?: object } } | undefined)?.['f:metadata']?.['f:labels'] ?? {};
  return managers?.find((manager) => `f:${NAMESPACE_LABEL}` in labels(manager))?.time;
}
