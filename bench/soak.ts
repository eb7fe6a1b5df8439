/**
 * `npm run soak`: the product under full load for ten minutes, with reviews of all kinds. Fails when memory or latency grow,
 * when its event loop is held up, or when a review gets no response.
 *
 * The next review follows on a connection as soon as the response is there, so that the server has no rest; connections are made
 * again for each slice. `--minutes=10 --slice=10 --connections=16`, slices in seconds; `--write` puts tables and plot into
 * docs/performance.md and docs/images.
 */

import { truncateSync } from 'node:fs';
import { linearRegression, median } from 'simple-statistics';
import type { Sent } from './client.ts';
import { openBench } from './harness.ts';
import { total } from './metrics.ts';
import { publishPlot } from './plot.ts';
import { type Column, dayAndMachine, limits, options, publish, table } from './report.ts';
import { mixedReviews } from './reviews.ts';

const WARM_UP_SECONDS = 10;
const LIMITS = { rss: 1.05, p99: 1.2, loopMs: 50 };

/** What is measured of one slice. */
interface Slice extends Sent {
  /** From the start of the soak to the slice's end. */
  readonly minutes: number;
  /** Milliseconds, as prom-client's nodejs_eventloop_lag_max_seconds and _p99_seconds tell it: the 10 ms between two beats of its timer are part of it. */
  readonly loopMax: number;
  readonly loopP99: number;
}

const COLUMNS: readonly Column<Slice>[] = [
  { head: 'req/s', digits: 0, of: ({ perSecond }) => perSecond },
  { head: 'p50 ms', digits: 2, of: ({ p50 }) => p50 },
  { head: 'p99 ms', digits: 2, of: ({ p99 }) => p99 },
  { head: 'longest ms', digits: 0, of: ({ slowest }) => slowest },
  { head: 'RSS MiB', digits: 0, of: ({ rss }) => rss },
  { head: 'loop delay p99 ms', digits: 1, of: ({ loopP99 }) => loopP99 },
  { head: 'loop delay max ms', digits: 1, of: ({ loopMax }) => loopMax },
];

const values = options({ minutes: 10, slice: 10, connections: 16 });
const { minutes, slice: sliceSeconds, connections } = values;

const bench = await openBench();
const reviews = mixedReviews();
const file = bench.write(reviews);
const server = await bench.start('product', reviews[0] ?? '');

/** Reads the metrics; each reading starts the event loop's histogram again. */
async function scrape(): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${server.adminPort}/metrics`);
  if (!response.ok) throw new Error(`/metrics: HTTP ${response.status}`);
  return response.text();
}

await server.check(reviews);
await server.load(file, connections, { seconds: WARM_UP_SECONDS });
await scrape();
const started = performance.now();
const slices: Slice[] = [];
while (performance.now() - started < minutes * 60_000) {
  const sent = await server.load(file, connections, { seconds: sliceSeconds });
  const page = await scrape();
  // A million reviews are 300 MB of log.
  truncateSync(server.logFile);
  const [loopMax, loopP99] = ['max', 'p99'].map((which) => total(page, `nodejs_eventloop_lag_${which}_seconds`) * 1000) as [number, number];
  const slice = { ...sent, minutes: (performance.now() - started) / 60_000, loopMax, loopP99 };
  slices.push(slice);
  const shown = COLUMNS.map(({ head, of, digits }) => `${head} ${of(slice).toFixed(digits)}`);
  process.stderr.write(`${slice.minutes.toFixed(1)} min: ${shown.join(', ')}, errors ${slice.failed}\n`);
}
const page = await scrape();
await server.stop();

/** Of ten minutes, the second and the last one; and the first and the last third. */
const [tenth, third] = [10, 3].map((part) => Math.max(1, Math.round(slices.length / part))) as [number, number];
const middle = (some: readonly Slice[], of: keyof Slice): number =>
  some.length === 0 ? Number.NaN : median(some.map((slice) => slice[of]));
const rss = middle(slices.slice(-tenth), 'rss') / middle(slices.slice(tenth, 2 * tenth), 'rss');
const p99 = middle(slices.slice(-third), 'p99') / middle(slices.slice(0, third), 'p99');
const loop = Math.max(...slices.map(({ loopMax }) => loopMax));
const errors = slices.reduce((sum, slice) => sum + slice.failed, 0);
const lost = total(page, 'openshell_sideload_log_lines_lost_total');
const growth = linearRegression(slices.slice(tenth).map((slice) => [slice.minutes / 60, slice.rss])).m;
const rows = [
  ['RSS, last tenth of the time to the second', rss.toFixed(3), `<= ${LIMITS.rss}`, rss <= LIMITS.rss],
  ['p99, last third of the time to the first', p99.toFixed(2), `<= ${LIMITS.p99}`, p99 <= LIMITS.p99],
  ['event loop delay, longest, ms', loop.toFixed(1), `<= ${LIMITS.loopMs}`, loop <= LIMITS.loopMs],
  ['errors', String(errors), '0', errors === 0],
  ['log lines lost', String(lost), '0', lost === 0],
  ['RSS, MiB an hour (least squares, from the second tenth on)', growth.toFixed(1), '', undefined],
] as const;
const responses = (outcome: string): string =>
  total(page, 'openshell_sideload_admissions_total', `outcome="${outcome}"`).toLocaleString('en-US');
const counts = `${responses('inject')} injected, ${responses('refuse')} refused, ${responses('skip')} left unchanged`;
const parts = [
  '![Memory, latency and event loop delay over time](images/soak.svg)',
  limits(['over the soak', 'measured', 'limit', 'holds'], rows),
  table(['slices'], COLUMNS, [{ cells: [String(slices.length)], rounds: slices }]),
  `${dayAndMachine()}; ${minutes} minutes in slices of ${sliceSeconds} s, ${connections} connections, TLS 1.3, server and load on a core each; ${counts}`,
];
publish('soak', parts.join('\n\n'), values.write);
if (values.write) {
  const line = (name: string, of: keyof Slice) => slices.map((slice) => ({ x: slice.minutes, y: slice[of], line: name }));
  const x = 'minutes under full load';
  await publishPlot('soak', {
    title: 'One replica under full load, slice by slice',
    subtitle: [`${connections} connections, each of which sends its next review immediately; a point for every ${sliceSeconds} s`],
    panels: [
      { x, y: 'RSS, MiB', points: line('resident memory', 'rss') },
      { x, y: 'latency, ms', points: [...line('p99', 'p99'), ...line('p50', 'p50')] },
      { x, y: 'loop delay, ms', points: line('longest event loop delay', 'loopMax') },
    ],
  });
}
process.exitCode = rows.some(([, , , holds]) => holds === false) ? 1 : 0;
