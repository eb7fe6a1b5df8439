import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { builtPrograms } from './go-build.ts';

/**
 * Finds the program of ./argo-cd-diff/main.go in the cache outside the work tree, where it is built first with the gitops-engine
 * that ./argo-cd-diff/go.mod pins.
 *
 * @returns its path
 * @throws Error when it cannot be built
 */
export function findArgoCdDiff(): string {
  const module = fileURLToPath(new URL('./argo-cd-diff/', import.meta.url));
  const programs = [{ module, packages: ['.'], output: 'argo-cd-diff' }];
  return join(builtPrograms('argo-cd-diff', 'the comparison of Argo CD (some two minutes)', programs), 'argo-cd-diff');
}

/**
 * Whether Argo CD shows an object as out of sync.
 *
 * @param config as in Git
 * @param live as in the cluster
 */
export function isOutOfSync(config: object, live: object): boolean {
  const input = JSON.stringify({ config, live });
  return JSON.parse(execFileSync(findArgoCdDiff(), { input, encoding: 'utf8', stdio: ['pipe', 'pipe', 'ignore'] })) as boolean;
}
