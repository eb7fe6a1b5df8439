/** Bodies over the transport of client-go, which API servers call webhooks with. */

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { build } from '../test/e2e/cluster/go-build.ts';

const MODULE = fileURLToPath(new URL('./client/', import.meta.url));

export interface Sent {
  /** Responses as they have to be: before the limit, and after it. */
  readonly inTime: number;
  readonly late: number;
  /** No response, or another one. */
  readonly failed: number;
  readonly failure: string;
  /** From the first body to the last response. */
  readonly seconds: number;
  /** Seconds from a call to its response, or to its failure. */
  readonly p50: number;
  readonly p99: number;
  readonly slowest: number;
}

/** Where bodies go, and how; the options of client/main.go. */
export type Options = Readonly<Record<string, string | number | boolean>>;

/** Builds the program into `dir`. Returns what sends the bodies of a file, and tells the first failure to stderr. */
export function buildClient(dir: string): (options: Options) => Promise<Sent> {
  build(dir, { module: MODULE, packages: ['.'], output: 'bench-client' });
  return async (options) => {
    const args = Object.entries(options).map(([name, value]) => `-${name}=${value}`);
    const sent = JSON.parse((await promisify(execFile)(join(dir, 'bench-client'), args)).stdout) as Sent;
    if (sent.failed > 0) process.stderr.write(`${sent.failed} failed, such as: ${sent.failure}\n`);
    return sent;
  };
}
