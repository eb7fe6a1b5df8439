import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installPackages, requirePrograms } from './debian.ts';
import { builtPrograms } from './go-build.ts';

const module = (name: string): string => fileURLToPath(new URL(`./${name}/`, import.meta.url));
const [KUBERNETES, ETCD, CONTAINERD, RUNC, NETWORK] = ['kubernetes', 'etcd', 'containerd', 'runc', 'network'].map(module) as [
  string,
  string,
  string,
  string,
  string,
];

/** Releases whose kube-apiserver the tests know; the last one is what all tests run on that name none. */
export const RELEASES = ['1.30', '1.34', '1.35', '1.36'] as const;
export type Release = (typeof RELEASES)[number];

/** Paths of the programs that make a control plane. */
export interface Binaries {
  readonly etcd: string;
  readonly kubeApiserver: string;
  readonly kubectl: string;
}

/** Paths of the parts of a control plane that make pods of workloads and give them nodes. */
export interface Controllers {
  readonly controllerManager: string;
  readonly scheduler: string;
}

/** Paths of the programs that make a node. */
export interface NodeBinaries {
  readonly kubelet: string;
  /** Its shim lies beside it, where containerd looks for it. */
  readonly containerd: string;
  readonly ctr: string;
  readonly runc: string;
  /** The folder with the CNI plugins bridge and host-local. */
  readonly networkPlugins: string;
}

function controlPlaneIn(folder: string): Binaries {
  return { etcd: join(folder, 'etcd'), kubeApiserver: join(folder, 'kube-apiserver'), kubectl: join(folder, 'kubectl') };
}

/**
 * Finds the control plane's programs: in KUBEBUILDER_ASSETS where that is set, else in a cache outside the work tree, where
 * they are built first from the Go modules that ./kubernetes/go.mod and ./etcd/go.mod pin.
 *
 * @throws Error when KUBEBUILDER_ASSETS lacks one, or they cannot be built
 */
export function findBinaries(): Binaries {
  const assets = process.env.KUBEBUILDER_ASSETS;
  if (assets) {
    const found = controlPlaneIn(assets);
    const missing = Object.values(found).filter((file) => !existsSync(file));
    if (missing.length > 0) throw new Error(`KUBEBUILDER_ASSETS=${assets} lacks ${missing.join(', ')}`);
    return found;
  }
  const kubernetes = { packages: ['kube-apiserver', 'kubectl'].map((name) => `k8s.io/kubernetes/cmd/${name}`), ...versioned(KUBERNETES) };
  const folder = builtPrograms('control-plane', 'etcd, kube-apiserver and kubectl (some ten minutes)', [
    { module: ETCD, packages: ['go.etcd.io/etcd/server/v3'], output: 'etcd' },
    kubernetes,
  ]);
  return controlPlaneIn(folder);
}

/**
 * Finds the kube-apiserver of a release: the newest beside the other programs, an older one in the cache, where it is built
 * first from the Go modules that ./kubernetes-RELEASE/go.mod pins.
 *
 * @throws Error when it cannot be built
 */
export function findApiserver(release: Release): string {
  if (release === RELEASES.at(-1)) return findBinaries().kubeApiserver;
  const older = versioned(module(`kubernetes-${release}`));
  const folder = builtPrograms(`kube-apiserver-${release}`, `kube-apiserver ${release} (some four minutes)`, [
    { packages: ['k8s.io/kubernetes/cmd/kube-apiserver'], ...older },
  ]);
  return join(folder, 'kube-apiserver');
}

/**
 * Finds the controllers' programs in the cache outside the work tree, where they are built first from the Go modules that
 * ./kubernetes/go.mod pins.
 *
 * @throws Error when they cannot be built
 */
export function findControllers(): Controllers {
  const packages = ['kube-controller-manager', 'kube-scheduler'].map((name) => `k8s.io/kubernetes/cmd/${name}`);
  const folder = builtPrograms('controllers', 'kube-controller-manager and kube-scheduler (some three minutes)', [
    { packages, ...versioned(KUBERNETES) },
  ]);
  return { controllerManager: join(folder, 'kube-controller-manager'), scheduler: join(folder, 'kube-scheduler') };
}

/**
 * Finds the node's programs in the cache outside the work tree, where they are built first from the Go modules that
 * ./kubernetes/go.mod, ./containerd/go.mod, ./runc/go.mod and ./network/go.mod pin. No binary releases of them are looked for.
 * Debian's runc is too old for pods with a user namespace, so that runc is built too.
 *
 * @throws Error when they cannot be built
 */
export function findNodeBinaries(): NodeBinaries {
  requireSeccomp();
  const kubernetes = builtPrograms('kubelet', 'kubelet (some two minutes)', [
    { packages: ['k8s.io/kubernetes/cmd/kubelet'], ...versioned(KUBERNETES) },
  ]);
  const containerd = builtPrograms('containerd', 'containerd (some two minutes)', [
    {
      module: CONTAINERD,
      packages: ['containerd', 'containerd-shim-runc-v2', 'ctr'].map((name) => `github.com/containerd/containerd/v2/cmd/${name}`),
    },
  ]);
  const runc = builtPrograms('runc', 'runc', [{ module: RUNC, packages: ['github.com/opencontainers/runc'], cTags: 'seccomp' }]);
  const networkPlugins = builtPrograms('network-plugins', 'the network plugins', [
    {
      module: NETWORK,
      packages: ['main/bridge', 'ipam/host-local'].map((name) => `github.com/containernetworking/plugins/plugins/${name}`),
    },
  ]);
  return {
    kubelet: join(kubernetes, 'kubelet'),
    containerd: join(containerd, 'containerd'),
    ctr: join(containerd, 'ctr'),
    runc: join(runc, 'runc'),
    networkPlugins,
  };
}

/** Sees to it that runc can be built: a C compiler, and the library that it makes seccomp filters with. */
function requireSeccomp(): void {
  const { 'pkg-config': pkgConfig } = requirePrograms({ gcc: 'gcc', 'pkg-config': 'pkg-config' });
  if (spawnSync(pkgConfig, ['--exists', 'libseccomp']).status !== 0) installPackages(['libseccomp-dev', 'libc6-dev']);
}

/** A Kubernetes module, with the flags that make its programs tell their version instead of v0.0.0-master. */
function versioned(folder: string): { module: string; ldflags: string } {
  const version = /k8s\.io\/kubernetes v(1\.(\d+)\.\d+)/m.exec(readFileSync(join(folder, 'go.mod'), 'utf8'));
  const [, release = '', minor = ''] = version ?? [];
  if (release === '') throw new Error(`${folder}go.mod does not require k8s.io/kubernetes`);
  const stamp = { gitVersion: `v${release}`, gitMajor: '1', gitMinor: minor };
  const ldflags = Object.entries(stamp).map(([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`);
  return { module: folder, ldflags: ldflags.join(' ') };
}
