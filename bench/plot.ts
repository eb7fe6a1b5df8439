/**
 * Plots of docs/performance.md: what was measured is kept beside each plot, so that `npm run docs:plots` draws it again without
 * measuring.
 */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { parse, View } from 'vega';
import { type Config, compile, type TopLevelSpec } from 'vega-lite';

const IMAGES = new URL('../docs/images/', import.meta.url);

/** A point of a plot, and the line that it belongs to. */
export interface Point {
  readonly x: number;
  readonly y: number;
  readonly line: string;
}

/** Points on axes with titles; `log` names the axes that are logarithmic. */
interface Panel {
  readonly x: string;
  readonly y: string;
  readonly log?: string;
  readonly points: readonly Point[];
}

/** Panels below each other. */
export interface Plot {
  readonly title: string;
  /** Says what the names of the lines mean; a line of text each. */
  readonly subtitle: readonly string[];
  readonly panels: readonly Panel[];
}

/** Keeps the data of a plot, and draws it. */
export async function publishPlot(name: string, plot: Plot): Promise<void> {
  const rounded = (_key: string, value: unknown): unknown => (typeof value === 'number' ? Number(value.toPrecision(6)) : value);
  writeFileSync(new URL(`${name}.json`, IMAGES), `${JSON.stringify(plot, rounded)}\n`);
  await drawAgain(name);
}

/** The names of the plots that are kept. */
export function plotNames(): string[] {
  return readdirSync(IMAGES).flatMap((file) => (file.endsWith('.json') ? [file.slice(0, -'.json'.length)] : []));
}

/** Draws a plot from its data. */
export async function drawAgain(name: string): Promise<void> {
  writeFileSync(new URL(`${name}.svg`, IMAGES), await drawPlot(readPlot(name)));
}

export function readPlot(name: string): Plot {
  return JSON.parse(readFileSync(new URL(`${name}.json`, IMAGES), 'utf8'));
}

/** As pages are: dark text on white, or light text on black. Lines are as dark as is seen on both. */
const STYLE = '<style>svg{background:#fff;color:#1f2328}@media(prefers-color-scheme:dark){svg{background:#0d1117;color:#e6edf3}}</style>';
const LINES = ['#2f7de1', '#c8640a', '#9a5bd6', '#2c8a4b'];

const CONFIG: Config = {
  background: 'transparent',
  font: 'Helvetica, Arial, sans-serif',
  title: { anchor: 'start', color: 'currentColor', subtitleColor: 'currentColor', subtitlePadding: 6, offset: 12 },
  view: { stroke: null },
  axis: {
    ...{ labelColor: 'currentColor', titleColor: 'currentColor', tickColor: 'currentColor', domainColor: 'currentColor' },
    ...{ gridColor: 'currentColor', gridOpacity: 0.15 },
  },
  legend: { labelColor: 'currentColor', labelLimit: 0, symbolType: 'stroke', symbolStrokeWidth: 2 },
  range: { category: LINES },
};

/** Draws panels, as SVG for light and dark pages. */
export async function drawPlot({ title, subtitle, panels }: Plot): Promise<string> {
  const axis = (channel: 'x' | 'y', text: string, log = '') => ({
    field: channel,
    type: 'quantitative' as const,
    title: text,
    scale: log.includes(channel) ? { type: 'log' as const } : { type: 'linear' as const, zero: channel === 'y' },
  });
  const spec: TopLevelSpec = {
    title: { text: title, subtitle: [...subtitle] },
    config: CONFIG,
    vconcat: panels.map(({ x, y, log, points }) => ({
      data: { values: [...points] },
      width: 720,
      height: panels.length > 1 ? 180 : 360,
      mark: { type: 'line', point: points.length < 60 },
      encoding: {
        ...{ x: axis('x', x, log), y: axis('y', y, log) },
        // Not by colour alone.
        ...{ color: { field: 'line', title: null, sort: null }, strokeDash: { field: 'line', title: null, sort: null } },
      },
    })),
    resolve: { scale: { color: 'independent', strokeDash: 'independent' } },
  };
  const svg = await new View(parse(compile(spec).spec), { renderer: 'none' }).toSVG();
  return `${svg.replace('>', `>${STYLE}`)}\n`;
}
