import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Cast } from './cast.ts';

const ROWS = 30;

/**
 * Runs a command in a terminal and records what it prints, with the moments; `script` of util-linux makes the terminal.
 *
 * @param shown what a user would type
 * @param command what a shell runs
 * @param columns letters of a line
 * @param expected the exit code
 * @throws Error with what was printed, when the command ends with another code
 */
export async function record(shown: string, command: string, env: NodeJS.ProcessEnv, columns: number, expected: number): Promise<Cast> {
  const inTerminal = `stty cols ${columns} rows ${ROWS}; exec ${command}`;
  const child = spawn('script', ['--quiet', '--return', '--flush', '--command', inTerminal, '/dev/null'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, TERM: 'xterm-256color', NO_COLOR: '', ...env },
  });
  const started = performance.now();
  const events: [number, string][] = [[0, `\x1b[2m$\x1b[22m ${shown}\r\n`]];
  child.stdout.setEncoding('utf8').on('data', (data: string) => void events.push([(performance.now() - started) / 1000, data]));
  const [code] = await once(child, 'close');
  if (code !== expected) throw new Error(`${command} ended with ${code}:\n${events.map(([, data]) => data).join('')}`);
  return { title: shown, columns, rows: ROWS, events };
}
