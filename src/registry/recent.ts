/** How often what has expired is dropped, where something else is added. */
const SWEEP_MS = 1_000;

/** A map that forgets what has expired, and what was used least recently. */
export class Recent<T> {
  readonly #values = new Map<string, { readonly value: T; readonly until: number; readonly weight: number }>();
  readonly #limit: number;
  readonly #weigh: (value: T) => number;
  readonly #clock: () => number;
  #weight = 0;
  #swept = Number.NEGATIVE_INFINITY;

  /**
   * @param limit of the weight of all values
   * @param weigh what a value counts
   * @param clock milliseconds
   */
  constructor(limit: number, weigh: (value: T) => number, clock: () => number) {
    this.#limit = limit;
    this.#weigh = weigh;
    this.#clock = clock;
  }

  get(key: string): T | undefined {
    const found = this.#values.get(key);
    if (found === undefined) return undefined;
    if (found.until <= this.#clock()) {
      this.delete(key);
      return undefined;
    }
    this.#values.delete(key);
    this.#values.set(key, found);
    return found.value;
  }

  /** @param until when it expires, on the clock */
  set(key: string, value: T, until = Number.POSITIVE_INFINITY): void {
    this.delete(key);
    this.#sweep();
    const weight = this.#weigh(value);
    this.#values.set(key, { value, until, weight });
    this.#weight += weight;
    for (const oldest of this.#values.keys()) {
      if (this.#weight <= this.#limit) break;
      this.delete(oldest);
    }
  }

  delete(key: string): void {
    this.#weight -= this.#values.get(key)?.weight ?? 0;
    this.#values.delete(key);
  }

  #sweep(): void {
    const now = this.#clock();
    if (now - this.#swept < SWEEP_MS) return;
    this.#swept = now;
    for (const [key, { until }] of this.#values) if (until <= now) this.delete(key);
  }
}
