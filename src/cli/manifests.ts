/** Manifests as kubectl takes them: files, folders and standard input, YAML of several documents and JSON. */

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import jsonPatch, { type Operation, unescapePathComponent } from 'fast-json-patch';
import { type Document, isAlias, isCollection, isMap, isSeq, parse, parseAllDocuments, type YAMLMap } from 'yaml';
import { ConfigError } from '../config.ts';

const EXTENSIONS = /\.(ya?ml|json)$/;

/** One document of a manifest. */
export interface Manifest {
  /** Where it is from, for messages: `pod.yaml`, or `all.yaml#2` where the file holds several. */
  readonly source: string;
  /** Whether it is the first document of its file. */
  readonly isFirst: boolean;
  /** As it was written, its separator included. */
  readonly text: string;
  readonly value: unknown;
  readonly isJson: boolean;
  /** The document with the operations applied: what they do not touch keeps its comments, order and form. */
  readonly apply: (operations: readonly Operation[]) => string;
}

/**
 * Reads manifests.
 *
 * @param paths files, folders (their own .yaml, .yml and .json files, in the order of their names), or `-` for standard input
 * @throws ConfigError that names the file, and the line where there is one
 */
export function readManifests(paths: readonly string[]): Manifest[] {
  return paths.flatMap((path) => filesOf(path)).flatMap((file) => parseManifests(file === '-' ? 'stdin' : file, readText(file)));
}

function filesOf(path: string): string[] {
  if (path === '-') return [path];
  try {
    if (!statSync(path).isDirectory()) return [path];
  } catch (error) {
    throw unreadable(path, error);
  }
  const names = readdirSync(path).filter((name) => EXTENSIONS.test(name));
  if (names.length === 0) throw new ConfigError([`${path}: the folder has no .yaml, .yml or .json files`]);
  return names.sort().map((name) => join(path, name));
}

/**
 * Reads a file, or standard input for `-`.
 *
 * @throws ConfigError that names the file
 */
export function readText(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    throw unreadable(file, error);
  }
}

function unreadable(source: string, error: unknown): ConfigError {
  return new ConfigError([`${source}: ${error instanceof Error ? error.message : String(error)}`]);
}

/**
 * Parses a file's text.
 *
 * @throws ConfigError that names the file, and the line where there is one
 */
export function parseManifests(file: string, text: string): Manifest[] {
  return /^\s*[{[]/.test(text) ? [parseJson(file, text)] : parseYaml(file, text);
}

/** ECMAScript's "JSON.parse source text access", which the compiler does not know yet. */
type Reviver = (key: string, value: unknown, context: { readonly source?: string }) => unknown;
const parseJsonExactly = JSON.parse as (text: string, reviver: Reviver) => unknown;
const { rawJSON } = JSON as unknown as { readonly rawJSON: (text: string) => unknown };

/** An integer that a JavaScript number cannot hold stays as it was written. */
const exact: Reviver = (_key, value, { source }) =>
  source === undefined || !Number.isInteger(value) || Number.isSafeInteger(value) ? value : rawJSON(source);

/** Reads a text of YAML or JSON into what JSON.stringify writes without losing a digit. */
export function readExactly(text: string, isJson: boolean): unknown {
  if (isJson) return parseJsonExactly(text, exact);
  const json = JSON.stringify(parse(text, { version: '1.1', intAsBigInt: true }), (_key, value) =>
    typeof value === 'bigint' ? rawJSON(String(value)) : value,
  );
  return parseJsonExactly(json, exact);
}

function parseJson(source: string, text: string): Manifest {
  let value: unknown;
  try {
    value = parseJsonExactly(text, exact);
  } catch (error) {
    throw unreadable(source, error);
  }
  const apply = (operations: readonly Operation[]): string => {
    const { newDocument } = jsonPatch.applyPatch(parseJsonExactly(text, exact), operations);
    return `${JSON.stringify(newDocument, null, 2)}\n`;
  };
  return { source, isFirst: true, text, value, isJson: true, apply };
}

function parseYaml(file: string, text: string): Manifest[] {
  // As kubectl reads it (sigs.k8s.io/yaml): YAML 1.1, in which `yes` is true.
  const documents = parseAllDocuments(text, { version: '1.1' });
  if ('empty' in documents) return [{ source: file, isFirst: true, text, value: null, isJson: false, apply: () => text }];
  let start = 0;
  return documents.map((document, index) => {
    const [problem] = document.errors;
    if (problem) throw unreadable(file, problem);
    const end = index === documents.length - 1 ? text.length : document.range[2];
    const own = text.slice(start, end);
    start = end;
    const value: unknown = document.toJS();
    const source = documents.length === 1 ? file : `${file}#${index + 1}`;
    return { source, isFirst: index === 0, text: own, value, isJson: false, apply: (operations) => applyToYaml(own, value, operations) };
  });
}

/** The block style's indentation of lists, as the text has it: two spaces or none. */
function indentsLists(text: string): boolean {
  const list = /^( *)[^\s#-][^\n]*:[ \t]*(?:#[^\n]*)?\n( *)- /m.exec(text);
  return list === null || (list[1] ?? '').length < (list[2] ?? '').length;
}

function applyToYaml(text: string, value: unknown, operations: readonly Operation[]): string {
  const [document] = parseAllDocuments(text, { version: '1.1' }) as Document[];
  if (document === undefined) return text;
  for (const operation of operations) applyToDocument(document, value, operation);
  return document.toString({
    lineWidth: 0,
    indentSeq: indentsLists(text),
    flowCollectionPadding: !/[{[][^\s\]}]/.test(text),
    directives: /^---/m.test(text) ? true : null,
  });
}

type Key = string | number;

/** Applies one operation of the webhook's: add or replace. */
function applyToDocument(document: Document, value: unknown, { path, ...operation }: Operation): void {
  if (!('value' in operation)) throw new Error(`operation ${operation.op} is not one of the webhook's`);
  const keys = path.split('/').slice(1).map(unescapePathComponent);
  const last = keys.pop() ?? '';
  const parent = ownNode(document, value, keys);
  const node = document.createNode(operation.value);
  if (isSeq(parent)) {
    if (operation.op === 'add') parent.items.splice(last === '-' ? parent.items.length : Number(last), 0, node);
    else parent.items[Number(last)] = node;
    return;
  }
  (parent as YAMLMap).set(last, node);
}

/**
 * Finds a collection by its path. What the path reaches only through an alias or a merge key is written out first: a change
 * would reach all others that refer to it.
 */
function ownNode(document: Document, value: unknown, path: readonly string[]): unknown {
  let node: unknown = document.contents;
  let known = value;
  for (const member of path) {
    const key: Key = isSeq(node) ? Number(member) : member;
    known = (known as Record<Key, unknown> | undefined)?.[key];
    if (!isCollection(node)) throw new Error(`${path.join('/')} is not in the document`);
    let next: unknown = isMap(node) || isSeq(node) ? node.get(key, true) : undefined;
    if (next === undefined || isAlias(next) || !isCollection(next)) {
      next = document.createNode(known, { aliasDuplicateObjects: false });
      (node as YAMLMap).set(key, next);
    }
    node = next;
  }
  return node;
}
