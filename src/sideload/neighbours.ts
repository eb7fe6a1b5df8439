/**
 * The other containers of the pod: those that could replace the supervisor before it starts, or reach it afterwards. They
 * run outside it, as the pod's author wants them to.
 */

import { METHOD_ANNOTATION, type Method } from './contract.ts';
import type { Existing } from './existing.ts';
import { quote, type Refuse, refuse } from './outcome.ts';
import { nodePathOverlaps } from './paths.ts';
import type { Container, PodSpec } from './pod.ts';
import type { SideloadSettings } from './settings.ts';

/**
 * Capabilities with which a container reaches no files, processes or devices outside itself: those that Pod Security's level
 * baseline allows (k8s.io/pod-security-admission, policy/check_capabilities_baseline.go), those for its network and its limits, and
 * SYS_PTRACE, which reaches the processes of its own PID namespace.
 */
const CONFINED_CAPABILITIES: readonly string[] = [
  ...['AUDIT_WRITE', 'CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL', 'MKNOD', 'NET_BIND_SERVICE', 'SETFCAP', 'SETGID', 'SETPCAP'],
  ...['SETUID', 'SYS_CHROOT', 'NET_ADMIN', 'NET_BROADCAST', 'NET_RAW', 'IPC_LOCK', 'SYS_NICE', 'SYS_RESOURCE', 'SYS_TIME', 'LEASE'],
  'SYS_PTRACE',
];

/** Where kubelets keep the volumes of pods, in the distributions that move it too. */
const KUBELET_DIRECTORIES = ['/var/lib/kubelet', '/var/lib/k0s/kubelet', '/var/snap/microk8s/common/var/lib/kubelet'];

function added(container: Container): string[] {
  return (container.securityContext?.capabilities?.add ?? []).map((name) => name.toUpperCase().replace(/^CAP_/, ''));
}

function isPrivileged(container: Container): boolean {
  return Boolean(container.securityContext?.privileged) || !added(container).every((name) => CONFINED_CAPABILITIES.includes(name));
}

/** Whether a container could change the rules of the pod's network, or the processes of the supervisors in a shared PID namespace. */
export function hasPowerOverNetwork(container: Container): boolean {
  return isPrivileged(container) || added(container).some((name) => name === 'NET_ADMIN' || name === 'SYS_PTRACE');
}

/** The volumes by which a container gets at what a kubelet keeps of pods. */
function kubeletVolumes({ volumes }: PodSpec): Set<string> {
  const names = new Set<string>();
  for (const { name, hostPath } of volumes ?? [])
    if (hostPath && nodePathOverlaps(hostPath.path ?? '', KUBELET_DIRECTORIES)) names.add(name ?? '');
  return names;
}

/**
 * Which neighbour could replace the supervisor, if the method makes it writable on the node: a process in a PID
 * namespace that they share opens the install container's directory through /proc, a privileged one, and one that mounts the
 * kubelet's directory, write into the volume itself. An image volume is read-only for all, and stays in reach of the latter two.
 *
 * @param trusted the containers that are the supervisor's own, and the sandbox container
 * @returns the end of a message; undefined if nothing could
 */
export function unsafeNeighbour(spec: PodSpec, trusted: readonly Container[]): string | undefined {
  const { containers, initContainers, shareProcessNamespace, hostPID } = spec;
  const kubelet = kubeletVolumes(spec);
  const first = initContainers?.length ?? 0;
  for (const [position, container] of [...(initContainers ?? []), ...(containers ?? [])].entries()) {
    if (trusted.includes(container)) continue;
    const name = quote(container.name ?? '');
    if (isPrivileged(container)) return `container ${name} is privileged, or adds capabilities beyond its own files`;
    const mount = kubelet.size === 0 ? undefined : container.volumeMounts?.find((candidate) => kubelet.has(candidate.name ?? ''));
    if (mount) return `container ${name} mounts the kubelet's directory (volume ${quote(mount.name ?? '')})`;
    const stays = container.restartPolicy === 'Always' || position >= first;
    if (stays && (shareProcessNamespace || hostPID))
      return `container ${name} shares a PID namespace with the others (${hostPID ? 'hostPID' : 'shareProcessNamespace'})`;
  }
  return undefined;
}

/** Whether neighbours that could replace the supervisor are refused. */
export function refusesNeighbours({ neighbours }: SideloadSettings, method: Method): boolean {
  return neighbours === 'refuse' || (neighbours === 'by-method' && method !== 'image-volume');
}

/** Refuses a pod whose neighbours could replace the supervisor, unless the operator, or the method, lets them be. */
export function refuseNeighbours(
  spec: PodSpec,
  trusted: readonly Container[],
  method: Method,
  existing: Existing,
  settings: SideloadSettings,
): Refuse | undefined {
  if (!refusesNeighbours(settings, method)) return undefined;
  const unsafe = unsafeNeighbour(spec, trusted);
  if (unsafe === undefined) return undefined;
  // A volume that is there says the method, whatever an annotation says.
  const other = !existing.method && settings.neighbours === 'by-method' && settings.allowedMethods.includes('image-volume');
  return refuse(
    'unsafe-neighbours',
    `${unsafe} and could replace the supervisor: remove it${other ? `, or set annotation ${METHOD_ANNOTATION} to image-volume` : ''}`,
  );
}
