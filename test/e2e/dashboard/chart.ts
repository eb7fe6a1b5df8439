import { format, gridValues } from './format.ts';

/** One line of a chart. */
export interface Line {
  readonly name: string;
  readonly color: string;
  /** Seconds since 1970, and the value; what is missing or no number is a gap. */
  readonly points: readonly (readonly [seconds: number, value: number])[];
}

export interface Frame {
  readonly width: number;
  readonly height: number;
  /** The moments at both ends, in seconds since 1970, and the distance of two points. */
  readonly start: number;
  readonly end: number;
  readonly step: number;
  readonly unit: string;
  readonly stacked: boolean;
  /** Per cent of the colour below a line. */
  readonly fillOpacity: number;
}

const [LEFT, RIGHT, TOP, BOTTOM] = [72, 10, 8, 22];

type Point = readonly [x: number, low: number, high: number];

/** Draws lines over a grid with axes, as SVG. */
export function drawChart(lines: readonly Line[], frame: Frame): string {
  const { width, height, start, end, unit, fillOpacity } = frame;
  const layers = stack(lines, frame);
  const values = gridValues(Math.max(0, ...layers.flatMap(({ points }) => points.map(([, , high]) => high))), unit === 'bytes' ? 1024 : 10);
  const top = values.at(-1) ?? 1;
  const x = (seconds: number): number => LEFT + ((seconds - start) / (end - start)) * (width - LEFT - RIGHT);
  const y = (value: number): number => height - BOTTOM - (value / top) * (height - TOP - BOTTOM);
  const at = (seconds: number, value: number): string => `${x(seconds).toFixed(1)} ${y(value).toFixed(1)}`;

  const horizontal = values.map(
    (value) =>
      `<path class="grid" d="M${at(start, value)}H${width - RIGHT}"/>` +
      `<text class="axis" x="${LEFT - 8}" y="${y(value) + 4}" text-anchor="end">${format(value, unit)}</text>`,
  );
  const vertical = wholeMinutes(start, end).map(
    (seconds) =>
      `<path class="grid" d="M${at(seconds, 0)}V${TOP}"/>` +
      `<text class="axis" x="${x(seconds)}" y="${height - 5}" text-anchor="middle">${new Date(seconds * 1000).toISOString().slice(11, 16)}</text>`,
  );
  const drawn = layers.flatMap(({ color, points }) =>
    withoutGaps(points, frame.step).map((part) => {
      const edge = part.map(([seconds, , high]) => at(seconds, high)).join('L');
      const back = part.map(([seconds, low]) => at(seconds, low)).reverse();
      return (
        `<path fill="${color}" fill-opacity="${fillOpacity / 100}" d="M${edge}L${back.join('L')}Z"/>` +
        `<path fill="none" stroke="${color}" stroke-width="1.5" stroke-linejoin="round" d="M${edge}"/>`
      );
    }),
  );
  return `<svg width="${width}" height="${height}">${[...horizontal, ...vertical, ...drawn].join('')}</svg>`;
}

/** Where each line begins and ends above the axis: on the line before it, or at 0. */
function stack(lines: readonly Line[], { stacked }: Frame): { color: string; points: Point[] }[] {
  const reached = new Map<number, number>();
  return lines.map(({ color, points }) => ({
    color,
    points: points
      .filter(([, value]) => Number.isFinite(value))
      .map(([seconds, value]): Point => {
        const low = stacked ? (reached.get(seconds) ?? 0) : 0;
        reached.set(seconds, low + value);
        return [seconds, low, low + value];
      }),
  }));
}

function withoutGaps(points: readonly Point[], step: number): Point[][] {
  const parts: Point[][] = [];
  for (const point of points) {
    const before = parts.at(-1)?.at(-1);
    if (before && point[0] - before[0] < 1.5 * step) parts.at(-1)?.push(point);
    else parts.push([point]);
  }
  return parts;
}

function wholeMinutes(start: number, end: number): number[] {
  const first = Math.ceil(start / 60);
  return Array.from({ length: Math.floor(end / 60) - first + 1 }, (_, n) => (first + n) * 60);
}
