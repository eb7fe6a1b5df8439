/** Labels and annotations that were to make a sandbox, and make none: where no pod gets them, or under another key. */

import { escapePathComponent } from 'fast-json-patch';
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
import { plain } from '../plain.ts';
import type { Kind } from './kinds.ts';
import { follow, groupKindOf, type KubernetesObject } from './objects.ts';
import { type FoundPod, isOwnKind, otherCase } from './pods.ts';

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
  const ofPods = new Set(pods.map(({ pointer }) => `${pointer}/metadata/labels`));
  const places = placesIn(object);
  const known: Known = {
    object,
    kind,
    pods,
    labelled: new Set(places.filter(({ pointer }) => ofPods.has(pointer)).map(({ pointer }) => pointer)),
    written: new Set(kind?.labels.flatMap((pattern) => follow(object, pattern).map(({ pointer }) => pointer))),
  };
  const keys = pods.flatMap(({ pod }) => strayKeys(pod));
  const isTemplate = kind !== undefined && kind.templates.length > 0 && pods.every(({ pointer }) => pointer !== '');
  const ownKeys = isTemplate && known.labelled.size === 0 ? strayKeys(object).filter(({ means }) => means === 'unguarded') : [];
  const strays = places.filter(({ pointer }) => !ofPods.has(pointer)).flatMap((place) => strayAt(place, known));
  return [...keys, ...ownKeys, ...strays].map((stray) => ({ ...stray, message: plain(stray.message) }));
}

/** An object, and what is known of its places. */
interface Known {
  readonly object: KubernetesObject;
  readonly kind: Kind | undefined;
  readonly pods: readonly FoundPod[];
  /** Labels of its pods that make sandboxes. */
  readonly labelled: ReadonlySet<string>;
  /** Labels of pods that the controller writes. */
  readonly written: ReadonlySet<string>;
}

/** The label by which a mapping makes a sandbox of what gets it. */
function sandboxLabelIn(labels: Words): string | undefined {
  const value = labels[SANDBOX_LABEL];
  if (value !== undefined && value !== null) return value === 'false' || value === false ? undefined : SANDBOX_LABEL;
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
    ...members.flatMap(([member, each]) => placesIn(each, `${pointer}/${escapePathComponent(member)}`)),
  ];
}

const dotted = (pointer: string): string => pointer.slice(1).replaceAll('/', '.') || 'its top';

function strayAt({ pointer, label }: Place, { object, kind, pods, labelled, written }: Known): Stray[] {
  const groupKind = groupKindOf(object);
  const at = `label ${label} is at ${dotted(pointer)}`;
  if (kind !== undefined) {
    if (written.has(pointer))
      return [
        { means: 'admission', message: `${at}: the controller of ${groupKind} writes the pods, so only the webhook can inject them` },
      ];
    // Tools that label everything label what is around the templates, too.
    const [, around] = /^(.*)\/metadata\/labels$/.exec(pointer) ?? [];
    const below = pods.filter((pod) => around !== undefined && pod.pointer.startsWith(`${around}/`));
    const isAround = around !== undefined && (below.length === 0 || below.some((pod) => labelled.has(`${pod.pointer}/metadata/labels`)));
    if (isAround && kind.templates.length > 0 && labelled.size > 0) return [];
    const right = [...kind.templates.map((template) => `${template}/metadata/labels`), ...kind.labels];
    return [{ means: 'unguarded', message: `${at}, which its pods do not get: move it to ${right.map(dotted).join(' or ')}` }];
  }
  if (groupKind === undefined)
    return [{ means: 'unguarded', message: `${at} of a document without apiVersion and kind: write them, or remove the label` }];
  const other = otherCase(groupKind);
  if (other !== undefined) return [{ means: 'unguarded', message: `${at}, and the kind ${groupKind} is written ${other}` }];
  if (groupKind === '/Namespace') return strayOnNamespace(object, at);
  if (isOwnKind(groupKind) && pointer === '/metadata/labels') return [];
  const fix = `name its pod template (--template-path=${groupKind}=/POINTER), render it to pods first, or remove the label`;
  return [{ means: 'unguarded', message: `${at}, and ${groupKind} is no kind that is known: ${fix}` }];
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

const wordsOf = (value: unknown): Words => (typeof value === 'object' && value !== null ? (value as Words) : {});

function strayKeys(pod: unknown): Stray[] {
  const { metadata } = (pod ?? {}) as { metadata?: { labels?: unknown; annotations?: unknown } };
  const [labels, annotations] = [wordsOf(metadata?.labels), wordsOf(metadata?.annotations)];
  const strays: Stray[] = [];
  if (labels[SANDBOX_LABEL] === undefined && labels[MANAGED_BY_LABEL] === undefined) {
    if (annotations[SANDBOX_LABEL] !== undefined)
      strays.push({ means: 'unguarded', message: `${SANDBOX_LABEL} is an annotation: make it a label` });
    if (labels[NAMESPACE_LABEL] !== undefined)
      strays.push({ means: 'unguarded', message: `label ${NAMESPACE_LABEL} is for namespaces: a pod needs ${SANDBOX_LABEL}: "true"` });
    for (const [key, value] of Object.entries(labels)) {
      const near = nearest(key, value === MANAGED_BY_OPENSHELL ? [SANDBOX_LABEL, MANAGED_BY_LABEL] : [SANDBOX_LABEL]);
      if (near) strays.push({ means: 'unguarded', message: `label ${key} is not known: the label of sandboxes is ${near}` });
    }
  }
  for (const key of ANNOTATIONS.filter((each) => labels[each] !== undefined))
    strays.push({ means: 'ignored', message: `label ${key} is ignored: make it an annotation` });
  for (const key of Object.keys(annotations)) {
    const near = nearest(key, ANNOTATIONS);
    if (near) strays.push({ means: 'ignored', message: `annotation ${key} is ignored: did you mean ${near}?` });
  }
  return strays;
}
