/** `openshell-sideload inject`: what the webhook would do to manifests, without a cluster. */

import type { Operation } from 'fast-json-patch';
import { decide } from '../sideload/decide.ts';
import { type Outcome, REFUSALS, SKIPS, type Warning } from '../sideload/outcome.ts';
import { type SideloadSettings, UNKNOWN_CLUSTER } from '../sideload/settings.ts';
import type { Command, CommandLine } from './command.ts';
import { paint } from './diff.ts';
import { type ImageLookup, LOOKUP, openLookup } from './image-lookup.ts';
import { printAll, readInput } from './manifests/edit.ts';
import { SOURCES } from './manifests/files.ts';
import { type Holder, holdersIn, problemsIn } from './manifests/holders.ts';
import { type Kinds, kindsWith, TEMPLATE_PATH } from './manifests/pods.ts';
import { PRINTING } from './manifests/print.ts';
import type { Manifest } from './manifests/read.ts';
import { resultOperations } from './manifests/resource-list.ts';
import { plain } from './plain.ts';

/** What becomes of one pod of a document. */
interface Decision {
  /** Where the document is from, and what it holds: `web.yaml Deployment agents/web`. */
  readonly name: string;
  readonly outcome: Outcome;
}

interface Injected {
  readonly manifest: Manifest;
  readonly holders: readonly Holder[];
  readonly decisions: readonly Decision[];
  /** All operations, from the document's root. Empty: the document stays as it is. */
  readonly operations: readonly Operation[];
}

const notLookedUp: ImageLookup = async () => undefined;

/** Decides on every pod of a document that is valid. */
export async function injectManifest(
  manifest: Manifest,
  settings: SideloadSettings,
  kinds: Kinds = kindsWith(),
  lookUp: ImageLookup = notLookedUp,
): Promise<Injected> {
  const holders = holdersIn(manifest, kinds);
  const decisions: Decision[] = [];
  const operations: Operation[] = [];
  for (const { name, pointer, pod, problem } of holders.flatMap(({ pods }) => pods)) {
    if (problem !== undefined) continue;
    const image = await lookUp(pod, settings, UNKNOWN_CLUSTER);
    const outcome = decide(pod, settings, UNKNOWN_CLUSTER, image);
    decisions.push({ name, outcome });
    if (outcome.verdict !== 'inject') continue;
    operations.push(...outcome.operations.map((operation) => ({ ...operation, path: `${pointer}${operation.path}` })));
  }
  const warnings = decisions.flatMap(({ name, outcome }) =>
    'warnings' in outcome ? (outcome.warnings ?? []).map(({ code, message }) => `${name} (${code}): ${message}`) : [],
  );
  return { manifest, holders, decisions, operations: [...operations, ...resultOperations(manifest, warnings)] };
}

function warningLines(name: string, warnings: readonly Warning[] | undefined): string {
  return (warnings ?? [])
    .map(({ code, message }) => `${name}: ${paint('yellow', 'warning', process.stderr)} (${code}): ${message}\n`)
    .join('');
}

const MEANS = {
  unguarded: paint('red', 'no sandbox', process.stderr),
  admission: paint('red', 'not injected', process.stderr),
  ignored: paint('yellow', 'hint', process.stderr),
} as const;

function decisionLines({ name, outcome }: Decision): string {
  switch (outcome.verdict) {
    case 'skip':
      return `${name}: left unchanged (${outcome.reason}: ${SKIPS[outcome.reason]})\n${warningLines(name, outcome.warnings)}`;
    case 'refuse':
      if (outcome.needs)
        return `${name}: ${paint('yellow', 'looked up at admission', process.stderr)}: ${outcome.message}; --lookup does it now\n`;
      return `${name}: ${paint('red', 'refused', process.stderr)} (${outcome.reason}, ${REFUSALS[outcome.reason].code}): ${outcome.message}\n`;
    case 'inject': {
      const { method, container, reason, warnings } = outcome;
      return `${name}: ${reason} (method ${method}, container ${plain(container)})\n${warningLines(name, warnings)}`;
    }
  }
}

/** A line for each pod, each of its warnings, and what was to be a sandbox. */
function report({ holders, decisions }: Injected): string {
  const strays = holders.flatMap(({ name, strays: found }) => found.map(({ means, message }) => `${name}: ${MEANS[means]}: ${message}\n`));
  return [...decisions.map(decisionLines), ...strays].join('');
}

/** How many pods keep the manifests from being printed, by what is wrong with them. */
function obstaclesIn(results: readonly Injected[]): [number, string][] {
  const strays = results.flatMap(({ holders }) => holders.flatMap((holder) => holder.strays)).filter(({ means }) => means !== 'ignored');
  const refused = results.flatMap(({ decisions }) => decisions).filter(({ outcome }) => outcome.verdict === 'refuse');
  const waiting = refused.filter(({ outcome }) => outcome.verdict === 'refuse' && outcome.needs).length;
  return [
    [refused.length - waiting, 'refused'],
    [waiting, 'not looked up'],
    [strays.length, 'labelled where it does not count'],
  ];
}

async function run(line: CommandLine): Promise<number> {
  const { manifests, kinds, format, config } = await readInput(line);
  const lookUp = await openLookup(config, line.flags.has('lookup'));
  const results: Injected[] = [];
  for (const manifest of manifests) results.push(await injectManifest(manifest, config.sideload, kinds, lookUp));
  process.stderr.write(results.map(report).join(''));
  const pods = results.flatMap(({ holders }) => holders.flatMap((holder) => holder.pods));
  if (pods.length === 0) process.stderr.write('no Pod and no kind with a pod template: nothing to inject\n');
  return printAll(results, format, problemsIn(pods), obstaclesIn(results));
}

export const inject: Command = {
  summary: 'Puts the supervisor into the labelled pods of manifests.',
  usage: 'inject FILE… [--lookup] [--diff | -o yaml|json|patch] [SETTINGS]',
  description:
    'Puts the supervisor into the labelled pods and pod templates of manifests, as the webhook would. It needs no cluster, and asks a registry only with --lookup. Other documents are printed unchanged. If a pod is refused, or a label makes no sandbox where it stands, it prints no manifest and exits with 1.',
  options: { ...SOURCES, ...PRINTING, 'template-path': TEMPLATE_PATH, lookup: LOOKUP },
  examples: [
    ['inject web.yaml | kubectl apply -f -', 'a file, and what kubectl gets'],
    ['inject -R -f deploy/ --diff', 'a folder, and what changes'],
    ['inject fleet.yaml --template-path=example.com/Fleet=/spec/template', 'a kind that is not known'],
  ],
  takesWords: true,
  run,
};
