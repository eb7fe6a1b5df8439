/** Which cluster a command line means, as for kubectl. */

import { type Cluster, connect } from '../cluster/client.ts';
import { UsageError } from '../config/config.ts';
import { ExpectedError } from '../observe/expected-error.ts';
import type { CommandLine, CommandOption } from './command.ts';

export const CLUSTER_ACCESS: Readonly<Record<'kubeconfig' | 'context', CommandOption>> = {
  kubeconfig: {
    value: 'FILE',
    description: 'Path of the kubeconfig. Default: the files in KUBECONFIG, or the service account of the pod.',
  },
  context: { value: 'NAME', description: 'The context of the kubeconfig. Default: the current one.' },
};

/**
 * Opens the cluster that a command line means.
 *
 * @throws UsageError where there is no kubeconfig, or it cannot be used: that is no fault of a cluster
 */
export async function openCluster(flags: CommandLine['flags']): Promise<Cluster> {
  try {
    return await connect({ kubeconfig: flags.get('kubeconfig')?.[0], context: flags.get('context')?.[0] });
  } catch (error) {
    if (!(error instanceof ExpectedError)) throw error;
    throw new UsageError([error.message]);
  }
}
