/** Tables of figures, in Markdown. */

/** A column of a table whose rows are measured figures. */
export interface Column<Figures> {
  readonly head: string;
  readonly of: keyof Figures;
  readonly digits: number;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}

/** The median of the rounds, with the lowest and the highest in brackets where they differ. */
export function spread(values: readonly number[], digits: number): string {
  const [low, high] = [Math.min(...values), Math.max(...values)].map((value) => value.toFixed(digits));
  return low === high ? `${low}` : `${median(values).toFixed(digits)} (${low} to ${high})`;
}

/** The cells of a row: the spread of each figure over the rounds. */
export function spreads<Figures extends Readonly<Record<keyof Figures, number>>>(
  columns: readonly Column<Figures>[],
  rounds: readonly Figures[],
): string[] {
  return columns.map(({ of, digits }) => {
    const values = rounds.map((round) => round[of]);
    return spread(values, digits);
  });
}

export function markdown(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  return [heads, heads.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}
