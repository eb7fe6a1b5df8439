import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cached, cachePath } from './cache.ts';
import { build } from './go-build.ts';

const MODULE = fileURLToPath(new URL('./scc/', import.meta.url));

/** The file with the SecurityContextConstraints that every OpenShift has. */
export const DEFAULT_CONSTRAINTS = join(MODULE, 'defaults.yaml');

/** What is needed of OpenShift where there is only Kubernetes. */
export interface SccAdmission {
  /** The program of ./scc/main.go. */
  readonly program: string;
  /** The folder with the CustomResourceDefinition of SecurityContextConstraints. */
  readonly schema: string;
}

/**
 * Finds OpenShift's SCC admission, in the cache outside the work tree, where it is built first from the Go modules that
 * ./scc/go.mod pins.
 *
 * @throws Error when it cannot be built
 */
export function findSccAdmission(): SccAdmission {
  const key = createHash('sha256');
  for (const file of (readdirSync(MODULE, { recursive: true }) as string[]).filter((name) => /\.(go|mod|sum)$/.test(name)).sort())
    key.update(readFileSync(join(MODULE, file)));
  const folder = cached(`scc-${key.digest('hex').slice(0, 16)}`, (beside) => {
    process.stderr.write(`building OpenShift's SCC admission (some three minutes), once, into ${cachePath('')}\n`);
    mkdirSync(beside);
    build(beside, { module: MODULE, packages: ['.'], output: 'scc' });
  });
  const module = execFileSync('go', ['list', '-mod=readonly', '-m', '-f', '{{.Dir}}', 'github.com/openshift/api'], {
    cwd: MODULE,
    encoding: 'utf8',
  });
  return { program: join(folder, 'scc'), schema: join(module.trim(), 'security/v1/zz_generated.crd-manifests') };
}
