/** Manifests as kubectl takes them: files, folders and standard input, YAML of several documents and JSON. */

import { isUtf8 } from 'node:buffer';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import jsonPatch, { type Operation, unescapePathComponent } from 'fast-json-patch';
import { type Document, isCollection, isMap, isSeq, visit, type YAMLMap, type YAMLSeq } from 'yaml';
import { UsageError } from '../config/config.ts';
import type { CommandOption } from './command.ts';
import { parseYaml, writeOut } from './kubectl-yaml.ts';

const EXTENSIONS = /\.(ya?ml|json)$/;

/** The option that names manifests. */
export const FILENAME: CommandOption = {
  short: 'f',
  value: 'FILE',
  description: 'A file with YAML or JSON, a folder of such files, or - for standard input. Repeatable.',
  repeatable: true,
};

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
 * @throws UsageError that names the file, and the line where there is one
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
  if (names.length === 0) throw new UsageError([`${path}: the folder has no .yaml, .yml or .json files`]);
  return names.sort().map((name) => join(path, name));
}

/**
 * Reads a file, or standard input for `-`: UTF-8, with or without a byte order mark.
 *
 * @throws UsageError that names the file, and its encoding where it is another one
 */
export function readText(file: string): string {
  const source = file === '-' ? 'stdin' : file;
  let bytes: Buffer;
  try {
    bytes = readFileSync(file === '-' ? 0 : file);
  } catch (error) {
    throw unreadable(source, error);
  }
  const other = otherEncoding(bytes);
  if (other !== undefined) throw new UsageError([`${source}: the file is not UTF-8: ${other}; write it as UTF-8 (iconv -t UTF-8)`]);
  return new TextDecoder().decode(bytes);
}

/** What a text is that is not UTF-8; undefined where it is. */
function otherEncoding(bytes: Buffer): string | undefined {
  const mark = bytes.subarray(0, 4).toString('hex');
  if (/^(fffe0000|0000feff)/.test(mark)) return 'it has the byte order mark of UTF-32';
  if (/^(fffe|feff)/.test(mark)) return `it has the byte order mark of UTF-16, ${mark.startsWith('fffe') ? 'little' : 'big'} endian`;
  const nul = bytes.indexOf(0);
  if (nul !== -1) return `byte ${nul + 1} is NUL (UTF-16 without a mark?)`;
  if (isUtf8(bytes)) return undefined;
  // No character of UTF-8 has a line feed within it.
  const line = bytes
    .toString('latin1')
    .split('\n')
    .findIndex((text) => !isUtf8(Buffer.from(text, 'latin1')));
  return `line ${line + 1} has a byte that UTF-8 does not allow there (Latin-1?)`;
}

function unreadable(source: string, error: unknown): UsageError {
  return new UsageError([`${source}: ${error instanceof Error ? error.message : String(error)}`]);
}

/**
 * Parses a file's text as kubectl does: YAML, or JSON documents one after the other, behind which YAML may follow.
 *
 * @throws UsageError that names the file, and the line where there is one
 */
export function parseManifests(file: string, text: string): Manifest[] {
  const json: string[] = [];
  let rest = text;
  while (/^\s*\{/.test(rest)) {
    const end = endOfJson(rest);
    json.push(rest.slice(0, end));
    rest = rest.slice(end);
  }
  if (rest.trim() === '' && json.length > 0) {
    json[json.length - 1] += rest;
    rest = '';
  }
  // A flow collection of YAML begins as JSON does.
  if (json.length === 1 && !isJson(json[0] ?? '') && isYaml(text)) return parseYamlManifests(file, text, 0, true);
  const yaml = rest === '' && json.length > 0 ? [] : parseYamlManifests(file, rest, json.length, json.length === 0);
  const only = json.length === 1 && yaml.length === 0;
  return [...json.map((own, index) => parseJson(only ? file : `${file}#${index + 1}`, own, index === 0)), ...yaml];
}

/** Where the first JSON value of a text ends: behind the bracket that closes its first one; the whole text where none does. */
function endOfJson(text: string): number {
  let depth = 0;
  for (const { 0: token, index } of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\]]/gs)) {
    if (token === '{' || token === '[') depth++;
    if (token === '}' || token === ']') depth--;
    if (depth === 0 && token.length === 1) return index + 1;
  }
  return text.length;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function isYaml(text: string): boolean {
  return parseYaml(text).every(({ errors }) => errors.length === 0);
}

