/** How edited manifests are printed. */

import type { Operation } from 'fast-json-patch';
import { UsageError } from '../../config/config.ts';
import type { CommandLine, CommandOption } from '../command.ts';
import { paint, unifiedDiff } from '../diff.ts';
import { type KubernetesObject, nameOf } from './objects.ts';
import { type Manifest, readExactly, toYaml } from './read.ts';

const OUTPUTS = ['yaml', 'json', 'patch'] as const;

/** The options that say how. */
export const PRINTING: Readonly<Record<'output' | 'diff', CommandOption>> = {
  output: {
    short: 'o',
    value: 'FORMAT',
    values: OUTPUTS,
    description: 'yaml, json, or patch: a list with the JSON Patch of each changed document. Without it, each document keeps its form.',
  },
  diff: { description: 'Prints what changes, as a unified diff.' },
};

/** Undefined: each document in its own form. */
export type Format = (typeof OUTPUTS)[number] | 'diff' | undefined;

/**
 * Reads the options that say how to print.
 *
 * @throws UsageError
 */
export function formatOf(flags: CommandLine['flags']): Format {
  const [output] = flags.get('output') ?? [];
  if (output === undefined) return flags.has('diff') ? 'diff' : undefined;
  if (flags.has('diff')) throw new UsageError(['--diff and --output do not go together']);
  return OUTPUTS.find((each) => each === output);
}

/** A document, and what changes in it. */
export interface Edited {
  readonly manifest: Manifest;
  /** From the document's root. Empty: the document stays as it is. */
  readonly operations: readonly Operation[];
}

/** The document's text once its operations are applied. */
const textOf = ({ manifest, operations }: Edited): string => (operations.length === 0 ? manifest.text : manifest.apply(operations));
const hasContent = ({ manifest }: Edited): boolean => manifest.value !== null && manifest.value !== undefined;

/** A document of JSON, rewritten as YAML. */
function asYaml(result: Edited): Edited {
  return { ...result, manifest: { ...result.manifest, isFirst: true, text: toYaml(textOf(result)) }, operations: [] };
}

/** The documents in the form that they came in: those that need nothing as they were written. */
function asWritten(results: readonly Edited[]): string {
  let printed = '';
  for (const result of results) {
    const { manifest } = result;
    const text = textOf(result);
    const needsSeparator = manifest.isFirst && printed !== '' && !/^(?:[^\S\n]*(?:#[^\n]*)?\n)*---/.test(text);
    if (needsSeparator) printed += printed.endsWith('\n') ? '---\n' : '\n---\n';
    printed += text;
  }
  return printed;
}

/** Prints documents, in the order in which they were read. */
export function printEdited(results: readonly Edited[], format: Format): string {
  const filled = results.filter(hasContent);
  switch (format) {
    case 'diff':
      return printDiff(results);
    case 'yaml':
      return asWritten(results.map((result) => (result.manifest.isJson ? asYaml(result) : result)));
    case 'json': {
      const objects = filled.map((result) => readExactly(textOf(result), result.manifest.isJson));
      return `${JSON.stringify(objects.length === 1 ? objects[0] : { apiVersion: 'v1', kind: 'List', items: objects }, null, 2)}\n`;
    }
    case 'patch': {
      const changed = results.filter(({ operations }) => operations.length > 0);
      const patches = changed.map(({ manifest, operations }) => ({
        source: manifest.source,
        object: nameOf(manifest.value as KubernetesObject),
        patch: operations,
      }));
      return `${JSON.stringify(patches, null, 2)}\n`;
    }
    default:
      return asWritten(results);
  }
}

function printDiff(results: readonly Edited[]): string {
  return results
    .filter(({ operations }) => operations.length > 0)
    .map(({ manifest, operations }) => {
      // Both are written again, so that spaces make no difference.
      return `${paint('bold', manifest.source)}\n${unifiedDiff(manifest.apply([]), manifest.apply(operations))}`;
    })
    .join('');
}
