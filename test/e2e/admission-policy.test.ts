/**
 * Injection by admission policies (`openshell-sideload admission-policy`) on a real kube-apiserver, without any webhook: every pod
 * is stored as the webhook stores it, or refused, with the webhook's reason code.
 */

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CHOICES, everyChange, GOLDENS, INJECTED, REFUSED } from './admission-policy/cases.ts';
import { comparePods } from './admission-policy/compare.ts';
import { type Stage, setStage } from './admission-policy/stage.ts';
import { type ControlPlane, openControlPlane } from './cluster/control-plane.ts';

const dir = mkdtempSync(join(tmpdir(), 'sideload-admission-policy-'));
let cluster: ControlPlane;
let stage: Stage;

beforeAll(async () => {
  cluster = await openControlPlane(join(dir, 'cluster'));
  // A golden names the second account.
  stage = await setStage(cluster, dir, CHOICES, ['openshell-sandbox']);
});

afterAll(async () => {
  stage?.close();
  await cluster?.stop();
});

/** Some of a list, the same for one seed. */
function sample<T>(list: readonly T[], size: number, seed: number): T[] {
  let state = seed;
  const random = (): number => {
    // A linear congruential generator, as in POSIX's rand().
    state = (state * 1103515245 + 12345) % 2 ** 31;
    return state;
  };
  return list
    .map((item) => ({ item, order: random() }))
    .sort((one, other) => one.order - other.order)
    .slice(0, size)
    .map(({ item }) => item);
}

describe('policies and webhook store the same', () => {
  it('of every golden', async () => {
    const { differences, seen } = await comparePods(stage, GOLDENS);
    expect(differences).toEqual([]);
    expect(seen).toEqual({ stored: GOLDENS.length });
  });

  it('of every golden that is injected already', async () => {
    const { differences, seen } = await comparePods(stage, INJECTED);
    expect(differences).toEqual([]);
    expect(seen).toEqual({ stored: INJECTED.length });
  });

  it('of pods that are refused: nothing, for the same reason', async () => {
    const { differences, seen } = await comparePods(stage, REFUSED);
    expect(differences).toEqual([]);
    expect(seen.stored).toBeUndefined();
  });

  /** EVERY_CHANGE=1: some 20,000 pods, `npm run e2e:policy`. */
  it('of pods with a part of them taken away, changed or added', async () => {
    const changes = [...everyChange(GOLDENS), ...everyChange(INJECTED)];
    const seed = Number(process.env.SEED ?? Date.now() % 100_000);
    const chosen = process.env.EVERY_CHANGE ? changes : sample(changes, 400, seed);
    const { differences, seen } = await comparePods(stage, chosen);
    expect(differences, `SEED=${seed}`).toEqual([]);
    expect(seen.stored).toBeGreaterThan(chosen.length / 3);
  });
});
