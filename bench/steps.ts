/**
 * `npm run bench:steps`: what each step of the product takes for one review, in one process and without network. On a busy
 * server the same steps take about twice as long, since sockets, TLS and the kernel use the same caches.
 *
 * `--write` puts the table into docs/performance.md.
 */

import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { readConfig } from '../src/config/config.ts';
import { createMetrics } from '../src/observe/metrics.ts';
import { parseBody } from '../src/server/bodies.ts';
import { decodeReview, encodeReview } from '../src/server/review.ts';
import { logAdmission } from '../src/server/webhook.ts';
import { decide } from '../src/sideload/decide.ts';
import { UNKNOWN_CLUSTER } from '../src/sideload/settings.ts';
import { dayAndMachine, writeSection } from './document.ts';
import { makeReviews } from './reviews.ts';
import { markdown, median } from './table.ts';

const REVIEWS = 200;
const ROUNDS = 25;
const TURNS = 50;

const { values } = parseArgs({ options: { write: { type: 'boolean', default: false } } });
const { sideload } = readConfig([], {});
const bodies = makeReviews(REVIEWS).map((review) => JSON.stringify(review));
const metrics = createMetrics('bench', () => 0);
let written = 0;
const write = (line: string): void => {
  written += line.length;
};
const log = pino({ base: null }, { write });

/** Each begins with what the one before it does. */
const STEPS: Readonly<Record<string, (body: string) => unknown>> = {
  'JSON.parse': parseBody,
  'decode: the shape of the review and its pod': (body) => decodeReview(parseBody(body)),
  'decide, with the operations of the patch': (body) => decide(decodeReview(parseBody(body)).pod, sideload, UNKNOWN_CLUSTER),
  'encode: the patch in base64, and the answer around it': (body) => {
    const review = decodeReview(parseBody(body));
    return Buffer.byteLength(encodeReview(review.uid, decide(review.pod, sideload, UNKNOWN_CLUSTER)));
  },
  'count: metrics': (body) => {
    const review = decodeReview(parseBody(body));
    const outcome = decide(review.pod, sideload, UNKNOWN_CLUSTER);
    metrics.admission(outcome, review.dryRun, 0.0001);
    return Buffer.byteLength(encodeReview(review.uid, outcome));
  },
  'log: the line': (body) => {
    const review = decodeReview(parseBody(body));
    const outcome = decide(review.pod, sideload, UNKNOWN_CLUSTER);
    metrics.admission(outcome, review.dryRun, 0.0001);
    logAdmission(log, review, outcome, 0.1);
    return Buffer.byteLength(encodeReview(review.uid, outcome));
  },
};

/** Microseconds that a function takes for a review. */
function time(step: (body: string) => unknown): number {
  const start = performance.now();
  for (let turn = 0; turn < TURNS; turn++) for (const body of bodies) step(body);
  return ((performance.now() - start) * 1000) / (TURNS * bodies.length);
}

const names = Object.keys(STEPS);
const rounds = Array.from({ length: ROUNDS }, () => Object.values(STEPS).map(time));
// The first rounds run before the code is compiled.
const sums = names.map((_, index) => median(rounds.slice(5).map((round) => round[index] ?? 0)));
const rows = names.map((name, index) => [name, ((sums[index] ?? 0) - (sums[index - 1] ?? 0)).toFixed(1)]);
const table = markdown(['step', 'µs'], [...rows, ['all', (sums.at(-1) ?? 0).toFixed(1)]]);
const printed = `${table}\n\n${dayAndMachine()}; medians of ${ROUNDS - 5} rounds of ${TURNS * REVIEWS} reviews`;
process.stdout.write(`${printed}\n`);
if (values.write) writeSection('bench:steps', printed);
if (written === 0) throw new Error('nothing was logged');
