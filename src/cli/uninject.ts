/** `openshell-sideload uninject`: takes the supervisor out of manifests again. */

import type { Operation } from 'fast-json-patch';
import type { SideloadSettings } from '../sideload/settings.ts';
import { uninject as decide } from '../sideload/uninject.ts';
import type { Command, CommandLine } from './command.ts';
import { paint } from './diff.ts';
import { printAll, readInput } from './manifests/edit.ts';
import { SOURCES } from './manifests/files.ts';
import { type HeldPod, holdersIn, problemsIn } from './manifests/holders.ts';
import { type Kinds, kindsWith, TEMPLATE_PATH } from './manifests/pods.ts';
import { type Edited, PRINTING } from './manifests/print.ts';
import type { Manifest } from './manifests/read.ts';
import { strayPlaces } from './manifests/stray-supervisors.ts';
import { plain } from './plain.ts';

interface Uninjected extends Edited {
  readonly pods: readonly HeldPod[];
  /** Lines for people. */
  readonly report: readonly string[];
  /** Pods from which no supervisor can be taken. */
  readonly failed: number;
}

/** Takes the supervisor out of every pod of a document. */
export function uninjectManifest(manifest: Manifest, settings: SideloadSettings, kinds: Kinds = kindsWith()): Uninjected {
  const operations: Operation[] = [];
  const report: string[] = [];
  let failed = 0;
  const pods = holdersIn(manifest, kinds).flatMap((holder) => holder.pods);
  for (const place of strayPlaces(manifest, pods)) {
    failed++;
    report.push(
      `${plain(manifest.source)}: ${paint('red', 'not taken out', process.stderr)}: a supervisor is at ${place}, in a kind that is not known: name its pod template (--template-path=GROUP/Kind=/POINTER)`,
    );
  }
  for (const { name, pointer, pod, problem } of pods) {
    if (problem !== undefined) continue;
    const outcome = decide(pod, settings);
    switch (outcome.found) {
      case 'nothing':
        report.push(`${name}: left unchanged (it has no supervisor)`);
        break;
      case 'problem':
        failed++;
        report.push(`${name}: ${paint('red', 'not taken out', process.stderr)}: ${outcome.message}`);
        break;
      case 'supervisor':
        report.push(`${name}: taken out (container ${plain(outcome.container)})`);
        if (outcome.lost.length > 0)
          report.push(`${name}: ${paint('yellow', 'look at', process.stderr)} what inject replaced: ${outcome.lost.join('; ')}`);
        operations.push(...outcome.operations.map((operation) => ({ ...operation, path: `${pointer}${operation.path}` })));
    }
  }
  return { manifest, operations, pods, report, failed };
}

async function run(line: CommandLine): Promise<number> {
  const { manifests, kinds, format, config } = await readInput(line);
  const results = manifests.map((manifest) => uninjectManifest(manifest, config.sideload, kinds));
  const lines = results.flatMap(({ report }) => report);
  process.stderr.write(
    (lines.length > 0 ? lines : ['no Pod and no kind with a pod template: nothing to take out']).map((text) => `${text}\n`).join(''),
  );
  const failed = results.reduce((sum, result) => sum + result.failed, 0);
  return printAll(results, format, problemsIn(results.flatMap(({ pods }) => pods)), [[failed, 'not taken out']]);
}

export const uninject: Command = {
  summary: 'Takes the supervisor out of manifests again.',
  usage: 'uninject FILE… [--diff | -o yaml|json|patch] [SETTINGS]',
  description:
    'Takes out of pods and pod templates what inject puts in; give it the same settings. The program, its user and everything else are as before, as far as the pod still tells; what it does not tell is named. Labels stay: where the webhook is, it injects the pods again.',
  options: { ...SOURCES, ...PRINTING, 'template-path': TEMPLATE_PATH },
  examples: [['uninject injected.yaml', 'a file that inject printed']],
  takesWords: true,
  run,
};
