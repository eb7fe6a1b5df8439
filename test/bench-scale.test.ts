import { describe, expect, it } from 'vitest';
import { grownReviews } from '../bench/grown.ts';
import { mixedReviews } from '../bench/mixture.ts';
import { drawPlot } from '../bench/plot.ts';
import { sizeTables } from '../bench/scale-report.ts';
import { type Slice, verdict } from '../bench/soak-report.ts';
import { readConfig } from '../src/config/config.ts';
import { decide } from '../src/sideload/decide.ts';
import { UNKNOWN_CLUSTER } from '../src/sideload/settings.ts';

const { sideload } = readConfig([], {});
const verdictOf = (review: string): string => decide(JSON.parse(review).request.object, sideload, UNKNOWN_CLUSTER).verdict;

describe('grown reviews', () => {
  it.each(['more', 'longer'] as const)('have the size that was asked for, and are injected: %s', (way) => {
    for (const kib of [8, 128, 1024]) {
      const reviews = grownReviews(way, kib * 1024, 3);
      expect(new Set(reviews).size).toBe(3);
      for (const review of reviews) {
        expect(Math.abs(review.length / 1024 / kib - 1)).toBeLessThan(0.15);
        expect(verdictOf(review)).toBe('inject');
      }
    }
  });
});

describe('the reviews of a soak', () => {
  it('are of all kinds, most of them injected', () => {
    const reviews = mixedReviews();
    const counts = Map.groupBy(reviews.map(verdictOf), (verdict) => verdict);
    expect(counts.get('inject')?.length).toBeGreaterThan(reviews.length * 0.8);
    expect(counts.get('refuse')?.length).toBeGreaterThan(reviews.length * 0.05);
    expect(counts.get('skip')?.length).toBeGreaterThan(reviews.length * 0.05);
    expect(Math.max(...reviews.map((review) => review.length))).toBeGreaterThan(1024 * 1024);
  });
});

describe('the verdict of a soak', () => {
  const flat = Array.from(
    { length: 60 },
    (_, n): Slice => ({
      minutes: (n + 1) / 6,
      requests: 1000,
      requestsPerSecond: 100,
      errors: 0,
      p50: 1,
      p99: 5,
      max: 20,
      rss: 150,
      loopMax: 30,
      loopP99: 12,
    }),
  );

  it('holds where nothing grows', () => {
    expect(verdict(flat, 0)).toMatchObject({ holds: true, table: expect.stringContaining('| 0.0 |  |  |') });
  });

  it('does not look at the first minute’s memory', () => {
    expect(verdict([...flat.slice(0, 6).map((slice) => ({ ...slice, rss: 90 })), ...flat.slice(6)], 0).holds).toBe(true);
  });

  it.each([
    ['memory that grows by 2 MiB a minute', flat.map((slice) => ({ ...slice, rss: 150 + 2 * slice.minutes })), 0, '| 120.0 |'],
    ['latency that grows', flat.map((slice) => ({ ...slice, p99: 5 + slice.minutes })), 0, '| NO |'],
    ['one long delay of the event loop', flat.with(30, { ...(flat[30] as Slice), loopMax: 51 }), 0, '| 51.0 | <= 50 | NO |'],
    ['one error', flat.with(30, { ...(flat[30] as Slice), errors: 1 }), 0, '| 1 | 0 | NO |'],
    ['a lost line of the log', flat, 1, '| 1 | 0 | NO |'],
  ])('does not hold with %s', (_, slices, lost, says) => {
    const { holds, table } = verdict(slices, lost);
    expect(holds).toBe(false);
    expect(table).toContain(says);
  });
});

describe('the verdict about sizes', () => {
  const rows = (power: number) =>
    (['more', 'longer'] as const).flatMap((way) =>
      [128, 512, 1024].map((kib) => {
        const round = { requestsPerSecond: 1, p50: 1, p99: 1, rss: 1, errors: 0 };
        return {
          way,
          kib,
          rounds: { product: [{ ...round, cpuMicroseconds: kib ** power }], floor: [{ ...round, cpuMicroseconds: kib }] },
        };
      }),
    );

  it.each([
    [1, 'to the power of 1.00 (floor 1.00): linear'],
    [2, 'to the power of 2.00 (floor 1.00): NOT linear'],
  ])('knows a cost that grows with the power of %d', (power, says) => {
    expect(sizeTables(rows(power))).toContain(says);
  });
});

describe('a plot', () => {
  it('puts the points of a logarithmic axis at even distances', () => {
    const line = { name: 'a < b', color: '#000000', points: [1, 10, 100].map((x) => [x, x] as const) };
    const svg = drawPlot('title', [{ x: { label: 'x', scale: 'log' }, y: { label: 'y', scale: 'log' }, lines: [line] }], 1, 300);
    const [first, second, third] = [
      ...(/<path d="M([\d. L]+)" fill="none" stroke="#000000"/.exec(svg)?.[1] ?? '').matchAll(/([\d.]+) ([\d.]+)/g),
    ].map(([, x, y]) => [Number(x), Number(y)] as const);
    for (const axis of [0, 1] as const) {
      const steps = [(second?.[axis] ?? 0) - (first?.[axis] ?? 0), (third?.[axis] ?? 0) - (second?.[axis] ?? 0)];
      expect(Math.abs(steps[0] ?? 0)).toBeGreaterThan(50);
      expect(steps[0]).toBeCloseTo(steps[1] ?? 0, 0);
    }
    expect(svg).toContain('a &lt; b');
  });
});
