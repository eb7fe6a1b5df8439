import { styleText } from 'node:util';
import { createTwoFilesPatch } from 'diff';

type Style = Parameters<typeof styleText>[0];
const STYLES: Readonly<Record<string, Style>> = { '+': 'green', '-': 'red', '@': 'cyan' };

/** Colours a text where the stream is a terminal and NO_COLOR does not forbid it (no-color.org). */
export function paint(style: Style, text: string, stream: { readonly isTTY?: boolean } = process.stdout): string {
  return stream.isTTY && !process.env.NO_COLOR ? styleText(style, text) : text;
}

/** The unified difference of two texts, without its two file lines; coloured on a terminal. */
export function unifiedDiff(before: string, after: string): string {
  const [, , , ...lines] = createTwoFilesPatch('before', 'after', before, after, undefined, undefined, { context: 2 })
    .trimEnd()
    .split('\n');
  return lines
    .map((line) => {
      const style = STYLES[line[0] ?? ''];
      return `${style ? paint(style, line) : line}\n`;
    })
    .join('');
}
