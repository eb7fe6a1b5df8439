/** Lookups of images, so that a registry is asked once for many pods, and never for one pod with what another may see. */

import { createHash } from 'node:crypto';
import { repositoryOf } from '../sideload/image.ts';
import { type FoundImage, findImage } from './client.ts';
import type { Credential } from './credentials.ts';
import type { ImageConfig } from './documents.ts';
import { ImageError } from './image-error.ts';
import type { RegistryAccess } from './transport.ts';

const IN_FLIGHT = 32;
const MAX_CONFIGS = 1024;
/** Names of images and their digests; more than a burst of pods has. */
const MAX_NAMES = 4096;
/** How long a tag means the same digest, and a failure is not tried again. */
const [FOUND_MS, FAILED_MS] = [30_000, 15_000];

/** What an image runs. */
interface Image {
  readonly digest: string;
  readonly configs: readonly ImageConfig[];
}

/** What a lookup needed: all from memory, a request for the digest, or everything. */
type Source = 'cache' | 'digest' | 'registry';

export interface Lookups {
  /**
   * @param owner the namespace that asks: nothing is shared between two
   * @param credentials those of the pod; nothing is shared between different ones
   * @throws ImageError
   */
  readonly find: (owner: string, reference: string, credentials: readonly Credential[]) => Promise<Image & { readonly source: Source }>;
  /** Lookups that wait for a registry at this moment. */
  readonly inFlight: () => number;
}

type Find = (reference: string, credentials: readonly Credential[], access: RegistryAccess) => Promise<FoundImage>;

/** A map that forgets what was used least recently. */
class Recent<T> {
  readonly #values = new Map<string, T>();
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get(key: string): T | undefined {
    const value = this.#values.get(key);
    if (value !== undefined) this.set(key, value);
    return value;
  }

  set(key: string, value: T): void {
    this.#values.delete(key);
    this.#values.set(key, value);
    const [oldest] = this.#values.keys();
    if (this.#values.size > this.#limit && oldest !== undefined) this.#values.delete(oldest);
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
  const configs = new Recent<readonly ImageConfig[]>(MAX_CONFIGS);
  const running = new Map<string, Promise<Image & { readonly source: Source }>>();

  const lookUp = async (
    key: string,
    reference: string,
    credentials: readonly Credential[],
  ): Promise<Image & { readonly source: Source }> => {
    try {
      const found = await find(reference, credentials, access);
      const { digest } = found;
      const image = imageKey(reference, digest);
      const held = configs.get(image);
      const read = held ?? (await found.read());
      configs.set(image, read);
      names.set(key, { digest, until: clock() + FOUND_MS });
      return { digest, configs: read, source: held ? 'digest' : 'registry' };
    } catch (error) {
      if (error instanceof ImageError) names.set(key, { failure: error, until: clock() + FAILED_MS });
      throw error;
    }
  };

  return {
    find: async (owner, reference, credentials) => {
      const key = keyOf(owner, reference, credentials);
      const known = names.get(key);
      if (known !== undefined && known.until > clock()) {
        if ('failure' in known) throw known.failure;
        const held = configs.get(imageKey(reference, known.digest));
        if (held) return { digest: known.digest, configs: held, source: 'cache' };
      }
      const same = running.get(key);
      if (same) return same;
      if (running.size >= IN_FLIGHT) throw new ImageError('unavailable', `${IN_FLIGHT} images are being looked up already`);
      const lookup = lookUp(key, reference, credentials).finally(() => running.delete(key));
      running.set(key, lookup);
      return lookup;
    },
    inFlight: () => running.size,
  };
}

function imageKey(reference: string, digest: string): string {
  return `${repositoryOf(reference)}@${digest}`;
}

/** Holds no password: it may stay in memory for long. */
function keyOf(owner: string, reference: string, credentials: readonly Credential[]): string {
  return createHash('sha256')
    .update(JSON.stringify([owner, reference, credentials]))
    .digest('base64');
}
