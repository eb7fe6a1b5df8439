const SECONDS: readonly Scale[] = [
  [1, 's'],
  [1e-3, 'ms'],
  [1e-6, 'µs'],
];
const BYTES: readonly Scale[] = [
  [2 ** 30, 'GiB'],
  [2 ** 20, 'MiB'],
  [2 ** 10, 'KiB'],
  [1, 'B'],
];

type Scale = readonly [size: number, unit: string];

/** At most two decimals, and none that are zero. */
const short = (value: number, decimals?: number): string =>
  decimals === undefined ? String(Number(value.toFixed(2))) : value.toFixed(decimals);

function scaled(value: number, scales: readonly Scale[], decimals?: number): string {
  const [size, unit] = scales.find(([least]) => Math.abs(value) >= least) ?? scales.at(-1) ?? [1, ''];
  return value === 0 ? `0 ${scales.find(([one]) => one === 1)?.[1]}` : `${short(value / size, decimals)} ${unit}`;
}

/** A value in a unit of Grafana's; those that the dashboard uses are known. */
export function format(value: number, unit = 'short', decimals?: number): string {
  if (unit.startsWith('suffix:')) return short(value, decimals) + unit.slice('suffix:'.length);
  switch (unit) {
    case 'short':
      return short(value, decimals);
    case 'reqps':
      return `${short(value, decimals)} req/s`;
    case 's':
      return scaled(value, SECONDS, decimals);
    case 'bytes':
      return scaled(value, BYTES, decimals);
    default:
      throw new Error(`unit ${unit} is not known here`);
  }
}

/**
 * Values for the lines of a grid from 0 to at least `highest`: three to six round ones.
 *
 * @param base 1024 for bytes, else 10
 */
export function gridValues(highest: number, base: 10 | 1024 = 10): number[] {
  const top = highest > 0 ? highest : 1;
  const magnitude = base ** Math.floor(Math.log(top) / Math.log(base));
  const factors = base === 10 ? [0.1, 0.2, 0.5, 1, 2, 5] : [2 ** -2, 2 ** -1, 1, 2, 4, 8, 16, 32, 64, 128, 256];
  const step = magnitude * (factors.find((factor) => top / (factor * magnitude) <= 4.5) ?? 1);
  return Array.from({ length: Math.ceil(top / step) + 1 }, (_, n) => n * step);
}
