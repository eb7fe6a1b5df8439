/**
 * What listens in the sandbox container and nothing reaches: the supervisor starts the program in a network namespace of its
 * own, so that connections to the pod's address end before it (seen: connection refused, 125 restarts in 20 minutes).
 */

import type { Container, Hook, PodSpec } from './pod.ts';

export const PROBES = ['livenessProbe', 'readinessProbe', 'startupProbe'] as const;

/** The port that a kubelet connects to at the pod's own address; undefined where it runs a command or asks another host. */
function portOf(hook: Hook | null | undefined): number | string | undefined {
  const { httpGet, tcpSocket, grpc } = hook ?? {};
  if (grpc) return grpc.port ?? 0;
  const target = httpGet ?? tcpSocket;
  return !target || target.host ? undefined : (target.port ?? 0);
}

/** Names of probes, and of the postStart hook, that connect to the program: they fail for as long as the pod lives. */
export function unreachableProbes(chosen: Container, { containers }: PodSpec): string[] {
  const neighbours = new Set<unknown>();
  for (const { ports } of (containers ?? []).filter((container) => container !== chosen))
    for (const { containerPort } of ports ?? []) neighbours.add(containerPort);
  const isUnreachable = (hook: Hook | null | undefined): boolean => {
    const port = portOf(hook);
    return port !== undefined && !neighbours.has(port);
  };
  const probes: string[] = PROBES.filter((name) => isUnreachable(chosen[name]));
  return isUnreachable(chosen.lifecycle?.postStart) ? [...probes, 'lifecycle.postStart'] : probes;
}

/** Ports that the container says it listens on. */
export function unreachablePorts({ ports }: Container): number[] {
  return (ports ?? []).map(({ containerPort }) => containerPort ?? 0);
}
