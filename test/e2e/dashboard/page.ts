import { drawChart, type Line } from './chart.ts';
import { format } from './format.ts';
import { type Dashboard, optionsOf, type Panel } from './model.ts';

/** The series of a panel, each with the name that its legend gives it. */
export type PanelData = readonly { readonly name: string; readonly points: Line['points'] }[];

export interface Period {
  /** Seconds since 1970. */
  readonly start: number;
  readonly end: number;
  readonly step: number;
}

/** The page's width in pixels. */
export const WIDTH = 1400;
const [COLUMNS, CELL, GAP, MARGIN, HEAD] = [24, 30, 8, 16, 56];
const COLUMN = (WIDTH - 2 * MARGIN - (COLUMNS - 1) * GAP) / COLUMNS;
const [TITLE, LEGEND_LINE, LEGEND_COLUMN] = [34, 20, 190];

/** Grafana's names for colours, and the order in which lines get them. */
const COLORS: Readonly<Record<string, string>> = {
  green: '#73bf69',
  yellow: '#fade2a',
  orange: '#ff9830',
  red: '#f2495c',
  blue: '#5794f2',
};
const PALETTE = [
  ...['#73bf69', '#fade2a', '#5794f2', '#ff9830', '#f2495c', '#b877d9', '#8ab8ff', '#fff899'],
  ...['#96d98d', '#ffb357', '#ff7383', '#ca95e5', '#37872d', '#e0b400', '#1f60c4', '#fa6400'],
];

const STYLE = `
* { box-sizing: border-box; margin: 0 }
body { width: ${WIDTH}px; background: #111217; color: #ccccdc; font: 13px Inter, Roboto, "Liberation Sans", sans-serif; position: relative }
header { display: flex; gap: 12px; align-items: center; height: ${HEAD}px; padding: 0 ${MARGIN}px; font-size: 13px }
h1 { font-size: 19px; font-weight: 500; margin-right: 12px }
header span { border: 1px solid #2c2f36; border-radius: 3px; padding: 6px 10px; background: #181b1f; color: #9a9ba6 }
header b { font-weight: 500; color: #ccccdc; padding-left: 6px }
header span:last-child { margin-left: auto }
section { position: absolute; border: 1px solid #25282e; border-radius: 3px; background: #181b1f; overflow: hidden }
section.row { border: 0; background: none; font-size: 15px; font-weight: 500; line-height: ${CELL}px }
section.row::before { content: "⌄"; padding-right: 8px; position: relative; top: -3px; color: #9a9ba6 }
h2 { font-size: 13px; font-weight: 500; padding: 9px 12px 0; height: ${TITLE}px; white-space: nowrap }
.grid { stroke: #26292f; stroke-width: 1 }
.axis { fill: #9a9ba6; font-size: 11px }
.beside { display: flex }
.legend { display: flex; flex-wrap: wrap; padding: 0 12px; font-size: 12px; line-height: ${LEGEND_LINE}px; column-gap: 14px }
.beside .legend { display: block; width: ${LEGEND_COLUMN}px; padding: 0; line-height: 17px; font-size: 11.5px }
.legend i { display: inline-block; width: 12px; height: 4px; border-radius: 2px; margin-right: 6px; vertical-align: middle }
.stat { display: flex; justify-content: space-evenly; align-items: center; position: absolute; inset: ${TITLE - 12}px 8px 0; white-space: nowrap }
.stat div { text-align: center; line-height: 1.25; min-width: 52px }
.stat small { display: block; font-size: 15px; color: #ccccdc; overflow: hidden; text-overflow: ellipsis }
.stat strong { font-weight: 600 }
.bars { display: grid; grid-template-columns: max-content 1fr max-content; gap: 5px 10px; align-items: center; padding: 2px 14px }
.bars i { height: 17px; border-radius: 2px }
.bars b { font-weight: 500; text-align: right }
.none { color: #9a9ba6; padding: 40px; text-align: center }
`;

/** The dashboard as a page that needs no script: its panels where they belong, filled with the data of each. */
export function drawPage(dashboard: Dashboard, period: Period, data: ReadonlyMap<Panel, PanelData>): { html: string; height: number } {
  const variables = dashboard.templating.list
    .filter(({ type }) => type === 'query')
    .map(({ label }) => `<span>${escapeText(label)}<b>All</b></span>`);
  const [from, to] = [period.start, period.end].map((seconds) => new Date(seconds * 1000).toISOString());
  const range = `<span>${from?.slice(0, 10)}<b>${from?.slice(11, 19)} to ${to?.slice(11, 19)} UTC</b></span>`;
  const panels = dashboard.panels.map((panel) => drawPanel(panel, period, data.get(panel) ?? []));
  const rows = Math.max(...dashboard.panels.map(({ gridPos: { y, h } }) => y + h));
  return {
    html: `<!doctype html><meta charset="utf-8"><title>${escapeText(dashboard.title)}</title><style>${STYLE}</style>
<header><h1>${escapeText(dashboard.title)}</h1>${variables.join('')}${range}</header>${panels.join('\n')}`,
    height: HEAD + rows * (CELL + GAP) + MARGIN - GAP,
  };
}

