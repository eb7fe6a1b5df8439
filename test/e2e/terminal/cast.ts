/** Recordings of a terminal, as asciicast v2 (docs.asciinema.org/manual/asciicast/v2): `asciinema play` plays them. */

/** What was printed, and when. */
export interface Cast {
  readonly title: string;
  readonly columns: number;
  readonly rows: number;
  /** Seconds since the start, and what was printed then. */
  readonly events: readonly (readonly [seconds: number, data: string])[];
}

export function formatCast({ title, columns, rows, events }: Cast): string {
  const header = { version: 2, width: columns, height: rows, title };
  const lines = events.map(([seconds, data]) => [Number(seconds.toFixed(3)), 'o', data]);
  return [header, ...lines].map((line) => `${JSON.stringify(line)}\n`).join('');
}

/** Reads what `formatCast` writes. */
export function parseCast(text: string): Cast {
  const [{ title, width, height }, ...lines] = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  return { title, columns: width, rows: height, events: lines.map(([seconds, , data]) => [seconds, data]) };
}

/** Control sequences that change no position: colours and styles. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: this is what they are made of
const STYLES = /\x1b\[[\d;]*m/g;

/** What was printed, without colours and styles. */
export function plainText({ events }: Cast): string {
  return events
    .map(([, data]) => data)
    .join('')
    .replaceAll(STYLES, '')
    .replaceAll('\r\n', '\n');
}

/** Seconds: of a line, more before one that begins something, and at the end. */
const [LINE, HEADING, END] = [0.05, 1.6, 6];

/**
 * A recording that a person can follow, as programs print faster than one reads: a line after the other, with a pause before
 * each one that `isHeading` names.
 */
export function paced(cast: Cast, isHeading: (line: string) => boolean): Cast {
  const lines =
    cast.events
      .map(([, data]) => data)
      .join('')
      .match(/[^\n]*\n|[^\n]+$/g) ?? [];
  let seconds = 0;
  const events = lines.map((line): [number, string] => {
    seconds += isHeading(line.replaceAll(STYLES, '').trimEnd()) ? HEADING : LINE;
    return [seconds, line];
  });
  return { ...cast, events: [...events, [seconds + END, '']] };
}
