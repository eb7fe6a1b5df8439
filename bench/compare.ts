/**
 * `npm run bench`: the product beside a floor and a plain implementation, in interleaved rounds of one run. Absolute figures of
 * shared machines swing; the ratios within a run are what counts.
 *
 * `--rounds=5 --seconds=5 --million=1000000`; `--write` puts the table into docs/performance.md.
 */

import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type Name, openBench } from './contenders.ts';
import { dayAndMachine, writeSection } from './document.ts';
import { load, requireWrk } from './load.ts';
import { type Figures, ratios, table } from './report.ts';
import { makeReviews } from './reviews.ts';
import { median } from './table.ts';

const REVIEWS = 200;
const WARM_UP_SECONDS = 2;
const CONNECTIONS = 16;
const NAMES: readonly Name[] = ['floor', 'plain', 'product'];

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '5' },
    million: { type: 'string', default: '1000000' },
    json: { type: 'string', default: 'bench.json' },
    write: { type: 'boolean', default: false },
  },
});
const [rounds, seconds, million] = [values.rounds, values.seconds, values.million].map(Number) as [number, number, number];

const bench = await openBench();
const reviews = makeReviews(REVIEWS).map((review) => JSON.stringify(review));
const [first = ''] = reviews;
const file = bench.write(reviews);

async function measure(name: Name): Promise<Figures> {
  const server = await bench.start(name, first);
  try {
    // Every answer is looked at before anything is measured.
    await bench.check(server, reviews);
    await load(server.port, file, CONNECTIONS, WARM_UP_SECONDS);
    const before = server.cpu();
    const many = await load(server.port, file, CONNECTIONS, seconds);
    const cpuMicroseconds = ((server.cpu() - before) / many.requests) * 1e6;
    const rss = server.rss();
    const one = await load(server.port, file, 1, Math.max(1, Math.round(seconds / 2)));
    return {
      requestsPerSecond: many.requestsPerSecond,
      cpuMicroseconds,
      p50: many.p50,
      p99: many.p99,
      p50One: one.p50,
      p99One: one.p99,
      rss,
      startMs: server.startMs,
      errors: many.errors + one.errors,
    };
  } finally {
    await server.stop();
  }
}

/** Resident memory after ten thousand reviews and after a million. */
async function growth(): Promise<{ reviews: number; early: number; late: number }> {
  const server = await bench.start('product', first);
  try {
    let done = 0;
    while (done < 10_000) done += (await load(server.port, file, CONNECTIONS, 1)).requests;
    const early = server.rss();
    while (done < million) done += (await load(server.port, file, CONNECTIONS, 10)).requests;
    return { reviews: done, early, late: server.rss() };
  } finally {
    await server.stop();
  }
}

requireWrk();
const figures: Record<Name, Figures[]> = { floor: [], plain: [], product: [] };
for (let round = 0; round < rounds; round++) {
  for (const name of NAMES) {
    process.stderr.write(`round ${round + 1} of ${rounds}: ${name}\n`);
    figures[name].push(await measure(name));
  }
}
process.stderr.write(`memory over ${million} reviews\n`);
const memory = await growth();

const sizes = reviews.map((review) => Buffer.byteLength(review)).sort((a, b) => a - b);
const conditions = `${dayAndMachine()}; ${rounds} rounds of ${seconds} s, ${REVIEWS} distinct reviews of ${sizes[0]} to ${sizes.at(-1)} bytes, TLS 1.3, server and load on a core each`;
const printed = `${table(figures)}\n\n${ratios(figures, memory)}\n\n${conditions}`;
process.stdout.write(`${printed}\n`);
writeFileSync(values.json, `${JSON.stringify({ conditions, figures, memory }, null, 2)}\n`);
if (values.write) writeSection('bench', printed);
process.exitCode = NAMES.some((name) => median(figures[name].map(({ errors }) => errors)) > 0) ? 1 : 0;
