/** Explains the pods of manifests: no cluster is asked. */

import { UNKNOWN_CLUSTER } from '../../sideload/settings.ts';
import type { CommandLine } from '../command.ts';
import { openLookup } from '../image-lookup.ts';
import { sourcesOf } from '../manifests/files.ts';
import { holdersIn } from '../manifests/holders.ts';
import { groupKindOf, objectsOf } from '../manifests/objects.ts';
import { kindsWith } from '../manifests/pods.ts';
import { type Manifest, readManifests } from '../manifests/read.ts';
import type { Explained } from './report.ts';
import { explainPod, type Step, type Surroundings, strayStep } from './steps.ts';

/** What is known of the namespaces that manifests make, by their names. */
function namespacesIn(manifests: readonly Manifest[]): ReadonlyMap<string, Surroundings> {
  const objects = manifests.flatMap(({ value }) => objectsOf(value)).map(({ object }) => object);
  const namespaces = objects.filter((object) => groupKindOf(object) === '/Namespace');
  return new Map(
    namespaces.map(({ metadata }) => {
      const { name = '', labels = {} } = (metadata ?? {}) as { name?: string; labels?: Record<string, string> };
      const times = { created: undefined, installed: undefined, optedIn: undefined };
      return [name, { namespace: { name, labels }, configMaps: [], entries: 'not-asked', stored: false, times }];
    }),
  );
}

/**
 * Explains every pod of manifests, and what was to be one.
 *
 * @throws UsageError that names the file that cannot be read
 */
export async function explainManifests({ flags, config }: CommandLine): Promise<Explained[]> {
  const manifests = await readManifests(sourcesOf(flags, []));
  const lookUp = await openLookup(config, flags.has('lookup'));
  const kinds = kindsWith(flags.get('template-path'));
  const namespaces = namespacesIn(manifests);
  const explained: Explained[] = [];
  for (const { name: holder, namespace = '', pods, strays } of manifests.flatMap((manifest) => holdersIn(manifest, kinds))) {
    const own: Explained[] = [];
    for (const { name, pod, problem } of pods) {
      const steps: Step[] = [];
      if (problem === undefined) {
        const image = await lookUp(pod, config.sideload, UNKNOWN_CLUSTER);
        steps.push(...explainPod(pod, namespaces.get(namespace), config, UNKNOWN_CLUSTER, image));
      }
      own.push({ name, steps, ...(problem === undefined ? {} : { problem }) });
    }
    explained.push(...withStrays(holder, own, strays.map(strayStep)));
  }
  return explained;
}

/** Adds what was to make a sandbox: to the only pod of its object, or on its own. */
export function withStrays(name: string, pods: readonly Explained[], strays: readonly Step[]): readonly Explained[] {
  if (strays.length === 0) return pods;
  const [only, ...others] = pods;
  if (!only || others.length > 0) return [...pods, { name, steps: strays }];
  const end = only.steps.findIndex(({ mark }) => mark === 'result');
  return [{ ...only, steps: only.steps.toSpliced(end === -1 ? only.steps.length : end, 0, ...strays) }];
}
