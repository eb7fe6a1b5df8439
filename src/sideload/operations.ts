/**
 * JSON Patch operations (RFC 6902) that hold for absent, null, empty and filled members alike.
 *
 * A generic diff is no use here: fast-json-patch's `compare` turns one prepended list element into rewrites of all that follow.
 */

/** One operation of JSON Patch: those that the webhook writes. */
export type Operation =
  | { readonly op: 'add' | 'replace' | 'test'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string };

/** Sets a member; the object at `parent` must exist. `add` replaces a member that is there (RFC 6902, section 4.1). */
export function set(parent: string, member: string, value: unknown): Operation {
  return { op: 'add', path: `${parent}/${member}`, value };
}

/** Appends to a list that may be absent; elements that are there are not touched. */
export function append(
  parent: string,
  member: string,
  list: readonly unknown[] | null | undefined,
  values: readonly unknown[],
): Operation[] {
  if (values.length === 0) return [];
  if (!list?.length) return [set(parent, member, values)];
  return values.map((value) => set(`${parent}/${member}`, '-', value));
}
