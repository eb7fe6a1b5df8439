/**
 * `npm run bench:api-server`: what the webhook adds to the creation of a pod on a real API server, beside a webhook that does
 * nothing and beside none, with few and with many creators. All of them share the cores of this machine.
 *
 * `--rounds=5 --seconds=2.5 --creators=1,10,50`; `--write` puts the tables into docs/performance.md.
 */

import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { startControlPlane } from '../test/e2e/cluster/control-plane.ts';
import { waitFor } from '../test/e2e/cluster/process.ts';
import { writeOverlay } from '../test/e2e/webhook.ts';
import { buildClient, type Sent } from './client.ts';
import { openBench, type Server } from './harness.ts';
import { difference, type Histogram, mean, NONE, quantile, readHistogram, shareWithin } from './histogram.ts';
import { load, requireWrk } from './load.ts';
import { type Column, dayAndMachine, options, publish, table } from './report.ts';
import { makeReviews, pod } from './reviews.ts';

const SETUPS = ['none', 'no-op', 'product'] as const;
type Setup = (typeof SETUPS)[number];
const [WARM_UP_SECONDS, MOST_PODS_A_SECOND] = [3, 3000];
/** The first bound of the API server's histogram. */
const FIRST_BOUND = 0.005;

const values = options({ rounds: 5, seconds: 2.5, creators: '1,10,50' });
const { rounds, seconds } = values;

requireWrk();
const bench = await openBench();
const send = buildClient(bench.dir);
// Pods are removed between two measurements.
const flags = ['--delete-collection-workers=8'];
const cluster = await startControlPlane(join(bench.dir, 'cluster'), '127.0.0.1', { release: '1.36', flags });
await cluster.run(['create', 'namespace', 'agents']);
await cluster.run(['label', 'namespace', 'agents', 'openshell.ai/sideload=enabled']);
// The controller that makes it does not run here.
await cluster.run(['create', 'serviceaccount', 'default', '-n', 'agents']);

/** A webhook on every core, like everything else here, that has got so many reviews that its code is compiled. */
async function serve(name: 'no-op' | 'product'): Promise<Server> {
  const reviews = makeReviews(200);
  const server = await bench.start(name, reviews[0] ?? '', `0-${availableParallelism() - 1}`);
  await server.check(reviews);
  await load(server.port, bench.write(reviews), 16, WARM_UP_SECONDS);
  return server;
}
const servers: Partial<Record<Setup, Server>> = { 'no-op': await serve('no-op'), product: await serve('product') };

let serial = 0;
/** Creates pods for some time, or one as a dry run. */
function create(setup: Setup, creators: number, limit: number, dryRun = false): Promise<Sent> {
  const count = dryRun ? 1 : Math.ceil(limit * MOST_PODS_A_SECOND);
  return send({
    url: `https://${cluster.address}:${cluster.port}/api/v1/namespaces/agents/pods${dryRun ? '?dryRun=All' : ''}`,
    ...{ ca: cluster.servingCertificate, token: 'admin-token', 'at-once': creators, seconds: limit },
    want: setup === 'product' ? '/opt/openshell/bin/openshell-sandbox' : '"kind":"Pod"',
    bodies: bench.write(Array.from({ length: count }, () => JSON.stringify(pod(serial++)))),
  });
}

/** What the API server has measured of its calls to mutating webhooks for new objects, in seconds. */
async function calls(): Promise<Histogram> {
  const text = await cluster.run(['get', '--raw', '/metrics']);
  return readHistogram(text, 'apiserver_admission_webhook_admission_duration_seconds', { operation: 'CREATE', type: 'admit' });
}

/** What the product has measured of its decisions, in seconds. */
async function decisions(setup: Setup): Promise<Histogram> {
  if (setup !== 'product') return NONE;
  const metrics = await fetch(`http://127.0.0.1:${servers.product?.adminPort}/metrics`);
  return readHistogram(await metrics.text(), 'openshell_sideload_admission_duration_seconds');
}

/** Registers a webhook, or none, in place of the one before, and waits until the API server goes by it. */
async function register(setup: Setup): Promise<void> {
  await cluster.run(['delete', 'mutatingwebhookconfiguration', 'openshell-sideload', '--ignore-not-found']);
  const port = servers[setup]?.port;
  if (port !== undefined) {
    const documents = parseAllDocuments(await cluster.run(['kustomize', writeOverlay(bench.dir, port)])).map((each) => each.toJS());
    await cluster.run(['create', '-f', '-'], JSON.stringify(documents.find(({ kind }) => kind === 'MutatingWebhookConfiguration')));
  }
  await waitFor(`an API server that goes by the webhook configuration of ${setup}`, async () => {
    const before = await calls();
    const { failed } = await create(setup, 1, 1, true);
    return failed === 0 && difference(await calls(), before).count > 0 === (port !== undefined);
  });
}

