/** How the webhook of a cluster is configured: as its Deployment says. */

import type { V1Container, V1Deployment } from '@kubernetes/client-node';
import { type Cluster, call } from '../cluster/client.ts';
import { type Config, readConfig } from '../config/config.ts';

const CONTAINER = 'webhook';
const LABEL_SELECTOR = 'app.kubernetes.io/name=openshell-sideload';

export interface Deployed {
  /** Namespace and name. */
  readonly deployment: string;
  readonly object: V1Deployment;
  readonly image: string;
  readonly config: Config;
  /** Variables whose values come from elsewhere (a Secret, a ConfigMap) and are not known here. */
  readonly unknownVariables: readonly string[];
}

/**
 * Reads the settings of the webhook that a namespace holds.
 *
 * @returns undefined when there is none
 * @throws UsageError when its settings cannot be used; Error when the API server refuses
 */
export async function readDeployed({ k8s, config }: Cluster, namespace: string): Promise<Deployed | undefined> {
  const request = config.makeApiClient(k8s.AppsV1Api).listNamespacedDeployment({ namespace, labelSelector: LABEL_SELECTOR });
  const [object] = (await call(`list Deployments of namespace ${namespace}`, request)).items;
  const container = object?.spec?.template.spec?.containers.find(({ name }) => name === CONTAINER);
  if (!object || !container) return undefined;
  const deployment = `${namespace}/${object.metadata?.name}`;
  return { deployment, object, image: container.image ?? '', ...settingsOf(container, namespace) };
}

/** A field of the pod can only be its namespace: nothing else that the manifests ask for reaches the settings. */
function settingsOf({ args = [], env = [] }: V1Container, namespace: string): Pick<Deployed, 'config' | 'unknownVariables'> {
  const known = env.flatMap(({ name, value, valueFrom }): [string, string][] => {
    if (!valueFrom) return [[name, value ?? '']];
    return valueFrom.fieldRef?.fieldPath === 'metadata.namespace' ? [[name, namespace]] : [];
  });
  const unknown = env.map(({ name }) => name).filter((name) => !known.some(([other]) => other === name));
  const settings = args[0] === 'serve' ? args.slice(1) : args;
  // As in a pod, where Kubernetes sets it.
  return { config: readConfig(settings, { KUBERNETES_SERVICE_HOST: '', ...Object.fromEntries(known) }), unknownVariables: unknown };
}
