/** What manifests hold: pods to decide on, and what was to be one. */

import { type Pod, podShape } from '../../sideload/pod.ts';
import { misfit } from '../../sideload/shape.ts';
import { plain } from '../plain.ts';
import { groupKindOf, type KubernetesObject, nameOf, objectsOf } from './objects.ts';
import { type Kinds, podsOf } from './pods.ts';
import type { Manifest } from './read.ts';
import { type Stray, straysOf } from './stray-labels.ts';

export interface HeldPod {
  /** Where it is, for messages: `web.yaml Deployment agents/web`, and its place where the object holds several. */
  readonly name: string;
  /** JSON pointer (RFC 6901) from the document. */
  readonly pointer: string;
  /** What is wrong with it; undefined where it is a pod. */
  readonly problem: string | undefined;
  readonly pod: Pod;
}

/** An object of a document. */
export interface Holder {
  readonly name: string;
  /** Undefined: the one of the context. */
  readonly namespace: string | undefined;
  readonly pods: readonly HeldPod[];
  readonly strays: readonly Stray[];
}

/**
 * Finds what an object holds.
 *
 * @param object as JSON
 * @param source what its name begins with
 * @param pointer from the document to the object
 */
export function holderOf(object: KubernetesObject, kinds: Kinds, source = '', pointer = ''): Holder {
  const kind = kinds(groupKindOf(object));
  const found = podsOf(object, kind);
  const name = `${source}${nameOf(object)}`;
  const pods = found.map(({ pointer: own, pod }): HeldPod => {
    const path = own.slice(1).replaceAll('/', '.');
    return {
      name: found.length > 1 ? `${name} ${plain(path)}` : name,
      pointer: `${pointer}${own}`,
      problem: misfit(podShape, pod, path),
      pod: pod as Pod,
    };
  });
  const { namespace } = (object.metadata ?? {}) as { namespace?: string };
  return { name, namespace, pods, strays: straysOf(object, kind, found) };
}

/** Finds what a document holds. */
export function holdersIn({ source, value }: Manifest, kinds: Kinds): Holder[] {
  return objectsOf(value).map(({ pointer, object }) => holderOf(object, kinds, `${plain(source)} `, pointer));
}

/** What is wrong with pods that are not valid. */
export function problemsIn(pods: readonly HeldPod[]): string[] {
  return pods.filter(({ problem }) => problem !== undefined).map(({ name, problem }) => `${name} is not valid: ${problem}`);
}
