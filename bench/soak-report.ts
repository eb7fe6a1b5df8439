/** The figures of a soak: whether they are flat, and how they look over time. */

import { slope } from './line.ts';
import type { Load } from './load.ts';
import { COLORS, drawPlot, type Line } from './plot.ts';
import { type Column, markdown, median } from './table.ts';

/** What is measured of one slice. */
export interface Slice extends Load {
  /** From the start of the soak to the slice's end. */
  readonly minutes: number;
  /** The highest of one reading a second, in MiB. */
  readonly rss: number;
  /** Milliseconds, as prom-client's nodejs_eventloop_lag_max_seconds and _p99_seconds tell it: the 10 ms between two beats of its timer are part of it. */
  readonly loopMax: number;
  readonly loopP99: number;
}

const LIMITS = { rss: 1.05, p99: 1.2, loopMs: 50 };

const COLUMNS: readonly Column<Slice>[] = [
  { head: 'req/s', of: 'requestsPerSecond', digits: 0 },
  { head: 'p50 ms', of: 'p50', digits: 2 },
  { head: 'p99 ms', of: 'p99', digits: 2 },
  { head: 'longest ms', of: 'max', digits: 0 },
  { head: 'RSS MiB', of: 'rss', digits: 0 },
  { head: 'loop delay p99 ms', of: 'loopP99', digits: 1 },
  { head: 'loop delay max ms', of: 'loopMax', digits: 1 },
];

/** One line of a slice, for who watches. */
export function sliceLine(slice: Slice): string {
  const cells = COLUMNS.map(({ head, of, digits }) => `${head} ${slice[of].toFixed(digits)}`);
  return `${slice.minutes.toFixed(1)} min: ${cells.join(', ')}, errors ${slice.errors}`;
}

/** The slices of the soak's parts: of ten minutes, the second and the last one. */
function tenths(slices: readonly Slice[]): { second: readonly Slice[]; last: readonly Slice[] } {
  const count = Math.max(1, Math.round(slices.length / 10));
  return { second: slices.slice(count, 2 * count), last: slices.slice(-count) };
}

const middle = (slices: readonly Slice[], of: keyof Slice): number => median(slices.map((slice) => slice[of]));

/** MiB an hour, from the second tenth on. */
function growth(slices: readonly Slice[]): number {
  const shown = slices.slice(Math.max(1, Math.round(slices.length / 10)));
  return slope(shown.map(({ minutes, rss }) => [minutes / 60, rss] as const));
}

/** What has to hold, as a table, and whether all of it does. */
export function verdict(slices: readonly Slice[], lostLines: number): { table: string; holds: boolean } {
  const { second, last } = tenths(slices);
  const third = Math.max(1, Math.floor(slices.length / 3));
  const rss = middle(last, 'rss') / middle(second, 'rss');
  const p99 = middle(slices.slice(-third), 'p99') / middle(slices.slice(0, third), 'p99');
  const loop = Math.max(...slices.map(({ loopMax }) => loopMax));
  const errors = slices.reduce((sum, slice) => sum + slice.errors, 0);
  const rows: [string, string, string, boolean][] = [
    ['RSS, last tenth of the time to the second', rss.toFixed(3), `<= ${LIMITS.rss}`, rss <= LIMITS.rss],
    ['p99, last third of the time to the first', p99.toFixed(2), `<= ${LIMITS.p99}`, p99 <= LIMITS.p99],
    ['event loop delay, longest, ms', loop.toFixed(1), `<= ${LIMITS.loopMs}`, loop <= LIMITS.loopMs],
    ['errors', String(errors), '0', errors === 0],
    ['log lines lost', String(lostLines), '0', lostLines === 0],
  ];
  const lines = rows.map(([what, measured, limit, holds]) => [what, measured, limit, holds ? 'yes' : 'NO']);
  const trend = ['RSS, MiB an hour (least squares, from the second tenth on)', growth(slices).toFixed(1), '', ''];
  const table = markdown(['over the soak', 'measured', 'limit', 'holds'], [...lines, trend]);
  return { table, holds: rows.every(([, , , holds]) => holds) };
}

/** Lowest, middle and highest slice of each figure. */
export function summary(slices: readonly Slice[]): string {
  const row = (name: string, of: (values: number[]) => number): string[] => [
    name,
    ...COLUMNS.map((column) => of(slices.map((slice) => slice[column.of])).toFixed(column.digits)),
  ];
  return markdown(
    ['slice', ...COLUMNS.map(({ head }) => head)],
    [row('lowest', (values) => Math.min(...values)), row('median', median), row('highest', (values) => Math.max(...values))],
  );
}

/** Memory, latency and event loop delay over time. */
export function soakPlot(slices: readonly Slice[]): string {
  const end = Math.ceil(slices.at(-1)?.minutes ?? 1);
  const step = Math.max(1, Math.round(end / 10));
  const x = {
    label: '',
    scale: 'linear' as const,
    values: Array.from({ length: Math.ceil(end / step) + 1 }, (_, n) => n * step),
  };
  const line = (name: string, color: string, of: keyof Slice): Line => ({
    name,
    color,
    points: slices.map((slice) => [slice.minutes, slice[of]] as const),
  });
  const limit: Line = {
    name: 'limit of the delay',
    color: COLORS.grey,
    dashed: true,
    points: [0, x.values.at(-1) ?? end].map((minutes) => [minutes, LIMITS.loopMs] as const),
  };
  const panels = [
    { x, y: { label: 'RSS, MiB', scale: 'linear' as const }, lines: [line('resident memory', COLORS.blue, 'rss')] },
    {
      x,
      y: { label: 'latency, ms', scale: 'linear' as const },
      lines: [line('p99', COLORS.orange, 'p99'), line('p50', COLORS.green, 'p50')],
    },
    {
      x: { ...x, label: 'minutes under full load' },
      y: { label: 'loop delay, ms', scale: 'linear' as const },
      lines: [line('longest event loop delay', COLORS.purple, 'loopMax'), limit],
    },
  ];
  return drawPlot('One replica under full load, slice by slice', panels, 1, 200);
}
