import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CA_FILE } from '../../src/tls/local.ts';
import { buildBundle } from '../e2e/bundle.ts';
import { freePorts, type Process } from '../e2e/cluster/process.ts';
import { startWebhook } from '../e2e/webhook.ts';
import { ANY_METHOD, NO_LOOKUP } from '../refusals.ts';

/** The memory limit of manifests/base/deployment.yaml: beyond it the kernel ends the process. */
export const MEMORY_LIMIT_MIB = 384;
/** The heap that Node.js 24 takes in a container of that limit with the Dockerfile's flags is 280 MiB: the old generation and three semi-spaces. Maglev stays on: NODE_OPTIONS takes no --no-maglev. */
const HEAP_OPTIONS = '--max-old-space-size=256 --max-semi-space-size=8 --v8-pool-size=1';

/** The webhook under test: a process of its own, with the heap it has in its container. */
export interface Product {
  readonly process: Process;
  readonly port: number;
  readonly adminPort: number;
  readonly ca: string;
  /** The files of this run. */
  readonly dir: string;
  /** Memory in MiB: what the program holds, garbage included, and the most that the process ever had. */
  readonly memory: () => Promise<{ readonly held: number; readonly peak: number }>;
}

let main: string | undefined;

/**
 * Starts what is shipped.
 *
 * @param flags besides those that the cases are judged by
 */
export async function startProduct(...flags: string[]): Promise<Product> {
  const dir = mkdtempSync(join(tmpdir(), 'sideload-fuzz-'));
  const [port, adminPort] = (await freePorts(2)) as [number, number];
  const env = { ...process.env, NODE_OPTIONS: HEAP_OPTIONS };
  main ??= buildBundle();
  const own = [...ANY_METHOD, ...NO_LOOKUP, '--supervisor-env=OPERATOR=1'];
  const webhook = await startWebhook(dir, { port, adminPort }, [...own, ...flags], env, main);
  const find = (text: string, pattern: RegExp): number => Number(pattern.exec(text)?.[1]);
  return {
    process: webhook,
    port,
    adminPort,
    ca: readFileSync(join(dir, 'tls', CA_FILE), 'utf8'),
    dir,
    memory: async () => {
      const metrics = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`, { headers: { connection: 'close' } })).text();
      const held = find(metrics, /^nodejs_heap_size_used_bytes (\S+)/m) + find(metrics, /^nodejs_external_memory_bytes (\S+)/m);
      return { held: held / 2 ** 20, peak: find(readFileSync(`/proc/${webhook.pid}/status`, 'utf8'), /^VmHWM:\s+(\d+) kB/m) / 2 ** 10 };
    },
  };
}
