/** Lookups of images, so that a registry is asked once for many pods, and never for one pod with what another may see. */

import { createHash } from 'node:crypto';
import { repositoryOf } from '../sideload/image.ts';
import type { ImageConfig } from '../sideload/image-facts.ts';
import { type Attempt, type FoundImage, findImage } from './client.ts';
import { ImageError, type ImageProblem } from './image-error.ts';
import { Recent } from './recent.ts';
import { Shares } from './shares.ts';
import type { RegistryAccess } from './transport.ts';

/** Lookups that are under way at once: in all, and of one namespace, whose slow registry must not hold up the others. */
const [IN_FLIGHT, IN_FLIGHT_OF_ONE] = [32, 8];
/** How long a lookup waits for others to end. */
const WAIT_MS = 3_000;
const [MOST_WAITING, MOST_WAITING_OF_ONE] = [1_000, 250];
/** Of what images run: 1,024 of them, fewer if they are large. */
const [CONFIGS_BYTES, CONFIG_BYTES] = [32 * 1024 * 1024, 32 * 1024];
/** Of names of images, with their digests or failures: 4,096 digests, more than a burst of pods has, and fewer if there are failures. */
const [NAMES_BYTES, NAME_BYTES] = [2 * 1024 * 1024, 512];
/** How long a tag means the same digest, and a failure is not tried again. */
const [FOUND_MS, FAILED_MS] = [30_000, 15_000];
/** A registry that was unavailable is asked again within the time that an API server waits for a webhook, 10 s. */
const UNAVAILABLE_MS = 1_000;

/** What an image runs. */
interface Image {
  readonly digest: string;
  readonly configs: readonly ImageConfig[];
}

/** What a lookup needed: all from memory, a request for the digest, or everything. */
export type Source = 'cache' | 'digest' | 'registry';

export interface Lookups {
  /**
   * @param owner the namespace that asks: nothing is shared between two
   * @param attempts with the credentials of the pod; nothing is shared between different ones
   * @throws ImageError
   */
  readonly find: (owner: string, reference: string, attempts: readonly Attempt[]) => Promise<Image & { readonly source: Source }>;
  /** Lookups that are under way at this moment. */
  readonly inFlight: () => number;
}

type Find = (owner: string, reference: string, attempts: readonly Attempt[], access: RegistryAccess) => Promise<FoundImage>;

/** Lets so many through at once. */
class Slots {
  readonly #taken = new Shares(IN_FLIGHT, IN_FLIGHT_OF_ONE);
  readonly #places = new Shares(MOST_WAITING, MOST_WAITING_OF_ONE);
  #waiting: { readonly owner: string; readonly enter: () => void }[] = [];

  /** @throws ImageError when there was no room for too long */
  async use<T>(owner: string, work: () => Promise<T>): Promise<T> {
    if (!this.#taken.take(owner)) await this.#wait(owner);
    try {
      return await work();
    } finally {
      this.#taken.give(owner);
      this.#waiting.find((each) => this.#taken.take(each.owner))?.enter();
    }
  }

  get taken(): number {
    return this.#taken.taken;
  }

  /** Ends when a slot was taken for the owner. */
  #wait(owner: string): Promise<void> {
    if (!this.#places.take(owner))
      return Promise.reject(
        new ImageError(
          'unavailable',
          `too many images wait to be looked up: ${MOST_WAITING_OF_ONE} of one namespace, or ${MOST_WAITING} in all`,
        ),
      );
    const leave = (waiting: { readonly owner: string }): void => {
      this.#places.give(owner);
      this.#waiting = this.#waiting.filter((each) => each !== waiting);
    };
    return new Promise((resolve, reject) => {
      const waiting = {
        owner,
        enter: () => {
          clearTimeout(limit);
          leave(waiting);
          resolve();
        },
      };
      const limit = setTimeout(() => {
        leave(waiting);
        reject(new ImageError('unavailable', `too many images are being looked up: none ended within ${WAIT_MS / 1000} s`));
      }, WAIT_MS);
      this.#waiting.push(waiting);
    });
  }
}

/** What is remembered of a name. Not the error itself: its stack holds what was under way. */
type Known = { readonly digest: string } | { readonly problem: ImageProblem; readonly message: string };

/** Two bytes for a character at most. */
function weigh(known: Known): number {
  return NAME_BYTES + ('message' in known ? 2 * known.message.length : 0);
}

/**
 * @param clock milliseconds
 */
export function openLookups(access: RegistryAccess, find: Find = findImage, clock: () => number = Date.now): Lookups {
  const names = new Recent<Known>(NAMES_BYTES, weigh, clock);
  /**
   * By repository and digest. The registry itself said within FOUND_MS that the pod may read that image; of what another registry
   * holds it can say anything.
   */
  const configs = new Recent<{ readonly read: readonly ImageConfig[]; readonly bytes: number }>(CONFIGS_BYTES, ({ bytes }) => bytes, clock);
  const running = new Map<string, Promise<Image & { readonly source: Source }>>();

  const slots = new Slots();

  const lookUp = async (
    owner: string,
    key: string,
    reference: string,
    attempts: readonly Attempt[],
  ): Promise<Image & { readonly source: Source }> => {
    try {
      const found = await find(owner, reference, attempts, access);
      const { digest } = found;
      const image = imageKey(reference, digest);
      const held = configs.get(image);
      const read = held?.read ?? (await found.read());
      configs.set(image, held ?? { read, bytes: Math.max(CONFIG_BYTES, JSON.stringify(read).length) });
      // By its digest too: so is an image that was looked up named when the API server asks again.
      for (const name of [key, keyOf(owner, `${reference}@${digest}`, attempts)]) names.set(name, { digest }, clock() + FOUND_MS);
      return { digest, configs: read, source: held ? 'digest' : 'registry' };
    } catch (error) {
      if (error instanceof ImageError) {
        const { problem, message } = error;
        names.set(key, { problem, message }, clock() + (problem === 'unavailable' ? UNAVAILABLE_MS : FAILED_MS));
      }
      throw error;
    }
  };

  return {
    find: async (owner, reference, attempts) => {
      const key = keyOf(owner, reference, attempts);
      const known = names.get(key);
      if (known !== undefined) {
        if ('problem' in known) throw new ImageError(known.problem, known.message);
        const held = configs.get(imageKey(reference, known.digest));
        if (held) return { digest: known.digest, configs: held.read, source: 'cache' };
      }
      const same = running.get(key);
      if (same) return same;
      const lookup = slots.use(owner, () => lookUp(owner, key, reference, attempts)).finally(() => running.delete(key));
      running.set(key, lookup);
      return lookup;
    },
    inFlight: () => slots.taken,
  };
}

function imageKey(reference: string, digest: string): string {
  return `${repositoryOf(reference)}@${digest}`;
}

/** Holds no password: it may stay in memory for long. */
function keyOf(owner: string, reference: string, attempts: readonly Attempt[]): string {
  return createHash('sha256')
    .update(JSON.stringify([owner, reference, attempts]))
    .digest('base64');
}
