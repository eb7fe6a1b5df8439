/** The pictures of the demo and of commands: they are of what the programs print. test/e2e/pictures.test.ts opens them in a browser. */

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type Cast, formatCast, paced, parseCast, plainText } from './e2e/terminal/cast.ts';
import { PICTURES, type PictureName, readCast } from './e2e/terminal/pictures.ts';
import { play } from './e2e/terminal/screen.ts';
import { drawMoving, drawStill } from './e2e/terminal/svg.ts';

const castOf = (...data: string[]): Cast => ({ title: 'a title', columns: 20, rows: 3, events: data.map((each, n) => [n, each]) });

/** What a program prints. */
function print(...args: string[]): string {
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  expect(stderr).toBe('');
  return stdout;
}

describe('docs/images', () => {
  it.each(Object.keys(PICTURES) as PictureName[])('%s.svg is drawn from its recording: npm run docs:terminal -- again', async (name) => {
    const drawn = readFileSync(new URL(`../docs/images/${name}.svg`, import.meta.url), 'utf8');
    expect(drawn).toBe(await PICTURES[name](readCast(name)));
  });

  it('demo.cast is what the demo prints: npm run docs:terminal -- demo records it', () => {
    const withoutPort = (text: string): string => text.replace(/localhost:\d+/, 'localhost:PORT');
    const recorded = withoutPort(plainText(readCast('demo')));
    expect(recorded).toContain('$ npm run demo\n');
    expect(recorded.slice(recorded.indexOf('The webhook serves'))).toBe(withoutPort(print('examples/demo.ts')));
  });

  it('explain-file.cast is what explain prints: npm run docs:terminal records it', () => {
    const file = 'examples/unreachable.yaml';
    expect(plainText(readCast('explain-file'))).toBe(
      `$ openshell-sideload explain -f ${file}\n${print('src/main.ts', 'explain', '-f', file)}`,
    );
  });
});

describe('a recording', () => {
  it('is asciicast v2, and is read as it was written', () => {
    const cast = castOf('one\r\n', '\x1b[32mtwo\x1b[39m');
    const text = formatCast(cast);
    expect(text).toBe('{"version":2,"width":20,"height":3,"title":"a title"}\n[0,"o","one\\r\\n"]\n[1,"o","\\u001b[32mtwo\\u001b[39m"]\n');
    expect(parseCast(text)).toEqual(cast);
  });

  it('is made slow enough to be read: line after line, with pauses before headings and at the end', () => {
    const { events } = paced(castOf('a\r\nb', '\r\n', '\x1b[1mHead\x1b[22m\r\nc'), (line) => line === 'Head');
    expect(events.map(([, data]) => data)).toEqual(['a\r\n', 'b\r\n', '\x1b[1mHead\x1b[22m\r\n', 'c', '']);
    const gaps = events.slice(1).map(([seconds], n) => seconds - (events[n]?.[0] ?? 0));
    expect(gaps[1]).toBeGreaterThan(10 * (gaps[0] ?? 0));
    expect(gaps.at(-1)).toBeGreaterThan(3);
  });
});

describe('a terminal', () => {
  it('shows styles, what replaced a line, and the end of long lines on the next one', async () => {
    const { lines, progress } = await play(
      castOf('wait …', '\x1b[1G\x1b[2K\x1b[31mred\x1b[39m and \x1b[1mbold\x1b[22m\r\n', `${'x'.repeat(25)}\r\n`),
    );
    const plain = { color: undefined, bold: false, dim: false };
    expect(lines).toEqual([
      [
        { ...plain, column: 0, text: 'red', color: 'red' },
        { ...plain, column: 3, text: ' and ' },
        { ...plain, column: 8, text: 'bold', bold: true },
      ],
      [{ ...plain, column: 0, text: 'x'.repeat(20) }],
      [{ ...plain, column: 0, text: 'x'.repeat(5) }],
    ]);
    expect(progress).toEqual([
      [0, 1],
      [1, 1],
      [2, 3],
    ]);
  });
});

describe('a picture', () => {
  it('escapes texts and the title', async () => {
    const svg = await drawStill({ ...castOf('<b>&'), title: '</title><script>' });
    expect(svg).toContain('>&lt;b>&amp;</text>');
    expect(svg).toContain('<title>&lt;/title>&lt;script></title>');
  });

  it.each(['\x1b[2K', '\x1b[1G', 'half\rover', '\b', '\x1b]0;title\x07'])(
    'that moves is refused for %j, which it would show wrong',
    async (data) => {
      await expect(drawMoving(castOf('a\r\n', data))).rejects.toThrow('moves the cursor, which this picture does not');
    },
  );
});
