/** Bodies of responses, and the memory that they may take. */

import { ImageError } from './image-error.ts';
import { Shares } from './shares.ts';

const MEBIBYTE = 1024 * 1024;
/** Of all bodies that are being received and read: in all, and for one namespace. */
const [ALL_MEBIBYTES, MEBIBYTES_OF_ONE] = [32, 8];
/**
 * So much of each body needs no room: more than documents of images usually have. Where registries send as much as they may, those
 * are still read. 32 lookups of up to 8 platforms: 16 MiB.
 */
const FREE_BYTES = 64 * 1024;
const FIRST_BYTES = 4 * 1024;

export function bodyMemory(): Shares {
  return new Shares(ALL_MEBIBYTES * MEBIBYTE, MEBIBYTES_OF_ONE * MEBIBYTE);
}

/** A body that is being received. Its parts are copied into one buffer: a part of one byte would take a hundred. */
export class Body {
  readonly #memory: Shares;
  readonly #owner: string;
  readonly #most: number;
  #buffer = Buffer.alloc(0);
  #length = 0;
  #taken = 0;

  /** @param most bytes that it may have */
  constructor(memory: Shares, owner: string, most: number) {
    this.#memory = memory;
    this.#owner = owner;
    this.#most = most;
  }

  /**
   * @returns whether the body has no more bytes than it may have
   * @throws ImageError `unavailable` when there is no memory for it: what waited for others would hold what they wait for
   */
  add(part: Buffer): boolean {
    const length = this.#length + part.length;
    if (length > this.#most) return false;
    if (length > this.#buffer.length) this.#grow(Math.min(this.#most, Math.max(length, 2 * this.#buffer.length, FIRST_BYTES)));
    part.copy(this.#buffer, this.#length);
    this.#length = length;
    return true;
  }

  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  /** Gives its memory back. */
  release(): void {
    this.#buffer = Buffer.alloc(0);
    this.#length = 0;
    this.#memory.give(this.#owner, this.#taken);
    this.#taken = 0;
  }

  #grow(size: number): void {
    const more = Math.max(0, size - FREE_BYTES) - this.#taken;
    if (more > 0 && !this.#memory.take(this.#owner, more))
      throw new ImageError(
        'unavailable',
        `registries send more than ${MEBIBYTES_OF_ONE} MiB at once for one namespace, or ${ALL_MEBIBYTES} MiB for all`,
      );
    this.#taken += more > 0 ? more : 0;
    const buffer = Buffer.allocUnsafeSlow(size);
    this.#buffer.copy(buffer, 0, 0, this.#length);
    this.#buffer = buffer;
  }
}
