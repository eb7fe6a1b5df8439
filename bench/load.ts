/** Load by wrk, from a core of its own. */

import { execFile, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { installPackages } from '../test/e2e/cluster/debian.ts';

const LOAD_CORE = '1';
const SCRIPT = fileURLToPath(new URL('./wrk.lua', import.meta.url));
const run = promisify(execFile);

export interface Load {
  readonly requests: number;
  readonly requestsPerSecond: number;
  /** Responses other than 2xx, and connections that failed. */
  readonly errors: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** Installs wrk if it is missing. */
export function requireWrk(): void {
  if (spawnSync('wrk', ['--version'], { stdio: 'ignore' }).error) installPackages(['wrk']);
}

/**
 * Sends reviews over keep-alive connections.
 *
 * @param file with one review a line
 * @param connecting milliseconds in which the connections are made before anything is sent, and which are not measured. Without
 *   them a busy server has not accepted a thousand connections when the time is over: libuv accepts one a turn of its loop
 *   (https://github.com/libuv/libuv/pull/3696)
 * @throws Error when not all connections were made in time
 */
export async function load(port: number, file: string, connections: number, seconds: number, connecting = 0): Promise<Load> {
  const args = ['-c', LOAD_CORE, 'wrk', '-t1', `-c${connections}`, `-d${seconds + Math.ceil(connecting / 1000)}s`, '--timeout=10s'];
  const running = run('taskset', [...args, '-s', SCRIPT, `https://127.0.0.1:${port}/mutate`, '--', file, String(connecting)]);
  // It ends with this process.
  const end = (): void => void running.child.kill();
  process.once('exit', end);
  const { stdout } = await running.finally(() => process.off('exit', end));
  const { requests, microseconds, errors, p50, p99, max, connected } = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '');
  if (connecting > 0 && connected < connections) throw new Error(`only ${connected} of ${connections} connections within ${connecting} ms`);
  const requestsPerSecond = requests / (microseconds / 1e6 - connecting / 1000);
  return { requests, requestsPerSecond, errors, p50: p50 / 1000, p99: p99 / 1000, max: max / 1000 };
}
