/** Load over the transport of client-go, by which API servers call webhooks. */

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { build } from '../test/e2e/cluster/go-build.ts';

const MODULE = fileURLToPath(new URL('./client/', import.meta.url));

/** Latencies are milliseconds, from a call to its response or its failure. */
export interface Sent {
  /** Responses as they have to be: before the limit, and after it. */
  readonly inTime: number;
  readonly late: number;
  /** No response, or another one. */
  readonly failed: number;
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly slowest: number;
  /** Of the process that was named: microseconds for each response, in user and kernel mode, and MiB at the end. */
  readonly cpu: number;
  readonly rss: number;
}

/** Where bodies go, and how: the options of client/main.go; and the cores that it may use. */
type Options = Readonly<Record<string, string | number | boolean>>;

/** Builds the program into `dir`. Returns what sends the bodies of a file, and tells a failure to stderr. */
export function buildClient(dir: string): (options: Options, cores?: string) => Promise<Sent> {
  build(dir, { module: MODULE, packages: ['.'], output: 'bench-client' });
  return async (options, cores) => {
    const words = Object.entries(options).map(([name, value]) => `-${name}=${value}`);
    const [command = '', ...args] = [...(cores === undefined ? [] : ['taskset', '-c', cores]), join(dir, 'bench-client'), ...words];
    const running = promisify(execFile)(command, args);
    // It ends with this process.
    const end = (): void => void running.child.kill();
    process.once('exit', end);
    const { failure, ...sent } = JSON.parse((await running.finally(() => process.off('exit', end))).stdout);
    if (sent.failed > 0) process.stderr.write(`${sent.failed} failed, such as: ${failure}\n`);
    return sent;
  };
}
