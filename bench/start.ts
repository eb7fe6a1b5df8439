/**
 * `npm run bench:start`: what a replica takes to become ready in a cluster, while it waits for reviews, and after many of them. It
 * starts as it ships, within the memory of its container, with a real API server and certificates of its own.
 *
 * `--rounds=5 --idle=60` (seconds before memory is read); `--nodes=0,5000` (of the cluster, ascending); `--reviews=1000000` (before
 * memory is read again; in the largest cluster only); `--other=FILE` measures another program in the same rounds, such as
 * `dist/lib/main.js` of an older commit. `--write` puts the table into docs/performance.md.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeCgroup } from '../test/e2e/cluster/cgroup.ts';
import { freePorts, start } from '../test/e2e/cluster/process.ts';
import { isReady, kubeconfigOf } from '../test/e2e/webhook.ts';
import { MEMORY_LIMIT_MIB } from '../test/fuzz/product.ts';
import { startCluster } from './cluster.ts';
import { buildProduct, openBench } from './harness.ts';
import { openNodes } from './nodes.ts';
import { type Column, dayAndMachine, options, publish, table } from './report.ts';
import { makeReviews } from './reviews.ts';

const values = options({ rounds: 5, idle: 60, nodes: '0,5000', reviews: 1_000_000, other: '' });
/** Ticks of /proc/PID/stat in a second: 100 on every architecture of Linux that Node.js runs on. */
const TICKS = 100;

const bench = await openBench();
const bodies = bench.write(makeReviews(200));
const product = buildProduct();
const programs = [{ name: 'product', command: product }];
if (values.other !== '') programs.push({ name: values.other, command: [...product.slice(0, -1), values.other] });
const cluster = await startCluster(bench);
await cluster.run(['apply', '-k', new URL('../manifests/base', import.meta.url).pathname]);
const nodes = openNodes(cluster);
const kubeconfig = join(bench.dir, 'kubeconfig');
writeFileSync(kubeconfig, await kubeconfigOf(cluster));

/** The CA of the certificate that the webhook made for itself. */
async function ownCa(): Promise<string> {
  const bundle = 'jsonpath={.webhooks[0].clientConfig.caBundle}';
  const encoded = await cluster.run(['get', 'mutatingwebhookconfiguration', 'openshell-sideload', '-o', bundle]);
  return bench.write([Buffer.from(encoded, 'base64').toString()]);
}

async function measure(command: readonly string[], reviews: number) {
  const [port = 0, adminPort = 0] = await freePorts(2);
  const cgroup = makeCgroup('sideload-start', MEMORY_LIMIT_MIB);
  const [shell = '', ...args] = [
    ...[...cgroup.inside, process.execPath, ...command],
    '--certificates=self-managed',
    ...[`--port=${port}`, `--admin-port=${adminPort}`, '--bind-address=127.0.0.1', '--shutdown-delay=0'],
  ];
  const env = { ...process.env, NODE_ENV: 'production', KUBECONFIG: kubeconfig };
  const begin = performance.now();
  const webhook = start('openshell-sideload', shell, args, join(bench.dir, 'webhook.log'), env);
  const stat = (): number[] =>
    readFileSync(`/proc/${webhook.pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ')
      .map(Number);
  const resident = (): number => Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${webhook.pid}/status`, 'utf8'))?.[1]) / 1024;
  while (!(await isReady(adminPort))) {
    if (webhook.ended()) throw new Error(`the webhook ended: ${webhook.tail()}`);
    await sleep(10);
  }
  // proc(5): utime and stime, without the three fields that were cut off.
  const [user = 0, system = 0] = stat().slice(11, 13);
  const readyMs = performance.now() - begin;
  await sleep(values.idle * 1000);
  const idle = resident();
  let busy = Number.NaN;
  if (reviews > 0) {
    const want = '"patchType":"JSONPatch"';
    const load = { url: `https://127.0.0.1:${port}/mutate`, ca: await ownCa(), bodies, want, 'at-once': 16, idle: 16, count: reviews };
    const { failed } = await bench.send(load);
    if (failed > 0) throw new Error(`${failed} of ${reviews} reviews failed`);
    busy = resident();
  }
  await webhook.stop();
  cgroup.remove();
  return { cpuMs: ((user + system) * 1000) / TICKS, readyMs, idle, busy };
}
type Figures = Awaited<ReturnType<typeof measure>>;

const COLUMNS: readonly Column<Figures>[] = [
  { head: 'CPU ms until ready', digits: 0, of: ({ cpuMs }) => cpuMs },
  { head: 'ms until ready', digits: 0, of: ({ readyMs }) => readyMs },
  { head: 'idle, RSS MiB', digits: 0, of: ({ idle }) => idle },
  { head: `after ${values.reviews} reviews, RSS MiB`, digits: 0, of: ({ busy }) => busy },
];

const counts = values.nodes.split(',').map(Number);
const rows = counts.flatMap((count) =>
  programs.map(({ name, command }) => ({ count, command, cells: [name, String(count)], rounds: [] as Figures[] })),
);
for (const count of counts) {
  await nodes.grow(count);
  for (let round = 1; round <= values.rounds; round++)
    for (const row of rows.filter((each) => each.count === count)) {
      process.stderr.write(`round ${round} of ${values.rounds}: ${row.cells[0]}, ${count} nodes`);
      const figures = await measure(row.command, count === counts.at(-1) ? values.reviews : 0);
      process.stderr.write(`: ${COLUMNS.map(({ head, of }) => `${head} ${of(figures).toFixed(0)}`).join(', ')}\n`);
      row.rounds.push(figures);
    }
}
await nodes.close();
await cluster.stop();
const conditions = `${dayAndMachine()}; ${values.rounds} rounds, idle memory ${values.idle} s after; memory limit ${MEMORY_LIMIT_MIB} MiB; API server, etcd and client share the cores`;
publish('bench:start', `${table(['program', 'nodes'], COLUMNS, rows)}\n\n${conditions}`, values.write);
