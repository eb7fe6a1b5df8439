/** `openshell-sideload check`: whether a cluster can take the webhook, or whether the one that it has guards sandboxes. */

import { type Access, type Cluster, connect } from '../cluster/client.ts';
import { UsageError } from '../config/config.ts';
import { ExpectedError } from '../observe/expected-error.ts';
import { CERTIFICATES } from './check/certificates.ts';
import { CLUSTER } from './check/cluster.ts';
import { type Context, contextOf } from './check/context.ts';
import { END_TO_END } from './check/end-to-end.ts';
import { IMAGE } from './check/image.ts';
import { BEFORE_INSTALLATION, INSTALLATION } from './check/installation.ts';
import { NAMESPACES } from './check/namespaces.ts';
import { heading, json, lines, progress, summary } from './check/report.ts';
import { type Group, type Result, runChecks } from './check/run.ts';
import { type Command, type CommandLine, EXIT } from './command.ts';

const BEFORE: readonly Group<Context>[] = [CLUSTER, BEFORE_INSTALLATION];
const AFTER: readonly Group<Context>[] = [CLUSTER, INSTALLATION, CERTIFICATES, NAMESPACES, END_TO_END];

/** A file that cannot be used is a mistake of the command line; a cluster that does not answer is a finding. */
async function open(access: Access): Promise<Cluster> {
  try {
    return await connect(access);
  } catch (error) {
    if (!(error instanceof ExpectedError)) throw error;
    throw new UsageError([error.message]);
  }
}

async function run({ flags, config }: CommandLine): Promise<number> {
  const output = flags.get('output')?.[0];
  if (output !== undefined && output !== 'json') throw new UsageError([`--output ${JSON.stringify(output)}: expected json`]);
  const pre = flags.has('pre');
  if (pre && flags.has('in')) throw new UsageError(['--in: no pod is tried with --pre']);
  const cluster = await open({ kubeconfig: flags.get('kubeconfig')?.[0], context: flags.get('context')?.[0] });
  const image = flags.get('image')?.[0];
  const context = contextOf(cluster, config, { pre, sandboxNamespace: flags.get('in')?.[0], image });
  const groups = [...(pre ? BEFORE : AFTER), ...(image === undefined ? [] : [IMAGE])];

  const results: Result[] = [];
  const { show, clear } = progress(process.stderr);
  for await (const result of runChecks(groups, context, show)) {
    clear();
    if (output === undefined) {
      if (results.at(-1)?.group !== result.group) process.stdout.write(heading(result.group));
      process.stdout.write(lines(result));
    }
    results.push(result);
  }
  process.stdout.write(output === undefined ? summary(results) : json(results));
  return results.some(({ status }) => status === 'failed') ? EXIT.failed : EXIT.done;
}

export const check: Command = {
  usage: 'check [--pre] [-o json] [--in NAMESPACE] [--image REFERENCE] [SETTINGS]',
  description:
    'Checks that the webhook is installed and injects sandboxes: passed checks (✓), warnings (!) and failed checks (✗), each with a fix. It changes nothing; pods are created as dry runs. It exits with 1 if a check failed. --namespace says where the webhook is; its settings are read from its Deployment.',
  options: {
    pre: { description: 'Before the installation: checks whether the cluster supports the webhook, and whether you may install it.' },
    output: { short: 'o', value: 'FORMAT', description: 'json: {"ok", "checks": [{"group", "name", "status", "detail", "fix"}]}.' },
    in: { value: 'NAMESPACE', description: 'The namespace of the test pod (a dry run). Default: the first namespace that opted in.' },
    image: {
      value: 'REFERENCE',
      description: 'Reads what an image runs from its registry, with the credentials of ~/.docker/config.json (or DOCKER_CONFIG).',
    },
    kubeconfig: {
      value: 'FILE',
      description: 'Path of the kubeconfig. Default: the files in KUBECONFIG, or the service account of the pod.',
    },
    context: { value: 'NAME', description: 'The context of the kubeconfig. Default: the current one.' },
  },
  takesWords: false,
  run,
};
