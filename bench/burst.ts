/**
 * `npm run bench:burst`: many reviews at once at one replica that has as little CPU as its request promises, directly and through
 * a real API server. Client, API server and etcd share the cores of this machine, and are not held.
 *
 * `--rounds=3 --millicores=100 --only=TEXT` (the rows whose words hold it); `--write` puts the table into docs/performance.md.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { median } from 'simple-statistics';
import { makeCgroup } from '../test/e2e/cluster/cgroup.ts';
import { freePorts, start, waitFor } from '../test/e2e/cluster/process.ts';
import { isReady, writeOverlay } from '../test/e2e/webhook.ts';
import { MEMORY_LIMIT_MIB } from '../test/fuzz/product.ts';
import type { Sent } from './client.ts';
import { startCluster } from './cluster.ts';
import { buildProduct, openBench } from './harness.ts';
import { total } from './metrics.ts';
import { type Column, dayAndMachine, options, publish, table } from './report.ts';
import { makeReviews } from './reviews.ts';

const values = options({ rounds: 3, millicores: 100, only: '' });
const { rounds, millicores } = values;

const WAYS = { own: 'a connection each', shared: 'as API servers connect', created: 'pods on a kube-apiserver' } as const;
type Burst = readonly [way: keyof typeof WAYS, count: number, atOnce: number, state: 'cold' | 'warm'];

/** 600 is what an API server has under way at most, by its defaults: --max-requests-inflight and --max-mutating-requests-inflight. */
const BURSTS: readonly Burst[] = [
  ['created', 2000, 600, 'cold'],
  ['created', 2000, 600, 'warm'],
  ['created', 2000, 2000, 'cold'],
  ['shared', 2000, 600, 'cold'],
  ['shared', 2000, 600, 'warm'],
  ['shared', 5000, 600, 'cold'],
  ...[1000, 2000, 3000].map((count): Burst => ['shared', count, count, 'cold']),
  ...[500, 2000].map((count): Burst => ['own', count, count, 'cold']),
];
const cellsOf = ([way, count, atOnce, state]: Burst): string[] => [WAYS[way], String(count), String(atOnce), state];
const chosen = BURSTS.filter((burst) => cellsOf(burst).join(' ').includes(values.only));
const [WARM_UP_BURSTS, SETTLE_MS] = [5, 2000];

const bench = await openBench();
const [port = 0, adminPort = 0] = await freePorts(2);
const command = [process.execPath, ...buildProduct(), `--port=${port}`, `--admin-port=${adminPort}`, '--bind-address=127.0.0.1'];
const starts: number[] = [];

/** timeoutSeconds of manifests/base/webhook.yaml: then the API server gives up. */
const directly = (count: number, atOnce: number, own = false): Promise<Sent> =>
  bench.send({
    ...{ url: `https://127.0.0.1:${port}/mutate`, ca: join(bench.dir, 'tls/ca.crt'), bodies: bench.write(makeReviews(count)) },
    ...{ want: '"patchType":"JSONPatch"', 'at-once': atOnce, late: '10s', own },
  });

/**
 * Starts a replica as it ships, held to its memory and, if it is cold, to its share of the CPU from its start. A warm one does
 * something before with all the CPU there is.
 */