/** One round of a set-up with a number of creators. */
async function measure(setup: Setup, creators: number, duration: number) {
  await register(setup);
  const state = async () => ({ calls: await calls(), decisions: await decisions(setup), cpu: servers[setup]?.cpu() ?? 0 });
  const before = await state();
  const sent = await create(setup, creators, duration);
  const after = await state();
  await cluster.run(['delete', 'pods', '--all', '-n', 'agents', '--force', '--wait=false']);
  const pods = sent.inTime + sent.late;
  return {
    ...{ pods, podsPerSecond: pods / sent.seconds, p50: sent.p50 * 1000, p99: sent.p99 * 1000, errors: sent.failed },
    calls: difference(after.calls, before.calls),
    decisions: difference(after.decisions, before.decisions),
    cpuMicroseconds: ((after.cpu - before.cpu) / pods) * 1e6,
  };
}
type Cell = Awaited<ReturnType<typeof measure>>;
/** A cell, and that of the same round without a webhook. */
type Pair = readonly [cell: Cell, none: Cell];

const CREATIONS: readonly Column<Pair>[] = [
  { head: 'pods/s', digits: 0, of: ([{ podsPerSecond }]) => podsPerSecond },
  { head: 'p50 ms', digits: 2, of: ([{ p50 }]) => p50 },
  { head: 'p99 ms', digits: 2, of: ([{ p99 }]) => p99 },
  { head: 'p50 ms more than none', digits: 2, of: ([cell, none]) => (cell === none ? Number.NaN : cell.p50 - none.p50) },
  { head: 'p99 ms more than none', digits: 2, of: ([cell, none]) => (cell === none ? Number.NaN : cell.p99 - none.p99) },
  { head: 'errors', digits: 0, of: ([{ errors }]) => errors },
];
const CALLS: readonly Column<Pair>[] = [
  { head: 'calls a pod', digits: 2, of: ([{ calls: made, pods }]) => made.count / pods },
  { head: 'mean ms', digits: 2, of: ([{ calls: made }]) => mean(made) * 1000 },
  { head: 'p50 ms', digits: 2, of: ([{ calls: made }]) => quantile(made, 0.5) * 1000 },
  { head: 'p99 ms', digits: 2, of: ([{ calls: made }]) => quantile(made, 0.99) * 1000 },
  { head: 'within 5 ms, %', digits: 1, of: ([{ calls: made }]) => shareWithin(made, FIRST_BOUND) * 100 },
  { head: 'webhook: decision, mean ms', digits: 3, of: ([{ decisions: made }]) => mean(made) * 1000 },
  { head: 'webhook: CPU µs/pod', digits: 0, of: ([{ cpuMicroseconds }]) => cpuMicroseconds },
];

// The first pods of an API server count no more than the first reviews of a webhook.
for (const setup of SETUPS) await measure(setup, 10, 1);
const measured = values.creators
  .split(',')
  .map((creators) => ({ creators, cells: { none: [], 'no-op': [], product: [] } as Record<Setup, Cell[]> }));
for (let round = 1; round <= rounds; round++)
  for (const { creators, cells } of measured) {
    process.stderr.write(`round ${round} of ${rounds}: creators: ${creators}\n`);
    for (const setup of SETUPS) cells[setup].push(await measure(setup, Number(creators), seconds));
  }
const version = JSON.parse(await cluster.run(['get', '--raw', '/version'])).gitVersion;
await Promise.all(Object.values(servers).map((server) => server.stop()));
await cluster.stop();

const rowsOf = (setups: readonly Setup[]) =>
  measured.flatMap(({ creators, cells }) =>
    setups.map((setup) => {
      const pairs = cells[setup].map((cell, round): Pair => [cell, cells.none[round] ?? cell]);
      return { cells: [creators, setup], rounds: pairs };
    }),
  );
const heads = ['creators', 'webhook'];
const tables = [table(heads, CREATIONS, rowsOf(SETUPS)), table(heads, CALLS, rowsOf(['no-op', 'product']))];
const all = measured.flatMap(({ cells }) => Object.values(cells).flat());
const pods = all.reduce((sum, cell) => sum + cell.pods, 0);
const conditions = `${dayAndMachine()}; ${rounds} rounds of ${seconds} s, ${pods} pods, kube-apiserver ${version}, etcd without fsync; API server, etcd, webhooks and creators share the cores`;
publish('bench:api-server', [...tables, conditions].join('\n\n'), values.write);
process.exitCode = all.some(({ errors }) => errors > 0) ? 1 : 0;
