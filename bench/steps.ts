/**
 * `npm run bench:steps`: what each step of the product takes for one review, in one process and without network. On a busy
 * server the same steps take about twice as long, since sockets, TLS and the kernel use the same caches.
 *
 * `--write` puts the table into docs/performance.md.
 */

import { measure } from 'mitata';
import { pino } from 'pino';
import { markdownTable } from '../docs/markdown.ts';
import { readConfig } from '../src/config/config.ts';
import { createMetrics } from '../src/observe/metrics.ts';
import { parseBody } from '../src/server/bodies.ts';
import { decodeReview, encodeReview } from '../src/server/review.ts';
import { logAdmission } from '../src/server/webhook.ts';
import { decide } from '../src/sideload/decide.ts';
import { UNKNOWN_CLUSTER } from '../src/sideload/settings.ts';
import { dayAndMachine, options, publish } from './report.ts';
import { makeReviews } from './reviews.ts';

const values = options({});
const { sideload } = readConfig([], {});
const bodies = makeReviews(200);
const ROUNDS = 5;
const metrics = createMetrics('bench', () => 0);
const log = pino({ base: null }, { write: () => undefined });
/** Each step begins with what the one before it does. */
const STEPS = [
  'JSON.parse',
  'decode: the shape of the review and its pod',
  'decide, with the operations of the patch',
  'encode: the patch in base64, and the response around it',
  'count: metrics',
  'log: the line',
];

/** Takes a review through the first steps. */
function run(body: string, steps: number): unknown {
  const parsed = parseBody(body);
  if (steps === 1) return parsed;
  const review = decodeReview(parsed);
  if (steps === 2) return review;
  const outcome = decide(review.pod, sideload, UNKNOWN_CLUSTER);
  if (steps === 3) return outcome;
  const response = Buffer.byteLength(encodeReview(review.uid, outcome));
  if (steps > 4) metrics.admission(outcome, review.dryRun, 0.0001);
  if (steps > 5) logAdmission(log, review, outcome, 0.1);
  return response;
}

/** Microseconds for a review: the lowest of interleaved rounds, since a neighbour on the machine only adds to it. */
const lowest = STEPS.map(() => Infinity);
for (let round = 0; round < ROUNDS; round++)
  for (const [index, before] of lowest.entries()) {
    const { min } = await measure(() => {
      for (const body of bodies) run(body, index + 1);
    });
    lowest[index] = Math.min(before, min / 1000 / bodies.length);
  }
const rows = STEPS.map((name, index) => [name, ((lowest[index] ?? 0) - (lowest[index - 1] ?? 0)).toFixed(1)]);
const table = markdownTable(['step', 'µs'], [...rows, ['all', (lowest.at(-1) ?? 0).toFixed(1)]]);
publish(
  'bench:steps',
  `${table}\n\n${dayAndMachine()}; ${bodies.length} distinct reviews, the lowest of ${ROUNDS} rounds (mitata)`,
  values.write,
);
