/** Connections that speak HTTP byte by byte, or not at all. */

import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls, type TLSSocket } from 'node:tls';

export interface Target {
  readonly port: number;
  readonly ca: string;
}

/** A TCP connection. Later errors show as its end. */
export async function openTcp({ port }: Target): Promise<Socket> {
  const socket = connectTcp({ host: '127.0.0.1', port });
  await once(socket, 'connect');
  return socket.on('error', () => {});
}

/** A TLS connection, its handshake done. Later errors show as its end. */
export async function openTls(target: Target, tcp?: Socket): Promise<TLSSocket> {
  const socket = connectTls({ socket: tcp ?? (await openTcp(target)), ca: target.ca, servername: 'localhost' });
  await once(socket, 'secureConnect');
  return socket.on('error', () => {}) as TLSSocket;
}

export interface Received {
  readonly bytes: Buffer;
  /** Whether the other side closed the connection. */
  readonly closed: boolean;
}

/** A connection without a whole request has to be gone 20 s after its begin: 15 s (docs/security.md), checked every 5 s. Only one that stays reaches this. */
const LIMIT_MS = 120_000;

/** Collects what comes until the other side closes, `enough` holds, or far too much time is over. */
export async function receive(socket: Socket, enough: (bytes: Buffer) => boolean = () => false): Promise<Received> {
  const chunks: Buffer[] = [];
  let [closed, done] = [false, false];
  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    done ||= enough(Buffer.concat(chunks));
  });
  const end = (): void => {
    closed = true;
  };
  socket.on('end', end).on('close', end);
  for (const until = Date.now() + LIMIT_MS; Date.now() < until && !closed && !done && !socket.closed; ) await sleep(10);
  return { bytes: Buffer.concat(chunks), closed: closed || socket.closed };
}

/** The statuses and bodies of a series of HTTP/1.1 answers, interim ones included. Throws on what is none. */
function answersIn(bytes: Buffer): { readonly status: number; readonly body: Buffer }[] {
  const answers: { status: number; body: Buffer }[] = [];
  for (let rest = bytes; rest.length > 0; ) {
    const end = rest.indexOf('\r\n\r\n');
    const head = rest.subarray(0, end).toString('latin1');
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1]);
    if (end === -1 || Number.isNaN(status)) throw new Error(`no HTTP answer: ${JSON.stringify(head.slice(0, 100))}`);
    // Node.js answers some requests itself: in chunks, of which there are none.
    const empty = /^transfer-encoding: chunked$/im.test(head) ? '0\r\n\r\n' : '';
    const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? empty.length);
    const body = rest.subarray(end + 4, end + 4 + length);
    if (body.length < length) throw new Error(`an answer of ${length} bytes ends after ${body.length}`);
    answers.push({ status, body: body.toString() === empty ? Buffer.of() : body });
    rest = rest.subarray(end + 4 + length);
  }
  return answers;
}

/** The statuses of a series of answers, in one line. Their bodies, where there are any, have to be JSON. */
export function statusesOf(bytes: Buffer): string {
  const answers = answersIn(bytes);
  for (const { body } of answers) if (body.length > 0) JSON.parse(body.toString());
  return answers.map(({ status }) => status).join(' ');
}

/** What comes before the body of a review. */
export const headFor = (length: number): string =>
  `POST /mutate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`;
