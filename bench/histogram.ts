/** Histograms as Prometheus' text format shows them, and what happened between two readings of one. */

export interface Histogram {
  /** How many observations are at most each bound; rising bounds, the last is infinite. Empty before the first observation. */
  readonly buckets: readonly { readonly bound: number; readonly count: number }[];
  readonly sum: number;
  readonly count: number;
}

/** One without observations. */
export const EMPTY: Histogram = { buckets: [], sum: 0, count: 0 };

/**
 * Adds up the series of a histogram that carry the given labels.
 *
 * @param text of a /metrics page
 * @returns EMPTY where there is no such series
 */
export function readHistogram(text: string, name: string, labels: Readonly<Record<string, string>> = {}): Histogram {
  const counts = new Map<number, number>();
  let [sum, count] = [0, 0];
  for (const [, part, list = '', value] of text.matchAll(new RegExp(`^${name}_(bucket|sum|count)(?:\\{(.*)\\})? (\\S+)`, 'gm'))) {
    const own = Object.fromEntries(Array.from(list.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g), ([, label, of]) => [label, of]));
    if (Object.entries(labels).some(([label, of]) => own[label] !== of)) continue;
    if (part === 'sum') sum += Number(value);
    else if (part === 'count') count += Number(value);
    else {
      const bound = own.le === '+Inf' ? Number.POSITIVE_INFINITY : Number(own.le);
      counts.set(bound, (counts.get(bound) ?? 0) + Number(value));
    }
  }
  const buckets = Array.from(counts, ([bound, counted]) => ({ bound, count: counted })).sort((a, b) => a.bound - b.bound);
  return { buckets, sum, count };
}

/** What was observed between two readings. */
export function difference(after: Histogram, before: Histogram): Histogram {
  const earlier = new Map(before.buckets.map(({ bound, count }) => [bound, count]));
  return {
    buckets: after.buckets.map(({ bound, count }) => ({ bound, count: count - (earlier.get(bound) ?? 0) })),
    sum: after.sum - before.sum,
    count: after.count - before.count,
  };
}

/** The mean of the observations; NaN where there are none. */
export function mean({ sum, count }: Histogram): number {
  return sum / count;
}

/**
 * Estimates a quantile as Prometheus' histogram_quantile does: as if the observations of a bucket were spread evenly over it,
 * the first bucket starting at 0. What lies beyond the last finite bound counts as that bound.
 *
 * @param q from 0 to 1
 * @returns NaN where there are no observations
 */
export function quantile({ buckets, count }: Histogram, q: number): number {
  const rank = q * count;
  const index = buckets.findIndex((bucket) => bucket.count >= rank);
  const bucket = buckets[index];
  if (!bucket || count === 0) return Number.NaN;
  const below = buckets[index - 1] ?? { bound: 0, count: 0 };
  if (bucket.bound === Number.POSITIVE_INFINITY) return below.bound;
  return below.bound + (bucket.bound - below.bound) * ((rank - below.count) / (bucket.count - below.count));
}

/**
 * The share of observations that are at most a bound.
 *
 * @returns NaN where there are no observations, or the bound is not one of the histogram's
 */
export function shareWithin({ buckets, count }: Histogram, bound: number): number {
  return (buckets.find((bucket) => bucket.bound === bound)?.count ?? Number.NaN) / count;
}
