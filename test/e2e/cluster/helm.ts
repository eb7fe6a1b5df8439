import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { builtPrograms } from './go-build.ts';

/** Major versions of Helm in use: 3 merges what it upgrades, 4 applies it on the server. */
export const HELM_VERSIONS = [3, 4] as const;
export type HelmVersion = (typeof HELM_VERSIONS)[number];

/**
 * Finds a Helm in the cache outside the work tree, where it is built first from the Go modules that ./helm/go.mod and
 * ./helm-3/go.mod pin.
 *
 * @returns the program's path
 * @throws Error when it cannot be built
 */
export function findHelm(major: HelmVersion): string {
  const module = fileURLToPath(new URL(major === 4 ? './helm/' : `./helm-${major}/`, import.meta.url));
  const path = `helm.sh/helm/v${major}`;
  const [, version = ''] = new RegExp(`${path} (v\\S+)`).exec(readFileSync(join(module, 'go.mod'), 'utf8')) ?? [];
  const ldflags = `-X ${path}/internal/version.version=${version}`;
  const folder = builtPrograms(`helm-${major}`, `Helm ${major} (some two minutes)`, [{ module, packages: [`${path}/cmd/helm`], ldflags }]);
  return join(folder, 'helm');
}
