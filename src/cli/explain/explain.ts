/** `openshell-sideload explain`: would a pod be injected, is it, and why. */

import { UsageError } from '../../config/config.ts';
import { CLUSTER_ACCESS } from '../cluster-options.ts';
import type { Command, CommandLine } from '../command.ts';
import { LOOKUP } from '../image-lookup.ts';
import { SOURCES } from '../manifests/files.ts';
import { TEMPLATE_PATH } from '../manifests/pods.ts';
import { explainManifests } from './manifests.ts';
import { exitCodeOf, json, text } from './report.ts';

const CLUSTER_ONLY = ['namespace', 'selector', 'all-namespaces', 'kubeconfig', 'context'];

async function run(line: CommandLine): Promise<number> {
  const { flags, positionals } = line;
  const output = flags.get('output')?.[0];
  const isCluster = positionals.length > 0 || flags.has('selector') || flags.has('all-namespaces');
  const problems = [
    ...(flags.has('filename') || isCluster ? [] : ['nothing to explain: give -f FILE, KIND/NAME such as pod/web or deploy/web, or -A']),
    ...(flags.has('filename')
      ? CLUSTER_ONLY.filter((name) => flags.has(name)).map((name) => `--${name} does not go together with -f`)
      : []),
    ...(flags.has('filename') && positionals.length > 0 ? [`-f does not go together with ${JSON.stringify(positionals[0])}`] : []),
  ];
  if (problems.length > 0) throw new UsageError(problems);
  const explained = isCluster ? await (await import('./cluster.ts')).explainCluster(line) : await explainManifests(line);
  if (explained.length === 0) throw new UsageError(['the manifests have no Pod, and no kind with a pod template']);
  process.stdout.write(output === 'json' ? json(explained) : text(explained));
  return exitCodeOf(explained);
}

export const explain: Command = {
  summary: 'Explains whether a pod is injected, and why.',
  usage: 'explain (-f FILE | KIND/NAME… | pods [-l SELECTOR] [-A]) [-o json] [--lookup] [SETTINGS]',
  description:
    'Explains whether the webhook would inject a pod, or did, and why: one line for each step. It exits with 1 if a pod is refused, runs without its supervisor, or is labelled where the label does not count. For manifests it needs no cluster. In a cluster it reads pods, or a workload (deploy/web) with its template and its pods, and the settings of the webhook there.',
  options: {
    ...SOURCES,
    namespace: { short: 'n', value: 'NAMESPACE', description: "The pods' namespace. Default: the one of the kubeconfig's context." },
    'all-namespaces': { short: 'A', description: 'The pods of all namespaces.' },
    selector: { short: 'l', value: 'SELECTOR', description: 'A label selector. Without it, all sandboxes are explained.' },
    output: { short: 'o', value: 'FORMAT', values: ['json'], description: 'json: {"ok", "pods": [{"name", "ok", "problem", "steps"}]}.' },
    ...CLUSTER_ACCESS,
    'template-path': TEMPLATE_PATH,
    lookup: LOOKUP,
  },
  examples: [
    ['explain -f web.yaml', 'before it is applied'],
    ['explain deploy/web -n agents', 'the Deployment, and its pods'],
    ['explain pods -A -o json', 'all sandboxes of the cluster, for a script'],
  ],
  takesWords: true,
  run,
};
