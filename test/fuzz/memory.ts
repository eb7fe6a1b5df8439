import { MEMORY_LIMIT_MIB, type Product } from './product.ts';

/** What of a run counts as the warm-up, and as its end. */
const PART = 0.2;
/** A leak of 1 KiB a request is more than this after 100,000; the least of many samples, with little garbage, differs by less. */
const GROWTH_LIMIT_MIB = 48;

const mebibytes = (value: number): string => `${Math.round(value)} MiB`;

/** Watches the memory of the webhook over a run. */
export class MemoryWatch {
  readonly #memory: Product['memory'];
  readonly #held: number[] = [];
  #peak = 0;

  constructor(memory: Product['memory']) {
    this.#memory = memory;
  }

  async sample(): Promise<void> {
    const { held, peak } = await this.#memory();
    this.#held.push(held);
    this.#peak = peak;
  }

  /** The least that was held after the warm-up, and at the end: between two garbage collections it is more. */
  #floors(): [warm: number, end: number] {
    const part = Math.ceil(this.#held.length * PART);
    return [Math.min(...this.#held.slice(part, 2 * part)), Math.min(...this.#held.slice(-part))];
  }

  /** A complaint where the webhook holds more than after the warm-up. */
  growth(): string | undefined {
    const [warm, end] = this.#floors();
    return end - warm > GROWTH_LIMIT_MIB ? `memory grew: from ${mebibytes(warm)} to ${mebibytes(end)}` : undefined;
  }

  /** A complaint where the process would not have survived in its container. */
  excess(): string | undefined {
    return this.#peak > MEMORY_LIMIT_MIB ? `memory reached ${mebibytes(this.#peak)}, the container has ${MEMORY_LIMIT_MIB} MiB` : undefined;
  }

  toString(): string {
    const [warm, end] = this.#floors();
    return `memory held: ${Number.isFinite(warm) ? `${mebibytes(warm)} warm, ` : ''}${mebibytes(end)} at the end; the process had ${mebibytes(this.#peak)} at most`;
  }
}
