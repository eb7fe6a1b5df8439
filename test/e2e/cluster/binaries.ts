import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const KUBERNETES_MODULE = fileURLToPath(new URL('./kubernetes/', import.meta.url));
const ETCD_MODULE = fileURLToPath(new URL('./etcd/', import.meta.url));

/** Paths of the programs that make a control plane. */
export interface Binaries {
  readonly etcd: string;
  readonly kubeApiserver: string;
  readonly kubectl: string;
}

function inFolder(folder: string): Binaries {
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
    const found = inFolder(assets);
    const missing = Object.values(found).filter((file) => !existsSync(file));
    if (missing.length > 0) throw new Error(`KUBEBUILDER_ASSETS=${assets} lacks ${missing.join(', ')}`);
    return found;
  }
  const folder = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'openshell-sideload', `control-plane-${cacheKey()}`);
  if (!existsSync(folder)) build(folder);
  return inFolder(folder);
}

/** Changes with every pinned version. */
function cacheKey(): string {
  const hash = createHash('sha256').update(process.platform).update(process.arch);
  for (const module of [KUBERNETES_MODULE, ETCD_MODULE])
    for (const file of ['go.mod', 'go.sum']) hash.update(readFileSync(join(module, file)));
  return hash.digest('hex').slice(0, 16);
}

function build(folder: string): void {
  const version = /^\tk8s\.io\/kubernetes v(1\.(\d+)\.\d+)/m.exec(readFileSync(join(KUBERNETES_MODULE, 'go.mod'), 'utf8'));
  const [, release = '', minor = ''] = version ?? [];
  if (release === '') throw new Error(`${KUBERNETES_MODULE}go.mod does not require k8s.io/kubernetes`);
  if (spawnSync('go', ['version']).error)
    throw new Error(
      'Go is not installed: install Go 1.21 or newer, or set KUBEBUILDER_ASSETS to a folder with etcd, kube-apiserver and kubectl',
    );
  const beside = `${folder}.${process.pid}`;
  mkdirSync(beside, { recursive: true });
  process.stderr.write(`building etcd, kube-apiserver ${release} and kubectl into ${folder}: some ten minutes, once\n`);
  const go = (cwd: string, ...args: string[]): void => {
    execFileSync('go', ['build', '-mod=readonly', ...args], {
      cwd,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, CGO_ENABLED: '0' },
    });
  };
  go(ETCD_MODULE, '-o', join(beside, 'etcd'), 'go.etcd.io/etcd/server/v3');
  const stamp = Object.entries({ gitVersion: `v${release}`, gitMajor: '1', gitMinor: minor }).map(
    ([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`,
  );
  go(
    KUBERNETES_MODULE,
    `-ldflags=-s -w ${stamp.join(' ')}`,
    '-o',
    `${beside}/`,
    'k8s.io/kubernetes/cmd/kube-apiserver',
    'k8s.io/kubernetes/cmd/kubectl',
  );
  renameSync(beside, folder);
}