/** ECMAScript's "JSON.parse source text access", which the compiler does not know yet. */
type Reviver = (key: string, value: unknown, context: { readonly source?: string }) => unknown;
const parseJsonExactly = JSON.parse as (text: string, reviver: Reviver) => unknown;
const { rawJSON } = JSON as unknown as { readonly rawJSON: (text: string) => unknown };

/** An integer that a JavaScript number cannot hold stays as it was written. */
const exact: Reviver = (_key, value, { source }) =>
  source === undefined || !Number.isInteger(value) || Number.isSafeInteger(value) ? value : rawJSON(source);

/** What a document holds, in values that JSON.stringify writes without losing a digit. */
function contentOf(document: Document): unknown {
  const json = JSON.stringify(document.toJS(), (_key, value) => (typeof value === 'bigint' ? rawJSON(String(value)) : value));
  return json === undefined ? undefined : parseJsonExactly(json, exact);
}

/**
 * Reads a text of one document, YAML or JSON, into what JSON.stringify writes without losing a digit.
 *
 * @throws UnreadableYamlError that names the line
 */
export function readExactly(text: string, isJson: boolean): unknown {
  if (isJson) return parseJsonExactly(text, exact);
  const [document] = parseYaml(text);
  if (!document) return null;
  writeOut(document, text);
  return contentOf(document);
}

/** Writes a value as a document of YAML. */
export function toYaml(text: string): string {
  const [document] = parseYaml(text);
  if (!document) return text;
  visit(document, {
    Collection: (_, node) => {
      node.flow = node.items.length === 0;
    },
    Scalar: (_, node) => {
      // In the form that the value asks for, not in JSON's.
      if (typeof node.value === 'string') delete node.type;
    },
  });
  return document.toString({ lineWidth: 0 });
}

function parseJson(source: string, text: string, isFirst: boolean): Manifest {
  let value: unknown;
  try {
    value = parseJsonExactly(text, exact);
  } catch (error) {
    throw unreadable(source, error);
  }
  const apply = (operations: readonly Operation[]): string => {
    const { newDocument } = jsonPatch.applyPatch(parseJsonExactly(text, exact), operations);
    return `${isFirst ? '' : '\n'}${JSON.stringify(newDocument, null, 2)}\n`;
  };
  return { source, isFirst, text, value, isJson: true, apply };
}

/**
 * @param before documents of the file before this text
 * @param isFirst whether the first of these documents is the first of its file
 */
function parseYamlManifests(file: string, text: string, before: number, isFirst: boolean): Manifest[] {
  const documents = parseYaml(text);
  if (documents.length === 0) return [{ source: file, isFirst, text, value: null, isJson: false, apply: () => text }];
  let start = 0;
  return documents.map((document, index) => {
    const source = documents.length + before === 1 ? file : `${file}#${before + index + 1}`;
    const [problem] = document.errors;
    if (problem) throw unreadable(file, problem);
    const end = index === documents.length - 1 ? text.length : document.range[2];
    const own = text.slice(start, end);
    start = end;
    let value: unknown;
    try {
      writeOut(document, text);
      value = contentOf(document);
    } catch (error) {
      throw unreadable(source, error);
    }
    const apply = (operations: readonly Operation[]): string => applyToYaml(own, operations);
    return { source, isFirst: isFirst && index === 0, text: own, value, isJson: false, apply };
  });
}

/** The block style's indentation of lists, as the text has it: two spaces or none. */
function indentsLists(text: string): boolean {
  const list = /^( *)[^\s#-][^\n]*:[ \t]*(?:#[^\n]*)?\n( *)- /m.exec(text);
  return list === null || (list[1] ?? '').length < (list[2] ?? '').length;
}

/** What aliases and merge keys refer to is written out first: a change would reach all others that refer to it. */
function applyToYaml(text: string, operations: readonly Operation[]): string {
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
    if (node) parent.set(last, node);
    else parent.delete(last);
    return;
  }
  const index = last === '-' ? parent.items.length : Number(last);
  parent.items.splice(index, operation.op === 'add' ? 0 : 1, ...(node ? [node] : []));
}

/** Finds a collection by its path; one that is absent, or null, is made. */
function collectionAt(document: Document, path: readonly string[]): YAMLMap | YAMLSeq {
  let node: unknown = document.contents;
  for (const member of path) {
    if (!isCollection(node)) break;
    const key = isSeq(node) ? Number(member) : member;
    let next: unknown = node.get(key, true);
    if (!isCollection(next)) {
      next = document.createNode({});
      node.set(key, next);
    }
    node = next;
  }
  if (!isMap(node) && !isSeq(node)) throw new Error(`${path.join('/')} is not in the document`);
  return node;
}