async function startReplica(warmUp?: () => Promise<unknown>) {
  const cgroup = makeCgroup('sideload-burst', MEMORY_LIMIT_MIB);
  const [shell = '', ...args] = [...cgroup.inside, ...command, `--tls-cert-dir=${join(bench.dir, 'tls')}`, '--shutdown-delay=0'];
  if (!warmUp) cgroup.limitCpu(millicores);
  const begin = performance.now();
  const webhook = start('openshell-sideload', shell, args, join(bench.dir, 'webhook.log'), { ...process.env, NODE_ENV: 'production' });
  await waitFor('a ready replica', () => isReady(adminPort), [webhook]);
  if (!warmUp) starts.push((performance.now() - begin) / 1000);
  await warmUp?.();
  // What the warm-up has left to be done, such as compiling its hot code, is done.
  if (warmUp) await sleep(SETTLE_MS);
  cgroup.limitCpu(millicores);
  return {
    /** Seconds of CPU taken and waited for, responses with 503, and the most resident memory so far in MiB. */
    counters: async () => {
      const metrics = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
      return {
        cpu: total(metrics, 'process_cpu_seconds_total'),
        unavailable: total(metrics, 'openshell_sideload_http_errors_total', 'code="503"'),
        throttled: cgroup.throttledSeconds(),
        peakMemory: Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${webhook.pid}/status`, 'utf8'))?.[1]) / 1024,
      };
    },
    stop: async () => {
      await webhook.stop('SIGKILL');
      cgroup.remove();
    },
  };
}

/** A real API server with the webhook as it ships, at an address of this machine. */
async function startApiServer() {
  const cluster = await startCluster(bench);
  await cluster.run(['apply', '-k', writeOverlay(bench.dir, port)]);
  const isCalled = async (): Promise<boolean> => (await cluster.create(1, 1, {}, '?dryRun=All')).failed === 0;
  const replica = await startReplica(() => waitFor('an API server that calls the webhook', isCalled));
  await replica.stop();
  return cluster;
}

const apiServer = chosen.some(([way]) => way === 'created') ? await startApiServer() : undefined;

/** One burst at a replica of its own. */
async function measure([way, count, atOnce, state]: Burst) {
  const warmUp = async (): Promise<void> => {
    for (let burst = 0; burst < WARM_UP_BURSTS; burst++) await directly(2000, 600);
  };
  const replica = await startReplica(state === 'warm' ? warmUp : undefined);
  const before = await replica.counters();
  const sent = await (way === 'created' && apiServer ? apiServer.create(count, atOnce, {}) : directly(count, atOnce, way === 'own'));
  const after = await replica.counters();
  await replica.stop();
  const more = (of: 'cpu' | 'unavailable' | 'throttled'): number => after[of] - before[of];
  return { ...sent, cpu: more('cpu'), unavailable: more('unavailable'), throttled: more('throttled'), peakMemory: after.peakMemory };
}
type Figures = Awaited<ReturnType<typeof measure>>;

const COLUMNS: readonly Column<Figures>[] = [
  { head: 'in time', digits: 0, of: ({ inTime }) => inTime },
  { head: 'late', digits: 0, of: ({ late }) => late },
  { head: 'failed', digits: 0, of: ({ failed }) => failed },
  { head: '503', digits: 0, of: ({ unavailable }) => unavailable },
  { head: 'p50 s', digits: 1, of: ({ p50 }) => p50 / 1000 },
  { head: 'p99 s', digits: 1, of: ({ p99 }) => p99 / 1000 },
  { head: 'slowest s', digits: 1, of: ({ slowest }) => slowest / 1000 },
  { head: 'CPU s', digits: 2, of: ({ cpu }) => cpu },
  { head: 'throttled s', digits: 1, of: ({ throttled }) => throttled },
  { head: 'peak RSS MiB', digits: 0, of: ({ peakMemory }) => peakMemory },
];

const rows = chosen.map((burst) => ({ burst, cells: cellsOf(burst), rounds: [] as Figures[] }));
for (let round = 1; round <= rounds; round++)
  for (const row of rows) {
    process.stderr.write(`round ${round} of ${rounds}: ${row.cells.join(', ')}\n`);
    row.rounds.push(await measure(row.burst));
  }
await apiServer?.stop();
const ready = starts.length > 0 ? `; ready ${median(starts).toFixed(1)} s after its start` : '';
const conditions = `${dayAndMachine()}; ${rounds} rounds, the replica held to ${millicores}m${ready}; client, API server and etcd share the cores with it`;
publish('bench:burst', `${table(['burst', 'reviews', 'at once', 'replica'], COLUMNS, rows)}\n\n${conditions}`, values.write);