function drawPanel(panel: Panel, period: Period, data: PanelData): string {
  const { x, y, w, h } = panel.gridPos;
  const [width, height] = [w * COLUMN + (w - 1) * GAP, h * CELL + (h - 1) * GAP];
  const place = `left:${MARGIN + x * (COLUMN + GAP)}px;top:${HEAD + y * (CELL + GAP)}px;width:${width}px;height:${height}px`;
  if (panel.type === 'row') return `<section class="row" style="${place}">${escapeText(panel.title)}</section>`;
  const body = data.length === 0 ? '<p class="none">No data</p>' : drawData(panel, period, data, width - 2, height - 2 - TITLE);
  return `<section style="${place}"><h2>${escapeText(panel.title)}</h2>${body}</section>`;
}

function drawData(panel: Panel, period: Period, data: PanelData, width: number, height: number): string {
  switch (panel.type) {
    case 'stat':
      return drawStat(panel, data);
    case 'bargauge':
      return drawBars(panel, data);
    default:
      return drawSeries(panel, period, data, width, height);
  }
}

function drawBars(panel: Panel, data: PanelData): string {
  const values = data.map(({ points }) => points.at(-1)?.[1] ?? Number.NaN);
  const bars = data.map(({ name }, n) => {
    const { unit, decimals, color } = optionsOf(panel, name);
    const [value = 0, most] = [values[n], Math.max(...values)];
    const bar = `<i style="background:${COLORS[color?.fixedColor ?? ''] ?? 'inherit'};width:${(100 * value) / most}%"></i>`;
    return `<span>${escapeText(name)}</span>${bar}<b>${escapeText(format(value, unit, decimals))}</b>`;
  });
  return `<div class="bars">${bars.join('')}</div>`;
}

function drawStat(panel: Panel, data: PanelData): string {
  const mode = panel.options?.textMode;
  const values = data.map(({ name, points }) => {
    const { unit, decimals, thresholds, color } = optionsOf(panel, name);
    const value = points.at(-1)?.[1] ?? Number.NaN;
    const reached = thresholds?.steps.filter((step) => step.value === null || value >= step.value).at(-1)?.color;
    const shown = mode === 'name' ? name : format(value, unit, decimals);
    const size = Math.min(46, (panel.gridPos.w * 46) / (0.62 * shown.length * data.length));
    const label = mode === 'value_and_name' ? `<small>${escapeText(name)}</small>` : '';
    return `<div>${label}<strong style="color:${COLORS[color?.fixedColor ?? reached ?? ''] ?? 'inherit'};font-size:${size}px">${escapeText(shown)}</strong></div>`;
  });
  return `<div class="stat">${values.join('')}</div>`;
}

function drawSeries(panel: Panel, period: Period, data: PanelData, width: number, height: number): string {
  const { unit = 'short', custom } = panel.fieldConfig?.defaults ?? {};
  const lines = data.map(({ name, points }, n): Line => {
    const fixed = optionsOf(panel, name).color?.fixedColor;
    return { name, points, color: COLORS[fixed ?? ''] ?? PALETTE[n % PALETTE.length] ?? '' };
  });
  const beside = panel.options?.legend?.placement === 'right';
  const keys = lines.map(({ name, color }) => `<div><i style="background:${color}"></i>${escapeText(name)}</div>`).join('');
  const below = beside ? 0 : legendLines(lines, width - 24) * LEGEND_LINE + 6;
  const chart = drawChart(lines, {
    ...period,
    unit,
    stacked: custom?.stacking.mode === 'normal',
    fillOpacity: custom?.fillOpacity ?? 0,
    width: width - (beside ? LEGEND_COLUMN : 0),
    height: height - below,
  });
  return `<div class="${beside ? 'beside' : ''}">${chart}<div class="legend">${keys}</div></div>`;
}

/** How many lines the legend needs below a chart, at some 6.6 pixels a letter. */
function legendLines(lines: readonly Line[], width: number): number {
  let [count, used] = [1, 0];
  for (const { name } of lines) {
    const needed = 32 + name.length * 6.6;
    if (used > 0 && used + needed > width) [count, used] = [count + 1, 0];
    used += needed;
  }
  return count;
}

function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
