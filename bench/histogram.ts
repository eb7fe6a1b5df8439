/** Histograms as Prometheus' text format shows them, and what happened between two readings of one. */

export interface Histogram {
  /** How many observations are at most each bound; rising bounds, the last is infinite. */
  readonly buckets: readonly (readonly [bound: number, count: number])[];
  readonly sum: number;
  readonly count: number;
}

export const NONE: Histogram = { buckets: [], sum: 0, count: 0 };

/** Adds up the series of a histogram on a /metrics page that carry the given labels. */
export function readHistogram(text: string, name: string, labels: Readonly<Record<string, string>> = {}): Histogram {
  const buckets = new Map<number, number>();
  const totals = { sum: 0, count: 0 };
  for (const [, part, list = '', value] of text.matchAll(new RegExp(`^${name}_(bucket|sum|count)(?:\\{(.*)\\})? (\\S+)`, 'gm'))) {
    if (Object.entries(labels).some(([label, of]) => !list.includes(`${label}="${of}"`))) continue;
    const bound = Number(/le="([^"]+)"/.exec(list)?.[1]?.replace('+Inf', 'Infinity'));
    if (part === 'bucket') buckets.set(bound, (buckets.get(bound) ?? 0) + Number(value));
    else totals[part as 'sum' | 'count'] += Number(value);
  }
  return { buckets: [...buckets].sort(([a], [b]) => a - b), ...totals };
}

/** What was observed between two readings. */
export function difference(after: Histogram, before: Histogram): Histogram {
  const earlier = new Map(before.buckets);
  const buckets = after.buckets.map(([bound, count]) => [bound, count - (earlier.get(bound) ?? 0)] as const);
  return { buckets, sum: after.sum - before.sum, count: after.count - before.count };
}

/** NaN where nothing was observed. */
export const mean = ({ sum, count }: Histogram): number => sum / count;

/** The share of observations that are at most a bound of the histogram. */
export const shareWithin = ({ buckets, count }: Histogram, bound: number): number => (new Map(buckets).get(bound) ?? Number.NaN) / count;

/** Estimates a quantile as Prometheus' histogram_quantile does: as if the observations of a bucket were spread evenly over it. */
export function quantile({ buckets, count }: Histogram, q: number): number {
  const index = buckets.findIndex(([, counted]) => counted >= q * count);
  const [bound, counted] = buckets[index] ?? [Number.NaN, 0];
  const [from, below] = buckets[index - 1] ?? [0, 0];
  return bound === Number.POSITIVE_INFINITY ? from : from + ((bound - from) * (q * count - below)) / (counted - below);
}
