/** The figures of a run, as a table of medians with their spread. */

import { type Column, markdown, median, spreads } from './table.ts';

/** What one round measures of one server. */
export interface Figures {
  readonly requestsPerSecond: number;
  /** User and kernel time of the server, for each review. */
  readonly cpuMicroseconds: number;
  /** Milliseconds at 16 connections. */
  readonly p50: number;
  readonly p99: number;
  /** Milliseconds at one connection. */
  readonly p50One: number;
  readonly p99One: number;
  /** MiB. */
  readonly rss: number;
  readonly startMs: number;
  readonly errors: number;
}

const COLUMNS: readonly Column<Figures>[] = [
  { head: 'req/s', of: 'requestsPerSecond', digits: 0 },
  { head: 'CPU µs/review', of: 'cpuMicroseconds', digits: 0 },
  { head: 'p50 ms, 16 conn.', of: 'p50', digits: 2 },
  { head: 'p99 ms, 16 conn.', of: 'p99', digits: 2 },
  { head: 'p50 ms, 1 conn.', of: 'p50One', digits: 2 },
  { head: 'p99 ms, 1 conn.', of: 'p99One', digits: 2 },
  { head: 'RSS MiB', of: 'rss', digits: 0 },
  { head: 'first answer ms', of: 'startMs', digits: 0 },
  { head: 'errors', of: 'errors', digits: 0 },
];

/** A row for each server: medians, and in brackets the lowest and highest of the rounds. */
export function table(figures: Readonly<Record<string, readonly Figures[]>>): string {
  const rows = Object.entries(figures).map(([name, rounds]) => [name, ...spreads(COLUMNS, rounds)]);
  return markdown(['server', ...COLUMNS.map(({ head }) => head)], rows);
}

/** The targets, each with what was measured: ratios of medians, product to floor. */
export function ratios(
  figures: Readonly<Record<'floor' | 'plain' | 'product', readonly Figures[]>>,
  memory: { readonly reviews: number; readonly early: number; readonly late: number },
): string {
  const ratio = (of: keyof Figures, to: 'floor' | 'plain' = 'floor'): number =>
    median(figures.product.map((round) => round[of])) / median(figures[to].map((round) => round[of]));
  const rows: [string, number, string, boolean][] = [
    ['req/s, of the floor', ratio('requestsPerSecond'), '>= 0.85', ratio('requestsPerSecond') >= 0.85],
    ['p99 at 16 connections, of the floor', ratio('p99'), '<= 1.3', ratio('p99') <= 1.3],
    [
      `RSS after ${memory.reviews} reviews, of that after 10,000`,
      memory.late / memory.early,
      '<= 1.15',
      memory.late / memory.early <= 1.15,
    ],
    ['RSS, of the floor', ratio('rss'), '<= 1.4', ratio('rss') <= 1.4],
    ['first answer, of the floor', ratio('startMs'), '<= 1.5', ratio('startMs') <= 1.5],
    ['req/s, of plain', ratio('requestsPerSecond', 'plain'), '', true],
  ];
  const lines = rows.map(([what, value, target, holds]) => [what, value.toFixed(2), target, target === '' ? '' : holds ? 'yes' : 'NO']);
  return markdown(['ratio', 'measured', 'target', 'reached'], lines);
}
