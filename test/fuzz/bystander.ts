import { setTimeout as sleep } from 'node:timers/promises';
import { createClient, postReview } from './client.ts';
import type { Target } from './raw.ts';

/** Somebody else who uses the webhook meanwhile. */
export interface Bystander {
  /** Stops and tells how many reviews were answered, and what happened to those that were not answered as ever. */
  readonly stop: () => Promise<{ readonly served: number; readonly errors: readonly string[] }>;
}

const PAUSE_MS = 40;

/** Sends one review again and again: over a kept connection and, every tenth time, over a new one. Every answer has to be the same. */
export async function startBystander({ port, ca }: Target, review: Buffer): Promise<Bystander> {
  const kept = createClient(port, ca, 1);
  const expected = (await kept.send(postReview(review))).body;
  const errors: string[] = [];
  let [served, stopped] = [0, false];
  const loop = (async () => {
    for (let serial = 1; !stopped; serial++) {
      const client = serial % 10 === 0 ? createClient(port, ca, 1) : kept;
      try {
        const { body } = await client.send(postReview(review));
        if (body.equals(expected)) served++;
        else errors.push(`another answer: ${body.toString().slice(0, 200)}`);
      } catch (error) {
        errors.push(String(error));
      }
      if (client !== kept) client.close();
      await sleep(PAUSE_MS);
    }
  })();
  return {
    stop: async () => {
      stopped = true;
      await loop;
      kept.close();
      return { served, errors };
    },
  };
}
