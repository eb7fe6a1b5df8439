/**
 * ResourceLists: what kustomize and kpt give a function, and take from it.
 * Source: kubernetes-sigs/kustomize, cmd/config/docs/api-conventions/functions-spec.md.
 */

import type { Operation } from 'fast-json-patch';
import { didYouMean } from '../../config/arguments.ts';
import { UsageError } from '../../config/config.ts';
import { OPTIONS } from '../../config/options.ts';
import { plain } from '../plain.ts';
import { groupKindOf, type KubernetesObject } from './objects.ts';
import type { Manifest } from './read.ts';

interface FunctionConfig extends KubernetesObject {
  readonly data?: Readonly<Record<string, unknown>> | null;
}

/** Whether a document is what a function is given. */
function isResourceList({ value }: Manifest): boolean {
  return groupKindOf((value ?? {}) as KubernetesObject) === 'config.kubernetes.io/ResourceList';
}

/**
 * The settings that manifests bring, as those of a command line: the data of a function's ConfigMap, whose keys are the names of
 * options. An option that may be repeated has a line for each value.
 *
 * @throws UsageError that names the key
 */
export function settingsIn(manifests: readonly Manifest[]): ReadonlyMap<string, readonly string[]> {
  const settings = new Map<string, readonly string[]>();
  const problems: string[] = [];
  for (const { source, value } of manifests.filter(isResourceList)) {
    const { functionConfig } = value as { functionConfig?: FunctionConfig | null };
    if (!functionConfig) continue;
    if (groupKindOf(functionConfig) !== '/ConfigMap') {
      problems.push(
        `${source}: functionConfig is ${plain(functionConfig.kind ?? functionConfig)}, expected a ConfigMap with settings as its data`,
      );
      continue;
    }
    for (const [name, text] of Object.entries(functionConfig.data ?? {})) {
      if (!Object.hasOwn(OPTIONS, name))
        problems.push(`${source}: functionConfig.data ${JSON.stringify(name)} is no setting: ${didYouMean(name, Object.keys(OPTIONS))}`);
      else if (typeof text !== 'string')
        problems.push(`${source}: functionConfig.data ${JSON.stringify(name)} is ${plain(text)}, expected a text: put it in quotes`);
      else settings.set(name, [text]);
    }
  }
  if (problems.length > 0) throw new UsageError(problems);
  return settings;
}

/** The operation that adds warnings to the results of a ResourceList; none where there are none. */
export function resultOperations(manifest: Manifest, warnings: readonly string[]): Operation[] {
  if (!isResourceList(manifest) || warnings.length === 0) return [];
  const before = (manifest.value as { results?: unknown }).results;
  const results = warnings.map((message) => ({ message, severity: 'warning' }));
  return [{ op: 'add', path: '/results', value: [...(Array.isArray(before) ? before : []), ...results] }];
}
