/** Plots as SVG, with a background of their own: they look the same on a light page and on a dark one. */

import { writeFileSync } from 'node:fs';
import { gridValues } from '../test/e2e/dashboard/format.ts';

export interface Line {
  /** Lines of the same name have one entry in the legend. */
  readonly name: string;
  readonly color: string;
  readonly dashed?: boolean;
  /** Whether each point is marked. */
  readonly marked?: boolean;
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface Axis {
  /** What it shows, with its unit. */
  readonly label: string;
  readonly scale: 'linear' | 'log';
  /** Values that have a label of their own, the first and the last at its ends; without them round values from 0 or the next round ones. */
  readonly values?: readonly number[];
}

export interface Panel {
  readonly x: Axis;
  readonly y: Axis;
  readonly lines: readonly Line[];
}

/** Colours that people with any sight can tell apart on white (Okabe and Ito, "Color Universal Design"). */
export const COLORS = { blue: '#0072b2', orange: '#d55e00', green: '#009e73', purple: '#a0508c', grey: '#767676' };

const [WIDTH, MARGIN, TITLE, LEGEND_ROW] = [860, 16, 30, 22];
const [LEFT, RIGHT, TOP, BOTTOM] = [74, 14, 8, 46];
/** Pixels of a letter, on the average. */
const LETTER = 6.8;

const STYLE = `text { font: 12px -apple-system, "Segoe UI", Helvetica, Arial, "Liberation Sans", sans-serif; fill: #424a53 }
.title { font-size: 15px; font-weight: 600; fill: #1f2328 }
.grid { stroke: #e4e7eb }
.frame { stroke: #afb8c1; fill: none }`;

/** Draws panels in rows of `columns`, below a title and one legend for all of them. */
export function drawPlot(title: string, panels: readonly Panel[], columns: number, panelHeight: number): string {
  const width = (WIDTH - 2 * MARGIN) / columns;
  const legend = drawLegend(panels.flatMap(({ lines }) => lines));
  const head = MARGIN + TITLE + legend.height + 6;
  const height = head + Math.ceil(panels.length / columns) * panelHeight + MARGIN / 2;
  const drawn = panels.map((panel, n) => {
    const [x, y] = [MARGIN + (n % columns) * width, head + Math.floor(n / columns) * panelHeight];
    return `<g transform="translate(${number(x)} ${number(y)})">${drawPanel(panel, width, panelHeight)}</g>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">
<title>${escapeText(title)}</title>
<style>${STYLE}</style>
<rect x="0.5" y="0.5" width="${WIDTH - 1}" height="${height - 1}" rx="6" fill="#ffffff" stroke="#d1d9e0"/>
<text class="title" x="${2 * MARGIN}" y="${MARGIN + 16}">${escapeText(title)}</text>
${legend.svg}
${drawn.join('\n')}
</svg>
`;
}

/** Writes a plot into docs/images. */
export function writePlot(name: string, svg: string): void {
  writeFileSync(new URL(`../docs/images/${name}`, import.meta.url), svg);
}

/** One entry for each name, in as many rows as they need. */
function drawLegend(lines: readonly Line[]): { svg: string; height: number } {
  const entries = [...new Map(lines.map((line) => [line.name, line])).values()];
  let [x, y] = [2 * MARGIN, MARGIN + TITLE + LEGEND_ROW / 2];
  const drawn = entries.map((line) => {
    const width = 36 + line.name.length * LETTER;
    if (x + width > WIDTH - MARGIN) [x, y] = [2 * MARGIN, y + LEGEND_ROW];
    const mark = line.marked ? `<circle cx="${number(x + 14)}" cy="${y}" r="3" fill="${line.color}"/>` : '';
    const entry = `<path d="M${number(x)} ${y}h28" ${stroke(line)}/>${mark}${label(x + 36, y + 4, 'start', line.name)}`;
    x += width + 20;
    return entry;
  });
  return { svg: drawn.join(''), height: y + LEGEND_ROW / 2 - MARGIN - TITLE };
}

function drawPanel({ x, y, lines }: Panel, width: number, height: number): string {
  const points = lines.flatMap((line) => line.points);
  const [columns, rows] = [
    axisValues(
      x,
      points.map(([value]) => value),
    ),
    axisValues(
      y,
      points.map(([, value]) => value),
    ),
  ];
  const [left, right, top, bottom] = [LEFT, width - RIGHT, TOP, height - BOTTOM];
  const across = place(x, columns, left, right);
  const up = place(y, rows, bottom, top);
  const horizontal = rows.map((value) => {
    const at = number(up(value));
    return `<path class="grid" d="M${left} ${at}H${number(right)}"/>${label(left - 8, up(value) + 4, 'end', format(value))}`;
  });
  const vertical = columns.map((value) => {
    const at = number(across(value));
    return `<path class="grid" d="M${at} ${bottom}V${top}"/>${label(across(value), bottom + 17, 'middle', format(value))}`;
  });
  const drawn = lines.map((line) => {
    const places = line.points.map(([a, b]) => [number(across(a)), number(up(b))]);
    const marks = line.marked ? places.map(([a, b]) => `<circle cx="${a}" cy="${b}" r="3" fill="${line.color}"/>`) : [];
    return `<path d="M${places.map((at) => at.join(' ')).join('L')}" ${stroke(line)}/>${marks.join('')}`;
  });
  const frame = `<rect class="frame" x="${left}" y="${top}" width="${number(right - left)}" height="${bottom - top}"/>`;
  const middle = (top + bottom) / 2;
  const labels = [
    label((left + right) / 2, height - 8, 'middle', x.label),
    `<text text-anchor="middle" transform="translate(12 ${number(middle)}) rotate(-90)">${escapeText(y.label)}</text>`,
  ];
  return [...horizontal, ...vertical, frame, ...drawn, ...labels].join('');
}

/** The values along an axis that get a line and a label. */
function axisValues({ scale, values }: Axis, shown: readonly number[]): readonly number[] {
  if (values) return values;
  const [low, high] = [Math.min(...shown), Math.max(...shown)];
  if (scale === 'linear') return gridValues(high);
  const decades = Array.from({ length: 16 }, (_, n) => 10 ** (n - 6));
  // Within three decades also 2 and 5.
  const steps = high / low > 1000 ? decades : decades.flatMap((decade) => [1, 2, 5].map((factor) => factor * decade));
  const first = steps.findLastIndex((step) => step <= low * 1.0001);
  return steps.slice(first, steps.findIndex((step) => step >= high * 0.9999) + 1);
}

/** Where a value lies between two ends, in pixels. */
function place({ scale }: Axis, values: readonly number[], from: number, to: number): (value: number) => number {
  const measure = scale === 'log' ? Math.log : (value: number): number => value;
  const [first, last] = [measure(values[0] ?? 0), measure(values.at(-1) ?? 1)];
  return (value) => from + ((measure(value) - first) / (last - first)) * (to - from);
}

function stroke({ color, dashed }: Line): string {
  return `fill="none" stroke="${color}" stroke-width="2" stroke-linejoin="round"${dashed ? ' stroke-dasharray="6 4"' : ''}`;
}

function label(x: number, y: number, anchor: string, text: string): string {
  return `<text x="${number(x)}" y="${number(y)}" text-anchor="${anchor}">${escapeText(text)}</text>`;
}

/** A coordinate, to a tenth of a pixel. */
function number(value: number): string {
  return String(Number(value.toFixed(1)));
}

function format(value: number): string {
  return Number(value.toPrecision(6)).toLocaleString('en-US', { maximumFractionDigits: 4 });
}

function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
