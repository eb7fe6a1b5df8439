/** The figures of `bench:scale`, as tables and plots. */

import type { Way } from './grown.ts';
import { slope } from './line.ts';
import { type Axis, COLORS, drawPlot, type Line } from './plot.ts';
import { type Column as FiguresColumn, markdown, median, spread } from './table.ts';

export type Side = 'product' | 'floor';
export const SIDES: readonly Side[] = ['floor', 'product'];

/** What one round measures of one server. */
export interface Figures {
  readonly requestsPerSecond: number;
  /** User and kernel time of the server, for each review. */
  readonly cpuMicroseconds: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  /** MiB, while the connections are open. */
  readonly rss: number;
  readonly errors: number;
}

export type Rounds = Readonly<Record<Side, Figures[]>>;

/** Reviews of one size. */
export interface SizeRow {
  readonly way: Way;
  /** 1024 bytes. */
  readonly kib: number;
  readonly rounds: Rounds;
}

export interface ConnectionsRow {
  readonly connections: number;
  readonly rounds: Rounds;
}

interface Column extends FiguresColumn<Figures> {
  /** Whether lowest and highest are shown too. */
  readonly spread?: boolean;
}

const CPU: Column = { head: 'CPU µs/review', of: 'cpuMicroseconds', digits: 0, spread: true };
const SPEED: readonly Column[] = [
  { head: 'req/s', of: 'requestsPerSecond', digits: 0 },
  { head: 'p50 ms', of: 'p50', digits: 2 },
  { head: 'p99 ms', of: 'p99', digits: 2 },
];

const WAYS: readonly { readonly way: Way; readonly title: string; readonly dashed: boolean }[] = [
  { way: 'more', title: 'More of everything', dashed: false },
  { way: 'longer', title: 'Longer values', dashed: true },
];
const LINES: Readonly<Record<Side, { readonly color: string; readonly marked: boolean }>> = {
  product: { color: COLORS.blue, marked: true },
  floor: { color: COLORS.orange, marked: true },
};
/** The sizes between which it is judged whether the cost is linear: what each review takes, whatever its size, is small there. */
const LARGE_KIB = 100;
/** Of size in cost, for one that is linear but for noise. */
const HIGHEST_EXPONENT = 1.15;

const middle = (rounds: readonly Figures[], of: keyof Figures): number => median(rounds.map((figures) => figures[of]));

function cell(rounds: readonly Figures[], column: Column): string {
  const values = rounds.map((figures) => figures[column.of]);
  return column.spread ? spread(values, column.digits) : median(values).toFixed(column.digits);
}

function sideCells(rounds: Rounds, columns: readonly Column[]): string[] {
  return columns.flatMap((column) => SIDES.toReversed().map((side) => cell(rounds[side], column)));
}

const heads = (columns: readonly Column[]): string[] => columns.flatMap(({ head }) => SIDES.toReversed().map((side) => `${side}: ${head}`));

/** A table for each way to grow, and a sentence that says whether the cost is linear. */
export function sizeTables(rows: readonly SizeRow[]): string {
  const tables = WAYS.map(({ way, title }) => {
    const lines = rows
      .filter((row) => row.way === way)
      .map(({ kib, rounds }) => {
        const perKib = SIDES.toReversed().map((side) => (middle(rounds[side], 'cpuMicroseconds') / kib).toFixed(1));
        return [kib.toFixed(1), ...sideCells(rounds, [CPU]), ...perKib, ...sideCells(rounds, SPEED)];
      });
    const perKib = SIDES.toReversed().map((side) => `${side}: µs/KiB`);
    return `${title}:\n\n${markdown(['body KiB', ...heads([CPU]), ...perKib, ...heads(SPEED)], lines)}`;
  });
  return [...tables, verdict(rows)].join('\n\n');
}

/** The power of the size with which the cost of large bodies grows: the slope of their logarithms, by least squares. */
function exponent(rows: readonly SizeRow[], way: Way, side: Side): number {
  const points = rows
    .filter((row) => row.way === way && row.kib > LARGE_KIB)
    .map(({ kib, rounds }) => [Math.log(kib), Math.log(middle(rounds[side], 'cpuMicroseconds'))] as const);
  return slope(points);
}

function verdict(rows: readonly SizeRow[]): string {
  const large = rows.filter(({ kib }) => kib > LARGE_KIB).map(({ kib }) => kib);
  const found = WAYS.map(({ way, title }) => {
    const [product, floor] = [exponent(rows, way, 'product'), exponent(rows, way, 'floor')];
    const word = product <= HIGHEST_EXPONENT ? 'linear' : product <= floor + 0.1 ? 'not linear, as the floor' : 'NOT linear';
    return `${title.toLowerCase()} to the power of ${product.toFixed(2)} (floor ${floor.toFixed(2)}): ${word}`;
  });
  const sizes = `${Math.min(...large).toFixed(0)} to ${Math.max(...large).toFixed(0)} KiB`;
  return `From ${sizes} the product's CPU time grows with the size, with ${found.join('; with ')}.`;
}

/** CPU time against size, on axes on which what is linear is a straight line that climbs a decade in a decade. */
export function sizePlot(rows: readonly SizeRow[]): string {
  const lines = WAYS.flatMap(({ way, title, dashed }) =>
    SIDES.toReversed().map((side): Line => {
      const points = rows
        .filter((row) => row.way === way)
        .map(({ kib, rounds }) => [kib, middle(rounds[side], 'cpuMicroseconds')] as const);
      return { name: `${side}, ${title.toLowerCase()}`, ...LINES[side], dashed, points };
    }),
  );
  const x: Axis = { label: 'body of the review, KiB', scale: 'log', values: [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024] };
  const y: Axis = { label: 'CPU time of the server, µs per review', scale: 'log' };
  return drawPlot('Cost of a review against its size', [{ x, y, lines: [...lines, parallel(lines)] }], 1, 400);
}

/** What a linear cost looks like: a line of slope 1, below the others. */
function parallel(lines: readonly Line[]): Line {
  const ends = lines.flatMap(({ points }) => points.slice(-1));
  const [size, cost] = [Math.max(...ends.map(([x]) => x)), Math.min(...ends.map(([, y]) => y)) / 2];
  return { name: 'linear', color: COLORS.grey, points: [size / 16, size].map((kib) => [kib, (cost * kib) / size] as const) };
}

export function connectionsTable(rows: readonly ConnectionsRow[]): string {
  const columns: Column[] = [...SPEED.slice(0, 1), CPU, ...SPEED.slice(1), { head: 'RSS MiB', of: 'rss', digits: 0 }];
  const lines = rows.map(({ connections, rounds }) => [String(connections), ...sideCells(rounds, columns)]);
  return markdown(['connections', ...heads(columns)], lines);
}

/** Throughput and latency against the number of connections. */
export function connectionsPlot(rows: readonly ConnectionsRow[]): string {
  const x: Axis = { label: 'connections', scale: 'log', values: rows.map(({ connections }) => connections) };
  const lines = (of: keyof Figures): Line[] =>
    SIDES.toReversed().map((side) => ({
      name: side,
      ...LINES[side],
      points: rows.map(({ connections, rounds }) => [connections, middle(rounds[side], of)] as const),
    }));
  const panels = [
    { x, y: { label: 'reviews per second', scale: 'linear' as const }, lines: lines('requestsPerSecond') },
    { x, y: { label: 'p99, ms', scale: 'log' as const }, lines: lines('p99') },
  ];
  return drawPlot('One replica on one core, against the number of connections', panels, 2, 300);
}
