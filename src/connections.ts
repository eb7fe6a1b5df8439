import type { IncomingMessage } from 'node:http';
import type { Server } from 'node:https';
import type { Socket } from 'node:net';

/**
 * Watches a server's connections, so that those on which no request was ever sent can be closed when it ends.
 *
 * `closeIdleConnections` leaves them out, and clients dial some in advance: Go's transport keeps one whose request went out on
 * another meanwhile.
 *
 * @returns a function that closes every connection on which no request has begun
 */
export function watchUnused(server: Server): () => void {
  const unused = new Set<Socket>();
  server.on('secureConnection', (socket: Socket) => {
    unused.add(socket);
    socket.once('close', () => unused.delete(socket));
  });
  server.on('request', ({ socket }: IncomingMessage) => unused.delete(socket));
  return () => {
    for (const socket of unused) socket.destroy();
  };
}
