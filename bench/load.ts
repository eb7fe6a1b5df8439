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
  /** Answers other than 2xx, and connections that failed. */
  readonly errors: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** Installs wrk where it is missing. */
export function requireWrk(): void {
  const { error } = spawnSync('wrk', ['--version'], { stdio: 'ignore' });
  if (error) installPackages(['wrk']);
}

/**
 * Sends reviews over keep-alive connections.
 *
 * @param file with one review a line
 */
export async function load(port: number, file: string, connections: number, seconds: number): Promise<Load> {
  const args = ['-c', LOAD_CORE, 'wrk', '-t1', `-c${connections}`, `-d${seconds}s`, '--timeout=10s', '-s', SCRIPT];
  const { stdout } = await run('taskset', [...args, `https://127.0.0.1:${port}/mutate`, '--', file]);
  const { requests, microseconds, errors, p50, p99, max } = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '');
  return { requests, requestsPerSecond: (requests / microseconds) * 1e6, errors, p50: p50 / 1000, p99: p99 / 1000, max: max / 1000 };
}
