/** Follows the cluster's nodes and counts them. */

import type { V1Node } from '@kubernetes/client-node';
import type { NodeCount } from '../sideload/settings.ts';
import type { Connection } from './client.ts';
import { type Collection, follow, list } from './follow.ts';
import { isSchedulableLinux, mountsImageVolumes, mountsMappedImageVolumes } from './node-support.ts';

type NodeKind = 'mounts-mapped-images' | 'mounts-images' | 'not-known-to';

/** What is kept of a node; undefined for one on which no sandbox runs. */
function kindOf(node: V1Node): NodeKind | undefined {
  if (!isSchedulableLinux(node)) return undefined;
  if (!mountsImageVolumes(node)) return 'not-known-to';
  return mountsMappedImageVolumes(node) ? 'mounts-mapped-images' : 'mounts-images';
}

function count(nodes: ReadonlyMap<string, NodeKind>): NodeCount {
  const kinds = [...nodes.values()];
  const mountingMapped = kinds.filter((kind) => kind === 'mounts-mapped-images').length;
  return { total: nodes.size, mountingImages: mountingMapped + kinds.filter((kind) => kind === 'mounts-images').length, mountingMapped };
}

const NODES: Collection<V1Node, NodeKind> = { what: 'nodes', path: '/api/v1/nodes', selectors: {}, keep: kindOf };

/**
 * Lists the nodes and watches them until ended. It keeps one word for each node, so that memory does not grow with what nodes
 * report of themselves.
 *
 * @param onCount called when the counts differ from the last ones, with undefined when nodes can no longer be listed
 * @param onProblem called once for each cause
 * @returns a function that ends it
 */
export function followNodes(
  cluster: Connection,
  onCount: (nodes: NodeCount | undefined) => void,
  onProblem: (message: string) => void,
): () => void {
  let last: NodeCount | undefined;
  const onChange = (kept: ReadonlyMap<string, NodeKind> | undefined): void => {
    const nodes = kept && count(kept);
    const same = (['total', 'mountingImages', 'mountingMapped'] as const).every((member) => nodes?.[member] === last?.[member]);
    if (same) return;
    last = nodes;
    onCount(nodes);
  };
  return follow(cluster, NODES, { onChange, onProblem });
}

/**
 * Counts the nodes once.
 *
 * @throws Error when they cannot be listed
 */
export async function countNodes(cluster: Connection): Promise<NodeCount> {
  return count((await list(cluster, NODES)).kept);
}
