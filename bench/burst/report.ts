/** The figures of `bench:burst`, as a table of medians with their spread. */

import { type Column, markdown, spreads } from '../table.ts';
import type { Result } from './run.ts';

/** What one round measures of one burst. */
export interface Figures extends Result {
  readonly unavailable: number;
  /** Seconds. */
  readonly cpu: number;
  readonly throttled: number;
  /** MiB. */
  readonly peakMemory: number;
}

/** A row. */
export interface Measured {
  /** What tells it from the others, in words. */
  readonly cells: readonly string[];
  readonly rounds: readonly Figures[];
}

const COLUMNS: readonly Column<Figures>[] = [
  { head: 'in time', of: 'inTime', digits: 0 },
  { head: 'late', of: 'late', digits: 0 },
  { head: 'failed', of: 'failed', digits: 0 },
  { head: '503', of: 'unavailable', digits: 0 },
  { head: 'p50 s', of: 'p50', digits: 1 },
  { head: 'p99 s', of: 'p99', digits: 1 },
  { head: 'slowest s', of: 'slowest', digits: 1 },
  { head: 'CPU s', of: 'cpu', digits: 2 },
  { head: 'throttled s', of: 'throttled', digits: 1 },
  { head: 'peak RSS MiB', of: 'peakMemory', digits: 0 },
];

/** A row for each burst: medians, and in brackets the lowest and highest of the rounds. */
export function table(heads: readonly string[], rows: readonly Measured[]): string {
  const lines = rows.map(({ cells, rounds }) => [...cells, ...spreads(COLUMNS, rounds)]);
  return markdown([...heads, ...COLUMNS.map(({ head }) => head)], lines);
}
