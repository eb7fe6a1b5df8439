import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { builtPrograms } from './go-build.ts';

/**
 * Finds krew in the cache outside the work tree, where it is built first from the Go modules that ./krew/go.mod pins.
 *
 * @returns the program's path
 * @throws Error when it cannot be built
 */
export function findKrew(): string {
  const module = fileURLToPath(new URL('./krew/', import.meta.url));
  return join(builtPrograms('krew', 'krew (a minute)', [{ module, packages: ['sigs.k8s.io/krew/cmd/krew'], output: 'krew' }]), 'krew');
}
