import { readFileSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import type { Pod } from '../../../src/sideload/pod.ts';
import { type ControlPlane, startControlPlane } from '../cluster/control-plane.ts';
import { freePorts, WAIT_FLAG, waitFor } from '../cluster/process.ts';
import { monitoringDefinitions } from '../cluster/prometheus-operator.ts';
import { writeKustomization } from '../kustomization.ts';
import { kubeconfigOf } from '../webhook.ts';
import { type Prometheus, startPrometheus } from './prometheus.ts';
import { forwardTo, type Replica, replicaIn } from './replica.ts';

const _manifests = (path: string): string => fileURLToPath(new URL(`../../../manifests/${path}`, import.meta.url));
const ACCESS = { authorization: 'Bearer admin-token' };
const NODE_INFO = { kubeletVersion: 'v1.36.3', containerRuntimeVersion: 'containerd://2.2.9', operatingSystem: 'linux' };

/** The webhook as manifests/base and its components for monitoring install it, with a Prometheus that scrapes it and the API server. */
export interface Installation {
  readonly cluster: ControlPlane;
  readonly replicas: readonly [Replica, Replica];
  readonly prometheus: Prometheus;
  /** Creates a pod in an opted-in namespace; the HTTP status of the answer. Rejects where the API server does not answer. */
  readonly create: (pod: Pod, dryRun?: boolean) => Promise<number>;
  readonly stop: () => Promise<void>;
}

/**
 * Starts a control plane, two replicas with self-managed certificates, and Prometheus.
 *
 * @param dir an empty folder for all state
 * @param interval seconds between two scrapes
 */
export async function startInstallation(dir: string, interval: number): Promise<Installation> {
  const cluster = await startControlPlane(join(dir, 'cluster'));
  const [servicePort = 0, ...ports] = await freePorts(5);
  const replicas = [0, 1].map((n) => replicaIn(dir, `openshell-sideload-${n}`, ports[2 * n] ?? 0, ports[2 * n + 1] ?? 0)) as [
    Replica,
    Replica,
  ];
  const service = forwardTo(replicas).listen(servicePort, '127.0.0.1');
  const connections = new Agent({ keepAlive: true, maxSockets: 8, ca: readFileSync(cluster.servingCertificate) });
  let prometheus: Prometheus | undefined;
  const stop = async (): Promise<void> => {
    connections.destroy();
    service.close();
    await prometheus?.stop();
    await Promise.all(replicas.map((each) => each.stop()));
    await cluster.stop();
  };
  try {
    await install(cluster, dir, servicePort);
    writeFileSync(join(dir, 'kubeconfig'), await kubeconfigOf(cluster));
    await Promise.all(replicas.map((each) => each.start()));
    prometheus = await startPrometheus(dir, interval, scrapeConfigs(cluster, replicas), await extractRules(cluster, dir));
    const { process, query } = prometheus;
    await waitFor('targets that are up', async () => (await query('up == 1')).length === replicas.length + 1, [process]);
  } catch (error) {
    await stop();
    throw error;
  }
  const create = (pod: Pod, dryRun = false): Promise<number> => post(cluster, connections, pod, dryRun);
  return { cluster, replicas, prometheus, create, stop };
}

/** Applies manifests/base with these components, and adds nodes and an opted-in namespace. */
async function install(cluster: ControlPlane, dir: string, port: number): Promise<void> {
  await cluster.run(['apply', '--server-side', ...monitoringDefinitions().flatMap((file) => ['-f', file])]);
  await cluster.run(['wait', '--for=condition=Established', 'crd', '--all', WAIT_FLAG]);
  const clientConfig = { url: `https://127.0.0.1:${port}/mutate` };
  const patch = [0, 1, 2, 3].map((entry) => ({ op: 'replace', path: `/webhooks/${entry}/clientConfig`, value: clientConfig }));
  const patches = [{ target: { kind: 'MutatingWebhookConfiguration' }, patch: stringify(patch) }];
  const overlay = writeKustomization(join(dir, 'overlay'), 'base', ['monitoring', 'unguarded', 'owner-events'], { patches });
  await cluster.run(['apply', '--server-side', '--validate=strict', '-k', overlay]);
  for (const [name, nodeInfo] of Object.entries({
    'node-1': NODE_INFO,
    'node-2': NODE_INFO,
    'node-3': NODE_INFO,
    'node-4': { ...NODE_INFO, kubeletVersion: 'v1.34.4', containerRuntimeVersion: 'containerd://1.7.27' },
  })) {
    await cluster.run(['create', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'Node', metadata: { name } }));
    await cluster.run(['patch', 'node', name, '--subresource=status', '--type=merge', '-p', JSON.stringify({ status: { nodeInfo } })]);
  }
  await cluster.run(['create', 'namespace', 'agents']);
  await cluster.run(['create', 'serviceaccount', 'default', '-n', 'agents']);
  await cluster.run(['label', 'namespace', 'agents', 'openshell.ai/sideload=enabled']);
}

/** What the Prometheus Operator makes of a PodMonitor, for targets that are no pods; and the API server. */
function scrapeConfigs({ address, port }: ControlPlane, replicas: readonly Replica[]) {
  return [
    {
      job_name: 'openshell-sideload',
      static_configs: replicas.map(({ name, adminPort }) => ({
        targets: [`127.0.0.1:${adminPort}`],
        labels: { namespace: 'openshell-system', pod: name, container: 'webhook', endpoint: 'admin' },
      })),
    },
    {
      job_name: 'apiserver',
      scheme: 'https',
      tls_config: { insecure_skip_verify: true },
      authorization: { credentials: 'admin-token' },
      static_configs: [{ targets: [`${address}:${port}`] }],
    },
  ];
}

/** The rules of the PrometheusRule that the API server stored, as a file for Prometheus. */
async function extractRules(cluster: ControlPlane, dir: string): Promise<string> {
  const stored = await cluster.run(['get', 'prometheusrule', 'openshell-sideload', '-n', 'openshell-system', '-o', 'json']);
  const file = join(dir, 'rules.yaml');
  writeFileSync(file, stringify(JSON.parse(stored).spec));
  return file;
}

function post({ address, port }: ControlPlane, agent: Agent, pod: Pod, dryRun: boolean): Promise<number> {
  // As a controller creates it: the webhook writes Events about one.
  const ownerReferences = [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'sandbox', uid: 'aeb5a7f0-0000', controller: true }];
  const metadata = { ...pod.metadata, name: undefined, generateName: 'sandbox-', namespace: 'agents', ownerReferences };
  const path = `/api/v1/namespaces/agents/pods${dryRun ? '?dryRun=All' : ''}`;
  const headers = { ...ACCESS, 'content-type': 'application/json' };
  return new Promise((resolve, reject) => {
    const sent = request({ agent, host: address, port, path, method: 'POST', headers }, (answer) => {
      answer.resume().on('end', () => resolve(answer.statusCode ?? 0));
      answer.on('error', reject);
    });
    sent.on('error', reject).end(JSON.stringify({ ...pod, apiVersion: 'v1', kind: 'Pod', metadata }));
  });
}
