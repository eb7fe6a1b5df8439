/** Connections to ports of pods through the API server and a kubelet, as `kubectl port-forward` makes them. */

import { type Duplex, duplexPair, Writable } from 'node:stream';
import { ApiError, type Cluster, call } from './client.ts';

/**
 * Connects with a port of a pod, wherever this program runs. It needs `get` and `create` of pods/portforward; which of the two
 * depends on the release of the API server.
 *
 * @returns both directions of the connection; it ends when the pod closes it, and fails when the kubelet cannot connect
 * @throws ApiError when the API server refuses or does not answer
 */
export async function forwardPort({ k8s, config }: Cluster, namespace: string, pod: string, port: number): Promise<Duplex> {
  const [near, far] = duplexPair();
  // The kubelet's message about an unreachable port; client-node cuts off the port number before it.
  const problems = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      if (chunk.length > 0) near.destroy(new ApiError(chunk.toString(), undefined));
      done();
    },
  });
  const opened = new k8s.PortForward(config).portForward(namespace, pod, [port], far, problems, far).catch((event: unknown) => {
    // The WebSocket library rejects with an event, whose message alone holds the status.
    const { message = 'the connection was refused' } = event as { message?: string };
    const [, code] = /response: (\d+)$/.exec(message) ?? [];
    throw new ApiError(message, code ? Number(code) : undefined);
  });
  const socket = await call(`connect with port ${port} of pod ${namespace}/${pod} (get and create of pods/portforward)`, opened);
  // A function only where client-node is asked to connect again.
  if (typeof socket === 'function') throw new Error('client-node returned no socket');
  socket.onclose = () => void far.end();
  near.once('close', () => socket.close());
  return near;
}
