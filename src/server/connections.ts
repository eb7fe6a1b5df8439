/** Connections: how many there may be, and those on which no request was ever sent. */

import type { IncomingMessage } from 'node:http';
import type { Server } from 'node:https';
import type { Socket } from 'node:net';
import type { ConnectionLimits } from '../config/config.ts';

/**
 * Closes connections beyond the limits before their handshake, which is what takes time and memory.
 *
 * @param refused is called for each, with the limit that it went beyond
 */
export function limitConnections(
  server: Server,
  { total, perPeer }: ConnectionLimits,
  refused: (limit: 'total' | 'per-peer', peer: string) => void,
): void {
  let open = 0;
  const openOf = new Map<string, number>();
  const begin = server.listeners('connection');
  server.removeAllListeners('connection');
  server.on('connection', (socket: Socket) => {
    const peer = socket.remoteAddress ?? '';
    const ofPeer = openOf.get(peer) ?? 0;
    if (open >= total || ofPeer >= perPeer) {
      socket.destroy();
      refused(open >= total ? 'total' : 'per-peer', peer);
      return;
    }
    open++;
    openOf.set(peer, ofPeer + 1);
    socket.once('close', () => {
      open--;
      const left = (openOf.get(peer) ?? 1) - 1;
      if (left === 0) openOf.delete(peer);
      else openOf.set(peer, left);
    });
    for (const listener of begin) listener.call(server, socket);
  });
}

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
