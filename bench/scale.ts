/**
 * `npm run bench:scale`: what a review costs against its size and against the number of connections, the product beside the
 * floor, in interleaved rounds of one run.
 *
 * `--rounds=3 --seconds=3 --sizes=2,8,32,128,512,1024 --connections=1,4,16,64,256,1000`, sizes in KiB; `--write` puts tables and
 * plots into docs/performance.md and docs/images.
 */

import { linearRegression, median } from 'simple-statistics';
import type { Sent } from './client.ts';
import { openBench } from './harness.ts';
import { type Point, publishPlot } from './plot.ts';
import { type Column, dayAndMachine, options, publish, table } from './report.ts';
import { grownReviews, makeReviews, type Way } from './reviews.ts';

const SIDES = ['product', 'floor'] as const;
/** For readers of a plot alone. */
const SUBTITLE = [
  'product: openshell-sideload',
  'floor: a webhook by Fastify that reads every review over HTTPS and lets the pod pass as it is',
];
const WAYS = ['more', 'longer'] as const;
const TITLES: Readonly<Record<Way, string>> = { more: 'More of everything', longer: 'Longer values' };
const [CONNECTIONS_FOR_SIZES, WARM_UP_SECONDS] = [16, 1];
/** A handshake takes less than 3 ms: nothing is measured before all connections are made. */
const connectingFor = (connections: number): number => 0.5 + 0.003 * connections;
/** Above this size the fixed cost of a review is small, so that its growth shows whether the cost is linear: of this power at most. */
const [LARGE_KIB, HIGHEST_POWER] = [100, 1.15];

const values = options({ rounds: 3, seconds: 3, sizes: '2,8,32,128,512,1024', connections: '1,4,16,64,256,1000' });
const { rounds, seconds } = values;
const list = (text: string): number[] => text.split(',').filter(Boolean).map(Number);

const bench = await openBench();
/** A row of a table; `size` is KiB of a body, or connections. */
const rowOf = (side: (typeof SIDES)[number], way: Way | undefined, size: number, reviews: readonly string[], connections: number) => ({
  ...{ side, way, size, reviews, connections, file: bench.write(reviews) },
  ...{ cells: [way ? size.toFixed(1) : String(size), side], rounds: [] as Sent[] },
});
type Row = ReturnType<typeof rowOf>;
const ordinary = makeReviews(200);
const byConnections = list(values.connections).flatMap((count) => SIDES.map((side) => rowOf(side, undefined, count, ordinary, count)));
const bySize = WAYS.flatMap((way) =>
  list(values.sizes).flatMap((kib) => {
    const reviews = grownReviews(way, kib * 1024, 20);
    const size = Buffer.byteLength(reviews.join('')) / reviews.length / 1024;
    return SIDES.map((side) => rowOf(side, way, size, reviews, CONNECTIONS_FOR_SIZES));
  }),
);

for (let round = 1; round <= rounds; round++) {
  const [first = ''] = ordinary;
  const servers = { floor: await bench.start('floor', first), product: await bench.start('product', first) };
  // Memory is looked at before there was anything large.
  for (const { side, way, cells, reviews, file, connections, rounds: measured } of [...byConnections, ...bySize]) {
    process.stderr.write(`round ${round} of ${rounds}: ${cells.join(', ')}${way ? ` (${way})` : ''}\n`);
    if (round === 1) await servers[side].check(reviews);
    const warmUp = WARM_UP_SECONDS + connectingFor(connections);
    measured.push(await servers[side].load(file, connections, { seconds, 'warm-up': warmUp }));
  }
  for (const side of SIDES) await servers[side].stop();
}

const COLUMNS: readonly Column<Sent>[] = [
  { head: 'CPU µs/review', digits: 0, of: ({ cpu }) => cpu },
  { head: 'req/s', digits: 0, of: ({ perSecond }) => perSecond },
  { head: 'p50 ms', digits: 2, of: ({ p50 }) => p50 },
  { head: 'p99 ms', digits: 2, of: ({ p99 }) => p99 },
  { head: 'RSS MiB', digits: 0, of: ({ rss }) => rss },
];
const middle = (row: Row, of: keyof Sent): number => median(row.rounds.map((sent) => sent[of]));

/** The power of the size with which the cost of large bodies grows: the slope of their logarithms, by least squares. */
function power(way: Way, side: (typeof SIDES)[number]): number {
  const large = bySize.filter((row) => row.way === way && row.side === side && row.size > LARGE_KIB);
  return linearRegression(large.map((row) => [Math.log(row.size), Math.log(middle(row, 'cpu'))])).m;
}
const growth = WAYS.map((way) => {
  const [product, floor] = [power(way, 'product'), power(way, 'floor')];
  const word = product <= HIGHEST_POWER ? 'linear' : product <= floor + 0.1 ? 'not linear, as the floor' : 'NOT linear';
  return `${TITLES[way].toLowerCase()} to the power of ${product.toFixed(2)} (floor ${floor.toFixed(2)}): ${word}`;
});
const failed = [...bySize, ...byConnections].flatMap((row) => row.rounds).reduce((sum, sent) => sum + sent.failed, 0);
const tableOf = (way: Way): string => {
  const rows = bySize.filter((row) => row.way === way);
  // Memory is what is left of the largest body before.
  return `${TITLES[way]}:\n\n${table(['body KiB', 'server'], COLUMNS.slice(0, -1), rows)}`;
};
const parts = [
  '![CPU time against size](images/scale-size.svg)',
  ...WAYS.map(tableOf),
  `Above ${LARGE_KIB} KiB the product's CPU time grows with the size, with ${growth.join('; with ')}.`,
  '![Reviews per second and p99 against connections](images/scale-connections.svg)',
  table(['connections', 'server'], COLUMNS, byConnections),
  `${dayAndMachine()}; ${rounds} rounds of ${seconds} s for each row, TLS 1.3, server and load on a core each; ${failed} errors`,
];
publish('bench:scale', parts.join('\n\n'), values.write);
if (values.write) {
  const points = (rows: readonly Row[], of: keyof Sent): Point[] =>
    rows.map((row) => ({
      x: row.size,
      y: middle(row, of),
      line: [row.side, ...(row.way ? [TITLES[row.way].toLowerCase()] : [])].join(', '),
    }));
  const y = 'CPU time of the server, µs per review';
  await publishPlot('scale-size', {
    title: 'Cost of a review against its size',
    subtitle: SUBTITLE,
    panels: [{ x: 'body of the review, KiB', y, log: 'xy', points: points(bySize, 'cpu') }],
  });
  await publishPlot('scale-connections', {
    title: 'One replica on one core, against the number of connections',
    subtitle: SUBTITLE,
    panels: [
      { x: 'connections', y: 'reviews per second', log: 'x', points: points(byConnections, 'perSecond') },
      { x: 'connections', y: 'p99, ms', log: 'xy', points: points(byConnections, 'p99') },
    ],
  });
}
process.exitCode = failed > 0 ? 1 : 0;
