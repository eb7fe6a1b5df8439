import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NodeBinaries } from './binaries.ts';
import type { Machine } from './machine.ts';
import { type Process, waitFor } from './process.ts';

/** The image of the container that holds a pod's namespaces. */
export const PAUSE_IMAGE = 'local/pause:1';

export interface Containerd {
  readonly process: Process;
  readonly socket: string;
  /** Puts the images of a docker-archive (what `docker save` writes) beside those that are there, under their names. */
  readonly importImage: (archive: string) => void;
}

/** Starts containerd in the node's machine, with its files in `dir`, and waits until it answers. */
export async function startContainerd(dir: string, machine: Machine, binaries: NodeBinaries): Promise<Containerd> {
  const file = (...names: string[]): string => join(dir, ...names);
  const socket = file('containerd.sock');
  mkdirSync(file('cni'), { recursive: true });
  mkdirSync(file('registries', '_default'), { recursive: true });
  // Every image is imported. What is missing must fail, not come from elsewhere.
  writeFileSync(file('registries', '_default', 'hosts.toml'), 'server = "http://127.0.0.1:1"\n');
  writeFileSync(file('cni', '10-pods.conflist'), JSON.stringify(podNetwork(machine.podSubnet)));
  writeFileSync(
    file('containerd.toml'),
    `version = 3
root = '${file('containerd')}'
# Root of a pod's user namespace may not enter folders of a test run; /run is the machine's own.
state = '/run/containerd'
disabled_plugins = ['io.containerd.nri.v1.nri', 'io.containerd.internal.v1.opt']
[grpc]
address = '${socket}'
[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = '${PAUSE_IMAGE}'
[plugins.'io.containerd.cri.v1.images'.registry]
config_path = '${file('registries')}'
[plugins.'io.containerd.cri.v1.runtime']
# Root of a virtual machine or container may lack CAP_SYS_RESOURCE, without which nobody lowers this score.
restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = ['${binaries.networkPlugins}']
conf_dir = '${file('cni')}'
use_internal_loopback = true
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
runtime_type = 'io.containerd.runc.v2'
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
BinaryName = '${binaries.runc}'
`,
  );
  const process = machine.start('containerd', binaries.containerd, [`--config=${file('containerd.toml')}`], file('containerd.log'));
  const ctr = (...args: string[]): void => machine.run(binaries.ctr, [`--address=${socket}`, '--namespace=k8s.io', ...args]);
  const answers = (): boolean => {
    try {
      ctr('version');
      return true;
    } catch {
      return false;
    }
  };
  await waitFor('containerd answers', answers, [process]);
  return { process, socket, importImage: (archive) => ctr('images', 'import', '--local', archive) };
}

function podNetwork(subnet: string): object {
  const ipam = { type: 'host-local', ranges: [[{ subnet }]], routes: [{ dst: '0.0.0.0/0' }] };
  return { cniVersion: '1.0.0', name: 'pods', plugins: [{ type: 'bridge', bridge: 'pods', isGateway: true, ipMasq: false, ipam }] };
}
