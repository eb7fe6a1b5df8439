/**
 * `npm run bench:api-server`: what the webhook adds to the creation of a pod on a real API server, beside the floor, a webhook
 * that does nothing, and beside none, with few and with many creators. All of them share the cores of this machine. From what
 * it takes of CPU follows what larger clusters need.
 *
 * `--rounds=5 --seconds=2.5 --creators=1,10,50`; `--write` puts the tables into docs/performance.md.
 */

import { availableParallelism } from 'node:os';
import { median } from 'simple-statistics';
import { parseAllDocuments } from 'yaml';
import { markdownTable } from '../docs/markdown.ts';
import { waitFor } from '../test/e2e/cluster/process.ts';
import { writeOverlay } from '../test/e2e/webhook.ts';
import { startCluster } from './cluster.ts';
import { openBench, type Server } from './harness.ts';
import { total } from './metrics.ts';
import { type Column, dayAndMachine, options, publish, table } from './report.ts';
import { makeReviews } from './reviews.ts';

const SETUPS = ['none', 'floor', 'product'] as const;
type Setup = (typeof SETUPS)[number];
const [WARM_UP_SECONDS, MOST_PODS_A_SECOND] = [3, 3000];
/** Those of manifests/base; and how much of its core a replica may take before there should be another one. One more is spare. */
const [FEWEST_REPLICAS, FULL_REPLICA] = [2, 0.6];

const values = options({ rounds: 5, seconds: 2.5, creators: '1,10,50' });
const { rounds, seconds } = values;

const bench = await openBench();
// Pods are removed between two measurements.
const cluster = await startCluster(bench, ['--delete-collection-workers=8']);

/** A webhook on every core, like everything else here, that has got so many reviews that its code is compiled. */
async function serve(name: 'floor' | 'product'): Promise<Server> {
  const reviews = makeReviews(200);
  const server = await bench.start(name, reviews[0] ?? '', `0-${availableParallelism() - 1}`);
  await server.check(reviews);
  await server.load(bench.write(reviews), 16, { seconds: WARM_UP_SECONDS });
  return server;
}
const servers: Partial<Record<Setup, Server>> = { floor: await serve('floor'), product: await serve('product') };

/** Creates pods for some time, or one as a dry run. */
function create(setup: Setup, creators: number, limit: number, dryRun = false) {
  const wanted = setup === 'product' ? {} : { want: '"kind":"Pod"' };
  const measured = { seconds: dryRun ? 0 : limit, ...wanted, pid: servers[setup]?.pid ?? '' };
  return cluster.create(dryRun ? 1 : Math.ceil(limit * MOST_PODS_A_SECOND), creators, measured, dryRun ? '?dryRun=All' : '');
}

/** What the API server has measured of its calls to mutating webhooks for new objects, and the product of its decisions. */
async function counters(setup: Setup) {
  const page = await cluster.run(['get', '--raw', '/metrics']);
  const own = setup === 'product' ? await (await fetch(`http://127.0.0.1:${servers.product?.adminPort}/metrics`)).text() : '';
  const ofCalls = (part: string, ...labels: string[]): number =>
    total(page, `apiserver_admission_webhook_admission_duration_seconds_${part}`, 'operation="CREATE"', 'type="admit"', ...labels);
  const ofDecisions = (part: string): number => total(own, `openshell_sideload_admission_duration_seconds_${part}`);
  return {
    ...{ calls: ofCalls('count'), calling: ofCalls('sum'), fast: ofCalls('bucket', 'le="0.005"') },
    ...{ decisions: ofDecisions('count'), deciding: ofDecisions('sum'), cpu: total(page, 'process_cpu_seconds_total') },
  };
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
    const before = await counters(setup);
    const { failed } = await create(setup, 1, 1, true);
    return failed === 0 && (await counters(setup)).calls > before.calls === (port !== undefined);
  });
}

