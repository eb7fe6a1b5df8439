import { mkdirSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';

const MANIFESTS = fileURLToPath(new URL('../../manifests', import.meta.url));

/**
 * Writes a kustomization of parts of manifests/.
 *
 * @param folder where it is written; it is made
 * @param resource a part, such as `base`
 * @param components names of components
 * @param more other members of the kustomization
 * @returns the folder
 */
export function writeKustomization(folder: string, resource: string, components: readonly string[] = [], more: object = {}): string {
  mkdirSync(folder, { recursive: true });
  const from = (part: string): string => relative(folder, join(MANIFESTS, part));
  const kustomization = {
    apiVersion: 'kustomize.config.k8s.io/v1beta1',
    kind: 'Kustomization',
    resources: [from(resource)],
    components: components.map((component) => from(`components/${component}`)),
    ...more,
  };
  writeFileSync(join(folder, 'kustomization.yaml'), stringify(kustomization));
  return folder;
}
