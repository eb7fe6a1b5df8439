/** `openshell-sideload version`: of this program, of the webhook in the cluster, and of the cluster. */

import { readServerVersion } from '../cluster/image-volumes.ts';
import { CLUSTER_ACCESS, openCluster } from './cluster-options.ts';
import { type Command, type CommandLine, EXIT } from './command.ts';
import { readDeployed } from './deployed.ts';

async function run({ flags, config }: CommandLine, client: string): Promise<number> {
  const output = flags.get('output')?.[0];
  const isJson = output === 'json';
  if (flags.has('client')) {
    process.stdout.write(isJson ? `${JSON.stringify({ client }, null, 2)}\n` : `client: ${client}\n`);
    return EXIT.done;
  }
  // What is known without a cluster comes before what may fail.
  if (!isJson) process.stdout.write(`client: ${client}\n`);
  const cluster = await openCluster(flags);
  const kubernetes = await readServerVersion(cluster);
  const deployed = await readDeployed(cluster, config.namespace);
  const webhook = deployed && { deployment: deployed.deployment, image: deployed.image };
  if (isJson) process.stdout.write(`${JSON.stringify({ client, webhook: webhook ?? null, kubernetes }, null, 2)}\n`);
  else {
    const shown = webhook ? `${webhook.image} (${webhook.deployment})` : `not installed in namespace ${config.namespace}`;
    process.stdout.write(`webhook: ${shown}\nKubernetes: ${kubernetes}\n`);
  }
  return EXIT.done;
}

export const version: Command = {
  summary: 'Prints the versions of this program, the webhook and the cluster.',
  usage: 'version [--client] [-o json] [SETTINGS]',
  description: 'Prints the version of this program, the image of the webhook in the cluster, and the version of Kubernetes.',
  options: {
    client: { description: 'Prints the version of this program only, and asks no cluster.' },
    output: {
      short: 'o',
      value: 'FORMAT',
      values: ['json'],
      description: 'json: {"client", "webhook": {"deployment", "image"}, "kubernetes"}.',
    },
    ...CLUSTER_ACCESS,
  },
  examples: [['version --client', 'without a cluster']],
  takesWords: false,
  run,
};
