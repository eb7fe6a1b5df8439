/** For how long one review holds up all others: the webhook has one thread. */

import { readConfig } from '../../src/config/config.ts';
import { parseBody } from '../../src/server/bodies.ts';
import { decodeReview, encodeReview } from '../../src/server/review.ts';
import { decide } from '../../src/sideload/decide.ts';
import { UNKNOWN_CLUSTER } from '../../src/sideload/settings.ts';
import { ANY_METHOD, NO_LOOKUP } from '../refusals.ts';
import type { FuzzCase } from './cases.ts';

const settings = readConfig([...ANY_METHOD, ...NO_LOOKUP, '--supervisor-env=OPERATOR=1'], {}).sideload;
/** Below this a case is not looked at again. */
const SHORT_MS = 10;
/** A stop that a neighbour on the machine made does not come again. */
const TRIES = 5;

/** What the webhook does with a body between two turns of its event loop, in milliseconds of this thread's CPU: others on the machine do not count. */
function once(text: string): number {
  const before = process.threadCpuUsage();
  try {
    const { uid, pod, createsPod } = decodeReview(parseBody(text));
    if (createsPod) encodeReview(uid, decide(pod, settings, UNKNOWN_CLUSTER));
  } catch {
    // Answered with an error: the campaign judges it.
  }
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / 1000;
}

/** The longest stop of all cases, each taken at its shortest. */
export class Stops {
  #longest = 0;
  #family = 'none';

  /** Measures a case beside the webhook, with the same code. */
  measure({ body, family }: FuzzCase): void {
    const text = body.toString();
    let shortest = once(text);
    for (let left = TRIES; left > 0 && shortest > Math.max(SHORT_MS, this.#longest); left--) shortest = Math.min(shortest, once(text));
    if (shortest > this.#longest) [this.#longest, this.#family] = [shortest, family];
  }

  /** A complaint where one review holds up others for longer. */
  excess(limitMs: number): string | undefined {
    return this.#longest > limitMs
      ? `one review stops the event loop for ${this.#longest.toFixed(1)} ms: family ${this.#family}`
      : undefined;
  }

  toString(): string {
    return `longest stop of the event loop by one review: ${this.#longest.toFixed(1)} ms (family ${this.#family})`;
  }
}
