/**
 * `npm run bench:burst`: many reviews at once at one replica that has as little CPU as its request promises, directly and through
 * a real API server. Client, API server and etcd share the cores of this machine, and are not held.
 *
 * `--rounds=3 --millicores=100 --only=TEXT` (the rows whose words hold it); `--write` puts the table into docs/performance.md.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ensureLocalCertificates } from '../src/tls/local.ts';
import { namesOfService } from '../src/tls/names.ts';
import { freePorts } from '../test/e2e/cluster/process.ts';
import { type Launch, startReplica } from './burst/replica.ts';
import { type Figures, type Measured, table } from './burst/report.ts';
import { type ApiServer, directly, startApiServer, type Way } from './burst/ways.ts';
import { dayAndMachine, writeSection } from './document.ts';
import { compileProduct } from './product.ts';
import { median } from './table.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    millicores: { type: 'string', default: '100' },
    only: { type: 'string', default: '' },
    write: { type: 'boolean', default: false },
  },
});
const [rounds, millicores] = [values.rounds, values.millicores].map(Number) as [number, number];

/** By what it comes, how many, how many of them at once, to which replica. */
type Burst = readonly [way: keyof typeof WAYS, count: number, atOnce: number, state: 'cold' | 'warm'];

const WAYS = {
  own: 'a connection each',
  shared: 'as API servers connect',
  created: 'pods on a kube-apiserver',
} as const;

/** 600 is what an API server has under way at most, by its defaults: --max-requests-inflight and --max-mutating-requests-inflight. */
const BURSTS: readonly Burst[] = [
  ['created', 2000, 600, 'cold'],
  ['created', 2000, 600, 'warm'],
  ['created', 2000, 2000, 'cold'],
  ['shared', 2000, 600, 'cold'],
  ['shared', 2000, 600, 'warm'],
  ['shared', 5000, 600, 'cold'],
  ['shared', 1000, 1000, 'cold'],
  ['shared', 2000, 2000, 'cold'],
  ['shared', 3000, 3000, 'cold'],
  ['own', 500, 500, 'cold'],
  ['own', 2000, 2000, 'cold'],
];
const cellsOf = ([way, count, atOnce, state]: Burst): string[] => [WAYS[way], String(count), String(atOnce), state];
const chosen = BURSTS.filter((burst) => cellsOf(burst).join(' ').includes(values.only));

const WARM_UP_BURSTS = 5;
const dir = mkdtempSync(join(tmpdir(), 'sideload-burst-'));
const [port = 0] = await freePorts(1);
const starts = { cold: [] as number[], warm: [] as number[] };

/** Reviews and connections enough for the code of both to be compiled. */
async function warmUp(): Promise<void> {
  const send = directly('shared', dir, port);
  for (let burst = 0; burst < WARM_UP_BURSTS; burst++) await send(2000, 600);
}

/** One burst at a replica of its own. */
async function measure([way, count, atOnce, state]: Burst, launch: Launch, apiServer: ApiServer | undefined): Promise<Figures> {
  const send: Way = way === 'created' && apiServer ? apiServer.create : directly(way === 'own' ? way : 'shared', dir, port);
  const replica = await startReplica(launch, state === 'warm' ? warmUp : undefined);
  starts[state].push(replica.startSeconds);
  try {
    const [before, throttled] = [await replica.counters(), replica.throttledSeconds()];
    const result = await send(count, atOnce);
    const after = await replica.counters();
    return {
      ...result,
      unavailable: after.unavailable - before.unavailable,
      cpu: after.cpu - before.cpu,
      throttled: replica.throttledSeconds() - throttled,
      peakMemory: replica.peakMemory(),
    };
  } finally {
    await replica.stop();
  }
}

/** A replica with all the CPU there is, as long as the API server gets to know the webhook. */
async function openApiServer(launch: Launch): Promise<ApiServer> {
  const apiServer = await startApiServer(dir, port);
  const replica = await startReplica(launch, apiServer.callsWebhook);
  await replica.stop();
  return apiServer;
}

async function measureAll(): Promise<Measured[]> {
  await ensureLocalCertificates(join(dir, 'tls'), namesOfService('openshell-sideload', 'openshell-system'));
  const launch: Launch = { dir, command: [process.execPath, ...compileProduct()], millicores, port };
  const apiServer = chosen.some(([way]) => way === 'created') ? await openApiServer(launch) : undefined;
  const rows = chosen.map((burst) => ({ burst, cells: cellsOf(burst), rounds: [] as Figures[] }));
  try {
    for (let round = 0; round < rounds; round++) {
      for (const row of rows) {
        process.stderr.write(`round ${round + 1} of ${rounds}: ${row.cells.join(', ')}\n`);
        row.rounds.push(await measure(row.burst, launch, apiServer));
      }
    }
  } finally {
    await apiServer?.stop();
  }
  return rows;
}

let rows: Measured[];
try {
  rows = await measureAll();
} finally {
  rmSync(dir, { recursive: true });
}
const start = starts.cold.length > 0 ? `; ready ${median(starts.cold).toFixed(1)} s after its start` : '';
const conditions = `${dayAndMachine()}; ${rounds} rounds, the replica held to ${millicores}m${start}; client, API server and etcd share the cores with it`;
const printed = `${table(['burst', 'reviews', 'at once', 'replica'], rows)}\n\n${conditions}`;
process.stdout.write(`${printed}\n`);
if (values.write) writeSection('bench:burst', printed);
