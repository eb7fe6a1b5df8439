/** Explains pods that a cluster has, and workloads: the template of their pods, and the pods that they have. */

import type { KubernetesObject, V1Namespace } from '@kubernetes/client-node';
import { type Cluster, call } from '../../cluster/client.ts';
import { findResource, type Resource } from '../../cluster/discovery.ts';
import { type Choice, podsByController, readObjects } from '../../cluster/objects.ts';
import { listPods, SANDBOX_SELECTORS } from '../../cluster/pods.ts';
import { UsageError } from '../../config/config.ts';
import { ExpectedError } from '../../observe/expected-error.ts';
import { type Pod, podShape } from '../../sideload/pod.ts';
import { settingsIn } from '../../sideload/settings.ts';
import { misfit } from '../../sideload/shape.ts';
import { openCluster } from '../cluster-options.ts';
import type { CommandLine } from '../command.ts';
import { openLookup } from '../image-lookup.ts';
import { groupKindOf, nameOf } from '../manifests/objects.ts';
import { kindsWith, podsOf } from '../manifests/pods.ts';
import { straysOf } from '../manifests/stray-labels.ts';
import { withStrays } from './manifests.ts';
import type { Explained } from './report.ts';
import { explainPod, type Step, strayStep } from './steps.ts';
import { readInstalled, readSurroundings } from './surroundings.ts';

/** A kind as it was written, and the name of one object; undefined: several. */
interface Wanted {
  readonly kind: string;
  readonly name: string | undefined;
}

/**
 * Reads words as kubectl does: KIND NAME…, KIND/NAME…, or KIND.
 *
 * @throws UsageError
 */
export function wantedOf(words: readonly string[]): Wanted[] {
  const [first = 'pods', ...names] = words;
  if (!words.some((word) => word.includes('/')))
    return names.length === 0 ? [{ kind: first, name: undefined }] : names.map((name) => ({ kind: first, name }));
  return words.map((word) => {
    const [kind = '', name = '', ...rest] = word.split('/');
    if (kind === '' || name === '' || rest.length > 0) throw new UsageError([`${JSON.stringify(word)}: expected KIND/NAME, or KIND NAME…`]);
    return { kind, name };
  });
}

/** Of a list; more are not explained. */
const MOST_PODS = 500;

/** Reads what the words of a command line name. */
async function readWanted(cluster: Cluster, { kind, name }: Wanted, choice: Omit<Choice, 'name'>): Promise<KubernetesObject[]> {
  const resource: Resource | undefined = await findResource(cluster, kind);
  if (!resource?.namespaced)
    throw new UsageError([`${JSON.stringify(kind)}: the API server has no such kind in namespaces: kubectl api-resources lists them`]);
  if (name !== undefined || resource.kind !== 'Pod') return readObjects(cluster, resource, { ...choice, name });
  const selectors = choice.selector === '' ? SANDBOX_SELECTORS : [choice.selector];
  const { pods, more } = await listPods(cluster, choice.namespace, selectors, MOST_PODS);
  if (more) process.stderr.write(`more than ${MOST_PODS} pods: others are not explained; -n or -l chooses fewer\n`);
  return pods.map((pod) => ({ ...pod, apiVersion: 'v1', kind: 'Pod' }));
}

/** The namespace that a command line means; undefined: all. */
function namespaceOf({ config }: Cluster, flags: CommandLine['flags']): string | undefined {
  if (flags.has('all-namespaces')) return undefined;
  return flags.get('namespace')?.[0] ?? config.getContextObject(config.getCurrentContext())?.namespace ?? 'default';
}

/** Reads once, for each key. */
function remembered<T>(read: (key: string) => Promise<T>): (key: string) => Promise<T> {
  const known = new Map<string, Promise<T>>();
  return (key) => {
    const reading = known.get(key) ?? read(key);
    known.set(key, reading);
    return reading;
  };
}

/**
 * Explains objects of a cluster: pods as they were stored; of others the template, and the pods that a controller made of it.
 *
 * @throws UsageError where no kind has the name; ApiError where there is no such object, or the API server refuses
 */
export async function explainCluster({ flags, positionals, config }: CommandLine): Promise<Explained[]> {
  const wanted = wantedOf(positionals);
  const [selector = ''] = flags.get('selector') ?? [];
  if (wanted.some(({ name }) => name !== undefined) && (flags.has('all-namespaces') || selector !== ''))
    throw new UsageError(['a name does not go together with -A or -l']);
  const cluster = await openCluster(flags);
  const chosen = { namespace: namespaceOf(cluster, flags), selector };
  const objects: KubernetesObject[] = [];
  for (const each of wanted) objects.push(...(await readWanted(cluster, each, chosen)));
  const [first] = objects;
  if (!first) {
    const where = chosen.namespace === undefined ? 'any namespace' : `namespace ${chosen.namespace}`;
    throw new ExpectedError(`nothing to explain: ${where} has none${selector === '' ? '' : ` with ${selector}`}`);
  }

  const installed = await readInstalled(cluster, first.metadata?.namespace ?? '', config);
  // The files that the Deployment names are in its pods.
  const images = { ...installed.config.images, map: '', authorities: '', credentials: '' };
  const lookUp = await openLookup({ ...installed.config, images }, flags.has('lookup'));
  const core = cluster.config.makeApiClient(cluster.k8s.CoreV1Api);
  const namespaces = remembered((name) => call(`read namespace ${name}`, core.readNamespace({ name })));
  const controlled = remembered((namespace) => podsByController(cluster, namespace));
  const kinds = kindsWith(flags.get('template-path'));

  const steps = async (pod: Pod, namespace: V1Namespace, created: Date | undefined): Promise<Step[]> => {
    const around = await readSurroundings(cluster, installed, namespace, pod, created);
    const image = await lookUp(pod, settingsIn(around.namespace.labels, installed.config.sideload), installed.facts);
    return explainPod(pod, around, installed.config, installed.facts, image);
  };
  const explain = async (object: KubernetesObject): Promise<readonly Explained[]> => {
    const { metadata } = object;
    const namespace = await namespaces(metadata?.namespace ?? '');
    const kind = kinds(groupKindOf(object));
    // As JSON holds it: the client's classes carry dates.
    const stored = JSON.parse(JSON.stringify(object)) as typeof object;
    const found = podsOf(stored, kind);
    const explained: Explained[] = [];
    for (const { pointer, pod } of found) {
      const path = pointer.slice(1).replaceAll('/', '.');
      const name = found.length > 1 ? `${nameOf(object)} ${path}` : nameOf(object);
      const problem = misfit(podShape, pod, path);
      const created = object.kind === 'Pod' ? metadata?.creationTimestamp : undefined;
      explained.push(problem === undefined ? { name, steps: await steps(pod as Pod, namespace, created) } : { name, steps: [], problem });
    }
    return withStrays(nameOf(object), explained, straysOf(stored, kind, found).map(strayStep));
  };
  const all: Explained[] = [];
  for (const object of objects) {
    all.push(...(await explain(object)));
    if (object.kind === 'Pod') continue;
    const pods = (await controlled(object.metadata?.namespace ?? '')).get(object.metadata?.uid ?? '') ?? [];
    for (const pod of pods) all.push(...(await explain({ ...pod, apiVersion: 'v1', kind: 'Pod' })));
    if (all.length === 0)
      all.push({
        name: nameOf(object),
        steps: [{ mark: 'unknown', name: 'pods', detail: 'it has none, and no pod template that is known' }],
      });
  }
  return all;
}
