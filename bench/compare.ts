/**
 * `npm run bench`: the product beside a floor and a plain implementation, in interleaved rounds of one run. Absolute figures of
 * shared machines swing; the ratios within a run are what counts.
 *
 * `--rounds=5 --seconds=5`; `--write` puts the table into docs/performance.md.
 */

import { median } from 'simple-statistics';
import { openBench } from './harness.ts';
import { type Column, dayAndMachine, limits, options, publish, table } from './report.ts';
import { makeReviews } from './reviews.ts';

/** In the first seconds the hot paths are compiled, by a thread on the same core. */
const WARM_UP_SECONDS = 10;
const CONNECTIONS = 16;
const NAMES = ['floor', 'long-floor', 'plain', 'product'] as const;

const values = options({ rounds: 5, seconds: 5 });
const { rounds, seconds } = values;

const bench = await openBench();
const reviews = makeReviews(200);
const [first = ''] = reviews;
const file = bench.write(reviews);

/** One round of one server. CPU is user and kernel time for each review, latencies are milliseconds, memory is MiB. */
async function measure(name: (typeof NAMES)[number]) {
  const server = await bench.start(name, first);
  await server.check(reviews);
  const many = await server.load(file, CONNECTIONS, { seconds, 'warm-up': WARM_UP_SECONDS });
  const one = await server.load(file, 1, { seconds: seconds / 2 });
  await server.stop();
  return { ...many, p50One: one.p50, p99One: one.p99, startMs: server.startMs, errors: many.failed + one.failed };
}
type Figures = Awaited<ReturnType<typeof measure>>;

const COLUMNS: readonly Column<Figures>[] = [
  { head: 'req/s', digits: 0, of: ({ perSecond }) => perSecond },
  { head: 'CPU µs/review', digits: 0, of: ({ cpu }) => cpu },
  { head: 'p50 ms, 16 conn.', digits: 2, of: ({ p50 }) => p50 },
  { head: 'p99 ms, 16 conn.', digits: 2, of: ({ p99 }) => p99 },
  { head: 'p50 ms, 1 conn.', digits: 2, of: ({ p50One }) => p50One },
  { head: 'p99 ms, 1 conn.', digits: 2, of: ({ p99One }) => p99One },
  { head: 'RSS MiB', digits: 0, of: ({ rss }) => rss },
  { head: 'first response ms', digits: 0, of: ({ startMs }) => startMs },
  { head: 'errors', digits: 0, of: ({ errors }) => errors },
];

const figures: Record<(typeof NAMES)[number], Figures[]> = { floor: [], 'long-floor': [], plain: [], product: [] };
for (let round = 1; round <= rounds; round++)
  for (const name of NAMES) {
    process.stderr.write(`round ${round} of ${rounds}: ${name}\n`);
    figures[name].push(await measure(name));
  }

const ratio = (of: keyof Figures, to: (typeof NAMES)[number] = 'floor'): number =>
  median(figures.product.map((round) => round[of])) / median(figures[to].map((round) => round[of]));
const atMost = (what: string, value: number, limit: number) => [what, value.toFixed(2), `<= ${limit}`, value <= limit] as const;
const atLeast = (what: string, value: number, limit: number) => [what, value.toFixed(2), `>= ${limit}`, value >= limit] as const;
const ratios = limits(
  ['ratio', 'measured', 'target', 'reached'],
  [
    atLeast('req/s, of the floor with a response as long', ratio('perSecond', 'long-floor'), 0.75),
    atLeast('req/s, of plain', ratio('perSecond', 'plain'), 1.6),
    atMost('p99 at 16 connections, of the floor with a response as long', ratio('p99', 'long-floor'), 1.3),
    atMost('RSS, of the floor', ratio('rss'), 1.4),
    atMost('first response, of the floor', ratio('startMs'), 1.5),
  ],
);
const sizes = reviews.map((review) => Buffer.byteLength(review)).sort((a, b) => a - b);
const conditions = `${dayAndMachine()}; ${rounds} rounds of ${seconds} s, ${reviews.length} distinct reviews of ${sizes[0]} to ${sizes.at(-1)} bytes, TLS 1.3, server and load on a core each`;
const rows = NAMES.map((name) => ({ cells: [name], rounds: figures[name] }));
publish('bench', `${table(['server'], COLUMNS, rows)}\n\n${ratios}\n\n${conditions}`, values.write);
process.exitCode = NAMES.some((name) => median(figures[name].map(({ errors }) => errors)) > 0) ? 1 : 0;
