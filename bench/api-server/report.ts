/** The figures of `bench:api-server`, as tables of medians with their spread. */

import { type Histogram, mean, quantile, shareWithin } from '../histogram.ts';
import { markdown, spread } from '../table.ts';

/** What the API server calls for a new pod. */
export type Setup = 'none' | 'no-op' | 'product';
export const SETUPS: readonly Setup[] = ['none', 'no-op', 'product'];

/** What one round measures of one set-up with one number of creators. */
export interface Cell {
  readonly pods: number;
  readonly podsPerSecond: number;
  /** Milliseconds that a creation took, as its creator saw it. */
  readonly p50: number;
  readonly p99: number;
  /** Seconds of the API server's calls to the webhook, as it measured them. */
  readonly calls: Histogram;
  /** Seconds between a decoded review and its answer, as the product measured them. */
  readonly decisions: Histogram;
  /** User and kernel time of the webhook, for each pod. */
  readonly cpuMicroseconds: number;
  /** Creations that failed, and pods that are not as they have to be. */
  readonly errors: number;
}

/** The rounds, by set-up, by number of creators. */
export type Measured = ReadonlyMap<number, Readonly<Record<Setup, readonly Cell[]>>>;

interface Column {
  readonly head: string;
  readonly digits: number;
  /** @param none the cell of the same round without a webhook. What is no number is left out. */
  readonly of: (cell: Cell, none: Cell) => number;
}

const CREATIONS: readonly Column[] = [
  { head: 'pods/s', digits: 0, of: ({ podsPerSecond }) => podsPerSecond },
  { head: 'p50 ms', digits: 2, of: ({ p50 }) => p50 },
  { head: 'p99 ms', digits: 2, of: ({ p99 }) => p99 },
  { head: 'p50 ms more than none', digits: 2, of: (cell, none) => (cell === none ? Number.NaN : cell.p50 - none.p50) },
  { head: 'p99 ms more than none', digits: 2, of: (cell, none) => (cell === none ? Number.NaN : cell.p99 - none.p99) },
  { head: 'errors', digits: 0, of: ({ errors }) => errors },
];

/** The first bound of the API server's histogram. */
const FIRST_BOUND = 0.005;

const CALLS: readonly Column[] = [
  { head: 'calls a pod', digits: 2, of: ({ calls, pods }) => calls.count / pods },
  { head: 'mean ms', digits: 2, of: ({ calls }) => mean(calls) * 1000 },
  { head: 'p50 ms', digits: 2, of: ({ calls }) => quantile(calls, 0.5) * 1000 },
  { head: 'p99 ms', digits: 2, of: ({ calls }) => quantile(calls, 0.99) * 1000 },
  { head: 'within 5 ms, %', digits: 1, of: ({ calls }) => shareWithin(calls, FIRST_BOUND) * 100 },
  { head: 'webhook: decision, mean ms', digits: 3, of: ({ decisions }) => mean(decisions) * 1000 },
  { head: 'webhook: CPU µs/pod', digits: 0, of: ({ cpuMicroseconds }) => cpuMicroseconds },
];

/** Two tables: creations as their creators see them, and the calls to the webhook as the API server sees them. */
export function tables(measured: Measured): string {
  return `${table(CREATIONS, measured, ['none', 'no-op', 'product'])}\n\n${table(CALLS, measured, ['no-op', 'product'])}`;
}

/** A row for each number of creators and each set-up: medians, and in brackets the lowest and highest of the rounds. */
function table(columns: readonly Column[], measured: Measured, setups: readonly Setup[]): string {
  const rows = [...measured].flatMap(([creators, cells]) =>
    setups.map((setup) => {
      const row = columns.map(({ of, digits }) => {
        const values = cells[setup].flatMap((cell, round) => {
          const none = cells.none[round];
          return none ? [of(cell, none)] : [];
        });
        return values.every(Number.isFinite) ? spread(values, digits) : '';
      });
      return [String(creators), setup, ...row];
    }),
  );
  return markdown(['creators', 'webhook', ...columns.map(({ head }) => head)], rows);
}
