/** Failures in a row of something that is tried again and again. */
export class Failures {
  readonly #firstWaitMs: number;
  readonly #maxWaitMs: number;
  #inARow = 0;
  #problem: string;

  /**
   * @param firstWaitMs after one failure; doubled with each one that follows, up to `maxWaitMs`
   * @param problem what to say before the first try
   */
  constructor(firstWaitMs: number, maxWaitMs: number, problem = '') {
    this.#firstWaitMs = firstWaitMs;
    this.#maxWaitMs = maxWaitMs;
    this.#problem = problem;
  }

  /** How many there were since the last success. */
  get inARow(): number {
    return this.#inARow;
  }

  /** The message of the last one; empty after a success. */
  get problem(): string {
    return this.#problem;
  }

  /** Milliseconds until the next try. */
  get waitMs(): number {
    return Math.min(this.#firstWaitMs * 2 ** (this.#inARow - 1), this.#maxWaitMs);
  }

  /** @returns whether the cause changed: an outage is reported once, so that it does not fill the log */
  add(error: unknown): boolean {
    this.#inARow++;
    const before = this.#problem;
    this.#problem = error instanceof Error ? error.message : String(error);
    return this.#problem !== before;
  }

  end(): void {
    this.#inARow = 0;
    this.#problem = '';
  }
}
