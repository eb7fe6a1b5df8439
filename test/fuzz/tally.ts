/** Counts by name, printed in the order of their size. */
export class Tally {
  readonly #counts = new Map<string, number>();

  add(name: string): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }

  get total(): number {
    return [...this.#counts.values()].reduce((sum, count) => sum + count, 0);
  }

  /** One line a name. */
  toString(): string {
    const lines = [...this.#counts].sort(([, one], [, other]) => other - one);
    return lines.map(([name, count]) => `${String(count).padStart(9)}  ${name}`).join('\n');
  }
}
