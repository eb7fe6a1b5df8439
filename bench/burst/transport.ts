/** Clients of a replica: how a review gets a connection. */

import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';
import { headFor } from '../../test/fuzz/raw.ts';

/** The longest that an API server waits for any webhook: the highest timeoutSeconds. */
const LIMIT_MS = 30_000;
/** client-go, transport/cache.go, idleConnsPerHost. */
const IDLE_CONNECTIONS = 25;

export interface Target {
  readonly port: number;
  /** The certificate that the replica's has to be signed with. */
  readonly ca: Buffer;
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

/** Sends a review. Rejects where no answer comes within 30 s. */
export type Send = (body: string) => Promise<Answer>;

/** A connection with its handshake done. No session is ever resumed: each handshake is a whole one. */
async function dial({ port, ca }: Target): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port, ca, servername: 'localhost', ALPNProtocols: ['http/1.1'] });
  await once(socket, 'secureConnect', { signal: AbortSignal.timeout(LIMIT_MS) }).catch((error) => {
    socket.destroy();
    throw error;
  });
  return socket.on('error', () => {});
}

/** Sends one review over a connection, which is kept. */
function exchange(socket: TLSSocket, body: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let text = '';
    const end = (): void => {
      clearTimeout(limit);
      socket.off('data', read).off('close', close);
    };
    const close = (): void => {
      end();
      reject(new Error('the connection ended before the answer'));
    };
    const read = (chunk: Buffer): void => {
      text += chunk.toString('latin1');
      const head = text.slice(0, text.indexOf('\r\n\r\n') + 4);
      if (head === '' || text.length < head.length + Number(/^content-length: (\d+)/im.exec(head)?.[1])) return;
      end();
      resolve({ status: Number(head.slice(9, 12)), body: Buffer.from(text.slice(head.length), 'latin1').toString() });
    };
    const limit = setTimeout(() => socket.destroy(), LIMIT_MS);
    socket.on('data', read).on('close', close);
    socket.write(headFor(Buffer.byteLength(body)) + body);
  });
}

/** A connection for each review: a handshake each. */
export function ownConnections(target: Target): Send {
  return async (body) => {
    const socket = await dial(target);
    try {
      return await exchange(socket, body);
    } finally {
      socket.destroy();
    }
  };
}

/**
 * Connections as an API server's transport to a webhook has them: a call takes an idle one, or dials; while it dials it takes the
 * first that another call has done with. What nobody waits for is kept idle, up to a number, or closed.
 *
 * Source: net/http of Go, Transport.getConn and tryPutIdleConn, with HTTP/1.1 and no limit of connections for a host, as
 * k8s.io/apiserver, pkg/util/webhook/client.go sets it up.
 */
export function sharedConnections(target: Target): Send {
  const idle: TLSSocket[] = [];
  const waiting: { readonly take: (socket: TLSSocket) => void; readonly fail: (error: Error) => void }[] = [];
  const put = (socket: TLSSocket): void => {
    if (socket.destroyed) return;
    const call = waiting.shift();
    if (call) call.take(socket);
    else if (idle.length < IDLE_CONNECTIONS) idle.push(socket);
    else socket.destroy();
  };
  const get = (): Promise<TLSSocket> =>
    new Promise((take, fail) => {
      const kept = idle.pop();
      if (kept) {
        take(kept);
        return;
      }
      const call = { take, fail };
      waiting.push(call);
      dial(target).then(put, (error) => {
        const index = waiting.indexOf(call);
        if (index !== -1) waiting.splice(index, 1);
        fail(error);
      });
    });
  return async (body) => {
    const socket = await get();
    const answer = await exchange(socket, body);
    put(socket);
    return answer;
  };
}
