/** Names of registries that authors of pods choose, resolved by a name server that the tests play. */

import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bodyMemory } from '../src/registry/body.ts';
import { attemptsFor, findImage } from '../src/registry/client.ts';
import { addressesOf } from '../src/registry/dns.ts';

const TYPES = { A: 1, CNAME: 5, AAAA: 28 } as const;
type Type = keyof typeof TYPES;
interface Zone {
  /** What is responded to each type: addresses, or the name that it is another name of; undefined: nothing at all. */
  readonly records?: Partial<Record<Type, readonly string[]>> | undefined;
  /** RFC 1035, section 4.1.1. */
  readonly code?: number;
  /** Types that are never responded to. */
  readonly silent?: readonly Type[];
  /** A type whose response comes 100 ms later. */
  readonly late?: Type;
}

const ZONES: Readonly<Record<string, Zone>> = {
  'both.example': { records: { A: ['8.8.8.8'], AAAA: ['2606:4700::1111'] } },
  'four.example': { records: { A: ['8.8.8.8'] } },
  'six.example': { records: { AAAA: ['2606:4700::1111'] } },
  'half.example': { records: { A: ['8.8.8.8'] }, silent: ['AAAA'] },
  'other-half.example': { records: { AAAA: ['2606:4700::1111'] }, silent: ['A'] },
  'alias.example': { records: { CNAME: ['private.example'], A: ['10.1.2.3'] } },
  'private.example': { records: { A: ['10.1.2.3'] } },
  'private-six.example': { records: { AAAA: ['fd00::1'] } },
  'mapped.example': { records: { AAAA: ['::ffff:10.1.2.3'] } },
  'mixed.example': { records: { A: ['127.0.0.1', '10.1.2.3'], AAAA: ['::1'] } },
  'none.example': { records: {} },
  // A translator (RFC 6147) has an IPv6 address for it, at which nothing is.
  'translated.example': { records: { A: ['8.8.8.8'], AAAA: ['64:ff9b::808:808'] }, late: 'A' },
  'gone.example': { code: 3 },
  'broken.example': { code: 2 },
  'refused.example': { code: 5 },
  'silent.example': { silent: ['A', 'AAAA'] },
};

const named = (name: string): Buffer =>
  Buffer.concat([...name.split('.').map((label) => Buffer.from([label.length, ...Buffer.from(label)])), Buffer.from([0])]);

function groups(address: string): Buffer {
  const [head = '', tail = ''] = address
    .replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, ...bytes: string[]) => {
      const [a = 0, b = 0, c = 0, d = 0] = bytes.slice(0, 4).map(Number);
      return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
    })
    .split('::');
  const [first, last] = [head, tail].map((part) => part.split(':').filter((group) => group !== ''));
  const all = [...(first ?? []), ...Array.from({ length: 8 - (first?.length ?? 0) - (last?.length ?? 0) }, () => '0'), ...(last ?? [])];
  return Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex');
}

/** RFC 1035, section 4: the header, the question, and one record for each answer. */
function respond(query: Buffer): { readonly message: Buffer; readonly isLate: boolean } | undefined {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.subarray(at + 1, at + 1 + length).toString());
    at += 1 + length;
  }
  const name = labels.join('.').toLowerCase();
  const type = (Object.keys(TYPES) as Type[]).find((each) => TYPES[each] === query.readUInt16BE(at + 1));
  asked.push(`${type} ${name}`);
  const zone = ZONES[name] ?? { code: 3 };
  if (type === undefined || zone.silent?.includes(type)) return undefined;
  const record = (owner: string, of: Type, data: Buffer): Buffer => {
    const head = Buffer.alloc(10);
    head.writeUInt16BE(TYPES[of], 0);
    head.writeUInt16BE(1, 2);
    head.writeUInt32BE(60, 4);
    head.writeUInt16BE(data.length, 8);
    return Buffer.concat([named(owner), head, data]);
  };
  const [target] = zone.records?.CNAME ?? [];
  const addresses = zone.records?.[type] ?? [];
  const data = (address: string): Buffer => (type === 'A' ? Buffer.from(address.split('.').map(Number)) : groups(address));
  const answers = [
    ...(target === undefined ? [] : [record(name, 'CNAME', named(target))]),
    ...addresses.map((address) => record(target ?? name, type, data(address))),
  ];
  const header = Buffer.alloc(12);
  query.copy(header, 0, 0, 2);
  header.writeUInt16BE(0x8180 | (zone.code ?? 0), 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(answers.length, 6);
  return { message: Buffer.concat([header, query.subarray(12, at + 5), ...answers]), isLate: zone.late === type };
}

