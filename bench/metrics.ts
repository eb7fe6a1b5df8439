/** The sum of a metric of a /metrics page, over the series with these labels, each written as `name="value"`. */
export function total(page: string, metric: string, ...labels: readonly string[]): number {
  const series = page.matchAll(new RegExp(`^${metric}(?:\\{(.*)\\})? (\\S+)`, 'gm'));
  return [...series].reduce((sum, [, list = '', value]) => sum + (labels.every((label) => list.includes(label)) ? Number(value) : 0), 0);
}
