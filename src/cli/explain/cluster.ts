/** Explains pods that a cluster has, and workloads: the template of their pods, and the pods that they have. */

import type { KubernetesObject, V1Namespace } from '@kubernetes/client-node';
import { type Cluster, call } from '../../cluster/client.ts';
import { findResource, type Resource } from '../../cluster/discovery.ts';
import { type Choice, podsByController, readObjects } from '../../cluster/objects.ts';
import { listPods, SANDBOX_SELECTORS } from '../../cluster/pods.ts';
import { UsageError } from '../../config/config.ts';
import { ExpectedError } from '../../observe/expected-error.ts';
import type { Pod } from '../../sideload/pod.ts';
import { settingsIn } from '../../sideload/settings.ts';
import { openCluster } from '../cluster-options.ts';
import type { CommandLine } from '../command.ts';
import { openLookup } from '../image-lookup.ts';
import { holderOf } from '../manifests/holders.ts';
import { nameOf } from '../manifests/objects.ts';
import { kindsWith } from '../manifests/pods.ts';
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

interface Read {
  readonly objects: readonly KubernetesObject[];
  /** Whether there may be others, which were not read. */
  readonly more: boolean;
}

/** Reads the objects of a kind that a command line chooses; of pods, without a selector, the sandboxes. */
async function readChosen(cluster: Cluster, resource: Resource, choice: Choice): Promise<Read> {
  if (choice.name !== undefined || resource.kind !== 'Pod') return readObjects(cluster, resource, choice);
  const selectors = choice.selector === '' ? SANDBOX_SELECTORS : [choice.selector];
  const { pods, more } = await listPods(cluster, choice.namespace, selectors, MOST_PODS);
  return { objects: pods.map((pod) => ({ ...pod, apiVersion: 'v1', kind: 'Pod' })), more };
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
  const resources = remembered((kind) => findResource(cluster, kind));
  const objects: KubernetesObject[] = [];
  for (const { kind, name } of wanted) {
    const resource = await resources(kind);
    if (!resource?.namespaced)
      throw new UsageError([`${JSON.stringify(kind)}: the API server has no such kind in namespaces: kubectl api-resources lists them`]);
    const read = await readChosen(cluster, resource, { ...chosen, name });
    if (read.more) process.stderr.write(`only the first ${read.objects.length} ${kind} are explained; -n or -l chooses fewer\n`);
    objects.push(...read.objects);
  }
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
    // As JSON holds it: the client's classes carry dates.
    const { name: holder, pods, strays } = holderOf(JSON.parse(JSON.stringify(object)) as typeof object, kinds);
    const created = object.kind === 'Pod' ? metadata?.creationTimestamp : undefined;
    const explained: Explained[] = [];
    for (const { name, pod, problem } of pods)
      explained.push(problem === undefined ? { name, steps: await steps(pod, namespace, created) } : { name, steps: [], problem });
    return withStrays(holder, explained, strays.map(strayStep));
  };
  const explainWithPods = async (object: KubernetesObject): Promise<readonly Explained[]> => {
    const own = await explain(object);
    if (object.kind === 'Pod') return own;
    const { pods, more } = await controlled(object.metadata?.namespace ?? '');
    if (more) process.stderr.write(`namespace ${object.metadata?.namespace} has more pods than are read: some are not explained\n`);
    const ofPods: Explained[] = [];
    for (const pod of pods.get(object.metadata?.uid ?? '') ?? [])
      ofPods.push(...(await explain({ ...pod, apiVersion: 'v1', kind: 'Pod' })));
    const all = [...own, ...ofPods];
    const none: Step = { mark: 'unknown', name: 'pods', detail: 'it has none, and no pod template that is known' };
    return all.length > 0 ? all : [{ name: nameOf(object), steps: [none] }];
  };
  const all: Explained[] = [];
  for (const object of objects) all.push(...(await explainWithPods(object)));
  return all;
}
