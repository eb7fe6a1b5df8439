import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { builtPrograms } from './go-build.ts';

/**
 * Finds actionlint in the cache outside the work tree, where it is built first from the Go modules that ./actionlint/go.mod pins.
 *
 * @returns the program's path
 * @throws Error when it cannot be built
 */
export function findActionlint(): string {
  const module = fileURLToPath(new URL('./actionlint/', import.meta.url));
  return join(
    builtPrograms('actionlint', 'actionlint', [{ module, packages: ['github.com/rhysd/actionlint/cmd/actionlint'] }]),
    'actionlint',
  );
}
