/** Lookups of images, so that a registry is asked once for many pods, and never for one pod with what another may see. */

import { createHash } from 'node:crypto';
import { repositoryOf } from '../sideload/image.ts';
import type { ImageConfig } from '../sideload/image-facts.ts';
import { type Attempt, type FoundImage, findImage } from './client.ts';
import { ImageError } from './image-error.ts';
import type { RegistryAccess } from './transport.ts';

/** Lookups that are under way at once: in all, and of one namespace, whose slow registry must not hold up the others. */
const [IN_FLIGHT, IN_FLIGHT_OF_ONE] = [32, 8];
/** How long a lookup waits for others to end. */
const WAIT_MS = 3_000;
const MOST_WAITING = 1_000;
/** Of what images run: 1,024 of them, fewer if they are large. */
const [CONFIGS_BYTES, CONFIG_BYTES] = [32 * 1024 * 1024, 32 * 1024];
/** Names of images and their digests; more than a burst of pods has. */
const MAX_NAMES = 4096;
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

type Find = (reference: string, attempts: readonly Attempt[], access: RegistryAccess) => Promise<FoundImage>;

/** A map that forgets what was used least recently. */
export class Recent<T> {
  readonly #values = new Map<string, T>();
  readonly #limit: number;
  readonly #weigh: (value: T) => number;
  #weight = 0;

  /**
   * @param limit of the weight of all values
   * @param weigh what a value counts
   */
  constructor(limit: number, weigh: (value: T) => number = () => 1) {
    this.#limit = limit;
    this.#weigh = weigh;
  }

  get(key: string): T | undefined {
    const value = this.#values.get(key);
    if (value !== undefined) this.set(key, value);
    return value;
  }

  set(key: string, value: T): void {
    this.delete(key);
    this.#values.set(key, value);
    this.#weight += this.#weigh(value);
    for (const oldest of this.#values.keys()) {
      if (this.#weight <= this.#limit) break;
      this.delete(oldest);
    }
  }

  delete(key: string): void {
    const value = this.#values.get(key);
    if (value !== undefined && this.#values.delete(key)) this.#weight -= this.#weigh(value);
  }
}

/** Lets so many through at once. */
class Slots {
  readonly #taken = new Map<string, number>();
  #total = 0;
  #waiting: { readonly owner: string; readonly enter: () => void }[] = [];

  /** @throws ImageError when there was no room for too long */
  async use<T>(owner: string, work: () => Promise<T>): Promise<T> {
    if (!this.#hasRoom(owner)) await this.#wait(owner);
    this.#count(owner, 1);
    try {
      return await work();
    } finally {
      this.#count(owner, -1);
      const next = this.#waiting.find((each) => this.#hasRoom(each.owner));
      if (next) {
        this.#waiting = this.#waiting.filter((each) => each !== next);
        next.enter();
      }
    }
  }

  get taken(): number {
    return this.#total;
  }

  #hasRoom(owner: string): boolean {
    return this.#total < IN_FLIGHT && (this.#taken.get(owner) ?? 0) < IN_FLIGHT_OF_ONE;
  }

  #count(owner: string, change: 1 | -1): void {
    this.#total += change;
    const of = (this.#taken.get(owner) ?? 0) + change;
    if (of > 0) this.#taken.set(owner, of);
    else this.#taken.delete(owner);
  }

  #wait(owner: string): Promise<void> {
    if (this.#waiting.length >= MOST_WAITING)
      return Promise.reject(new ImageError('unavailable', `${MOST_WAITING} images wait to be looked up`));
    return new Promise((resolve, reject) => {
      const waiting = {
        owner,
        enter: () => {
          clearTimeout(limit);
          resolve();
        },
      };
      const limit = setTimeout(() => {
        this.#waiting = this.#waiting.filter((each) => each !== waiting);
        reject(new ImageError('unavailable', `too many images are being looked up: none ended within ${WAIT_MS / 1000} s`));
      }, WAIT_MS);
      this.#waiting.push(waiting);
    });
  }
}

/** What is remembered of a name. */
type Known = { readonly until: number } & ({ readonly digest: string } | { readonly failure: ImageError });

/**
 * @param clock milliseconds
 */
export function openLookups(access: RegistryAccess, find: Find = findImage, clock: () => number = Date.now): Lookups {
  const names = new Recent<Known>(MAX_NAMES);
  /**
   * By repository and digest. The registry itself said within FOUND_MS that the pod may read that image; of what another registry
   * holds it can say anything.
   */
  const configs = new Recent<{ readonly read: readonly ImageConfig[]; readonly bytes: number }>(CONFIGS_BYTES, ({ bytes }) => bytes);
  const running = new Map<string, Promise<Image & { readonly source: Source }>>();

  const slots = new Slots();

  const lookUp = async (
    owner: string,
    key: string,
    reference: string,
    attempts: readonly Attempt[],
  ): Promise<Image & { readonly source: Source }> => {
    try {
      const found = await find(reference, attempts, access);
      const { digest } = found;
      const image = imageKey(reference, digest);
      const held = configs.get(image);
      const read = held?.read ?? (await found.read());
      configs.set(image, held ?? { read, bytes: Math.max(CONFIG_BYTES, JSON.stringify(read).length) });
      // By its digest too: so is an image that was looked up named when the API server asks again.
      for (const name of [key, keyOf(owner, `${reference}@${digest}`, attempts)]) names.set(name, { digest, until: clock() + FOUND_MS });
      return { digest, configs: read, source: held ? 'digest' : 'registry' };
    } catch (error) {
      if (error instanceof ImageError)
        names.set(key, { failure: error, until: clock() + (error.problem === 'unavailable' ? UNAVAILABLE_MS : FAILED_MS) });
      throw error;
    }
  };

  return {
    find: async (owner, reference, attempts) => {
      const key = keyOf(owner, reference, attempts);
      const known = names.get(key);
      if (known !== undefined && known.until > clock()) {
        if ('failure' in known) throw known.failure;
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
