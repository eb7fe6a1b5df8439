/** What clients do to connections, and how the webhook has to end them. */

import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import type { Random } from './random.ts';
import { headFor, openTcp, openTls, receive, statusesOf, type Target } from './raw.ts';

const KEPT_MS = 10_000;
const UNREAD_MS = 5_000;

export interface Attack {
  readonly kind: string;
  readonly count: number;
  /** Whether the way in which a connection ended is fine: "closed", "closed after 400", "open", … */
  readonly fine: (ending: string) => boolean;
  /** Makes one such connection; returns how it ended. */
  readonly run: (target: Target, random: Random, review: Buffer) => Promise<string>;
}

/** How a connection ends when nothing more is sent on it. */
async function endOf(socket: Socket): Promise<string> {
  const { bytes, closed } = await receive(socket);
  socket.destroy();
  // Before a handshake, what comes are TLS records.
  const statuses = bytes.subarray(0, 4).toString() === 'HTTP' ? statusesOf(bytes) : '';
  return `${closed ? 'closed' : 'open'}${statuses && ` after ${statuses}`}`;
}

/** Writes little by little, until the other side has enough. */
async function trickle(socket: Socket, parts: readonly string[], pauseMs: number): Promise<string> {
  const end = endOf(socket);
  let ended = false;
  void end.finally(() => {
    ended = true;
  });
  for (let part = 0; !ended; part++) {
    socket.write(parts[part % parts.length] ?? '');
    await sleep(pauseMs);
  }
  return end;
}

const isClosed = (ending: string): boolean => ending.startsWith('closed');
const isTimedOut = (ending: string): boolean => ending === 'closed' || ending === 'closed after 408';

/** The first bytes that a TLS client sends. */
async function clientHello(target: Target): Promise<Buffer> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connectTls({ host: '127.0.0.1', port: (server.address() as AddressInfo).port, ca: target.ca });
  client.on('error', () => {});
  const [accepted] = (await once(server, 'connection')) as [Socket];
  const [hello] = (await once(accepted, 'data')) as [Buffer];
  client.destroy();
  server.close();
  return hello;
}

export const ATTACKS: readonly Attack[] = [
  {
    kind: 'no handshake',
    count: 100,
    fine: isClosed,
    run: async (target) => endOf(await openTcp(target)),
  },
  {
    kind: 'half a handshake',
    count: 50,
    fine: isClosed,
    run: async (target, random) => {
      const socket = await openTcp(target);
      const hello = await clientHello(target);
      socket.write(hello.subarray(0, 1 + random.below(hello.length - 1)));
      return endOf(socket);
    },
  },
  {
    kind: 'garbage for a handshake',
    count: 200,
    fine: isClosed,
    run: async (target, random) => {
      const socket = await openTcp(target);
      const hello = await clientHello(target);
      for (let left = 1 + random.below(20); left > 0; left--) hello[random.below(hello.length)] = random.below(256);
      socket.write(random.chance(0.5) ? hello : random.bytes(1 + random.below(500)));
      return endOf(socket);
    },
  },
  {
    kind: 'HTTP without TLS',
    count: 20,
    fine: isClosed,
    run: async (target, _random, review) => {
      const socket = await openTcp(target);
      socket.write(headFor(review.length) + review);
      return endOf(socket);
    },
  },
  {
    kind: 'nothing after the handshake',
    count: 1000,
    fine: isTimedOut,
    run: async (target) => endOf(await openTls(target)),
  },
  {
    kind: 'headers line by line',
    count: 50,
    fine: isTimedOut,
    run: async (target) => trickle(await openTls(target), ['POST /mutate HTTP/1.1\r\n', ...Array<string>(60).fill('X: x\r\n')], 1000),
  },
  {
    kind: 'a body byte by byte',
    count: 50,
    fine: isTimedOut,
    run: async (target) => trickle(await openTls(target), [headFor(100_000), ...Array<string>(60).fill('[')], 1000),
  },
  {
    kind: 'a body that stops after 7 MiB',
    count: 8,
    // More than four of that length are not taken at a time.
    fine: (end) => isTimedOut(end) || end === 'closed after 503',
    run: async (target) => {
      const socket = await openTls(target);
      socket.write(headFor(8 * 2 ** 20) + ' '.repeat(7 * 2 ** 20));
      return endOf(socket);
    },
  },
  {
    kind: 'half closed without a request',
    count: 50,
    fine: isClosed,
    run: async (target) => {
      const socket = await openTls(target);
      socket.end();
      return endOf(socket);
    },
  },
  {
    kind: 'half closed in a body',
    count: 50,
    fine: isClosed,
    run: async (target, random, review) => {
      const socket = await openTls(target);
      socket.end(headFor(review.length) + review.subarray(0, random.below(review.length)));
      return endOf(socket);
    },
  },
  {
    kind: 'reset in a body',
    count: 200,
    fine: (ending) => ending === 'reset',
    run: async (target, random, review) => {
      const tcp = await openTcp(target);
      const socket = await openTls(target, tcp);
      socket.write(headFor(review.length) + review.subarray(0, random.below(review.length)));
      await sleep(random.below(20));
      tcp.resetAndDestroy();
      return 'reset';
    },
  },
  {
    kind: 'reset before the answer',
    count: 200,
    fine: (ending) => ending === 'reset',
    run: async (target, random, review) => {
      const tcp = await openTcp(target);
      const socket = await openTls(target, tcp);
      socket.write(headFor(review.length) + review);
      await sleep(random.below(3));
      tcp.resetAndDestroy();
      return 'reset';
    },
  },
  {
    kind: 'answers that nobody reads',
    count: 10,
    // Node.js closes a TLS connection on which answers pile up while requests do.
    fine: (ending) => ending === 'closed' || ending === 'open',
    run: async (target, _random, review) => {
      const socket = await openTls(target);
      socket.pause();
      for (let left = 500; left > 0; left--) socket.write(headFor(review.length) + review);
      await sleep(UNREAD_MS);
      const closed = socket.closed;
      socket.destroy();
      return closed ? 'closed' : 'open';
    },
  },
  {
    kind: 'garbage for a request',
    count: 200,
    fine: (ending) => ending === 'closed after 400' || isTimedOut(ending),
    run: async (target, random) => {
      const socket = await openTls(target);
      socket.write(random.bytes(1 + random.below(500)));
      return endOf(socket);
    },
  },
  {
    kind: 'a request with some bytes changed',
    count: 500,
    fine: (ending) => /^[24]\d\d( 4\d\d)*$/.test(ending) || ending === 'closed',
    run: async (target, random, review) => {
      const head = headFor(review.length);
      const request = Buffer.from(head + review);
      for (let left = 1 + random.below(3); left > 0; left--) request[random.below(head.length)] = random.below(256);
      const socket = await openTls(target);
      socket.write(request);
      const { bytes, closed } = await receive(socket, ({ length }) => length > 0);
      socket.destroy();
      return statusesOf(bytes) || (closed ? 'closed' : 'open');
    },
  },
  {
    kind: 'kept, then used again',
    count: 1000,
    fine: (ending) => ending === '200 200',
    run: async (target, _random, review) => {
      const socket = await openTls(target);
      const endings: string[] = [];
      for (const pause of [0, KEPT_MS]) {
        await sleep(pause);
        socket.write(headFor(review.length) + review);
        endings.push(statusesOf((await receive(socket, (bytes) => bytes.includes('}}'))).bytes));
      }
      socket.destroy();
      return endings.join(' ');
    },
  },
];
