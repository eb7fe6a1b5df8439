/** Where objects hold pods: by the table of kinds, and by what the command line says of others. */

import { UsageError } from '../../config/config.ts';
import type { CommandOption } from '../command.ts';
import { KINDS, type Kind, OWN_GROUPS } from './kinds.ts';
import { follow, type KubernetesObject } from './objects.ts';

export const TEMPLATE_PATH: CommandOption = {
  value: 'GROUP/KIND=POINTER',
  description:
    'Where objects of a kind hold a pod template, as a JSON pointer, such as example.com/Fleet=/spec/members/*/template. Repeatable.',
  repeatable: true,
};

/** What is known of a kind: by the table, and by `--template-path`. */
export type Kinds = (groupKind: string | undefined) => Kind | undefined;

/**
 * Knows kinds.
 *
 * @param paths texts of --template-path: GROUP/Kind=/POINTER, `/Kind` for the core group; they win over the table
 * @throws UsageError that names the text
 */
export function kindsWith(paths: readonly string[] = []): Kinds {
  const own = new Map<string, string[]>();
  for (const path of paths) {
    const [, groupKind, pointer] = /^([a-z0-9.-]*\/[A-Z][A-Za-z0-9]*)=((?:\/(?:[^/~]|~[01])+)*)$/.exec(path) ?? [];
    if (groupKind === undefined || pointer === undefined)
      throw new UsageError([
        `--template-path ${JSON.stringify(path)}: expected GROUP/Kind=/POINTER, such as example.com/Fleet=/spec/members/*/template`,
      ]);
    own.set(groupKind, [...(own.get(groupKind) ?? []), pointer]);
  }
  return (groupKind = '') => {
    const templates = own.get(groupKind);
    if (templates) return { templates, labels: [] };
    return Object.hasOwn(KINDS, groupKind) ? KINDS[groupKind] : undefined;
  };
}

/** Whether a kind is of one of Kubernetes' own groups, whose kinds that hold pods are all known. */
export function isOwnKind(groupKind: string): boolean {
  return OWN_GROUPS.includes(groupKind.slice(0, groupKind.indexOf('/')));
}

/** The known kind that differs from this one by its case only: an API server knows no other. */
export function otherCase(groupKind: string): string | undefined {
  return Object.keys(KINDS).find((known) => known.toLowerCase() === groupKind.toLowerCase() && known !== groupKind);
}

/** A pod, or the template of pods, inside an object. */
export interface FoundPod {
  /** JSON pointer (RFC 6901) from the object to the pod; empty where the object is the pod. */
  readonly pointer: string;
  readonly pod: unknown;
}

/** The pods of an object of a kind. */
export function podsOf(object: KubernetesObject, kind: Kind | undefined): FoundPod[] {
  const found = (kind?.templates ?? []).flatMap((pattern) => follow(object, pattern));
  // Patterns may overlap.
  return [...new Map(found.map(({ pointer, value }) => [pointer, { pointer, pod: value }])).values()];
}
