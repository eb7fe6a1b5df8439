/** An amount of which everybody has a part, so that one namespace's registry cannot starve the pods of the others. */
export class Shares {
  readonly #all: number;
  readonly #each: number;
  readonly #taken = new Map<string, number>();
  #total = 0;

  /**
   * @param all for all together
   * @param each for one owner
   */
  constructor(all: number, each: number) {
    this.#all = all;
    this.#each = each;
  }

  /** What all have taken. */
  get taken(): number {
    return this.#total;
  }

  hasRoom(owner: string, amount = 1): boolean {
    return this.#total + amount <= this.#all && (this.#taken.get(owner) ?? 0) + amount <= this.#each;
  }

  /** Takes an amount, if there is so much left; returns whether it was. */
  take(owner: string, amount = 1): boolean {
    if (!this.hasRoom(owner, amount)) return false;
    this.#total += amount;
    this.#taken.set(owner, (this.#taken.get(owner) ?? 0) + amount);
    return true;
  }

  /** Gives back what was taken. */
  give(owner: string, amount = 1): void {
    this.#total -= amount;
    const left = (this.#taken.get(owner) ?? 0) - amount;
    if (left > 0) this.#taken.set(owner, left);
    else this.#taken.delete(owner);
  }
}
