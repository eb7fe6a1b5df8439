import type { Cast } from './cast.ts';
import { play, type Run, type Screen } from './screen.ts';

/** Pixels of a letter; of its line; around all. */
const [WIDTH, HEIGHT, MARGIN] = [8.4, 19, 14];

/** As pages are: a light or a dark terminal. Contrast is at least 4.5 in both. */
const STYLE = `
svg { --back: #f6f8fa; --line: #d1d9e0; --text: #1f2328; --dim: #59636e; --red: #a40e26; --green: #116329; --yellow: #7d4e00; --blue: #0550ae; --magenta: #6639ba; --cyan: #0b5f6b }
@media (prefers-color-scheme: dark) {
  svg { --back: #161b22; --line: #3d444d; --text: #e6edf3; --dim: #9ea7b3; --red: #ff8f85; --green: #56d364; --yellow: #e3b341; --blue: #79b8ff; --magenta: #d2a8ff; --cyan: #6cc6d4 }
}
text { fill: var(--text); font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; white-space: pre }
.frame { fill: var(--back); stroke: var(--line) }
.curtain { fill: var(--back) }
.bold { font-weight: 600 }
.dim { fill: var(--dim) }
.red { fill: var(--red) }
.green { fill: var(--green) }
.yellow { fill: var(--yellow) }
.blue { fill: var(--blue) }
.magenta { fill: var(--magenta) }
.cyan { fill: var(--cyan) }
`;

/** What a recording shows in the end. */
export async function drawStill(cast: Cast): Promise<string> {
  const { lines } = await play(cast);
  return frame(cast, lines.length, STYLE, `<g>${lines.map(drawLine).join('\n')}</g>`);
}

/**
 * A recording as a picture that moves by CSS alone, as scripts do not run in pictures. Who wants no motion sees the end of it.
 *
 * @throws Error when it does more than print line after line: the picture is one long sheet behind a window
 */
export async function drawMoving(cast: Cast): Promise<string> {
  for (const [, data] of cast.events) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: this is what moves a cursor
    const moves = /\x1b(?!\[[\d;]*m)|\r(?!\n)|[\b\v\f]/.exec(data);
    if (moves)
      throw new Error(`moves the cursor, which this picture does not: ${JSON.stringify(data.slice(moves.index, moves.index + 20))}`);
  }
  const screen = await play(cast);
  const sheet = screen.lines.map(drawLine).join('\n');
  const curtain = `<rect class="curtain" x="${-MARGIN}" width="${cast.columns * WIDTH + 2 * MARGIN}" height="${cast.rows * HEIGHT}"/>`;
  const body = `<svg x="${MARGIN}" y="${MARGIN}" width="${cast.columns * WIDTH}" height="${cast.rows * HEIGHT}"><g class="sheet">${sheet}${curtain}</g></svg>`;
  return frame(cast, cast.rows, `${STYLE}${motion(cast, screen)}`, body);
}

/** The sheet moves up as a terminal scrolls; the curtain hides the lines that are not printed yet. */
function motion({ rows }: Cast, { progress }: Screen): string {
  const seconds = progress.at(-1)?.[0] ?? 1;
  const scrolled = (lines: number): number => -Math.max(0, lines - rows) * HEIGHT;
  const keyframes = (name: string, shift: (lines: number) => number): string => {
    let before = Number.NaN;
    const steps = [[0, 0] as const, ...progress].flatMap(([at, lines]) => {
      if (shift(lines) === before) return [];
      before = shift(lines);
      return [`${Number(((100 * at) / seconds).toFixed(2))}%{transform:translateY(${before}px)}`];
    });
    return `@keyframes ${name}{${steps.join('')}}`;
  };
  const [last = 0, time] = [progress.at(-1)?.[1], `${seconds.toFixed(1)}s step-end infinite`];
  return `.sheet { transform: translateY(${scrolled(last)}px); animation: scroll ${time} }
.curtain { transform: translateY(${last * HEIGHT}px); animation: print ${time} }
${keyframes('scroll', scrolled)}
${keyframes('print', (lines) => lines * HEIGHT)}
@media (prefers-reduced-motion: reduce) { .sheet, .curtain { animation: none } }
`;
}

function frame({ title, columns }: Cast, rows: number, style: string, body: string): string {
  const [width, height] = [columns * WIDTH + 2 * MARGIN, rows * HEIGHT + 2 * MARGIN];
  const content = body.startsWith('<g>') ? body.replace('<g>', `<g transform="translate(${MARGIN} ${MARGIN})">`) : body;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">
<title>${escapeText(title)}</title>
<style>${style}</style>
<rect class="frame" x=".5" y=".5" width="${width - 1}" height="${height - 1}" rx="6"/>
${content}
</svg>
`;
}

function drawLine(runs: readonly Run[], row: number): string {
  const y = Math.round(row * HEIGHT + 0.74 * HEIGHT);
  return runs
    .map(({ column, text, color, bold, dim }) => {
      const shown = text.trimStart();
      const start = column + text.length - shown.length;
      const classes = [color, bold && 'bold', dim && 'dim'].filter(Boolean).join(' ');
      // Columns stay in line whatever the font: its letters are made as wide as this.
      const place = `x="${number(start * WIDTH)}" y="${y}" textLength="${number([...shown].length * WIDTH)}" lengthAdjust="spacingAndGlyphs"`;
      return `<text ${place}${classes ? ` class="${classes}"` : ''}>${escapeText(shown)}</text>`;
    })
    .join('');
}

const number = (value: number): number => Number(value.toFixed(1));

function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
