import { describe, expect, it } from 'vitest';
import { difference, EMPTY, type Histogram, mean, quantile, readHistogram, shareWithin } from '../bench/histogram.ts';

const METRIC = 'apiserver_admission_webhook_admission_duration_seconds';

/** Two series of one webhook (rejected or not), one of another, and a metric whose name begins alike. */
const TEXT = `# HELP ${METRIC} [STABLE] Admission webhook latency histogram in seconds.
# TYPE ${METRIC} histogram
${METRIC}_bucket{name="a",operation="CREATE",rejected="false",type="admit",le="0.005"} 60
${METRIC}_bucket{name="a",operation="CREATE",rejected="false",type="admit",le="0.025"} 90
${METRIC}_bucket{name="a",operation="CREATE",rejected="false",type="admit",le="+Inf"} 96
${METRIC}_sum{name="a",operation="CREATE",rejected="false",type="admit"} 0.75
${METRIC}_count{name="a",operation="CREATE",rejected="false",type="admit"} 96
${METRIC}_bucket{name="a",operation="CREATE",rejected="true",type="admit",le="0.005"} 1
${METRIC}_bucket{name="a",operation="CREATE",rejected="true",type="admit",le="0.025"} 3
${METRIC}_bucket{name="a",operation="CREATE",rejected="true",type="admit",le="+Inf"} 4
${METRIC}_sum{name="a",operation="CREATE",rejected="true",type="admit"} 5e-01
${METRIC}_count{name="a",operation="CREATE",rejected="true",type="admit"} 4
${METRIC}_bucket{name="b \\"} 7",operation="CREATE",rejected="false",type="admit",le="+Inf"} 7
${METRIC}_sum{name="b \\"} 7",operation="CREATE",rejected="false",type="admit"} 7
${METRIC}_count{name="b \\"} 7",operation="CREATE",rejected="false",type="admit"} 7
${METRIC}_summary_count 8
`;

/** 10 up to 0.1, 30 up to 0.2, 8 up to 0.4, 2 beyond. */
const FIFTY: Histogram = {
  buckets: [
    { bound: 0.1, count: 10 },
    { bound: 0.2, count: 40 },
    { bound: 0.4, count: 48 },
    { bound: Number.POSITIVE_INFINITY, count: 50 },
  ],
  sum: 8,
  count: 50,
};

describe('readHistogram', () => {
  it('adds up the series that carry the labels', () => {
    expect(readHistogram(TEXT, METRIC, { name: 'a', operation: 'CREATE' })).toEqual({
      buckets: [
        { bound: 0.005, count: 61 },
        { bound: 0.025, count: 93 },
        { bound: Number.POSITIVE_INFINITY, count: 100 },
      ],
      sum: 1.25,
      count: 100,
    });
  });

  it('takes all series where no labels are given', () => {
    expect(readHistogram(TEXT, METRIC).count).toBe(107);
  });

  it('reads label values with quotes and braces', () => {
    expect(readHistogram(TEXT, METRIC, { name: 'b \\"} 7' })).toMatchObject({ sum: 7, count: 7 });
  });

  it('reads a histogram without labels', () => {
    const text = 'seconds_bucket{le="1"} 2\nseconds_bucket{le="+Inf"} 3\nseconds_sum 4\nseconds_count 3\n';
    expect(readHistogram(text, 'seconds')).toEqual({
      buckets: [
        { bound: 1, count: 2 },
        { bound: Number.POSITIVE_INFINITY, count: 3 },
      ],
      sum: 4,
      count: 3,
    });
  });

  it('is empty where nothing was observed yet', () => {
    expect(readHistogram(TEXT, METRIC, { name: 'c' })).toEqual(EMPTY);
  });
});

describe('difference', () => {
  it('subtracts bucket by bucket', () => {
    const before: Histogram = {
      ...FIFTY,
      buckets: FIFTY.buckets.map(({ bound, count }) => ({ bound, count: count / 2 })),
      sum: 2,
      count: 25,
    };
    expect(difference(FIFTY, before)).toEqual({
      buckets: [
        { bound: 0.1, count: 5 },
        { bound: 0.2, count: 20 },
        { bound: 0.4, count: 24 },
        { bound: Number.POSITIVE_INFINITY, count: 25 },
      ],
      sum: 6,
      count: 25,
    });
  });

  it('is the whole where there was nothing before', () => {
    expect(difference(FIFTY, EMPTY)).toEqual(FIFTY);
  });
});

describe('quantile', () => {
  it.each([
    // Rank 5 of 10, half of the way from 0 to 0.1.
    [0.1, 0.05],
    // Rank 10: the whole first bucket.
    [0.2, 0.1],
    // Rank 25 is the 15th of 30 between 0.1 and 0.2.
    [0.5, 0.15],
    // Rank 47 is the 7th of 8 between 0.2 and 0.4.
    [0.94, 0.375],
    // Rank 49.5 is beyond the last finite bound.
    [0.99, 0.4],
  ])('%d is interpolated within its bucket', (q, value) => {
    expect(quantile(FIFTY, q)).toBeCloseTo(value, 10);
  });

  it('in the first bucket says little: half of the bound, however fast all were', () => {
    const fast: Histogram = {
      buckets: [0.005, 0.025, Number.POSITIVE_INFINITY].map((bound) => ({ bound, count: 8 })),
      sum: 0.008,
      count: 8,
    };
    expect(quantile(fast, 0.5)).toBeCloseTo(0.0025, 10);
    expect(mean(fast)).toBeCloseTo(0.001, 10);
  });

  it('of nothing is no number', () => {
    expect(quantile(EMPTY, 0.5)).toBeNaN();
    expect(quantile(difference(FIFTY, FIFTY), 0.5)).toBeNaN();
    expect(mean(EMPTY)).toBeNaN();
  });
});

describe('shareWithin', () => {
  it('counts what is at most a bound', () => {
    expect(shareWithin(FIFTY, 0.2)).toBe(0.8);
  });

  it('knows the bounds of the buckets only', () => {
    expect(shareWithin(FIFTY, 0.3)).toBeNaN();
  });
});
