/** Follows the cluster's nodes and counts them. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { V1Node } from '@kubernetes/client-node';
import { Failures } from '../observe/failures.ts';
import type { NodeCount } from '../sideload/settings.ts';
import { ApiError, type Cluster, call } from './client.ts';
import { isSchedulableLinux, mountsImageVolumes, mountsMappedImageVolumes } from './node-support.ts';

/** A node is some 20 KiB of JSON: a page is read without holding up admissions. */
const PAGE_SIZE = 100;
const RETRY_MS = 1_000;
const MAX_RETRY_MS = 60_000;

interface Listed {
  readonly nodes: Map<string, NodeKind>;
  readonly resourceVersion: string;
}

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

/**
 * Lists the nodes and watches them until ended. It keeps one word for each node, so that memory does not grow with what nodes
 * report of themselves.
 *
 * @param onCount called when the counts differ from the last ones, with undefined when nodes can no longer be listed
 * @param onProblem called once for each cause
 * @returns a function that ends it
 */
export function followNodes(
  cluster: Cluster,
  onCount: (nodes: NodeCount | undefined) => void,
  onProblem: (message: string) => void,
): () => void {
  const watch = new cluster.k8s.Watch(cluster.config);
  let ended = false;
  let current: AbortController | undefined;
  const failures = new Failures(RETRY_MS, MAX_RETRY_MS);
  let last: NodeCount | undefined;
  const tell = (nodes: NodeCount | undefined): void => {
    const same = (['total', 'mountingImages', 'mountingMapped'] as const).every((member) => nodes?.[member] === last?.[member]);
    if (same) return;
    last = nodes;
    onCount(nodes);
  };

  /** One watch, until it ends. Returns the resourceVersion from which the next one goes on, or undefined: list again. */
  const watchOnce = (nodes: Map<string, NodeKind>, from: string): Promise<string | undefined> =>
    new Promise((resolve, reject) => {
      let resourceVersion: string | undefined = from;
      const onEvent = (phase: string, node: V1Node): void => {
        // Such as 410: the resourceVersion is too old.
        resourceVersion = phase === 'ERROR' ? undefined : node.metadata?.resourceVersion;
        if (phase === 'ERROR' || phase === 'BOOKMARK') return;
        const name = node.metadata?.name ?? '';
        const kind = phase === 'DELETED' ? undefined : kindOf(node);
        // Nodes report themselves all the time, and mostly the same.
        if (nodes.get(name) === kind) return;
        if (kind === undefined) nodes.delete(name);
        else nodes.set(name, kind);
        tell(count(nodes));
      };
      const onEnd = (error: unknown): void => {
        if (error !== null && !isTimeout(error)) {
          reject(error);
          return;
        }
        failures.end();
        resolve(resourceVersion);
      };
      watch.watch('/api/v1/nodes', { resourceVersion: from, allowWatchBookmarks: true }, onEvent, onEnd).then((controller) => {
        current = controller;
        if (ended) controller.abort();
      }, reject);
    });

  const follow = async (): Promise<void> => {
    while (!ended) {
      try {
        const { nodes, resourceVersion } = await list(cluster);
        tell(count(nodes));
        for (let from: string | undefined = resourceVersion; from !== undefined && !ended; ) {
          from = await watchOnce(nodes, from);
          await sleep(RETRY_MS, undefined, { ref: false });
        }
      } catch (error) {
        if (ended) return;
        if (failures.add(error)) onProblem(failures.problem);
        // If only the watch is not permitted, the next list counts them again; an API server that is busy or unavailable has not taken the nodes away.
        if (error instanceof ApiError && [401, 403].includes(error.status ?? 0)) tell(undefined);
        await sleep(failures.waitMs, undefined, { ref: false });
      }
    }
  };
  void follow();
  return () => {
    ended = true;
    current?.abort();
  };
}

/**
 * Counts the nodes once.
 *
 * @throws Error when they cannot be listed
 */
export async function countNodes(cluster: Cluster): Promise<NodeCount> {
  return count((await list(cluster)).nodes);
}

async function list({ k8s, config }: Cluster): Promise<Listed> {
  const core = config.makeApiClient(k8s.CoreV1Api);
  const nodes = new Map<string, NodeKind>();
  let from: string | undefined;
  for (;;) {
    const page = await call('list nodes', core.listNode({ limit: PAGE_SIZE, ...(from ? { _continue: from } : {}) }));
    for (const node of page.items) {
      const kind = kindOf(node);
      if (kind !== undefined) nodes.set(node.metadata?.name ?? '', kind);
    }
    from = page.metadata?._continue;
    if (!from) return { nodes, resourceVersion: page.metadata?.resourceVersion ?? '' };
  }
}

/** client-node ends a watch that has been silent for half a minute. */
function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.name === 'TimeoutError';
}
