/** One replica of the webhook as it ships, held to a share of the CPU and to the memory of its container. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeCgroup } from '../../test/e2e/cluster/cgroup.ts';
import { freePorts, start, waitFor } from '../../test/e2e/cluster/process.ts';
import { MEMORY_LIMIT_MIB } from '../../test/fuzz/product.ts';

const SETTLE_MS = 2000;

interface Counters {
  /** Seconds of CPU that it has taken. */
  readonly cpu: number;
  /** Requests answered with 503. */
  readonly unavailable: number;
}

export interface Replica {
  readonly port: number;
  /** Seconds from its start to its readiness. */
  readonly startSeconds: number;
  /** What it counts itself. */
  readonly counters: () => Promise<Counters>;
  /** Seconds for which it had work and waited for its next share of the CPU. */
  readonly throttledSeconds: () => number;
  /** The most resident memory that it has had, in MiB. */
  readonly peakMemory: () => number;
  readonly stop: () => Promise<void>;
}

/** How replicas are started. */
export interface Launch {
  /** With the certificate in `tls`. */
  readonly dir: string;
  /** The command line in front of its flags. */
  readonly command: readonly string[];
  readonly millicores: number;
  /** Where it listens. */
  readonly port: number;
}

/**
 * Starts a replica and waits until it is ready.
 *
 * @param warmUp where given, the replica starts and does this with all the CPU there is, and is held to its share afterwards.
 *   Without it, it is held from its start
 */
export async function startReplica({ dir, command, millicores, port }: Launch, warmUp?: () => Promise<unknown>): Promise<Replica> {
  const cgroup = makeCgroup('sideload-burst', MEMORY_LIMIT_MIB);
  const [adminPort = 0] = await freePorts(1);
  const flags = [`--tls-cert-dir=${join(dir, 'tls')}`, `--port=${port}`, `--admin-port=${adminPort}`];
  const [shell = '', ...args] = [...cgroup.inside, ...command, ...flags, '--bind-address=127.0.0.1', '--shutdown-delay=0'];
  if (!warmUp) cgroup.limitCpu(millicores);
  const begin = performance.now();
  const webhook = start('openshell-sideload', shell, args, join(dir, 'webhook.log'), { ...process.env, NODE_ENV: 'production' });
  const stop = async (): Promise<void> => {
    await webhook.stop('SIGKILL');
    cgroup.remove();
  };
  const get = (path: string): Promise<Response> => fetch(`http://127.0.0.1:${adminPort}${path}`);
  const isReady = (): Promise<boolean> =>
    get('/readyz').then(
      ({ ok }) => ok,
      () => false,
    );
  try {
    await waitFor('a ready replica', isReady, [webhook]);
    const startSeconds = (performance.now() - begin) / 1000;
    if (warmUp) {
      await warmUp();
      // What the warm-up has left to be done, such as compiling its hot code, is done.
      await sleep(SETTLE_MS);
      cgroup.limitCpu(millicores);
    }
    return {
      port,
      startSeconds,
      counters: async () => {
        const metrics = await (await get('/metrics')).text();
        const read = (series: string): number => Number(metrics.match(new RegExp(`^${series} (\\S+)$`, 'm'))?.[1] ?? 0);
        return { cpu: read('process_cpu_seconds_total'), unavailable: read('openshell_sideload_http_errors_total\\{code="503"\\}') };
      },
      throttledSeconds: cgroup.throttledSeconds,
      peakMemory: () => Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${webhook.pid}/status`, 'utf8'))?.[1]) / 1024,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
