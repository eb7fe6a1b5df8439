/**
 * `npm run bench:scale`: what a review costs against its size and against the number of connections, the product beside the
 * floor, in interleaved rounds of one run.
 *
 * `--rounds=3 --seconds=3 --sizes=2,8,32,128,512,1024 --connections=1,4,16,64,256,1000`, sizes in KiB; `--write` puts tables and
 * plots into docs/performance.md and docs/images.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { linearRegression, median } from 'simple-statistics';
import { markdownTable } from '../docs/markdown.ts';
import { openBench, type Server } from './harness.ts';
import { load, requireWrk } from './load.ts';
import { dayAndMachine, options, type Point, plot, publish, spread } from './report.ts';
import { grownReviews, makeReviews, type Way } from './reviews.ts';

const SIDES = ['product', 'floor'] as const;
const TITLES: Readonly<Record<Way, string>> = { more: 'More of everything', longer: 'Longer values' };
const CONNECTIONS_FOR_SIZES = 16;
const WARM_UP_SECONDS = 1;
/** A handshake takes less than 3 ms; a client asks again only after a second if the queue of new connections was full. */
const connectingFor = (connections: number): number => 500 + 3 * connections;
/** Above this size the fixed cost of a review is small, so that its growth shows whether the cost is linear: of this power at most. */
const [LARGE_KIB, HIGHEST_POWER] = [100, 1.15];

const values = options({ rounds: 3, seconds: 3, sizes: '2,8,32,128,512,1024', connections: '1,4,16,64,256,1000' });
const { rounds, seconds } = values;
const list = (text: string): number[] => text.split(',').filter(Boolean).map(Number);

/** CPU is user and kernel time for each review, latencies are milliseconds, memory is MiB while the connections are open. */
async function measure(server: Server, file: string, connections: number) {
  await load(server.port, file, Math.min(connections, CONNECTIONS_FOR_SIZES), WARM_UP_SECONDS);
  const connecting = connectingFor(connections);
  const loading = load(server.port, file, connections, seconds, connecting);
  await sleep(connecting);
  const before = server.cpu();
  await sleep(seconds * 900);
  const rss = server.rss();
  const figures = await loading;
  return { ...figures, cpu: ((server.cpu() - before) / figures.requests) * 1e6, rss };
}
type Figures = Awaited<ReturnType<typeof measure>>;
type Side = (typeof SIDES)[number];

/** A line of a table. */
interface Row {
  readonly way: Way | undefined;
  /** KiB of a body, or connections. */
  readonly size: number;
  readonly reviews: readonly string[];
  readonly file: string;
  readonly connections: number;
  readonly rounds: Readonly<Record<Side, Figures[]>>;
}

requireWrk();
const bench = await openBench();
const rowOf = (way: Way | undefined, size: number, reviews: readonly string[], connections: number): Row => ({
  ...{ way, size, reviews, connections, file: bench.write(reviews) },
  rounds: { product: [], floor: [] },
});
const ordinary = makeReviews(200);
const bySize = (['more', 'longer'] as const).flatMap((way) =>
  list(values.sizes).map((kib) => {
    const reviews = grownReviews(way, kib * 1024, 20);
    const bytes = reviews.reduce((sum, review) => sum + Buffer.byteLength(review), 0);
    return rowOf(way, bytes / reviews.length / 1024, reviews, CONNECTIONS_FOR_SIZES);
  }),
);
const byConnections = list(values.connections).map((connections) => rowOf(undefined, connections, ordinary, connections));

for (let round = 1; round <= rounds; round++) {
  const [first = ''] = ordinary;
  const servers = { floor: await bench.start('floor', first), product: await bench.start('product', first) };
  // Memory is looked at before there was anything large.
  for (const { way, size, reviews, file, connections, rounds: measured } of [...byConnections, ...bySize]) {
    process.stderr.write(`round ${round} of ${rounds}: ${way ? `${size.toFixed(0)} KiB (${way})` : `${size} connections`}\n`);
    for (const side of SIDES.toReversed()) {
      if (round === 1) await servers[side].check(reviews);
      measured[side].push(await measure(servers[side], file, connections));
    }
  }
  for (const side of SIDES) await servers[side].stop();
}

