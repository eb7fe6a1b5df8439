/**
 * YAML and JSON as the real kubectl reads them. `kubectl annotate --local` reads a file as every command does, asks no API
 * server, and prints what it read.
 */

import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import jsonPatch, { type Operation } from 'fast-json-patch';
import { beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { injectManifest } from '../../src/cli/inject.ts';
import { parseManifests, readExactly } from '../../src/cli/manifests/read.ts';
import { readConfig } from '../../src/config/config.ts';
import { NO_LOOKUP } from '../refusals.ts';
import { oddWord, sharingDocument } from '../yaml.ts';
import { findBinaries } from './cluster/binaries.ts';

const settings = readConfig(['--missing-policy=warn', '--unreachable-probes=warn', ...NO_LOOKUP], {}).sideload;
let kubectl: string;

beforeAll(async () => {
  ({ kubectl } = await findBinaries());
});

/** What kubectl reads of a text, document by document. */
function readByKubectl(text: string): unknown[] {
  const { status, stdout, stderr } = spawnSync(kubectl, ['annotate', '--local', '-f', '-', 'read=by-kubectl', '-o', 'json'], {
    input: text,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  expect(status, stderr).toBe(0);
  return parseManifests('kubectl', stdout).map(({ value }) => {
    const { metadata, ...object } = value as { metadata: { annotations: Record<string, string> } };
    const { annotations, ...rest } = metadata;
    const { read: _, ...others } = annotations;
    return plain({ ...object, metadata: Object.keys(others).length > 0 ? { ...rest, annotations: others } : rest });
  });
}

/** Without what means nothing to an API server: members that are null, and empty annotations. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

const header = 'apiVersion: example.com/v1\nkind: Odd\nmetadata: {name: odd}\n';

describe('a text is read as kubectl reads it', () => {
  it('words that other readers take for numbers, truths, dates and nothing', () => {
    const plainWords = fc
      .sample(oddWord, { numRuns: 2000, seed: 1 })
      .filter((word) => /^[\w.+~=<][\w.+:~=-]*$/.test(word) && !/^\.nan$|^[-+]?\.inf$/i.test(word));
    expect(new Set(plainWords).size).toBeGreaterThan(100);
    const text = `${header}words:\n${plainWords.map((word) => `- ${word}\n`).join('')}`;
    expect(plain(readExactly(text, false))).toEqual(readByKubectl(text)[0]);
  });

  it('aliases and merge keys, wherever they stand', () => {
    const text = `${header}base: &b {name: base, x: 1}
after: {name: own, <<: *b}
before: {<<: *b, name: own}
list: {<<: [*b, {x: 2, z: 3}], name: own}
again: &b {name: second}
last: *b
quoted: {"<<": *b}
numbers: {1: a, yes: b, 0x10: c}
tags: [!!str 5, !!int "5", !!binary aGk=, !!float "1"]
big: [9223372036854775807, -9223372036854775808]
`;
    expect(plain(readExactly(text, false))).toEqual(readByKubectl(text)[0]);
  });

  it.each([
    ['JSON with a byte order mark', '\ufeff{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}'],
    ['two JSON documents', '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}\n{"apiVersion":"v1","kind":"X","metadata":{}}'],
    ['YAML with a byte order mark', `\ufeff${header}`],
    ['a flow map', '{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n---\n{apiVersion: v1, kind: X, metadata: {}}\n'],
    ['JSON behind a separator', `${header}---\n{"apiVersion":"v1","kind":"X","metadata":{}}\n`],
  ])('%s', (_what, text) => {
    expect(parseManifests('x', text.replace('\ufeff', '')).map(({ value }) => plain(value))).toEqual(readByKubectl(text));
  });
});

describe('what inject prints, kubectl reads as the webhook would have it', () => {
  it('whatever is shared between the places of a document', async () => {
    for (const text of fc.sample(sharingDocument, { numRuns: 150, seed: 2 })) {
      const [manifest] = parseManifests('x', text);
      if (!manifest) throw new Error(text);
      const { operations } = await injectManifest(manifest, settings);
      expect(operations.length, text).toBeGreaterThan(0);
      // kubectl opens a List.
      const isList = text.includes('kind: List');
      const objects = readByKubectl(text);
      const read = isList ? { items: objects } : objects[0];
      const expected = jsonPatch.applyPatch(structuredClone(read), operations as Operation[]).newDocument;
      expect(readByKubectl(manifest.apply(operations)), text).toEqual(isList ? (expected as { items: unknown[] }).items : [expected]);
    }
  });

  it('whatever the words are', async () => {
    const words = fc.sample(oddWord, { numRuns: 500, seed: 3 });
    const pod = (style: object): string =>
      stringify(
        {
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: { name: 'a', labels: { 'openshell.ai/sandbox': 'true' } },
          spec: { containers: [{ name: 'agent', image: 'x', command: ['run', ...words], envFrom: [{ secretRef: { name: 'x' } }] }] },
        },
        { version: '1.1', defaultStringType: 'QUOTE_DOUBLE', ...style },
      );
    for (const text of [pod({}), pod({ collectionStyle: 'flow' })]) {
      const [manifest] = parseManifests('x', text);
      if (!manifest) throw new Error(text);
      const [read] = readByKubectl(manifest.apply((await injectManifest(manifest, settings)).operations));
      expect((read as { spec: { containers: { args: string[] }[] } }).spec.containers[0]?.args).toEqual(['--', 'run', ...words]);
    }
  });
});
