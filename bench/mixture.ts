/** Reviews of all kinds, as a busy platform sends them: most are sandboxes to be injected, some are refused or left unchanged, a few are large. */

import jsonPatch from 'fast-json-patch';
import { readConfig } from '../src/config/config.ts';
import { SANDBOX_LABEL } from '../src/sideload/contract.ts';
import { decide } from '../src/sideload/decide.ts';
import type { Pod } from '../src/sideload/pod.ts';
import { UNKNOWN_CLUSTER } from '../src/sideload/settings.ts';
import { REFUSED_PODS } from '../test/refusals.ts';
import { review } from '../test/reviews.ts';
import { grownReviews } from './grown.ts';
import { pod } from './reviews.ts';

/** Of 4,000; those of a MiB are so few that what waits behind them is beyond the 99th percentile. */
const COUNT = 4000;
const LARGE = [1024, 64, 64, 256, 64, 64, 256, 64, 64].map((kib) => kib * 1024);
/** One of so many is refused, and as many are left unchanged. */
const ODD = 12;

const { sideload } = readConfig([], {});
const refused = REFUSED_PODS.filter(({ flags, facts }) => !flags && !facts).map((refusal) => refusal.pod);

/** As the API server sends it when it calls the webhook a second time. */
function sideloaded(before: Pod): Pod {
  const outcome = decide(before, sideload, UNKNOWN_CLUSTER);
  return outcome.verdict === 'inject' ? jsonPatch.applyPatch(before, [...outcome.operations], false, false).newDocument : before;
}

function optedOut(before: Pod): Pod {
  return { ...before, metadata: { ...before.metadata, labels: { [SANDBOX_LABEL]: 'false' } } };
}

function podOf(index: number): Pod {
  const number = Math.floor(index / ODD);
  if (index % ODD === 0) return refused[number % refused.length] ?? {};
  if (index % ODD === ODD / 2) return (number % 2 === 0 ? sideloaded : optedOut)(pod(index));
  return pod(index);
}

/** Reviews in the order in which they are sent. */
export function mixedReviews(): string[] {
  const reviews = Array.from({ length: COUNT }, (_, index) => JSON.stringify(review(podOf(index), { uid: crypto.randomUUID() })));
  for (const [n, bytes] of LARGE.entries()) {
    const [large = ''] = grownReviews(n % 2 === 0 ? 'more' : 'longer', bytes, 1);
    reviews[Math.floor((n * COUNT) / LARGE.length) + 1] = large;
  }
  return reviews;
}
