import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findControllers, findNodeBinaries, type NodeBinaries } from './binaries.ts';
import { startContainerd } from './containerd.ts';
import { type ControlPlane, KUBERNETES_CLUSTER_IP, startControlPlane } from './control-plane.ts';
import { startControllerManager, startScheduler } from './controllers.ts';
import { type Machine, startMachine } from './machine.ts';
import { type Process, waitFor } from './process.ts';

/** The node's name in the cluster. */
const NODE = 'node';

/** A real etcd, kube-apiserver and one node: controllers, scheduler, containerd and kubelet. */
export interface Cluster {
  readonly controlPlane: ControlPlane;
  /** This machine's address as pods see it. */
  readonly hostAddress: string;
  /** Puts the images of a docker-archive where pods find them, under their names. Nothing is ever pulled. */
  readonly importImage: (archive: string) => void;
  /** Ends everything. Log files stay. */
  readonly stop: () => Promise<void>;
}

/**
 * Starts a control plane and a node with their state in `dir`, and waits until the node is ready for pods.
 *
 * @param images docker-archives, among them one with the pause image
 * @throws Error when not root, when a program is missing and cannot be built or installed, or when something does not start;
 *   nothing is left running then
 */
export async function startCluster(dir: string, images: readonly string[]): Promise<Cluster> {
  const nodeDir = join(dir, 'node');
  const machine = await startMachine(nodeDir);
  let controlPlane: ControlPlane | undefined;
  const stop = async (): Promise<void> => {
    try {
      // It listens at the machine's cable, and its requests to itself hang without that.
      await controlPlane?.stop();
    } finally {
      await machine.stop();
      // Hundreds of megabytes of unpacked images.
      for (const name of ['containerd', 'kubelet', 'own']) rmSync(join(nodeDir, name), { recursive: true, force: true });
    }
  };
  try {
    const binaries = findNodeBinaries();
    const { controllerManager, scheduler } = findControllers();
    controlPlane = await startControlPlane(dir, machine.hostAddress);
    routeApiserver(controlPlane, machine);
    const { importImage, process: containerd, socket } = await startContainerd(nodeDir, machine, binaries);
    images.forEach(importImage);
    // They could run beside kube-apiserver as well; in the machine they end with it.
    const controllers = [
      startControllerManager(controllerManager, controlPlane, nodeDir, machine.start),
      startScheduler(scheduler, controlPlane, nodeDir, machine.start),
    ];
    const kubelet = startKubelet(nodeDir, controlPlane, machine, socket, binaries);
    const { kubectl } = controlPlane;
    await waitFor('a node ready for pods', () => isReady(kubectl), [containerd, ...controllers, kubelet]);
    return { controlPlane, hostAddress: machine.hostAddress, importImage, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function startKubelet(dir: string, controlPlane: ControlPlane, machine: Machine, socket: string, binaries: NodeBinaries): Process {
  const file = (name: string): string => join(dir, name);
  writeFileSync(file('resolv.conf'), '');
  writeFileSync(file('kubelet.json'), JSON.stringify(kubeletConfiguration(file, socket, machine.nodeAddress)));
  return machine.start(
    'kubelet',
    binaries.kubelet,
    [
      `--kubeconfig=${controlPlane.kubeconfig}`,
      `--config=${file('kubelet.json')}`,
      `--root-dir=${file('kubelet')}`,
      `--cert-dir=${file('kubelet-certs')}`,
      `--hostname-override=${NODE}`,
      `--node-ip=${machine.nodeAddress}`,
    ],
    file('kubelet.log'),
  );
}

/** Whether the node takes pods, and the controllers have made what every pod mounts. */
async function isReady(kubectl: ControlPlane['kubectl']): Promise<boolean> {
  const names = async (...args: string[]): Promise<string> => (await kubectl(['get', '-o', 'name', ...args])).stdout;
  const status = '{.status.conditions[?(@.type=="Ready")].status}';
  return (
    (await kubectl(['get', 'node', NODE, '-o', `jsonpath=${status}`])).stdout === 'True' &&
    (await names('serviceaccounts')).includes('default') &&
    (await names('configmaps')).includes('kube-root-ca.crt')
  );
}

/** What kube-proxy would do for the one Service that every pod is told of: KUBERNETES_SERVICE_HOST. */
function routeApiserver(controlPlane: ControlPlane, machine: Machine): void {
  const destination = ['-d', `${KUBERNETES_CLUSTER_IP}/32`, '-p', 'tcp', '--dport', '443'];
  const target = ['-j', 'DNAT', '--to-destination', `${controlPlane.address}:${controlPlane.port}`];
  for (const chain of ['PREROUTING', 'OUTPUT']) machine.run('iptables', ['-t', 'nat', '-A', chain, ...destination, ...target]);
}

function kubeletConfiguration(file: (name: string) => string, socket: string, address: string): object {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address,
    // Only this machine and the pods reach it.
    authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
    authorization: { mode: 'AlwaysAllow' },
    containerRuntimeEndpoint: `unix://${socket}`,
    cgroupDriver: 'cgroupfs',
    failCgroupV1: false,
    failSwapOn: false,
    makeIPTablesUtilChains: false,
    healthzPort: 0,
    podLogsDir: file('pod-logs'),
    volumePluginDir: file('volume-plugins'),
    resolvConf: file('resolv.conf'),
    // There is no DNS server; without an address each pod gets a warning event.
    clusterDNS: ['10.0.0.10'],
    // A full disk is this machine's matter: no pod is evicted and no image removed for it.
    evictionHard: { 'memory.available': '50Mi' },
    imageGCHighThresholdPercent: 100,
    // How soon a changed Secret is in its volume, and how soon a container that failed is tried again.
    syncFrequency: '2s',
    crashLoopBackOff: { maxContainerRestartPeriod: '2s' },
  };
}
