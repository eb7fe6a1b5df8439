/** What a cluster has around a pod that is there: everything that decides what becomes of one like it. */

import type { V1ManagedFieldsEntry } from '@kubernetes/client-node';
import { type Access, call, connect, orUndefined } from '../../cluster/client.ts';
import { readConfigMapKeys } from '../../cluster/config-maps.ts';
import { keepsByVersion, keepsImageVolumes, readServerVersion } from '../../cluster/image-volumes.ts';
import { countNodes } from '../../cluster/nodes.ts';
import type { Config } from '../../config/config.ts';
import { ExpectedError } from '../../observe/expected-error.ts';
import { NAMESPACE_LABEL } from '../../sideload/contract.ts';
import { type Pod, podShape } from '../../sideload/pod.ts';
import { type ClusterFacts, settingsIn } from '../../sideload/settings.ts';
import { misfit } from '../../sideload/shape.ts';
import { readDeployed } from '../deployed.ts';
import { policyFilesOf } from '../policy-files.ts';
import type { Surroundings } from './steps.ts';

/**
 * Reads a pod, its namespace, the webhook configuration, the settings of the Deployment and what the cluster can do.
 *
 * @param namespace undefined: that of the kubeconfig's context
 * @param fallback the settings where there is no Deployment; its namespace says where the webhook is
 * @throws Error when the API server refuses or there is no such pod
 */
export async function readSurroundings(
  name: string,
  namespace: string | undefined,
  fallback: Config,
  access: Access,
): Promise<{ pod: Pod; surroundings: Surroundings; config: Config; facts: ClusterFacts }> {
  const cluster = await connect(access);
  const { k8s, config: kubeconfig } = cluster;
  const core = kubeconfig.makeApiClient(k8s.CoreV1Api);
  const admission = kubeconfig.makeApiClient(k8s.AdmissionregistrationV1Api);
  const where = namespace ?? kubeconfig.getContextObject(kubeconfig.getCurrentContext())?.namespace ?? 'default';
  const pod = await call(`read pod ${where}/${name}`, core.readNamespacedPod({ name, namespace: where }));
  const { metadata } = await call(`read namespace ${where}`, core.readNamespace({ name: where }));
  const deployed = await readDeployed(cluster, fallback.namespace);
  const config = deployed?.config ?? fallback;
  const { webhookConfiguration } = config;
  const webhooks = await orUndefined(
    call(
      `read MutatingWebhookConfiguration ${webhookConfiguration}`,
      admission.readMutatingWebhookConfiguration({ name: webhookConfiguration }),
    ),
  );
  const serverVersion = await readServerVersion(cluster);
  const kept = (await keepsImageVolumes(cluster, where)) ?? keepsByVersion(serverVersion);
  const nodes = await countNodes(cluster).catch(() => undefined);
  // The client's classes carry dates; the core reads JSON.
  const plain: unknown = JSON.parse(JSON.stringify(pod));
  const wrong = misfit(podShape, plain, '');
  if (wrong !== undefined) throw new ExpectedError(`pod ${where}/${name}: ${wrong}`);
  const labels = metadata?.labels ?? {};
  const configMaps = await Promise.all(
    policyFilesOf(plain as Pod, settingsIn(labels, config.sideload)).map(async ({ name: file, keys }) => ({
      name: `${where}/${file}`,
      wanted: keys,
      keys: await readConfigMapKeys(cluster, where, file),
    })),
  );
  return {
    pod: plain as Pod,
    surroundings: {
      namespace: { name: where, labels },
      configMaps,
      entries: webhooks?.webhooks,
      times: {
        created: pod.metadata?.creationTimestamp,
        installed: webhooks?.metadata?.creationTimestamp,
        optedIn: labelledAt(metadata?.managedFields),
      },
    },
    config,
    facts: { imageVolumes: kept ? 'kept' : 'dropped', serverVersion, nodes },
  };
}

/** When the namespace's label was written last, as the API server notes it for each writer. */
function labelledAt(managers: readonly V1ManagedFieldsEntry[] | undefined): Date | undefined {
  const labels = ({ fieldsV1 }: V1ManagedFieldsEntry): object =>
    (fieldsV1 as { 'f:metadata'?: { 'f:labels'?: object } } | undefined)?.['f:metadata']?.['f:labels'] ?? {};
  return managers?.find((manager) => `f:${NAMESPACE_LABEL}` in labels(manager))?.time;
}
