/** `openshell-sideload inject`: what the webhook would do to manifests, without a cluster. */

import type { Operation } from 'fast-json-patch';
import { UsageError } from '../config/config.ts';
import { decide } from '../sideload/decide.ts';
import { type Outcome, REFUSALS, SKIPS, type Warning } from '../sideload/outcome.ts';
import { type Pod, podShape } from '../sideload/pod.ts';
import { type SideloadSettings, UNKNOWN_CLUSTER } from '../sideload/settings.ts';
import { misfit } from '../sideload/shape.ts';
import { type Command, type CommandLine, EXIT } from './command.ts';
import { paint, unifiedDiff } from './diff.ts';
import { type ImageLookup, LOOKUP, openLookup } from './image-lookup.ts';
import { FILENAME } from './input-files.ts';
import { type Manifest, readExactly, readManifests, toYaml } from './manifests.ts';
import { findPods } from './pod-templates.ts';

const OUTPUTS = ['yaml', 'json', 'patch'] as const;

/** What becomes of one pod of a document. */
interface Decision {
  /** Where the document is from, and what it holds: `web.yaml Deployment agents/web`. */
  readonly name: string;
  readonly outcome: Outcome;
}

interface Injected {
  readonly manifest: Manifest;
  readonly decisions: readonly Decision[];
  /** All operations, from the document's root. Empty: the document stays as it is. */
  readonly operations: readonly Operation[];
}

/** The name of an object for messages. */
function nameOf(value: unknown): string {
  const { kind, metadata } = value as { kind?: string; metadata?: { name?: string; generateName?: string; namespace?: string } | null };
  const name = metadata?.name ?? (metadata?.generateName ? `${metadata.generateName}*` : '(no name)');
  return `${kind} ${metadata?.namespace ? `${metadata.namespace}/` : ''}${name}`;
}

const notLookedUp: ImageLookup = async () => undefined;

/**
 * Decides on every pod of a document.
 *
 * @throws UsageError when what should be a pod is none
 */
export async function injectManifest(manifest: Manifest, settings: SideloadSettings, lookUp: ImageLookup = notLookedUp): Promise<Injected> {
  const decisions: Decision[] = [];
  const operations: Operation[] = [];
  for (const { pointer, pod } of findPods(manifest.value)) {
    const [, items, index] = pointer.split('/');
    const object = items === 'items' ? (manifest.value as { items: unknown[] }).items[Number(index)] : manifest.value;
    const name = `${manifest.source} ${nameOf(object)}`;
    const wrong = misfit(podShape, pod, pointer.slice(1).replaceAll('/', '.'));
    if (wrong !== undefined) throw new UsageError([`${name} is not valid: ${wrong}`]);
    const image = await lookUp(pod as Pod, settings, UNKNOWN_CLUSTER);
    const outcome = decide(pod as Pod, settings, UNKNOWN_CLUSTER, image);
    decisions.push({ name, outcome });
    if (outcome.verdict !== 'inject') continue;
    operations.push(...outcome.operations.map((operation) => ({ ...operation, path: `${pointer}${operation.path}` })));
  }
  return { manifest, decisions, operations };
}

function warningLines(name: string, warnings: readonly Warning[] | undefined): string {
  return (warnings ?? [])
    .map(({ code, message }) => `${name}: ${paint('yellow', 'warning', process.stderr)} (${code}): ${message}\n`)
    .join('');
}

/** One line for each pod, and one for each of its warnings. */
function report({ name, outcome }: Decision): string {
  switch (outcome.verdict) {
    case 'skip':
      return `${name}: left unchanged (${outcome.reason}: ${SKIPS[outcome.reason]})\n${warningLines(name, outcome.warnings)}`;
    case 'refuse':
      if (outcome.needs)
        return `${name}: ${paint('yellow', 'looked up at admission', process.stderr)}: ${outcome.message}; --lookup does it now\n`;
      return `${name}: ${paint('red', 'refused', process.stderr)} (${outcome.reason}, ${REFUSALS[outcome.reason].code}): ${outcome.message}\n`;
    case 'inject': {
      const { method, container, reason, warnings } = outcome;
      return `${name}: ${reason} (method ${method}, container ${container})\n${warningLines(name, warnings)}`;
    }
  }
}

