/**
 * `npm run bench:scale`: what a review costs against its size and against the number of connections, the product beside the
 * floor, in interleaved rounds of one run.
 *
 * `--rounds=3 --seconds=3 --sizes=2,8,32,128,512,1024 --connections=1,4,16,64,256,1000`, sizes in KiB; `--write` puts tables and
 * plots into docs/performance.md and docs/images.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { openBench } from './contenders.ts';
import { dayAndMachine, writeSection } from './document.ts';
import { grownReviews } from './grown.ts';
import { load, requireWrk } from './load.ts';
import { writePlot } from './plot.ts';
import { makeReviews } from './reviews.ts';
import {
  type ConnectionsRow,
  connectionsPlot,
  connectionsTable,
  type Figures,
  type Rounds,
  SIDES,
  type SizeRow,
  sizePlot,
  sizeTables,
} from './scale-report.ts';
import type { Server } from './server.ts';

const REVIEWS_OF_A_SIZE = 20;
const [CONNECTIONS_FOR_SIZES, REVIEWS_FOR_CONNECTIONS] = [16, 200];
const WARM_UP_SECONDS = 1;
/** A handshake takes less than one. */
const MS_FOR_A_CONNECTION = 3;
/** A client asks again only after a second where the queue of new connections was full. */
const MS_FOR_CONNECTING = 500;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '3' },
    sizes: { type: 'string', default: '2,8,32,128,512,1024' },
    connections: { type: 'string', default: '1,4,16,64,256,1000' },
    write: { type: 'boolean', default: false },
  },
});
const [rounds, seconds] = [values.rounds, values.seconds].map(Number) as [number, number];
const list = (text: string): number[] => text.split(',').filter(Boolean).map(Number);

async function measure(server: Server, file: string, connections: number): Promise<Figures> {
  await load(server.port, file, Math.min(connections, CONNECTIONS_FOR_SIZES), WARM_UP_SECONDS);
  const connecting = MS_FOR_CONNECTING + MS_FOR_A_CONNECTION * connections;
  const loading = load(server.port, file, connections, seconds, connecting);
  await sleep(connecting);
  const before = server.cpu();
  await sleep(seconds * 900);
  const rss = server.rss();
  const { requests, requestsPerSecond, p50, p99, errors } = await loading;
  return { requestsPerSecond, cpuMicroseconds: ((server.cpu() - before) / requests) * 1e6, p50, p99, rss, errors };
}

requireWrk();
const bench = await openBench();
const none = (): Rounds => ({ product: [], floor: [] });
const sizes = (['more', 'longer'] as const).flatMap((way) =>
  list(values.sizes).map((wanted) => {
    const reviews = grownReviews(way, wanted * 1024, REVIEWS_OF_A_SIZE);
    const bytes = reviews.reduce((sum, review) => sum + Buffer.byteLength(review), 0);
    const row: SizeRow = { way, kib: bytes / reviews.length / 1024, rounds: none() };
    return { row, reviews, file: bench.write(reviews), connections: CONNECTIONS_FOR_SIZES };
  }),
);
const ordinary = makeReviews(REVIEWS_FOR_CONNECTIONS).map((review) => JSON.stringify(review));
const ordinaryFile = bench.write(ordinary);
const connections = list(values.connections).map((count) => {
  const row: ConnectionsRow = { connections: count, rounds: none() };
  return { row, reviews: ordinary, file: ordinaryFile, connections: count };
});

for (let round = 0; round < rounds; round++) {
  const [first = ''] = ordinary;
  const servers = { floor: await bench.start('floor', first), product: await bench.start('product', first) };
  // Memory is looked at before there was anything large.
  for (const { row, reviews, file, connections: count } of [...connections, ...sizes]) {
    const what = 'way' in row ? `${row.kib.toFixed(0)} KiB (${row.way})` : `${count} connections`;
    process.stderr.write(`round ${round + 1} of ${rounds}: ${what}\n`);
    for (const side of SIDES) {
      if (round === 0) await bench.check(servers[side], reviews);
      row.rounds[side].push(await measure(servers[side], file, count));
    }
  }
  for (const side of SIDES) await servers[side].stop();
}

const sizeRows = sizes.map(({ row }) => row);
const connectionsRows = connections.map(({ row }) => row);
const all = [...sizeRows, ...connectionsRows].flatMap((row) => SIDES.flatMap((side) => row.rounds[side]));
const errors = all.reduce((sum, figures) => sum + figures.errors, 0);
const conditions = `${dayAndMachine()}; ${rounds} rounds of ${seconds} s for each line, TLS 1.3, server and load on a core each; ${errors} errors`;
const printed = `![CPU time against size](images/scale-size.svg)

${sizeTables(sizeRows)}

![Reviews per second and p99 against connections](images/scale-connections.svg)

${connectionsTable(connectionsRows)}

${conditions}`;
process.stdout.write(`${printed}\n`);
if (values.write) {
  writePlot('scale-size.svg', sizePlot(sizeRows));
  writePlot('scale-connections.svg', connectionsPlot(connectionsRows));
  writeSection('bench:scale', printed);
}
process.exitCode = errors > 0 ? 1 : 0;
