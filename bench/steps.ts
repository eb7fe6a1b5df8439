/**
 * `npm run bench:steps`: what each step of the product takes for one review, in one process and without network. On a busy
 * server the same steps take about twice as long, since sockets, TLS and the kernel use the same caches.
 *
 * `--write` puts the table into docs/performance.md.
 */

import { measure } from 'mitata';
import { pino } from 'pino';
import { readConfig } from '../src/config/config.ts';
import { createMetrics } from '../src/observe/metrics.ts';
import { parseBody } from '../src/server/bodies.ts';
import { type AdmissionRequest, decodeReview, encodeReview } from '../src/server/review.ts';
import { logAdmission } from '../src/server/webhook.ts';
import { decide } from '../src/sideload/decide.ts';
import type { Outcome } from '../src/sideload/outcome.ts';
import { UNKNOWN_CLUSTER } from '../src/sideload/settings.ts';
import { dayAndMachine, markdown, options, publish } from './report.ts';
import { makeReviews } from './reviews.ts';

const values = options({});
const { sideload } = readConfig([], {});
const bodies = makeReviews(200);
const ROUNDS = 5;
const metrics = createMetrics('bench', () => 0);
const log = pino({ base: null }, { write: () => undefined });
const decideOn = (review: AdmissionRequest): Outcome => decide(review.pod, sideload, UNKNOWN_CLUSTER);

/** Each begins with what the one before it does. */
const STEPS: Readonly<Record<string, (body: string) => unknown>> = {
  'JSON.parse': parseBody,
  'decode: the shape of the review and its pod': (body) => decodeReview(parseBody(body)),
  'decide, with the operations of the patch': (body) => decideOn(decodeReview(parseBody(body))),
  'encode: the patch in base64, and the response around it': (body) => respond(body, () => undefined),
  'count: metrics': (body) => respond(body, count),
  'log: the line': (body) =>
    respond(body, (review, outcome) => {
      count(review, outcome);
      logAdmission(log, review, outcome, 0.1);
    }),
};

function respond(body: string, observe: (review: AdmissionRequest, outcome: Outcome) => void): number {
  const review = decodeReview(parseBody(body));
  const outcome = decideOn(review);
  observe(review, outcome);
  return Buffer.byteLength(encodeReview(review.uid, outcome));
}

function count(review: AdmissionRequest, outcome: Outcome): void {
  metrics.admission(outcome, review.dryRun, 0.0001);
}

/** Microseconds for a review: the lowest of interleaved rounds, since a neighbour on the machine only adds to it. */
const lowest = new Map<string, number>();
for (let round = 0; round < ROUNDS; round++)
  for (const [name, step] of Object.entries(STEPS)) {
    const { min } = await measure(() => {
      for (const body of bodies) step(body);
    });
    lowest.set(name, Math.min(lowest.get(name) ?? Infinity, min / 1000 / bodies.length));
  }
const sums = [...lowest.values()];
const rows = [...lowest.keys()].map((name, index) => [name, ((sums[index] ?? 0) - (sums[index - 1] ?? 0)).toFixed(1)]);
const table = markdown(['step', 'µs'], [...rows, ['all', (sums.at(-1) ?? 0).toFixed(1)]]);
publish(
  'bench:steps',
  `${table}\n\n${dayAndMachine()}; ${bodies.length} distinct reviews, the lowest of ${ROUNDS} rounds (mitata)`,
  values.write,
);
