/** JSON Patch on a text of YAML: what the operations do not touch keeps its comments, order and form. */

import { type Operation, unescapePathComponent } from 'fast-json-patch';
import { type Document, isCollection, isMap, isScalar, isSeq, type Pair, type YAMLMap, type YAMLSeq } from 'yaml';
import { parseYaml, writeOut } from './kubectl-yaml.ts';

/** The block style's indentation of lists, as the text has it: two spaces or none. */
function indentsLists(text: string): boolean {
  const list = /^( *)[^\s#-][^\n]*:[ \t]*(?:#[^\n]*)?\n( *)- /m.exec(text);
  return list === null || (list[1] ?? '').length < (list[2] ?? '').length;
}

/**
 * Applies operations to the text of one document. What aliases and merge keys refer to is written out first: a change would reach
 * all others that refer to it.
 */
export function applyToYaml(text: string, operations: readonly Operation[]): string {
  const [document] = parseYaml(text);
  if (document === undefined) return text;
  writeOut(document, text);
  for (const operation of operations) applyToDocument(document, operation);
  return document.toString({
    lineWidth: 0,
    indentSeq: indentsLists(text),
    flowCollectionPadding: !/[{[][^\s\]}]/.test(text),
    directives: /^---/m.test(text) ? true : null,
  });
}

/** Applies one operation of the webhook's: add, replace or remove. */
function applyToDocument(document: Document, operation: Operation): void {
  const keys = operation.path.split('/').slice(1).map(unescapePathComponent);
  const last = keys.pop() ?? '';
  const parent = collectionAt(document, keys);
  const node = 'value' in operation ? document.createNode(operation.value, { aliasDuplicateObjects: false }) : undefined;
  if (operation.op !== 'add' && operation.op !== 'replace' && operation.op !== 'remove')
    throw new Error(`operation ${operation.op} is not one of the webhook's`);
  if (!isSeq(parent)) {
    const pair = pairOf(parent, last);
    if (!node) parent.items = parent.items.filter((each) => each !== pair);
    else if (pair) pair.value = node;
    else parent.set(last, node);
    return;
  }
  const index = last === '-' ? parent.items.length : Number(last);
  parent.items.splice(index, operation.op === 'add' ? 0 : 1, ...(node ? [node] : []));
}

/** The member of a map that has this name as JSON: a key may be a number, a boolean or null. */
function pairOf(map: YAMLMap, name: string): Pair | undefined {
  return map.items.find(({ key }) => (isScalar(key) ? String(key.value ?? '') : String(key)) === name);
}

/** Finds a collection by its path; one that is absent, or null, is made. */
function collectionAt(document: Document, path: readonly string[]): YAMLMap | YAMLSeq {
  let node: unknown = document.contents;
  for (const member of path) {
    if (!isCollection(node)) break;
    const pair = isMap(node) ? pairOf(node, member) : undefined;
    let next: unknown = isSeq(node) ? node.get(Number(member), true) : pair?.value;
    if (!isCollection(next)) {
      next = document.createNode({});
      if (pair) pair.value = next;
      else node.set(isSeq(node) ? Number(member) : member, next);
    }
    node = next;
  }
  if (!isMap(node) && !isSeq(node)) throw new Error(`${path.join('/')} is not in the document`);
  return node;
}
