import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import type { Pod } from '../../src/sideload/pod.ts';
import { injectedFile, listGoldens, readGolden } from '../goldens.ts';
import { REFUSED_PODS } from '../refusals.ts';

const { inputs, injected } = listGoldens();

/** Pods that mean something: every golden, what became of each, and a pod for every refusal. */
export const SEED_PODS: readonly Pod[] = [
  ...inputs.map((name) => readGolden(name).pod),
  ...injected.map((name) => parse(readFileSync(injectedFile(name), 'utf8')).pod as Pod),
  ...REFUSED_PODS.map(({ pod }) => pod),
];
