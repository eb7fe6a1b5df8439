/**
 * `npm run bench:start`: what a replica takes to become ready in a cluster and while it waits for reviews. It starts as it ships,
 * with a real API server and certificates of its own.
 *
 * `--rounds=5 --idle=60` (seconds before memory is read); `--other=FILE` measures another program in the same rounds, such as
 * `dist/lib/main.js` of an older commit. `--write` puts the table into docs/performance.md.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePorts, start } from '../test/e2e/cluster/process.ts';
import { kubeconfigOf } from '../test/e2e/webhook.ts';
import { startCluster } from './cluster.ts';
import { buildProduct, openBench } from './harness.ts';
import { type Column, dayAndMachine, options, publish, table } from './report.ts';

const values = options({ rounds: 5, idle: 60, other: '' });
/** Ticks of /proc/PID/stat in a second: 100 on every architecture of Linux that Node.js runs on. */
const TICKS = 100;

const bench = await openBench();
const product = buildProduct();
const programs = [{ name: 'product', command: product }];
if (values.other !== '') programs.push({ name: values.other, command: [...product.slice(0, -1), values.other] });
const cluster = await startCluster(bench);
await cluster.run(['apply', '-k', new URL('../manifests/base', import.meta.url).pathname]);
const kubeconfig = join(bench.dir, 'kubeconfig');
writeFileSync(kubeconfig, await kubeconfigOf(cluster));

async function measure(command: readonly string[]) {
  const [port = 0, adminPort = 0] = await freePorts(2);
  const args = [
    '--certificates=self-managed',
    `--port=${port}`,
    `--admin-port=${adminPort}`,
    '--bind-address=127.0.0.1',
    '--shutdown-delay=0',
  ];
  const env = { ...process.env, NODE_ENV: 'production', KUBECONFIG: kubeconfig };
  const begin = performance.now();
  const webhook = start('openshell-sideload', process.execPath, [...command, ...args], join(bench.dir, 'webhook.log'), env);
  const stat = (): number[] =>
    readFileSync(`/proc/${webhook.pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ')
      .map(Number);
  const isReady = (): Promise<boolean> =>
    fetch(`http://127.0.0.1:${adminPort}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    );
  while (!(await isReady())) {
    if (webhook.ended()) throw new Error(`the webhook ended: ${webhook.tail()}`);
    await sleep(10);
  }
  // proc(5): utime and stime, without the three fields that were cut off.
  const [user = 0, system = 0] = stat().slice(11, 13);
  const readyMs = performance.now() - begin;
  await sleep(values.idle * 1000);
  const resident = Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${webhook.pid}/status`, 'utf8'))?.[1]) / 1024;
  await webhook.stop();
  return { cpuMs: ((user + system) * 1000) / TICKS, readyMs, resident };
}
type Figures = Awaited<ReturnType<typeof measure>>;

const COLUMNS: readonly Column<Figures>[] = [
  { head: 'CPU ms until ready', digits: 0, of: ({ cpuMs }) => cpuMs },
  { head: 'ms until ready', digits: 0, of: ({ readyMs }) => readyMs },
  { head: 'idle, RSS MiB', digits: 0, of: ({ resident }) => resident },
];

const rows = programs.map(({ name, command }) => ({ command, cells: [name], rounds: [] as Figures[] }));
for (let round = 1; round <= values.rounds; round++)
  for (const { cells, command, rounds } of rows) {
    process.stderr.write(`round ${round} of ${values.rounds}: ${cells}\n`);
    rounds.push(await measure(command));
  }
await cluster.stop();
const conditions = `${dayAndMachine()}; ${values.rounds} rounds, memory ${values.idle} s after; API server and etcd share the cores`;
publish('bench:start', `${table(['program'], COLUMNS, rows)}\n\n${conditions}`, values.write);
