/** Labels and annotations that were to make a sandbox, and make none: where no pod gets them, or under another key. */

import { nearestOf } from '../../config/near.ts';
import {
  CONTAINER_ANNOTATION,
  MANAGED_BY_LABEL,
  MANAGED_BY_OPENSHELL,
  METHOD_ANNOTATION,
  NAMESPACE_LABEL,
  POLICY_ANNOTATION,
  SANDBOX_LABEL,
  TWO_POD_LABELS,
} from '../../sideload/contract.ts';
import type { Kind } from './kinds.ts';
import { follow, groupKindOf, type KubernetesObject } from './objects.ts';
import { type FoundPod, holdsNoPods } from './pods.ts';

export interface Stray {
  /**
   * `unguarded`: pods would run without their supervisor. `admission`: the webhook puts it in, a manifest cannot have it.
   * `ignored`: an annotation counts for nothing.
   */
  readonly means: 'unguarded' | 'admission' | 'ignored';
  readonly message: string;
}

type Words = Readonly<Record<string, unknown>>;

/**
 * Finds what an object has that was to make a sandbox, and makes none.
 *
 * @param kind what is known of its kind; undefined: nothing
 * @param pods those that were found in it
 */
export function straysOf(object: KubernetesObject, kind: Kind | undefined, pods: readonly FoundPod[]): Stray[] {
  const keys = pods.flatMap(({ pod }) => strayKeys(pod));
  const places = placesIn(object);
  const isOfPod = ({ pointer }: Place): boolean => pods.some((pod) => pointer === `${pod.pointer}/metadata/labels`);
  if (places.length === 0 || places.some(isOfPod)) return keys;
  return [...keys, ...strayPlaces(object, kind, places)];
}

/** The label by which a mapping makes a sandbox of what gets it. */
function sandboxLabelIn(labels: Words): string | undefined {
  const value = labels[SANDBOX_LABEL];
  if (value !== undefined) return String(value) === 'false' ? undefined : SANDBOX_LABEL;
  if (labels[MANAGED_BY_LABEL] !== MANAGED_BY_OPENSHELL) return undefined;
  return TWO_POD_LABELS.some((label) => labels[label] !== undefined) ? undefined : MANAGED_BY_LABEL;
}

interface Place {
  /** JSON pointer to the mapping. */
  readonly pointer: string;
  readonly label: string;
}

/** Members that choose objects by their labels. */
const SELECTS = /selector$|^matchLabels$/i;

/** All mappings of a value that hold such a label. */
function placesIn(value: unknown, pointer = ''): Place[] {
  if (typeof value !== 'object' || value === null) return [];
  const label = sandboxLabelIn(value as Words);
  const members = Object.entries(value).filter(([member]) => !SELECTS.test(member) && member !== 'annotations');
  return [
    ...(label === undefined ? [] : [{ pointer, label }]),
    ...members.flatMap(([member, each]) => placesIn(each, `${pointer}/${member}`)),
  ];
}

const dotted = (pointer: string): string => pointer.slice(1).replaceAll('/', '.') || 'its top';

function strayPlaces(object: KubernetesObject, kind: Kind | undefined, places: readonly Place[]): Stray[] {
  const groupKind = groupKindOf(object);
  const [{ pointer, label } = { pointer: '', label: '' }] = places;
  const at = `label ${label} is at ${dotted(pointer)}`;
  if (kind === undefined) {
    if (groupKind !== undefined && holdsNoPods(groupKind)) return groupKind === '/Namespace' ? strayOnNamespace(object, at) : [];
    if (groupKind === undefined)
      return [{ means: 'unguarded', message: `${at} of a document without apiVersion and kind: write them, or remove the label` }];
    const fix = `name its pod template (--template-path=${groupKind}=/POINTER), render it to pods first, or remove the label`;
    return [{ means: 'unguarded', message: `${at}, and ${groupKind} is no kind that is known: ${fix}` }];
  }
  const reaching = kind.labels.flatMap((pattern) => follow(object, pattern)).map((found) => found.pointer);
  if (places.some((place) => reaching.includes(place.pointer)))
    return [{ means: 'admission', message: `${at}: the controller of ${groupKind} writes the pods, so only the webhook can inject them` }];
  const right = [...kind.templates.map((template) => `${template}/metadata/labels`), ...kind.labels];
  return [{ means: 'unguarded', message: `${at}, which its pods do not get: move it to ${right.map(dotted).join(' or ')}` }];
}

function strayOnNamespace({ metadata }: KubernetesObject, at: string): Stray[] {
  const { labels } = (metadata ?? {}) as { labels?: Words };
  if (labels?.[NAMESPACE_LABEL] !== undefined) return [];
  return [{ means: 'unguarded', message: `${at}, where it does nothing: a namespace opts in by ${NAMESPACE_LABEL}: enabled` }];
}

const ANNOTATIONS = [METHOD_ANNOTATION, POLICY_ANNOTATION, CONTAINER_ANNOTATION];

/** Our key for one that nearly is: misspelt, with another prefix of ours, or with a dash for the slash. */
function nearest(key: string, ours: readonly string[]): string | undefined {
  if (ours.includes(key)) return undefined;
  const [, name] = /^open-?shell[a-z.]*[/.-](.*)$/i.exec(key) ?? [];
  return nearestOf(key, ours) ?? ours.find((each) => name !== undefined && each.endsWith(`/${name.toLowerCase()}`));
}

function strayKeys(pod: unknown): Stray[] {
  const { metadata } = (pod ?? {}) as { metadata?: { labels?: Words; annotations?: Words } };
  const [labels, annotations] = [metadata?.labels ?? {}, metadata?.annotations ?? {}];
  const strays: Stray[] = [];
  if (labels[SANDBOX_LABEL] === undefined && labels[MANAGED_BY_LABEL] === undefined) {
    if (annotations[SANDBOX_LABEL] !== undefined)
      strays.push({ means: 'unguarded', message: `${SANDBOX_LABEL} is an annotation: make it a label` });
    if (labels[NAMESPACE_LABEL] !== undefined)
      strays.push({ means: 'unguarded', message: `label ${NAMESPACE_LABEL} is for namespaces: a pod needs ${SANDBOX_LABEL}: "true"` });
    for (const key of Object.keys(labels).filter((each) => nearest(each, [SANDBOX_LABEL])))
      strays.push({ means: 'unguarded', message: `label ${key} is not known: the label of sandboxes is ${SANDBOX_LABEL}` });
  }
  for (const key of ANNOTATIONS.filter((each) => labels[each] !== undefined))
    strays.push({ means: 'ignored', message: `label ${key} is ignored: make it an annotation` });
  for (const key of Object.keys(annotations)) {
    const near = nearest(key, ANNOTATIONS);
    if (near) strays.push({ means: 'ignored', message: `annotation ${key} is ignored: did you mean ${near}?` });
  }
  return strays;
}
