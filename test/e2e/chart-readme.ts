/** The README of the chart, which helm-docs writes from README.md.gotmpl and the comments of values.yaml. `npm run docs:chart` */

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CHART } from './chart.ts';
import { builtPrograms } from './cluster/go-build.ts';

/**
 * What README.md has to be.
 *
 * @throws Error when helm-docs, which test/e2e/cluster/helm-docs pins, cannot be built or fails
 */
export function chartReadme(): string {
  const module = fileURLToPath(new URL('./cluster/helm-docs/', import.meta.url));
  const packages = ['github.com/norwoodj/helm-docs/cmd/helm-docs'];
  const folder = builtPrograms('helm-docs', 'helm-docs (some seconds)', [{ module, packages }]);
  const args = ['--chart-search-root', CHART, '--sort-values-order', 'file', '--dry-run', '--log-level', 'warning'];
  return execFileSync(join(folder, 'helm-docs'), args, { encoding: 'utf8' });
}

if (import.meta.main) writeFileSync(join(CHART, 'README.md'), chartReadme());
