import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { total } from '../bench/metrics.ts';
import { drawPlot, plotNames, readPlot } from '../bench/plot.ts';
import { spread } from '../bench/report.ts';
import { grownReviews, mixedReviews } from '../bench/reviews.ts';
import { readConfig } from '../src/config/config.ts';
import { decide } from '../src/sideload/decide.ts';
import { UNKNOWN_CLUSTER } from '../src/sideload/settings.ts';

const { sideload } = readConfig([], {});
const verdictOf = (review: string): string => decide(JSON.parse(review).request.object, sideload, UNKNOWN_CLUSTER).verdict;

describe('the reviews of the benchmarks', () => {
  it.each(['more', 'longer'] as const)('grow to the size that was asked for, and are injected: %s', (way) => {
    for (const kib of [8, 128, 1024]) {
      const reviews = grownReviews(way, kib * 1024, 3);
      expect(new Set(reviews).size).toBe(3);
      for (const review of reviews) {
        expect(Math.abs(review.length / 1024 / kib - 1)).toBeLessThan(0.15);
        expect(verdictOf(review)).toBe('inject');
      }
    }
  });

  it('are of all kinds in a mixture, most of them injected', () => {
    const reviews = mixedReviews();
    const counts = Map.groupBy(reviews.map(verdictOf), (verdict) => verdict);
    expect(counts.get('inject')?.length).toBeGreaterThan(reviews.length * 0.8);
    expect(counts.get('refuse')?.length).toBeGreaterThan(reviews.length * 0.05);
    expect(counts.get('skip')?.length).toBeGreaterThan(reviews.length * 0.05);
    expect(Math.max(...reviews.map((review) => review.length))).toBeGreaterThan(1024 * 1024);
  });
});

it('a metric of a /metrics page is added up over the series with the labels', () => {
  const page = `# TYPE calls_seconds histogram
calls_seconds_bucket{name="a",type="admit",le="0.005"} 60
calls_seconds_bucket{name="a",type="admit",le="+Inf"} 96
calls_seconds_bucket{name="b",type="admit",le="0.005"} 1
calls_seconds_sum{name="a",type="admit"} 0.75
calls_seconds_sum{name="b",type="admit"} 5e-01
calls_seconds_sum{name="b",type="validating"} 8
calls_seconds_sum_of_all 8
lost_total 3
`;
  expect(total(page, 'calls_seconds_sum', 'type="admit"')).toBe(1.25);
  expect(total(page, 'calls_seconds_bucket', 'type="admit"', 'le="0.005"')).toBe(61);
  expect([total(page, 'lost_total'), total(page, 'other_total')]).toEqual([3, 0]);
});

it('a cell shows the median of the rounds, with the lowest and the highest if they differ', () => {
  expect([spread([2, 3, 1], 1), spread([1, 1], 0), spread([1, Number.NaN], 0)]).toEqual(['2.0 (1.0 to 3.0)', '1', '']);
});

describe('the plots of docs/performance.md', () => {
  const image = (file: string): string => readFileSync(new URL(`../docs/images/${file}`, import.meta.url), 'utf8');
  /** Rows of the tables, by their first two cells. */
  const rows = readFileSync(new URL('../docs/performance.md', import.meta.url), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .map((line) => line.split('|').map((cell) => cell.trim()));

  it.each(plotNames())('%s is drawn from the data beside it: npm run docs:plots', async (name) => {
    expect(image(`${name}.svg`)).toBe(await drawPlot(readPlot(name)));
  });

  it.each([
    { name: 'scale-size', panel: 0, digits: 1, column: 3 },
    { name: 'scale-connections', panel: 0, digits: 0, column: 4 },
    { name: 'scale-connections', panel: 1, digits: 0, column: 6 },
  ])('$name shows what the tables say, in panel $panel', ({ name, panel, digits, column }) => {
    const points = readPlot(name).panels[panel]?.points ?? [];
    expect(points.length).toBeGreaterThan(10);
    for (const { x, y, line } of points) {
      const found = rows.filter(([, size, server]) => size === x.toFixed(digits) && server === line.split(',')[0]);
      expect(
        found.map((row) => Number(row[column])),
        `${line} at ${x}`,
      ).toContain(Number(y.toFixed(panel === 1 ? 2 : 0)));
    }
  });

  it('say what the floor is, if they have one', () => {
    for (const { subtitle, panels } of plotNames().map(readPlot))
      if (panels.some(({ points }) => points.some(({ line }) => line.startsWith('floor'))))
        expect(subtitle.join(' ')).toMatch(/floor: a webhook/);
  });

  it('has lines that are seen on light and on dark pages', async () => {
    // WCAG 2.2, contrast ratio; 1.4.11 asks graphics for 3.
    const luminance = (color: string): number => {
      const [r = 0, g = 0, b = 0] = [1, 3, 5]
        .map((at) => Number.parseInt(color.slice(at, at + 2), 16) / 255)
        .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const contrast = (one: string, other: string): number => {
      const [light = 0, dark = 0] = [luminance(one), luminance(other)].toSorted((a, b) => b - a);
      return (light + 0.05) / (dark + 0.05);
    };
    const [, ...style] =
      /background:(#\w+);color:(#\w+)\}.*dark\)\{svg\{background:(#\w+);color:(#\w+)/.exec(image('scale-size.svg')) ?? [];
    const [light = '', darkText = '', dark = '', lightText = ''] = style.map((color) =>
      color.length === 4 ? color.replaceAll(/\w/g, '$&$&') : color,
    );
    expect(contrast(light, darkText)).toBeGreaterThan(7);
    expect(contrast(dark, lightText)).toBeGreaterThan(7);
    const lines = new Set([...image('scale-size.svg').matchAll(/stroke="(#\w{6})"/g)].map(([, color = '']) => color));
    expect(lines.size).toBe(4);
    for (const color of lines) for (const page of [light, dark]) expect(contrast(color, page), `${color} on ${page}`).toBeGreaterThan(3);
  });
});
