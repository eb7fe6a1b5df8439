/** Many more connections than the webhook takes, all at once: it has to stay within its memory, and serve those that it has. */

import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { headFor, receive, statusesOf, type Target } from './raw.ts';

const CONNECTIONS = 6_000;
/** More than the limit of one address allows. */
const ADDRESSES = 6;
/** Handshakes under way at a time. */
const WIDTH = 50;

/** A TLS connection, its handshake done; undefined where the webhook closed it before. */
function dial({ port, ca }: Target, localAddress: string): Promise<TLSSocket | undefined> {
  return new Promise((resolve) => {
    const socket = connectTls({ host: '127.0.0.1', port, ca, servername: 'localhost', localAddress } as ConnectionOptions);
    socket.once('secureConnect', () => resolve(socket));
    socket.on('error', () => resolve(undefined)).on('close', () => resolve(undefined));
  });
}

/**
 * Opens all of them from several addresses, and keeps those that it gets; one of them then asks.
 *
 * @returns how many were open, and what was not as it has to be
 */
export async function crowd(target: Target, review: Buffer): Promise<{ readonly open: number; readonly complaint: string | undefined }> {
  const sockets: TLSSocket[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < CONNECTIONS) {
      const socket = await dial(target, `127.0.0.${1 + (next++ % ADDRESSES)}`);
      if (socket) sockets.push(socket);
    }
  };
  await Promise.all(Array.from({ length: WIDTH }, worker));
  const open = sockets.filter(({ closed }) => !closed);
  const [asking] = open.slice(-1);
  asking?.write(headFor(review.length) + review);
  const answer = asking ? statusesOf((await receive(asking, (bytes) => bytes.includes('}}'))).bytes) : 'nothing';
  for (const socket of sockets) socket.destroy();
  return { open: open.length, complaint: answer === '200' ? undefined : `a connection of the crowd is answered ${answer}` };
}
