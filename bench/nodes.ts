/** Nodes of a large cluster: as large as a kubelet writes them, and changing as often. */

import { type ClusterAdmin, clusterAdmin } from '../test/e2e/cluster/cluster-admin.ts';
import type { ControlPlane } from '../test/e2e/cluster/control-plane.ts';

/** kubelet's nodeStatusReportFrequency, by default: so often it writes a status in which nothing has changed. */
const REPORT_MS = 5 * 60_000;
/** kubelet's nodeStatusMaxImages, by default: with them a node has some 20 KiB of JSON. */
const IMAGES = 50;
/** kubelet's nodeStatusUpdateRetry. */
const TRIES = 5;
const AT_ONCE = 16;

const image = (node: number, index: number) => {
  const digest = `${node}`.padStart(8, '0') + `${index}`.padStart(56, 'a');
  const name = `registry.example/platform/component-${index}`;
  return { names: [`${name}@sha256:${digest}`, `${name}:1.${node % 50}.${index}`], sizeBytes: 100_000_000 + node + index };
};

const nodeOf = (index: number, heartbeat = 0) => ({
  kind: 'Node',
  apiVersion: 'v1',
  metadata: { name: `node-${index}`, labels: { 'kubernetes.io/os': 'linux', 'kubernetes.io/arch': 'amd64' } },
  status: {
    conditions: [{ type: 'Ready', status: 'True', lastHeartbeatTime: new Date(heartbeat).toISOString() }],
    images: Array.from({ length: IMAGES }, (_, position) => image(index, position)),
    nodeInfo: {
      ...{ operatingSystem: 'linux', architecture: 'amd64', kubeletVersion: 'v1.36.3', containerRuntimeVersion: 'containerd://2.1.4' },
      ...{ bootID: `boot-${index}`, machineID: `machine-${index}`, systemUUID: `system-${index}`, kernelVersion: '6.12', osImage: 'Linux' },
      kubeProxyVersion: '',
    },
  },
});

/** Creates nodes, and writes their statuses as often as their kubelets would, until closed. */
export function openNodes(cluster: ControlPlane) {
  const admin: ClusterAdmin = clusterAdmin(cluster);
  let [count, beat, failures] = [0, 0, 0];
  let beats: NodeJS.Timeout | undefined;
  const reporting = new Set<Promise<void>>();
  const write = async (index: number): Promise<void> => {
    const status = JSON.stringify(nodeOf(index, Date.now()));
    for (let tries = 0; tries < TRIES; tries++) {
      const answer = await admin.send('PUT', `/api/v1/nodes/node-${index}/status`, status).catch(() => undefined);
      if (answer?.status === 200) return;
    }
    failures++;
  };
  const report = (): void => {
    const written = write(beat++ % count);
    reporting.add(written);
    void written.then(() => reporting.delete(written));
  };
  return {
    /** Creates what is missing until there are so many. @throws Error when the API server refuses one */
    grow: async (wanted: number): Promise<void> => {
      clearInterval(beats);
      const createSome = async (): Promise<void> => {
        while (count < wanted) {
          const { status, body } = await admin.send('POST', '/api/v1/nodes', JSON.stringify(nodeOf(count++)));
          if (status !== 201) throw new Error(`a node was not created: ${body}`);
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, createSome));
      if (count > 0) beats = setInterval(report, REPORT_MS / count);
    },
    /** Stops, after the last status was written. @throws Error when one could not be written */
    close: async (): Promise<void> => {
      clearInterval(beats);
      await Promise.all(reporting);
      admin.close();
      if (failures > 0) throw new Error(`${failures} of ${beat} statuses of nodes were not written`);
    },
  };
}
