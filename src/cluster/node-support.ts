/** Which nodes a sandbox could run on, and which of them are known to mount image volumes. */

import type { V1Node } from '@kubernetes/client-node';

/** From this release on a kubelet mounts image volumes by default; before, its own feature gate decides, which cannot be queried (KEP-4639). */
const KUBELET = [1, 35];
/** The first releases of the runtimes whose image volumes work. */
const RUNTIMES = new Map([
  ['containerd', [2, 1]],
  ['cri-o', [1, 33]],
]);

/** The first releases of containerd that mount image volumes into user namespaces (containerd/containerd#12816 and its backports). */
const MAPPED_CONTAINERD = [
  [2, 1, 7],
  [2, 2, 2],
  [2, 3, 0],
];

/** @param version such as `v1.35.0-eks-1`, `2.1.4`; what is no version is older than any */
function isAtLeast(version: string, [major = 0, minor = 0]: readonly number[]): boolean {
  const [, ofMajor, ofMinor] = (/^v?(\d+)\.(\d+)/.exec(version) ?? []).map(Number);
  if (ofMajor === undefined || ofMinor === undefined) return false;
  return ofMajor > major || (ofMajor === major && ofMinor >= minor);
}

/** Whether a Linux pod without tolerations or node names could be scheduled there. Taints are not looked at: a pod may tolerate them. */
export function isSchedulableLinux({ spec, status }: V1Node): boolean {
  return !spec?.unschedulable && status?.nodeInfo?.operatingSystem !== 'windows';
}

/** Whether kubelet and container runtime are both known to mount image volumes. */
export function mountsImageVolumes({ status }: V1Node): boolean {
  const { kubeletVersion = '', containerRuntimeVersion = '' } = status?.nodeInfo ?? {};
  const [runtime = '', version = ''] = containerRuntimeVersion.split('://');
  return isAtLeast(kubeletVersion, KUBELET) && isAtLeast(version, RUNTIMES.get(runtime) ?? [Infinity]);
}

/**
 * Whether the node also mounts image volumes into a user namespace (`hostUsers: false`), which needs a patch release: of containerd
 * alone it is known from which on.
 */
export function mountsMappedImageVolumes(node: V1Node): boolean {
  const [, ...version] = (/^containerd:\/\/v?(\d+)\.(\d+)\.(\d+)$/.exec(node.status?.nodeInfo?.containerRuntimeVersion ?? '') ?? []).map(
    Number,
  );
  const [major = 0, minor = 0, patch = 0] = version;
  if (!mountsImageVolumes(node)) return false;
  const line = MAPPED_CONTAINERD.findLast(([ofMajor = 0, ofMinor = 0]) => major > ofMajor || (major === ofMajor && minor >= ofMinor));
  if (line === undefined) return false;
  const [ofMajor = 0, ofMinor = 0, ofPatch = 0] = line;
  return major > ofMajor || minor > ofMinor || patch >= ofPatch;
}
