/** Manifests as kubectl reads them: YAML of several documents, and JSON. */

import jsonPatch, { type Operation } from 'fast-json-patch';
import { type Document, visit } from 'yaml';
import { readSources, type Sources, unreadable } from './files.ts';
import { parseYaml, writeOut } from './kubectl-yaml.ts';
import { applyToYaml } from './yaml-patch.ts';

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
 * @throws UsageError that names the file, and the line where there is one
 */
export async function readManifests(sources: Sources): Promise<Manifest[]> {
  const texts = await readSources(sources);
  return texts.flatMap(({ source, text }) => parseManifests(source, text));
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
const exact: Reviver = (key, value, { source }) => {
  if (key === '__proto__') throw new Error('no object of Kubernetes has a member "__proto__": remove it');
  return source === undefined || !Number.isInteger(value) || Number.isSafeInteger(value) ? value : rawJSON(source);
};

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
