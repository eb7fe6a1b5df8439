import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';

/** A process that logs some lines, says on its standard error how many found no room, and ends in some way. */
function logging(lines: number, end: string) {
  const script = `
    import { openLog } from ${JSON.stringify(new URL('../src/observe/log.ts', import.meta.url).href)};
    const { logger, lostLines } = openLog('info');
    for (let line = 1; line <= ${lines}; line++) logger.info({ line }, 'a line');
    process.stderr.write(lostLines() + '\\n');
    ${end}`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], { stdio: ['ignore', 'pipe', 'pipe'] });
  const linesOf = async (): Promise<Record<string, unknown>[]> =>
    (await text(child.stdout))
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line));
  return { child, linesOf };
}

describe('the log of a terminal', () => {
  it('has readable lines', async () => {
    const script = `
      import { openTerminalLog } from ${JSON.stringify(new URL('../src/observe/log.ts', import.meta.url).href)};
      (await openTerminalLog('info')).logger.info({ port: 8443 }, 'serving');`;
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    expect(stripVTControlCharacters(await text(child.stdout))).toMatch(/^\[[\d:.]+\] INFO: serving\n {4}port: 8443\n$/);
  });
});

describe('the log', () => {
  it.each(['process.exit(1)', 'setTimeout(() => process.exit(0), 200)', ''])(
    'holds all lines when the process ends by %j, in order unless it ends while another thread writes',
    async (end) => {
      const read = await logging(1000, end).linesOf();
      const lines = end === 'process.exit(1)' ? read.toSorted((a, b) => Number(a.line) - Number(b.line)) : read;
      expect(lines.map(({ line }) => line)).toEqual(Array.from({ length: 1000 }, (_, index) => index + 1));
      expect(lines[0]).toEqual({
        level: 'info',
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
        line: 1,
        msg: 'a line',
      });
    },
  );

  it('delays nothing while it is not read, and counts the dropped lines', async () => {
    const total = 100_000;
    const { child, linesOf } = logging(total, '');
    const [told] = await once(child.stderr, 'data');
    const lost = Number(told);
    expect(lost).toBeGreaterThan(0);
    const lines = await linesOf();
    expect(lines.length + lost).toBe(total);
  });
});
