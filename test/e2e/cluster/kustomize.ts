import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { builtPrograms } from './go-build.ts';

/**
 * Finds kustomize in the cache outside the work tree, where it is built first from the Go modules that ./kustomize/go.mod pins.
 *
 * @returns the program's path
 * @throws Error when it cannot be built
 */
export function findKustomize(): string {
  const module = fileURLToPath(new URL('./kustomize/', import.meta.url));
  const packages = ['sigs.k8s.io/kustomize/kustomize/v5'];
  return join(builtPrograms('kustomize', 'kustomize (a minute)', [{ module, packages, output: 'kustomize' }]), 'kustomize');
}
