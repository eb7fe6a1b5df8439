import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MODULE = fileURLToPath(new URL('./gitops/', import.meta.url));

/** The definitions of the kinds that examples/gitops uses, in the Go modules of the programs. */
const DEFINITIONS: Readonly<Record<string, string>> = {
  'github.com/argoproj/argo-cd/v3': 'manifests/crds/application-crd.yaml',
  'github.com/fluxcd/kustomize-controller': 'config/crd/bases/kustomize.toolkit.fluxcd.io_kustomizations.yaml',
  'github.com/fluxcd/source-controller': 'config/crd/bases/source.toolkit.fluxcd.io_gitrepositories.yaml',
};

/**
 * The files with the CustomResourceDefinitions of Argo CD and Flux, from the Go modules that ./gitops/go.mod pins.
 *
 * @throws Error when Go is not installed, or a module cannot be had
 */
export function gitopsDefinitions(): string[] {
  return Object.entries(DEFINITIONS).map(([path, file]) => {
    const module = execFileSync('go', ['mod', 'download', '-json', path], { cwd: MODULE, encoding: 'utf8' });
    return join((JSON.parse(module) as { Dir: string }).Dir, file);
  });
}
