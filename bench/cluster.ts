import { join } from 'node:path';
import { startControlPlane } from '../test/e2e/cluster/control-plane.ts';
import type { Sent } from './client.ts';
import type { Bench } from './harness.ts';
import { pod } from './reviews.ts';

/** A real API server with a namespace that opted in, and what creates pods in it. */
export async function startCluster(bench: Bench, flags: readonly string[] = []) {
  const cluster = await startControlPlane(join(bench.dir, 'cluster'), '127.0.0.1', { release: '1.36', flags });
  await cluster.run(['create', 'namespace', 'agents']);
  await cluster.run(['label', 'namespace', 'agents', 'openshell.ai/sideload=enabled']);
  // The controller that makes it does not run here.
  await cluster.run(['create', 'serviceaccount', 'default', '-n', 'agents']);
  let serial = 0;
  /** @param query such as `?dryRun=All` @param options those of client/main.go */
  const create = (count: number, atOnce: number, options: Readonly<Record<string, string | number>>, query = ''): Promise<Sent> =>
    bench.send({
      ...{ url: `https://${cluster.address}:${cluster.port}/api/v1/namespaces/agents/pods${query}`, token: 'admin-token' },
      ...{ ca: cluster.servingCertificate, 'at-once': atOnce, want: '/opt/openshell/bin/openshell-sandbox' },
      bodies: bench.write(Array.from({ length: count }, () => JSON.stringify(pod(serial++)))),
      ...options,
    });
  return { ...cluster, create };
}