const middle = (row: Row, side: Side, of: keyof Figures): number => median(row.rounds[side].map((figures) => figures[of]));
const cells = (row: Row, of: keyof Figures, digits: number): string[] => SIDES.map((side) => middle(row, side, of).toFixed(digits));
const spreads = (row: Row): string[] =>
  SIDES.map((side) =>
    spread(
      row.rounds[side].map(({ cpu }) => cpu),
      0,
    ),
  );
const heads = (...names: string[]): string[] => names.flatMap((name) => SIDES.map((side) => `${side}: ${name}`));
const latencies = (row: Row): string[] => [...cells(row, 'p50', 2), ...cells(row, 'p99', 2)];

/** The power of the size with which the cost of large bodies grows: the slope of their logarithms, by least squares. */
function power(way: Way, side: Side): number {
  const large = bySize.filter((row) => row.way === way && row.size > LARGE_KIB);
  return linearRegression(large.map((row) => [Math.log(row.size), Math.log(middle(row, side, 'cpu'))])).m;
}

const sizeTables = (['more', 'longer'] as const).map((way) => {
  const lines = bySize
    .filter((row) => row.way === way)
    .map((row) => {
      const perKib = SIDES.map((side) => (middle(row, side, 'cpu') / row.size).toFixed(1));
      return [row.size.toFixed(1), ...spreads(row), ...perKib, ...cells(row, 'requestsPerSecond', 0), ...latencies(row)];
    });
  return `${TITLES[way]}:\n\n${markdownTable(['body KiB', ...heads('CPU µs/review', 'µs/KiB', 'req/s', 'p50 ms', 'p99 ms')], lines)}`;
});
const growth = (['more', 'longer'] as const).map((way) => {
  const [product, floor] = [power(way, 'product'), power(way, 'floor')];
  const word = product <= HIGHEST_POWER ? 'linear' : product <= floor + 0.1 ? 'not linear, as the floor' : 'NOT linear';
  return `${TITLES[way].toLowerCase()} to the power of ${product.toFixed(2)} (floor ${floor.toFixed(2)}): ${word}`;
});
const verdict = `Above ${LARGE_KIB} KiB the product's CPU time grows with the size, with ${growth.join('; with ')}.`;
const lines = byConnections.map((row) => {
  const [speed, memory] = [cells(row, 'requestsPerSecond', 0), cells(row, 'rss', 0)];
  return [String(row.size), ...speed, ...spreads(row), ...latencies(row), ...memory];
});
const connectionsTable = markdownTable(['connections', ...heads('req/s', 'CPU µs/review', 'p50 ms', 'p99 ms', 'RSS MiB')], lines);
const errors = [...bySize, ...byConnections].flatMap(({ rounds: measured }) => SIDES.flatMap((side) => measured[side]));
const count = errors.reduce((sum, figures) => sum + figures.errors, 0);
const conditions = `${dayAndMachine()}; ${rounds} rounds of ${seconds} s for each line, TLS 1.3, server and load on a core each; ${count} errors`;
const images = [
  '![CPU time against size](images/scale-size.svg)',
  '![Reviews per second and p99 against connections](images/scale-connections.svg)',
];
const parts = [images[0], ...sizeTables, verdict, images[1], connectionsTable, conditions];
publish('bench:scale', parts.join('\n\n'), values.write);
if (values.write) {
  const points = (rows: readonly Row[], of: keyof Figures): Point[] =>
    rows.flatMap((row) =>
      SIDES.map((side) => ({
        x: row.size,
        y: middle(row, side, of),
        line: `${side}${row.way ? `, ${TITLES[row.way].toLowerCase()}` : ''}`,
      })),
    );
  const y = 'CPU time of the server, µs per review';
  await plot('scale-size.svg', 'Cost of a review against its size', [
    { x: 'body of the review, KiB', y, log: 'xy', points: points(bySize, 'cpu') },
  ]);
  await plot('scale-connections.svg', 'One replica on one core, against the number of connections', [
    { x: 'connections', y: 'reviews per second', log: 'x', points: points(byConnections, 'requestsPerSecond') },
    { x: 'connections', y: 'p99, ms', log: 'xy', points: points(byConnections, 'p99') },
  ]);
}
process.exitCode = count > 0 ? 1 : 0;
