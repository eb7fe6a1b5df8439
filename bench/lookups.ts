/**
 * `npm run bench:lookups`: what looking up an image adds to the creation of a pod on a real API server, with a registry of this
 * machine; how often a registry is asked by a burst; and the memory of a full cache.
 *
 * `--rounds=3 --pods=200 --burst=1000 --images=50`; `--write` puts the tables into docs/performance.md.
 */

import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { waitFor } from '../test/e2e/cluster/process.ts';
import { push } from '../test/e2e/registry/push.ts';
import { startOpenRegistry } from '../test/e2e/registry/registries.ts';
import { writeOverlay } from '../test/e2e/webhook.ts';
import type { Sent } from './client.ts';
import { startCluster } from './cluster.ts';
import { openBench } from './harness.ts';
import { type Column, dayAndMachine, limits, options, publish, table } from './report.ts';
import { makeReviews, pod } from './reviews.ts';

const values = options({ rounds: 3, pods: 200, burst: 1000, images: 50 });
const { rounds, pods } = values;
const [CACHED_IMAGES, WARM_UP_SECONDS] = [1024, 3];

const bench = await openBench();
const registry = await startOpenRegistry(bench.dir);
const asked = new Map<string, number>();
/** Stands before the registry and counts what it is asked for. */
const counter = createServer((incoming, response) => {
  const line = `${incoming.method} ${incoming.url}`;
  asked.set(line, (asked.get(line) ?? 0) + 1);
  const { method, url, headers } = incoming;
  request(`http://${registry.host}${url}`, { method, headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
  }).end();
});
await new Promise<void>((listens) => counter.listen(0, '127.0.0.1', listens));
const host = `localhost:${(counter.address() as AddressInfo).port}`;
const config = (n: number) => ({
  ...{ Entrypoint: ['/usr/bin/agent'], Cmd: ['--serve', String(n)], WorkingDir: '/srv', User: '1000' },
  Env: [
    'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    ...Array.from({ length: 12 }, (_, i) => `SETTING_${i}=value-${n}`),
  ],
});
process.stderr.write(`pushing ${CACHED_IMAGES} images\n`);
for (let n = 0; n < CACHED_IMAGES; n++) await push(`http://${registry.host}`, `agent/${n}:1`, { config: config(n) });

const cluster = await startCluster(bench);
const [first = ''] = makeReviews(1);
/** The product with an empty cache, registered with the API server; used by the code that runs next. */
async function fresh() {
  const server = await bench.start('product', first, '0-1023', [`--registry-plain-http=${host}`]);
  await server.load(bench.write(makeReviews(200)), 16, { seconds: WARM_UP_SECONDS });
  await cluster.run(['apply', '-k', writeOverlay(bench.dir, server.port)]);
  const calls = async (): Promise<boolean> => (await cluster.create(1, 1, {}, '?dryRun=All')).failed === 0;
  await waitFor('an API server that calls the webhook', calls);
  return server;
}

/** Bodies of pods that name only an image. */
let serial = 0;
function bodies(count: number, imageOf: (n: number) => number): string {
  const lines = Array.from({ length: count }, (_, n) => {
    const made = pod(serial++);
    const [agent, ...others] = made.spec.containers;
    const containers = [{ ...agent, command: undefined, args: undefined, image: `${host}/agent/${imageOf(n)}:1` }, ...others];
    return JSON.stringify({ ...made, metadata: { ...made.metadata, name: `bare-${serial}` }, spec: { ...made.spec, containers } });
  });
  return bench.write(lines);
}

const WAYS = {
  'no lookup: the pod has a command': undefined,
  'cache hit': () => 0,
  'cache miss': (n: number) => n + 1,
} as const;
const rows = Object.keys(WAYS).map((way) => ({ cells: [way], rounds: [] as Sent[] }));
for (let round = 1; round <= rounds; round++) {
  const server = await fresh();
  for (const [index, imageOf] of Object.values(WAYS).entries()) {
    process.stderr.write(`round ${round} of ${rounds}: ${rows[index]?.cells}\n`);
    if (imageOf?.(0) === 0) await cluster.create(1, 1, { bodies: bodies(1, imageOf) });
    rows[index]?.rounds.push(await cluster.create(pods, 1, { pid: server.pid, ...(imageOf ? { bodies: bodies(pods, imageOf) } : {}) }));
  }
  await server.stop();
}

const server = await fresh();
asked.clear();
process.stderr.write(`${values.burst} pods of ${values.images} images at once\n`);
const burst = await cluster.create(values.burst, values.burst, { bodies: bodies(values.burst, (n) => n % values.images) });
const requests = [...asked.values()];
const most = Math.max(...requests);
const before = await server.load(bench.write(makeReviews(200)), 1, { count: 200 });
// One pod at a time, so that what is measured is the cache.
await cluster.create(CACHED_IMAGES, 4, { bodies: bodies(CACHED_IMAGES, (n) => n) }, '?dryRun=All');
const after = await server.load(bench.write(makeReviews(200)), 1, { count: 200 });
await server.stop();
await cluster.stop();
await registry.stop();
counter.close();

const COLUMNS: readonly Column<Sent>[] = [
  { head: 'p50 ms', digits: 2, of: ({ p50 }) => p50 },
  { head: 'p99 ms', digits: 2, of: ({ p99 }) => p99 },
  { head: 'webhook: CPU µs/pod', digits: 0, of: ({ cpu }) => cpu },
  { head: 'errors', digits: 0, of: ({ failed }) => failed },
];
const facts = limits(
  ['what', 'measured', 'limit', 'holds'],
  [
    [
      `pods of ${values.images} images, ${values.burst} at once: created`,
      String(burst.inTime + burst.late),
      String(values.burst),
      burst.failed === 0,
    ],
    ['most requests for one document of an image', String(most), '1', most <= 1],
    ['requests for each image', (requests.length / values.images).toFixed(1), '3', requests.length <= 3 * values.images],
    [
      `RSS with ${CACHED_IMAGES} images in the cache, MiB more than with ${values.images}`,
      (after.rss - before.rss).toFixed(0),
      '<= 64',
      after.rss - before.rss <= 64,
    ],
  ],
);
const conditions = `${dayAndMachine()}; ${rounds} rounds of ${pods} pods, one creator; registry of go-containerregistry on this machine, behind a counter; API server, etcd, webhook, registry and creators share the cores`;
publish('bench:lookups', `${table(['a pod'], COLUMNS, rows)}\n\n${facts}\n\n${conditions}`, values.write);
