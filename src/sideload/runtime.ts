/** Pods for which it is not known from the nodes alone that their runtime mounts image volumes. */

import { quote } from './outcome.ts';
import type { PodSpec } from './pod.ts';
import type { ClusterFacts } from './settings.ts';

/**
 * Why an image volume may not work in this pod, as the first part of a message; undefined if nothing of the pod stands against it.
 *
 * A RuntimeClass may lead to any runtime. Those of sandboxes do not see what the node's runtime mounts on the host: the container
 * ends with "no such file or directory" (google/gvisor#14471, kata-containers/kata-containers#13749). In a user namespace
 * containerd fails with "failed to set MOUNT_ATTR_IDMAP" before 2.1.7 and 2.2.2 (containerd/containerd#12812).
 */
export function doubtfulRuntime({ runtimeClassName, hostUsers }: PodSpec, { nodes }: ClusterFacts): string | undefined {
  if (runtimeClassName)
    return `the pod has runtimeClassName ${quote(runtimeClassName)}, and gVisor and Kata Containers do not mount image volumes`;
  if (hostUsers !== false || (nodes && nodes.total > 0 && nodes.mountingMapped === nodes.total)) return undefined;
  return 'the pod has hostUsers: false, and not every node is known to mount image volumes in user namespaces (containerd 2.1.7, 2.2.2)';
}
