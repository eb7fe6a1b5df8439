/** `openshell-sideload inject`: what the webhook would do to manifests, without a cluster. */

import type { Operation } from 'fast-json-patch';
import { configOf, UsageError } from '../config/config.ts';
import { decide } from '../sideload/decide.ts';
import { type Outcome, REFUSALS, SKIPS, type Warning } from '../sideload/outcome.ts';
import { type SideloadSettings, UNKNOWN_CLUSTER } from '../sideload/settings.ts';
import { type Command, type CommandLine, EXIT } from './command.ts';
import { paint } from './diff.ts';
import { type ImageLookup, LOOKUP, openLookup } from './image-lookup.ts';
import { SOURCES, sourcesOf } from './manifests/files.ts';
import { type Holder, holdersIn } from './manifests/holders.ts';
import { type Kinds, kindsWith, TEMPLATE_PATH } from './manifests/pods.ts';
import { formatOf, PRINTING, printEdited } from './manifests/print.ts';
import { type Manifest, readManifests } from './manifests/read.ts';
import { resultOperations, settingsIn } from './manifests/resource-list.ts';
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
  const results = resultOperations(
    manifest,
    warnings.map((message) => ({ message, severity: 'warning' })),
  );
  return { manifest, holders, decisions, operations: [...operations, ...results] };
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

/**
 * Says why nothing is printed; undefined where everything can be.
 *
 * @throws UsageError where a pod is not valid
 */
function whyNothing(results: readonly Injected[]): string | undefined {
  const pods = results.flatMap(({ holders }) => holders.flatMap((holder) => holder.pods));
  const problems = pods.filter(({ problem }) => problem !== undefined).map(({ name, problem }) => `${name} is not valid: ${problem}`);
  if (problems.length > 0) throw new UsageError(problems);
  const strays = results.flatMap(({ holders }) => holders.flatMap((holder) => holder.strays)).filter(({ means }) => means !== 'ignored');
  const refused = results.flatMap(({ decisions }) => decisions).filter(({ outcome }) => outcome.verdict === 'refuse');
  const waiting = refused.filter(({ outcome }) => outcome.verdict === 'refuse' && outcome.needs).length;
  const counts: [number, string][] = [
    [refused.length - waiting, 'refused'],
    [waiting, 'not looked up'],
    [strays.length, 'labelled where it does not count'],
  ];
  const parts = counts.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
  return parts.length > 0 ? parts.join(', ') : undefined;
}

async function run({ flags, positionals }: CommandLine): Promise<number> {
  const format = formatOf(flags);
  const kinds = kindsWith(flags.get('template-path'));
  const manifests = await readManifests(sourcesOf(flags, positionals));
  // What the command line says wins over what a function is given.
  const config = configOf({ flags: new Map([...settingsIn(manifests), ...flags]), positionals: [], problems: [] }, process.env);
  const lookUp = await openLookup(config, flags.has('lookup'));
  const results: Injected[] = [];
  for (const manifest of manifests) results.push(await injectManifest(manifest, config.sideload, kinds, lookUp));
  process.stderr.write(results.map(report).join(''));
  if (results.every(({ holders }) => holders.every(({ pods }) => pods.length === 0)))
    process.stderr.write('no Pod and no kind with a pod template: nothing to inject\n');
  const reason = whyNothing(results);
  if (reason !== undefined) {
    // A user who pipes this into kubectl must not get a part of it, least of all the part without a supervisor.
    process.stderr.write(`${reason}: nothing is printed\n`);
    return EXIT.failed;
  }
  process.stdout.write(printEdited(results, format));
  return EXIT.done;
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
