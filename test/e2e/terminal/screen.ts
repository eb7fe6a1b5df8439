import xterm, { type IBufferCell, type IBufferLine } from '@xterm/headless';
import type { Cast } from './cast.ts';

/** Letters of a line that look alike. */
export interface Run {
  readonly column: number;
  readonly text: string;
  /** Of the eight colours of a terminal; undefined for the one of the page. */
  readonly color: 'black' | 'red' | 'green' | 'yellow' | 'blue' | 'magenta' | 'cyan' | 'white' | undefined;
  readonly bold: boolean;
  readonly dim: boolean;
}

/** What a terminal shows in the end, with all lines that went out at its top. */
export interface Screen {
  readonly lines: readonly (readonly Run[])[];
  /** After each event: its seconds, and how many lines there were. */
  readonly progress: readonly (readonly [seconds: number, lines: number])[];
}

const COLORS = ['black', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan', 'white'] as const;
const MAX_LINES = 5000;

/** Plays a recording in a terminal. */
export async function play({ columns, rows, events }: Cast): Promise<Screen> {
  const terminal = new xterm.Terminal({ cols: columns, rows, scrollback: MAX_LINES, allowProposedApi: true });
  const progress: [number, number][] = [];
  const { active } = terminal.buffer;
  const written = (): number => active.baseY + active.cursorY + (active.cursorX > 0 ? 1 : 0);
  for (const [seconds, data] of events) {
    await new Promise<void>((resolve) => terminal.write(data, resolve));
    progress.push([seconds, written()]);
  }
  const lines = Array.from({ length: written() }, (_, n) => runsOf(active.getLine(n)));
  terminal.dispose();
  return { lines, progress };
}

function runsOf(line: IBufferLine | undefined): Run[] {
  const runs: { -readonly [Key in keyof Run]: Run[Key] }[] = [];
  for (let column = 0; column < (line?.length ?? 0); column++) {
    const cell = line?.getCell(column);
    if (!cell || cell.getWidth() === 0) continue;
    const style = { color: colorOf(cell), bold: cell.isBold() !== 0, dim: cell.isDim() !== 0 };
    const last = runs.at(-1);
    const text = cell.getChars() || ' ';
    if (last && last.color === style.color && last.bold === style.bold && last.dim === style.dim) last.text += text;
    else runs.push({ column, text, ...style });
  }
  // Nothing is seen of spaces at the end.
  return runs
    .map((run, at) => (at === runs.length - 1 ? { ...run, text: run.text.trimEnd() } : run))
    .filter(({ text }) => text.trim() !== '');
}

function colorOf(cell: IBufferCell): Run['color'] {
  if (cell.isFgDefault()) return undefined;
  const color = cell.isFgPalette() ? COLORS[cell.getFgColor() % 8] : undefined;
  if (color === undefined || cell.getFgColor() > 15) throw new Error(`a colour beyond the sixteen of a terminal: ${cell.getFgColor()}`);
  return color;
}
