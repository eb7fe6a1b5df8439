/**
 * `npm run release:krew -- FOLDER`: writes the archive of the plugin of kubectl, which is dist/, and its manifest for krew.
 * Source of the manifest: krew.sigs.k8s.io/docs/developer-guide/plugin-manifest.
 */

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const { version, engines, bin } = JSON.parse(readFileSync(join(ROOT, 'dist/package.json'), 'utf8'));
const REPOSITORY = 'https://github.com/openshell-sideload/openshell-sideload';

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('the folder is missing: npm run release:krew -- FOLDER');
mkdirSync(folder, { recursive: true });
const name = `kubectl-sideload-v${version}.tar.gz`;
const archive = join(folder, name);
// The same bytes from the same tree, whoever makes them.
const same = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner', '--mode=u=rwX,go=rX'];
execFileSync('tar', [
  ...same,
  '--exclude=*.tgz',
  '--exclude=./krew',
  '--use-compress-program=gzip -n',
  '-cf',
  archive,
  '-C',
  join(ROOT, 'dist'),
  '.',
]);

const platform = {
  selector: { matchExpressions: [{ key: 'os', operator: 'In', values: ['linux', 'darwin'] }] },
  uri: `${REPOSITORY}/releases/download/v${version}/${name}`,
  sha256: createHash('sha256').update(readFileSync(archive)).digest('hex'),
  bin: bin['kubectl-sideload'],
};
const manifest = {
  apiVersion: 'krew.googlecontainertools.github.com/v1alpha2',
  kind: 'Plugin',
  metadata: { name: 'sideload' },
  spec: {
    version: `v${version}`,
    homepage: REPOSITORY,
    shortDescription: 'Check and explain sandboxes of OpenShell',
    description:
      'Puts the supervisor of OpenShell into the sandbox pods of manifests, explains what the webhook openshell-sideload makes of a pod, and checks its installation.\n',
    caveats: `It runs on Node.js ${engines.node.replace('>=', '')} or newer, which has to be on your PATH.\n`,
    platforms: [platform],
  },
};
writeFileSync(join(folder, 'sideload.yaml'), stringify(manifest));
