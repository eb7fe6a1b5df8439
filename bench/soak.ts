/**
 * `npm run soak`: the product under full load for ten minutes, with reviews of all kinds. Fails when memory or latency grow,
 * when its event loop is held up, or when a review is not answered.
 *
 * wrk sends the next review on a connection as soon as the last is answered, and so leaves the server no rest; connections are
 * made again for each slice. `--minutes=10 --slice=10 --connections=16`, slices in seconds; `--write` puts tables and plot into
 * docs/performance.md and docs/images.
 */

import { truncateSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { openBench } from './contenders.ts';
import { dayAndMachine, writeSection } from './document.ts';
import { load, requireWrk } from './load.ts';
import { mixedReviews } from './mixture.ts';
import { writePlot } from './plot.ts';
import { type Slice, sliceLine, soakPlot, summary, verdict } from './soak-report.ts';

const WARM_UP_SECONDS = 10;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    slice: { type: 'string', default: '10' },
    connections: { type: 'string', default: '16' },
    write: { type: 'boolean', default: false },
  },
});
const [minutes, sliceSeconds, connections] = [values.minutes, values.slice, values.connections].map(Number) as [number, number, number];

requireWrk();
const bench = await openBench();
const reviews = mixedReviews();
const file = bench.write(reviews);
const server = await bench.start('product', reviews[0] ?? '');

/** Reads the metrics of the admin port; each reading starts the event loop's histogram again. Returns the sum of a metric over its labels. */
async function scrape(): Promise<(metric: string, label?: string) => number> {
  const answer = await fetch(`http://127.0.0.1:${server.adminPort}/metrics`);
  const text = await answer.text();
  if (!answer.ok) throw new Error(`/metrics: HTTP ${answer.status}: ${text}`);
  return (metric, label = '') => {
    const lines = text.matchAll(new RegExp(`^${metric}(?:\\{[^}]*${label}[^}]*\\})? (\\S+)$`, 'gm'));
    return [...lines].reduce((sum, [, value]) => sum + Number(value), 0);
  };
}

/** The highest of one reading a second, until the work is done. */
async function highestRss(work: Promise<unknown>): Promise<number> {
  const ended = work.then(() => true);
  let highest = server.rss();
  while (!(await Promise.race([ended, sleep(1000, false)]))) highest = Math.max(highest, server.rss());
  return highest;
}

await bench.check(server, reviews);
await load(server.port, file, connections, WARM_UP_SECONDS);
await scrape();
const started = performance.now();
const slices: Slice[] = [];
while (performance.now() - started < minutes * 60_000) {
  const loading = load(server.port, file, connections, sliceSeconds);
  const [rss, figures] = await Promise.all([highestRss(loading), loading]);
  const metrics = await scrape();
  // A million reviews are 300 MB of log.
  truncateSync(server.logFile);
  const slice: Slice = {
    ...figures,
    minutes: (performance.now() - started) / 60_000,
    rss,
    loopMax: metrics('nodejs_eventloop_lag_max_seconds') * 1000,
    loopP99: metrics('nodejs_eventloop_lag_p99_seconds') * 1000,
  };
  slices.push(slice);
  process.stderr.write(`${sliceLine(slice)}\n`);
}
const metrics = await scrape();
await server.stop();

const answered = (outcome: string): string =>
  metrics('openshell_sideload_admissions_total', `outcome="${outcome}"`).toLocaleString('en-US');
const counts = `${answered('inject')} injected, ${answered('refuse')} refused, ${answered('skip')} left unchanged`;
const { table, holds } = verdict(slices, metrics('openshell_sideload_log_lines_lost_total'));
const conditions = `${dayAndMachine()}; ${minutes} minutes in slices of ${sliceSeconds} s, ${connections} connections, TLS 1.3, server and load on a core each; ${counts}`;
const printed = `![Memory, latency and event loop delay over time](images/soak.svg)\n\n${table}\n\n${summary(slices)}\n\n${conditions}`;
process.stdout.write(`${printed}\n`);
if (values.write) {
  writePlot('soak.svg', soakPlot(slices));
  writeSection('soak', printed);
}
process.exitCode = holds ? 0 : 1;
