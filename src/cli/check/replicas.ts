/** The webhook's pods, and connections to them. */

import type { Duplex } from 'node:stream';
import type { V1Pod } from '@kubernetes/client-node';
import { statusOf } from '../../cluster/client.ts';
import { forwardPort } from '../../cluster/port-forward.ts';
import type { Context } from './context.ts';
import { Obstacle } from './finding.ts';

export function isRunning({ status }: V1Pod): boolean {
  return status?.containerStatuses?.some(({ state }) => state?.running !== undefined) === true;
}

export function isReady({ status }: V1Pod): boolean {
  return status?.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True') === true;
}

/** Works from where kubectl works: only the kubelet has to reach the pod. */
export async function connectWith({ cluster, config: { namespace } }: Context, pod: string, port: number): Promise<Duplex> {
  try {
    return await forwardPort(cluster, namespace, pod, port);
  } catch (error) {
    if (statusOf(error) === 403 || !(error instanceof Error)) throw error;
    throw new Obstacle(error.message, `kubectl port-forward -n ${namespace} pod/${pod} :${port} tries the same`);
  }
}
