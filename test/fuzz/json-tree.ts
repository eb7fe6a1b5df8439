/**
 * JSON as it is written, not as JavaScript reads it: a member may occur twice or be named `__proto__`, and a number keeps its
 * digits.
 */

/** A scalar is its own text, and may be any text; the rest is a node. */
export type Tree = string | Node;

export interface Node {
  readonly kind: 'list' | 'object';
  readonly entries: Entry[];
}

interface Entry {
  /** Of a list's element: empty. */
  name: string;
  value: Tree;
}

/** Where a value is: the entry of a node. */
export interface Place {
  readonly within: Node;
  readonly index: number;
}

/** A value that JSON can hold, as a tree. */
export function treeOf(value: unknown): Tree {
  if (Array.isArray(value)) return { kind: 'list', entries: value.map((element) => ({ name: '', value: treeOf(element) })) };
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return { kind: 'object', entries: members.map(([name, member]) => ({ name, value: treeOf(member) })) };
}

export function textOf(tree: Tree): string {
  if (typeof tree === 'string') return tree;
  if (tree.kind === 'list') return `[${tree.entries.map(({ value }) => textOf(value)).join()}]`;
  return `{${tree.entries.map(({ name, value }) => `${JSON.stringify(name)}:${textOf(value)}`).join()}}`;
}

/** The member of that name, at any depth. */
export function member(tree: Tree, ...[name, ...rest]: readonly string[]): Tree | undefined {
  if (name === undefined) return tree;
  const found = typeof tree === 'string' ? undefined : tree.entries.find((entry) => entry.name === name);
  return found && member(found.value, ...rest);
}

/** Every place below a tree, those inside nodes that `enter` rejects left out. */
export function placesIn(tree: Tree, enter: (name: string) => boolean = () => true): Place[] {
  if (typeof tree === 'string') return [];
  return tree.entries.flatMap(({ name, value }, index) => [{ within: tree, index }, ...(enter(name) ? placesIn(value, enter) : [])]);
}

/** Every node of a tree, itself included, those inside members that `enter` rejects left out. */
export function nodesIn(tree: Tree, enter: (name: string) => boolean = () => true): Node[] {
  if (typeof tree === 'string') return [];
  return [tree, ...tree.entries.flatMap(({ name, value }) => (enter(name) ? nodesIn(value, enter) : []))];
}