/** The document's text once its operations are applied. */
const textOf = ({ manifest, operations }: Injected): string => (operations.length === 0 ? manifest.text : manifest.apply(operations));
const hasContent = ({ manifest }: Injected): boolean => manifest.value !== null && manifest.value !== undefined;

/** A document of JSON, rewritten as YAML. */
function asYaml(result: Injected): Injected {
  return { ...result, manifest: { ...result.manifest, isFirst: true, text: toYaml(textOf(result)) }, operations: [] };
}

/** The documents in the form that they came in: those that need nothing as they were written. */
function asWritten(results: readonly Injected[]): string {
  let printed = '';
  for (const result of results) {
    const { manifest } = result;
    const text = textOf(result);
    const isSeparated = /^(\s*(#[^\n]*)?\n)*---/.test(text);
    if (manifest.isFirst && printed !== '' && !isSeparated) printed += printed.endsWith('\n') ? '---\n' : '\n---\n';
    printed += text;
  }
  return printed;
}

function print(results: readonly Injected[], output: string | undefined): string {
  const filled = results.filter(hasContent);
  switch (output) {
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
        object: nameOf(manifest.value),
        patch: operations,
      }));
      return `${JSON.stringify(patches, null, 2)}\n`;
    }
    default:
      return asWritten(results);
  }
}

function printDiff(results: readonly Injected[]): string {
  return results
    .filter(({ operations }) => operations.length > 0)
    .map(({ manifest, operations }) => {
      // Both are written again, so that spaces make no difference.
      return `${paint('bold', manifest.source)}\n${unifiedDiff(manifest.apply([]), manifest.apply(operations))}`;
    })
    .join('');
}

async function run({ flags, config }: CommandLine): Promise<number> {
  const output = flags.get('output')?.[0];
  const files = flags.get('filename') ?? [];
  const problems = [
    ...(files.length === 0 ? ['-f is missing: -f FILE, a folder, or - for standard input'] : []),
    ...(output !== undefined && !OUTPUTS.includes(output as (typeof OUTPUTS)[number])
      ? [`--output ${JSON.stringify(output)}: expected ${OUTPUTS.join(', ')}`]
      : []),
    ...(output !== undefined && flags.has('diff') ? ['--diff and --output do not go together'] : []),
  ];
  if (problems.length > 0) throw new UsageError(problems);
  const lookUp = await openLookup(config, flags.has('lookup'));
  const results: Injected[] = [];
  for (const manifest of readManifests(files)) results.push(await injectManifest(manifest, config.sideload, lookUp));
  const decisions = results.flatMap((result) => result.decisions);
  process.stderr.write(decisions.map(report).join(''));
  if (decisions.length === 0) process.stderr.write('no Pod and no kind with a pod template: nothing to inject\n');
  const refused = decisions.filter(({ outcome }) => outcome.verdict === 'refuse');
  if (refused.length > 0) {
    // A user who pipes this into kubectl must not get a part of it, least of all the part without a supervisor.
    const waiting = refused.filter(({ outcome }) => outcome.verdict === 'refuse' && outcome.needs).length;
    const what = waiting === 0 ? 'refused' : waiting === refused.length ? 'not looked up' : 'refused or not looked up';
    process.stderr.write(`${refused.length} of ${decisions.length} ${what}: nothing is printed\n`);
    return EXIT.failed;
  }
  process.stdout.write(flags.has('diff') ? printDiff(results) : print(results, output));
  return EXIT.done;
}

export const inject: Command = {
  usage: 'inject -f FILE [-f FILE…] [--lookup] [--diff | -o yaml|json|patch] [SETTINGS]',
  description:
    'Puts the supervisor into the labelled pods and pod templates of manifests, as the webhook would. It needs no cluster, and asks a registry only with --lookup. Other documents are printed unchanged. If a pod is refused, it prints no manifest and exits with 1.',
  options: {
    filename: FILENAME,
    output: {
      short: 'o',
      value: 'FORMAT',
      description: 'yaml, json, or patch: a list with the JSON Patch of each changed document. Without it, each document keeps its form.',
    },
    diff: { description: 'Prints what changes, as a unified diff.' },
    lookup: LOOKUP,
  },
  takesWords: false,
  run,
};
