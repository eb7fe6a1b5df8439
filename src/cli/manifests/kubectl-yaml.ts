/**
 * YAML as kubectl reads it: sigs.k8s.io/yaml over go-yaml v2, whose rules are those of YAML 1.1 with exceptions. Documents are
 * read with aliases and merge keys written out, so that nothing in them is shared and a change of one place is no change of another.
 * Source of the rules: go.yaml.in/yaml/v2, resolve.go and decode.go. test/e2e/yaml.test.ts compares them with kubectl itself.
 */

import {
  type Document,
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  type Node,
  Pair,
  parseAllDocuments,
  type Scalar,
  type ScalarTag,
  type Tags,
  type YAMLMap,
} from 'yaml';
import { stringifyString } from 'yaml/util';

/** What was read is written as it was read. */
const asRead =
  (text: (value: unknown) => string): NonNullable<ScalarTag['stringify']> =>
  ({ source, value }: Scalar) =>
    source ?? text(value);

const nullTag: ScalarTag = {
  tag: 'tag:yaml.org,2002:null',
  identify: (value) => value === null,
  default: true,
  test: /^(?:~|null|Null|NULL)?$/,
  resolve: () => null,
  stringify: asRead(() => 'null'),
};

const boolTag: ScalarTag = {
  tag: 'tag:yaml.org,2002:bool',
  identify: (value) => typeof value === 'boolean',
  default: true,
  test: /^(?:[yYnN]|yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$/,
  resolve: (text) => /^(?:[yY]|true|on)/i.test(text),
  stringify: asRead(String),
};

/** Integers of 64 bits, with Go's prefixes; a leading zero makes an octal one. Others that look like one are floats or text. */
const INTEGER = /^[-+]?(?:0[bB][01]+|0[oO]?[0-7]+|0[xX][0-9a-fA-F]+|0|[1-9][0-9]*)$/;
const isIn64Bits = (value: bigint): boolean => value >= -(2n ** 63n) && value < 2n ** 64n;

function integerOf(text: string): bigint | undefined {
  const plain = text.replaceAll('_', '');
  if (!INTEGER.test(plain)) return undefined;
  const digits = plain.replace(/^[-+]/, '').replace(/^0(?=[0-7])/, '0o');
  const value = BigInt(digits) * (plain.startsWith('-') ? -1n : 1n);
  return isIn64Bits(value) ? value : undefined;
}

const intTag: ScalarTag = {
  tag: 'tag:yaml.org,2002:int',
  identify: (value) => typeof value === 'bigint' || Number.isInteger(value),
  default: true,
  test: { test: (text: string) => /^[-+0-9]/.test(text) && integerOf(text) !== undefined } as RegExp,
  // What JavaScript's numbers cannot hold stays a BigInt.
  resolve: (text) => {
    const value = integerOf(text) ?? 0n;
    return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  },
  stringify: asRead(String),
};

const FLOAT = /^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/;
/** Underscores count for nothing in what begins with a digit or a sign. */
const withoutUnderscores = (text: string): string => (/^[-+0-9]/.test(text) ? text.replaceAll('_', '') : text);
const SPECIAL: Readonly<Record<string, number>> = { nan: Number.NaN, inf: Number.POSITIVE_INFINITY, '-inf': Number.NEGATIVE_INFINITY };

const floatTag: ScalarTag = {
  tag: 'tag:yaml.org,2002:float',
  identify: (value) => typeof value === 'number',
  default: true,
  test: {
    test: (text: string) => FLOAT.test(withoutUnderscores(text)) || /^(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/.test(text),
  } as RegExp,
  resolve: (text) => SPECIAL[text.toLowerCase().replace(/[.+]/g, '')] ?? Number(withoutUnderscores(text)),
  stringify: asRead(String),
};

const binaryTag: ScalarTag = {
  tag: 'tag:yaml.org,2002:binary',
  identify: () => false,
  default: false,
  resolve: (text) => Buffer.from(text, 'base64').toString(),
  stringify: asRead(String),
};

/** Characters that YAML 1.1 takes for line breaks, or does not print. */
const UNPRINTED = /[\u0085\u2028\u2029\ufeff]/;
/** What go-yaml does not read as text without quotes, though YAML 1.2 does. */
const NEEDS_QUOTES = /^[:?,]|[\s"'#&*!|>{}[\]`\\]/;

/** Words that are new are quoted where a reader could take them for something else; others stay as they are written. */
const stringTag: ScalarTag = {
  tag: 'tag:yaml.org,2002:str',
  identify: (value) => typeof value === 'string',
  default: true,
  resolve: (text) => text,
  stringify: (item, context, onComment, onChompKeep) => {
    const text = String(item.value);
    const isNew = item.source === undefined;
    if (!UNPRINTED.test(text) && !(isNew && NEEDS_QUOTES.test(text)))
      return stringifyString(item as StringScalar, { ...context, actualString: true }, onComment, onChompKeep);
    return JSON.stringify(text).replaceAll(
      new RegExp(UNPRINTED, 'g'),
      (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
  },
};
type StringScalar = Parameters<typeof stringifyString>[0];

/** With `compat`, words that any reader of YAML 1.1 takes for something else are quoted, too. */
const OPTIONS = {
  schema: 'failsafe',
  customTags: ((tags: Tags): Tags => [
    ...tags.filter((tag) => typeof tag === 'string' || tag.tag !== stringTag.tag),
    stringTag,
    nullTag,
    boolTag,
    intTag,
    floatTag,
    binaryTag,
  ]) as (tags: Tags) => Tags,
  compat: 'yaml-1.1',
  logLevel: 'error',
} as const;

/** A document, or the text behind the last one, that cannot be read. The message names the line. */
class UnreadableYamlError extends Error {
  override readonly name = 'UnreadableYamlError';
}

/** The documents of a text, as they are written. */
export function parseYaml(text: string): Document.Parsed[] {
  const documents = parseAllDocuments(text, OPTIONS);
  return 'empty' in documents ? [] : documents;
}

/** A few aliases of aliases make billions of values. go-yaml, too, ends such a document with an error. */
const MOST_VALUES = 1_000_000;

/**
 * Writes out what aliases and merge keys refer to, in place.
 *
 * A merge key is read as go-yaml reads it: what it brings replaces the keys before it, and keys behind it replace what it brought.
 *
 * @param text the text that the document's positions are in
 * @throws UnreadableYamlError that names the line
 */
export function writeOut(document: Document, text: string): void {
  const anchors = new Map<string, { readonly node: Node; values: number | undefined }>();
  let values = 0;
  const problem = (node: Node, what: string): UnreadableYamlError => {
    const line = text.slice(0, node.range?.[0] ?? 0).split('\n').length;
    return new UnreadableYamlError(`line ${line}: ${what}`);
  };

  const expand = (node: Node): Node => {
    values++;
    if (isAlias(node)) {
      const anchored = anchors.get(node.source);
      if (!anchored) throw problem(node, `alias *${node.source} has no anchor before it`);
      if (anchored.values === undefined) throw problem(node, `anchor &${node.source} contains itself`);
      values += anchored.values;
      if (values > MOST_VALUES) throw problem(node, `its aliases expand to more than ${MOST_VALUES} values`);
      const copy = anchored.node.clone() as Node;
      if (node.comment) copy.comment = node.comment;
      if (node.commentBefore) copy.commentBefore = node.commentBefore;
      return copy;
    }
    const { anchor } = node as { anchor?: string };
    const before = values;
    const entry = { node, values: undefined as number | undefined };
    if (anchor !== undefined) {
      anchors.set(anchor, entry);
      delete (node as { anchor?: string }).anchor;
    }
    if (isSeq(node)) node.items = node.items.map((item) => expandItem(item));
    if (isMap(node)) expandMap(node);
    entry.values = values - before + 1;
    return node;
  };
  const expandItem = (item: unknown): unknown => {
    // `[a: b]` is a list of one map.
    if (isPair(item)) {
      expandPair(item as Pair);
      return item;
    }
    return expand(item as Node);
  };
  const expandPair = (pair: Pair): void => {
    if (pair.key) pair.key = expand(pair.key as Node);
    if (pair.value) pair.value = expand(pair.value as Node);
  };
  const expandMap = (map: YAMLMap): void => {
    if (!map.items.some(isMerge)) {
      map.items.forEach(expandPair);
      return;
    }
    const pairs = new Map<string, Pair>();
    const put = (pair: Pair): void => {
      pairs.set(JSON.stringify((pair.key as Scalar).toJSON()), pair);
    };
    for (const pair of map.items as Pair<Node, Node | null>[]) {
      expandPair(pair);
      if (!isMerge(pair)) {
        put(pair);
        continue;
      }
      const merged = isSeq(pair.value) ? [...pair.value.items].reverse() : [pair.value];
      for (const source of merged) {
        if (!isMap(source)) throw problem(pair.key, 'a merge key (<<) needs a map, or a list of maps');
        for (const { key, value } of source.items as Pair<Node, Node | null>[]) put(new Pair(key, value));
      }
    }
    map.items = [...pairs.values()];
  };
  if (document.contents) document.contents = expand(document.contents as Node) as typeof document.contents;
}

function isMerge({ key }: Pair<unknown, unknown>): boolean {
  return isScalar(key) && key.type === 'PLAIN' && key.source === '<<' && !key.tag;
}