/** One round of a set-up with a number of creators. */
async function measure(setup: Setup, creators: number, duration: number) {
  await register(setup);
  const before = await counters(setup);
  const sent = await create(setup, creators, duration);
  const after = await counters(setup);
  await cluster.run(['delete', 'pods', '--all', '-n', 'agents', '--force', '--wait=false']);
  const more = (of: keyof typeof after): number => after[of] - before[of];
  const pods = sent.inTime + sent.late;
  return {
    ...{ ...sent, pods, calls: more('calls'), meanMs: (more('calling') / more('calls')) * 1000 },
    ...{ fast: (more('fast') / more('calls')) * 100, decisionMs: (more('deciding') / more('decisions')) * 1000 },
    apiServerMs: (more('cpu') / pods) * 1000,
  };
}
type Cell = Awaited<ReturnType<typeof measure>>;
/** A cell, and that of the same round without a webhook. */
type Pair = readonly [cell: Cell, none: Cell];

const CREATIONS: readonly Column<Pair>[] = [
  { head: 'pods/s', digits: 0, of: ([{ perSecond }]) => perSecond },
  { head: 'p50 ms', digits: 2, of: ([{ p50 }]) => p50 },
  { head: 'p99 ms', digits: 2, of: ([{ p99 }]) => p99 },
  { head: 'p50 ms more than none', digits: 2, of: ([cell, none]) => (cell === none ? Number.NaN : cell.p50 - none.p50) },
  { head: 'p99 ms more than none', digits: 2, of: ([cell, none]) => (cell === none ? Number.NaN : cell.p99 - none.p99) },
  { head: 'API server: CPU ms/pod', digits: 1, of: ([{ apiServerMs }]) => apiServerMs },
  { head: 'errors', digits: 0, of: ([{ failed }]) => failed },
];
const CALLS: readonly Column<Pair>[] = [
  { head: 'calls a pod', digits: 2, of: ([{ calls, pods }]) => calls / pods },
  { head: 'mean ms', digits: 2, of: ([{ meanMs }]) => meanMs },
  { head: 'within 5 ms, %', digits: 1, of: ([{ fast }]) => fast },
  { head: 'webhook: decision, mean ms', digits: 3, of: ([{ decisionMs }]) => decisionMs },
  { head: 'webhook: CPU µs/pod', digits: 0, of: ([{ cpu }]) => cpu },
];

// The first pods of an API server count no more than the first reviews of a webhook.
for (const setup of SETUPS) await measure(setup, 10, 1);
const measured = values.creators
  .split(',')
  .map((creators) => ({ creators, cells: { none: [], floor: [], product: [] } as Record<Setup, Cell[]> }));
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

/** What so many pods a second take, by the CPU for a pod of the rows in the middle: with few creators a pod takes more, with too many all wait. */
function atScale(rate: number): string[] {
  const typical = measured.at(Math.floor(measured.length / 2))?.cells;
  const middle = (cells: readonly Cell[] = [], of: 'cpu' | 'rss' | 'apiServerMs'): number => median(cells.map((cell) => cell[of]));
  const cores = (rate * middle(typical?.product, 'cpu')) / 1e6;
  const replicas = Math.max(FEWEST_REPLICAS, Math.ceil(cores / FULL_REPLICA) + 1);
  const apiServers = [typical?.none, typical?.product].map((cells) => ((rate * middle(cells, 'apiServerMs')) / 1000).toFixed(1));
  const memory = replicas * middle(typical?.product, 'rss');
  return [rate.toLocaleString('en-US'), cores.toFixed(1), String(replicas), memory.toFixed(0), ...apiServers];
}
const heads = ['creators', 'webhook'];
const tables = [
  table(heads, CREATIONS, rowsOf(SETUPS)),
  table(heads, CALLS, rowsOf(['floor', 'product'])),
  markdownTable(
    ['pods/s', 'webhook: cores', 'replicas', 'their RSS MiB', 'API servers: cores, without a webhook', 'with it'],
    [100, 1000, 10_000].map(atScale),
  ),
];
const all = measured.flatMap(({ cells }) => Object.values(cells).flat());
const pods = all.reduce((sum, cell) => sum + cell.pods, 0);
const conditions = `${dayAndMachine()}; ${rounds} rounds of ${seconds} s, ${pods} pods, kube-apiserver ${version}, etcd without fsync; API server, etcd, webhooks and creators share the cores`;
publish('bench:api-server', [...tables, conditions].join('\n\n'), values.write);
process.exitCode = all.some(({ failed }) => failed > 0) ? 1 : 0;
