import { describe, expect, it } from 'vitest';
import { difference, type Histogram, mean, NONE, quantile, readHistogram, shareWithin } from '../bench/histogram.ts';
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

describe('a histogram of a /metrics page', () => {
  const TEXT = `# TYPE calls_seconds histogram
calls_seconds_bucket{name="a",type="admit",le="0.005"} 60
calls_seconds_bucket{name="a",type="admit",le="0.025"} 90
calls_seconds_bucket{name="a",type="admit",le="+Inf"} 96
calls_seconds_sum{name="a",type="admit"} 0.75
calls_seconds_count{name="a",type="admit"} 96
calls_seconds_bucket{name="b",type="admit",le="0.005"} 1
calls_seconds_bucket{name="b",type="admit",le="+Inf"} 4
calls_seconds_sum{name="b",type="admit"} 5e-01
calls_seconds_count{name="b",type="admit"} 4
calls_seconds_count{name="a",type="validating"} 8
calls_seconds_summary_count 8
`;
  /** 10 up to 0.1, 30 up to 0.2, 8 up to 0.4, 2 beyond. */
  const FIFTY: Histogram = {
    buckets: [
      [0.1, 10],
      [0.2, 40],
      [0.4, 48],
      [Number.POSITIVE_INFINITY, 50],
    ],
    sum: 8,
    count: 50,
  };

  it('adds up the series that carry the labels', () => {
    expect(readHistogram(TEXT, 'calls_seconds', { type: 'admit' })).toEqual({
      buckets: [
        [0.005, 61],
        [0.025, 90],
        [Number.POSITIVE_INFINITY, 100],
      ],
      sum: 1.25,
      count: 100,
    });
    expect(readHistogram(TEXT, 'others_seconds')).toEqual(NONE);
  });

  it('has what happened between two readings', () => {
    expect(difference(FIFTY, NONE)).toEqual(FIFTY);
    expect(difference(FIFTY, FIFTY)).toMatchObject({ sum: 0, count: 0 });
  });

  it('has a mean, shares and quantiles as Prometheus estimates them', () => {
    expect([mean(FIFTY), shareWithin(FIFTY, 0.2), shareWithin(FIFTY, 0.3)]).toEqual([0.16, 0.8, Number.NaN]);
    expect([0.1, 0.5, 0.99].map((q) => quantile(FIFTY, q))).toEqual([0.05, 0.15, 0.4].map((value) => expect.closeTo(value)));
    expect(quantile(NONE, 0.5)).toBeNaN();
  });
});

it('a cell shows the median of the rounds, with the lowest and the highest if they differ', () => {
  expect([spread([2, 3, 1], 1), spread([1, 1], 0), spread([1, Number.NaN], 0)]).toEqual(['2.0 (1.0 to 3.0)', '1', '']);
});
