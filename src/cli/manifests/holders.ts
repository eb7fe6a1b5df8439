/** What manifests hold: pods to decide on, and what was to be one. */

import { type Pod, podShape } from '../../sideload/pod.ts';
import { misfit } from '../../sideload/shape.ts';
import { plain } from '../plain.ts';
import { groupKindOf, nameOf, objectsOf } from './objects.ts';
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

/** Finds what a document holds. */
export function holdersIn({ source, value }: Manifest, kinds: Kinds): Holder[] {
  return objectsOf(value).map(({ pointer, object }) => {
    const kind = kinds(groupKindOf(object));
    const found = podsOf(object, kind);
    const name = `${plain(source)} ${nameOf(object)}`;
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
  });
}
