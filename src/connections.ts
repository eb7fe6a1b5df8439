import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server } from 'node:https';
import type { TLSSocket } from 'node:tls';

/**
 * Watches a server's connections, so that those without a request can be closed when it ends.
 *
 * `closeIdleConnections` leaves out a connection on which no request was ever sent, and clients dial some in advance: Go's
 * transport keeps one whose request went out on another meanwhile.
 *
 * @returns a function that closes every connection on which no request is in progress
 */
export function watchConnections(server: Server): () => void {
  const requests = new Map<TLSSocket, number>();
  const count = (socket: TLSSocket, change: number): void => {
    const before = requests.get(socket);
    if (before !== undefined) requests.set(socket, before + change);
  };
  server.on('secureConnection', (socket: TLSSocket) => {
    requests.set(socket, 0);
    socket.once('close', () => requests.delete(socket));
  });
  server.on('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    count(socket as TLSSocket, 1);
    response.once('close', () => count(socket as TLSSocket, -1));
  });
  return () => {
    for (const [socket, inProgress] of requests) if (inProgress === 0) socket.destroy();
  };
}