const asked: string[] = [];
let server: Socket;
let servers: string[];
beforeAll(async () => {
  server = createSocket('udp4');
  server.on('message', (query, { port, address }) => {
    const response = respond(query);
    if (response) setTimeout(() => server.send(response.message, port, address), response.isLate ? 100 : 0);
  });
  server.bind(0, '127.0.0.1');
  await once(server, 'listening');
  servers = [`127.0.0.1:${server.address().port}`];
});
afterAll(() => server.close());

const failure = (hostname: string): Promise<unknown> => addressesOf(hostname, servers).catch((error: unknown) => error);

describe('the name of a registry', () => {
  it.each([
    ['both.example', ['8.8.8.8', '2606:4700::1111']],
    ['four.example', ['8.8.8.8']],
    ['six.example', ['2606:4700::1111']],
    ['half.example', ['8.8.8.8']],
    ['other-half.example', ['2606:4700::1111']],
    ['alias.example', ['10.1.2.3']],
    ['translated.example', ['8.8.8.8', '64:ff9b::808:808']],
    ['four.example.', ['8.8.8.8']],
    ['FOUR.example', ['8.8.8.8']],
  ])('%s has the addresses %j', async (hostname, addresses) => {
    expect((await addressesOf(hostname, servers)).map(({ address }) => address)).toEqual(addresses);
  });

  it.each(['gone.example', 'none.example', 'a..example', `${'x'.repeat(64)}.example`])('%s does not exist', async (hostname) => {
    expect(await failure(hostname)).toMatchObject({ problem: 'not-found', message: `registry ${hostname} does not exist (DNS)` });
  });

  it.each([
    ['broken.example', 'ESERVFAIL'],
    ['refused.example', 'EREFUSED'],
    ['silent.example', 'no response in time'],
  ])('%s is unavailable: %s', async (hostname, what) => {
    expect(await failure(hostname)).toMatchObject({
      problem: 'unavailable',
      message: `registry ${hostname} is unavailable: DNS has ${what} for its name`,
    });
  });

  it.each(['localhost', 'LOCALHOST', 'localhost.', 'a.localhost'])('%s is this machine, and nobody is asked', async (hostname) => {
    asked.length = 0;
    expect(await addressesOf(hostname, servers)).toEqual([{ address: '127.0.0.1', family: 4 }]);
    expect(asked).toEqual([]);
  });

  it('is looked up while many others get no response', async () => {
    const settled: string[] = [];
    const silent = Array.from({ length: 64 }, () => failure('silent.example').then(() => settled.push('silent')));
    await addressesOf('four.example', servers).then(() => settled.push('found'));
    await Promise.all(silent);
    expect(settled[0]).toBe('found');
  });
});

describe('a registry that is not listed', () => {
  const find = (image: string) => {
    const access = { hosts: [], plainHttp: [], mirrors: new Map(), ca: '', memory: bodyMemory(), nameServers: servers };
    return findImage('agents', image, attemptsFor(image, [], access), access).catch((error: unknown) => error);
  };

  it.each([
    ['private.example', '10.1.2.3'],
    ['private-six.example', 'fd00::1'],
    ['mapped.example', '::ffff:10.1.2.3'],
    ['mixed.example', '127.0.0.1'],
    ['alias.example', '10.1.2.3'],
  ])('%s is not asked, since it is at %s', async (name, address) => {
    expect(await find(`${name}/agent:1`)).toMatchObject({
      problem: 'forbidden-host',
      message: expect.stringContaining(`registry ${name} is at ${address}, which is not on the Internet`),
    });
  });

  it.each([
    ['gone.example', 'not-found', 'does not exist (DNS)'],
    ['silent.example', 'unavailable', 'DNS has no response in time'],
  ])('%s is %s', async (name, problem, message) => {
    expect(await find(`${name}:5000/agent:1`)).toMatchObject({ problem, message: expect.stringContaining(message) });
  });
});
