/** Sends the cases and judges the answers. */

import { isDeepStrictEqual } from 'node:util';
import type { Pod } from '../../src/sideload/pod.ts';
import { review } from '../reviews.ts';
import { BODY_LIMIT, caseAt, type FuzzCase, plainReview } from './cases.ts';
import { type Answer, type Client, NoAnswerError, postReview } from './client.ts';
import { InvalidAnswerError, judge } from './oracle.ts';
import type { Stops } from './stops.ts';
import { Tally } from './tally.ts';

/** Answers to one plain review are compared every so many cases. */
const PROBE_EVERY = 500;

/** A kind of failure. */
export interface Failure {
  readonly complaint: string;
  /** How many cases failed like this. */
  readonly count: number;
  /** The first of them. */
  readonly index: number;
  readonly family: string;
  readonly input: Buffer;
}

export interface CampaignResult {
  readonly families: Tally;
  readonly answers: Tally;
  readonly failures: readonly Failure[];
  /** Pods that were sent again after their patch. */
  readonly again: number;
  /** Pods that were not, because they cannot be written as JSON any more: too deeply nested. */
  readonly notAgain: number;
  /** Whether the webhook runs and answers. */
  readonly usable: boolean;
}

/** What an answer says, whatever uid it is for. */
function withoutUid({ body }: Answer): unknown {
  const { response, ...rest } = JSON.parse(body.toString());
  return { ...rest, response: { ...response, uid: undefined } };
}

/**
 * Sends cases `first` to `first + count - 1`. The first that gets no answer is the last: the webhook is gone, or hangs.
 *
 * @param width cases under way at a time
 * @param between is called every now and then, while nothing is under way
 * @param alive tells whether the webhook runs
 */
export async function runCampaign(
  client: Client,
  seed: string,
  [first, count]: readonly [number, number],
  width: number,
  between: (done: number) => Promise<void>,
  alive: () => boolean,
  stops: Stops,
): Promise<CampaignResult> {
  const families = new Tally();
  const answers = new Tally();
  const failures = new Map<string, Failure>();
  let [again, notAgain, answering] = [0, 0, true];

  const fail = (index: number, { family, body }: FuzzCase, error: unknown): void => {
    if (error instanceof NoAnswerError) answering = false;
    const complaint = error instanceof InvalidAnswerError || error instanceof NoAnswerError ? error.message : String(error);
    const known = failures.get(complaint);
    if (known) failures.set(complaint, { ...known, count: known.count + 1 });
    else failures.set(complaint, { complaint, count: 1, index, family, input: body });
  };

  const plainAnswers = new Map<number, Promise<unknown>>();
  const plainAnswer = (pod: number): Promise<unknown> => {
    const known = plainAnswers.get(pod) ?? client.send(postReview(plainReview(pod))).then(withoutUid);
    plainAnswers.set(pod, known);
    return known;
  };

  /** After its patch a pod has to be left unchanged. */
  const sendAgain = async (pod: Pod): Promise<void> => {
    let body: Buffer;
    try {
      body = Buffer.from(JSON.stringify(review(pod)));
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      notAgain++;
      return;
    }
    again++;
    const { label } = judge(postReview(body), await client.send(postReview(body)));
    if (label !== 'left unchanged already-sideloaded') throw new InvalidAnswerError(`sent again after its patch: ${label}`);
  };

  const run = async (index: number, fuzzCase: FuzzCase): Promise<void> => {
    families.add(fuzzCase.family);
    try {
      const answer = await client.send(fuzzCase);
      const { label, patched } = judge(fuzzCase, answer);
      answers.add(label);
      if (fuzzCase.sameAs !== undefined && !isDeepStrictEqual(withoutUid(answer), await plainAnswer(fuzzCase.sameAs)))
        throw new InvalidAnswerError('harmless additions change the answer');
      if (patched) await sendAgain(patched);
    } catch (error) {
      if (error instanceof NoAnswerError && error.whileSending && fuzzCase.body.length > BODY_LIMIT)
        answers.add('closed at the body limit');
      else fail(index, fuzzCase, error);
    }
  };

  const probe = postReview(plainReview(0));
  const expected = await client.send(probe);
  const pause = async (done: number): Promise<void> => {
    if (!answering || !alive()) return;
    await between(done);
    const same = await client.send(probe).then(
      ({ body }) => body.equals(expected.body),
      (error: Error) => error.message,
    );
    if (same !== true)
      fail(
        first + done - 1,
        { ...caseAt(seed, first + done - 1), family: 'up to here' },
        new InvalidAnswerError(`a plain review is no longer answered as before: ${same}`),
      );
  };

  const underWay = new Set<Promise<void>>();
  for (let done = 0; done < count && answering && alive(); done++) {
    const fuzzCase = caseAt(seed, first + done);
    const pausing = done > 0 && done % PROBE_EVERY === 0;
    if (fuzzCase.alone || pausing) await Promise.all(underWay);
    if (pausing) await pause(done);
    const running = run(first + done, fuzzCase).finally(() => underWay.delete(running));
    underWay.add(running);
    if (fuzzCase.alone) {
      await running;
      stops.measure(fuzzCase);
    } else if (underWay.size >= width) await Promise.race(underWay);
  }
  await Promise.all(underWay);
  await pause(count);
  return { families, answers, failures: [...failures.values()], again, notAgain, usable: answering && alive() };
}
