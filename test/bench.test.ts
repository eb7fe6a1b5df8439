import { describe, expect, it } from 'vitest';
import { total } from '../bench/metrics.ts';
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
