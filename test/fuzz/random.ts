import { createHash } from 'node:crypto';

const rotate = (word: number, bits: number): number => (word << bits) | (word >>> (32 - bits));

/**
 * Random numbers that follow from a seed, the same on every machine: xoshiro128**, whose state is a hash of the seed.
 * Source: D. Blackman, S. Vigna, "Scrambled linear pseudorandom number generators", 2021.
 */
export class Random {
  readonly #state: Int32Array;

  constructor(seed: string) {
    const hash = createHash('sha256').update(seed).digest();
    this.#state = Int32Array.from({ length: 4 }, (_, word) => hash.readInt32LE(word * 4));
  }

  /** A number from 0 to 2^32 - 1. */
  #next(): number {
    const [a = 0, b = 0, c = 0, d = 0] = this.#state;
    const result = Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0;
    this.#state.set([a ^ d ^ b, b ^ c ^ a, c ^ a ^ (b << 9), rotate(d ^ b, 11)]);
    return result;
  }

  /** A whole number from 0 to `limit` - 1. */
  below(limit: number): number {
    return Math.floor((this.#next() / 2 ** 32) * limit);
  }

  chance(probability: number): boolean {
    return this.#next() < probability * 2 ** 32;
  }

  pick<T>(list: readonly T[]): T {
    if (list.length === 0) throw new RangeError('nothing to pick from');
    return list[this.below(list.length)] as T;
  }

  /** Picks by weight. */
  weighted<T extends { readonly weight: number }>(list: readonly T[]): T {
    let left = this.below(list.reduce((sum, { weight }) => sum + weight, 0));
    for (const element of list) {
      if (left < element.weight) return element;
      left -= element.weight;
    }
    throw new RangeError('nothing to pick from');
  }

  bytes(length: number): Buffer {
    return Buffer.from(Uint8Array.from({ length }, () => this.#next() >>> 24));
  }
}
