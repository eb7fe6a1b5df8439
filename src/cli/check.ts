/** `openshell-sideload check`: whether a cluster can take the webhook, or whether the one that it has guards sandboxes. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster } from '../cluster/client.ts';
import { type Config, UsageError } from '../config/config.ts';
import { BadValueError, duration } from '../config/values.ts';
import { CERTIFICATES } from './check/certificates.ts';
import { CLUSTER } from './check/cluster.ts';
import { type Context, contextOf } from './check/context.ts';
import { END_TO_END } from './check/end-to-end.ts';
import { IMAGE } from './check/image.ts';
import { BEFORE_INSTALLATION, INSTALLATION } from './check/installation.ts';
import { NAMESPACES } from './check/namespaces.ts';
import { POLICIES } from './check/policies.ts';
import { json, progress, shown, summary } from './check/report.ts';
import { type Group, type Result, runChecks } from './check/run.ts';
import { CLUSTER_ACCESS, openCluster } from './cluster-options.ts';
import { type Command, type CommandLine, EXIT } from './command.ts';

const BEFORE: readonly Group<Context>[] = [CLUSTER, BEFORE_INSTALLATION];
const AFTER: readonly Group<Context>[] = [CLUSTER, INSTALLATION, CERTIFICATES, NAMESPACES, END_TO_END];

/** Without the webhook, where policies inject, nothing of it is looked for. */
async function afterwards({ policies, deployed }: Context): Promise<readonly Group<Context>[]> {
  if ((await policies()) === undefined) return AFTER;
  const isDeployed = await deployed().then(
    () => true,
    () => false,
  );
  return isDeployed ? [...AFTER, POLICIES] : [CLUSTER, POLICIES, NAMESPACES, END_TO_END];
}

/** Between two attempts of --wait. */
const AGAIN_MS = 2_000;

interface Wanted {
  readonly pre: boolean;
  /** The namespace of the test pod. */
  readonly sandboxNamespace: string | undefined;
  readonly image: string | undefined;
  /** Milliseconds until failed checks are reported; 0: at once. */
  readonly wait: number;
  readonly output: string | undefined;
}

/** @throws UsageError */
function wantedOf(flags: CommandLine['flags']): Wanted {
  const [output] = flags.get('output') ?? [];
  const problems: string[] = [];
  const pre = flags.has('pre');
  if (pre && flags.has('namespace')) problems.push('--namespace: no pod is tried with --pre');
  const [text] = flags.get('wait') ?? [];
  let wait = 0;
  try {
    if (text !== undefined) wait = duration(text);
  } catch (error) {
    if (!(error instanceof BadValueError)) throw error;
    problems.push(`--wait ${JSON.stringify(text)}: ${error.message}`);
  }
  if (problems.length > 0) throw new UsageError(problems);
  return { pre, sandboxNamespace: flags.get('namespace')?.[0], image: flags.get('image')?.[0], wait, output };
}

const hasFailed = (results: readonly Result[]): boolean => results.some(({ status }) => status === 'failed');

/** Runs all checks once. @param report called with each result as it comes, and those before it */
async function attempt(
  cluster: Cluster,
  config: Config,
  wanted: Wanted,
  report: (result: Result, before: readonly Result[]) => void,
): Promise<Result[]> {
  const context = contextOf(cluster, config, wanted);
  const groups = [...(wanted.pre ? BEFORE : await afterwards(context)), ...(wanted.image === undefined ? [] : [IMAGE])];
  const results: Result[] = [];
  const { show, clear } = progress(process.stderr);
  for await (const result of runChecks(groups, context, show)) {
    clear();
    report(result, results);
    results.push(result);
  }
  return results;
}

async function run({ flags, config }: CommandLine, version: string): Promise<number> {
  const wanted = wantedOf(flags);
  const cluster = await openCluster(flags);
  const print = (result: Result, before: readonly Result[]): void => {
    if (wanted.output === undefined) process.stdout.write(shown(result, before, version));
  };
  const end = Date.now() + wanted.wait;
  // What an attempt before the last found is not worth reading.
  const silent = (): void => undefined;
  let results = await attempt(cluster, config, wanted, wanted.wait === 0 ? print : silent);
  while (hasFailed(results) && Date.now() < end) {
    await sleep(AGAIN_MS);
    results = await attempt(cluster, config, wanted, silent);
  }
  if (wanted.wait > 0) for (const [index, result] of results.entries()) print(result, results.slice(0, index));
  process.stdout.write(wanted.output === undefined ? summary(results) : json(results, version));
  return hasFailed(results) ? EXIT.failed : EXIT.done;
}

export const check: Command = {
  summary: 'Checks that the webhook is installed and injects sandboxes.',
  usage: 'check [--pre] [--wait DURATION] [-n NAMESPACE] [--image REFERENCE] [-o json] [SETTINGS]',
  description:
    'Checks that the webhook, or the policies of admission-policy, are installed and inject sandboxes: passed checks (✓), warnings (!) and failed checks (✗), each with a fix. It changes nothing; pods are created as dry runs. It exits with 1 if a check failed. --webhook-namespace says where the webhook is; its settings are read from its Deployment.',
  options: {
    pre: { description: 'Before the installation: checks whether the cluster supports the webhook, and whether you may install it.' },
    wait: { value: 'DURATION', description: 'Checks again while a check fails, at most this long: 30s, 2m.' },
    output: {
      short: 'o',
      value: 'FORMAT',
      values: ['json'],
      description: 'json: {"ok", "checks": [{"group", "name", "status", "detail", "fix"}]}.',
    },
    namespace: {
      short: 'n',
      value: 'NAMESPACE',
      description: 'The namespace of the test pod (a dry run). Default: the first namespace that opted in.',
    },
    image: {
      value: 'REFERENCE',
      description: 'Reads what an image runs from its registry, with the credentials of ~/.docker/config.json (or DOCKER_CONFIG).',
    },
    ...CLUSTER_ACCESS,
  },
  examples: [
    ['check --pre', 'before the installation'],
    ['check --wait 2m', 'behind helm upgrade, in a pipeline'],
    ['check -n agents -o json', 'with a pod of this namespace, for a script'],
  ],
  takesWords: false,
  run,
};
