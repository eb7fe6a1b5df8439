/**
 * `npm run e2e:up`: keeps one fresh control plane ready until Ctrl-C, so that an end-to-end test file that takes it starts in a
 * moment. When one is taken, the next one is started; it ends when the test that took it has.
 */

import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ControlPlane, startControlPlane } from './control-plane.ts';
import { claimant, FOLDER, isAlive, offer } from './ready.ts';

const LOOK_MS = 500;

interface Kept {
  readonly dir: string;
  readonly cluster: ControlPlane;
}

async function prepare(): Promise<Kept> {
  const dir = mkdtempSync(join(tmpdir(), 'openshell-sideload-up-'));
  const cluster = await startControlPlane(dir);
  offer({ dir, address: cluster.address, port: cluster.port, owner: process.pid });
  return { dir, cluster };
}

async function discard({ dir, cluster }: Kept): Promise<void> {
  await cluster.stop();
  rmSync(dir, { recursive: true, force: true });
}

rmSync(FOLDER, { recursive: true, force: true });
const ended = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => ended.abort());

let ready = await prepare();
/** The control planes that tests have taken, by the file of their claim. */
const taken = new Map<string, Kept>();
process.stdout.write(`A control plane is ready, and the next one will be when a test has taken it. In another terminal:
  npx vitest run --config test/e2e/vitest.config.ts test/e2e/explain.test.ts
  KUBECONFIG=${ready.cluster.kubeconfig} kubectl get namespaces     # until a test has taken it
Ctrl-C ends it.
`);
while (!ended.signal.aborted) {
  const claims = readdirSync(FOLDER).filter((name) => claimant(name) !== undefined);
  for (const claim of claims) {
    if (!taken.has(claim)) {
      taken.set(claim, ready);
      ready = await prepare();
    } else if (!isAlive(claimant(claim) ?? 0)) {
      rmSync(join(FOLDER, claim));
      await discard(taken.get(claim) as Kept);
      taken.delete(claim);
    }
  }
  await sleep(LOOK_MS, undefined, { signal: ended.signal }).catch(() => undefined);
}
rmSync(FOLDER, { recursive: true, force: true });
for (const kept of [...taken.values(), ready]) await discard(kept);
