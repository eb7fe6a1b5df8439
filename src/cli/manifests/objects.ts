/** The objects of a document: itself, or the items of a list. */

import { escapePathComponent, unescapePathComponent } from 'fast-json-patch';
import { plain } from '../plain.ts';

/** What should be an object of Kubernetes. */
export interface KubernetesObject {
  readonly apiVersion?: unknown;
  readonly kind?: unknown;
  readonly metadata?: unknown;
}

export interface FoundObject {
  /** JSON pointer (RFC 6901) from the document to the object; empty where the document is the object. */
  readonly pointer: string;
  readonly object: KubernetesObject;
}

/** Lists whose items may be of any kind: `kubectl get`'s, and the one that functions of kustomize and kpt read. */
const MIXED_LISTS = ['List', 'ResourceList'];

/**
 * Finds the objects of a document. Lists are opened, those in lists too; the items of a list of one kind, such as `PodList`, may
 * leave their kind out.
 * Source: kubernetes-sigs/kustomize, cmd/config/docs/api-conventions/functions-spec.md (ResourceList); k8s.io/api (typed lists).
 */
export function objectsOf(document: unknown, pointer = ''): FoundObject[] {
  if (typeof document !== 'object' || document === null) return [];
  const { apiVersion, kind, items } = document as { apiVersion?: unknown; kind?: unknown; items?: unknown };
  if (typeof kind !== 'string' || !kind.endsWith('List') || !Array.isArray(items)) return [{ pointer, object: document }];
  const common = MIXED_LISTS.includes(kind) ? {} : { apiVersion, kind: kind.slice(0, -'List'.length) };
  return items.flatMap((item: unknown, index) => objectsOf(withType(item, common), `${pointer}/items/${index}`));
}

/** An item of a list with the type of the list, where it has none of its own. */
function withType(item: unknown, { apiVersion, kind }: KubernetesObject): unknown {
  if (typeof item !== 'object' || item === null) return item;
  const own = item as KubernetesObject;
  return { ...own, apiVersion: own.apiVersion || apiVersion, kind: own.kind || kind };
}

/** The group and kind of an object, such as `apps/Deployment`, or `/Pod` of the core group; undefined where it has no type. */
export function groupKindOf({ apiVersion, kind }: KubernetesObject): string | undefined {
  if (typeof apiVersion !== 'string' || typeof kind !== 'string') return undefined;
  return `${apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : ''}/${kind}`;
}

interface Named {
  readonly name?: unknown;
  readonly generateName?: unknown;
  readonly namespace?: unknown;
}

/** The name of an object for messages: `Deployment agents/web`. */
export function nameOf({ kind, metadata }: KubernetesObject): string {
  const { name, generateName, namespace } = (metadata ?? {}) as Named;
  const shown = name !== undefined ? plain(name) : generateName ? `${plain(generateName)}*` : '(no name)';
  return `${kind === undefined ? '(no kind)' : plain(kind)} ${namespace ? `${plain(namespace)}/` : ''}${shown}`;
}

/** What a pattern of JSON pointers finds in a value: `*` stands for each item of a list, and for each member of an object. */
export function follow(value: unknown, pattern: string): { readonly pointer: string; readonly value: unknown }[] {
  let found = [{ pointer: '', value }];
  for (const part of pattern.split('/').slice(1)) {
    found = found.flatMap(({ pointer, value: parent }) => {
      if (typeof parent !== 'object' || parent === null) return [];
      const member = unescapePathComponent(part);
      const members = part === '*' ? Object.keys(parent) : Object.hasOwn(parent, member) ? [member] : [];
      return members.map((key) => ({ pointer: `${pointer}/${escapePathComponent(key)}`, value: Reflect.get(parent, key) as unknown }));
    });
  }
  return found.filter((each) => each.value !== undefined && each.value !== null);
}
