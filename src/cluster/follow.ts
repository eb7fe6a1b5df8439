/** Follows a collection of objects: a list in pages, then a watch, and a list again when the watch cannot go on. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { KubernetesObject } from '@kubernetes/client-node';
import { Failures } from '../observe/failures.ts';
import { ApiError, type Connection, call, request } from './client.ts';

/** Objects have some 20 KiB of JSON: a page is read without holding up admissions, and leaves little garbage. */
const PAGE_SIZE = '25';
const RETRY_MS = 1_000;
const MAX_RETRY_MS = 60_000;

/** Part of a list; `continue` where more follows. */
interface Page<Item> {
  readonly items: readonly Item[];
  readonly metadata: { readonly resourceVersion?: string; readonly continue?: string };
}

/** Objects of one kind, and what is kept of each. */
export interface Collection<Item extends KubernetesObject, Kept> {
  /** For messages, such as `nodes`. */
  readonly what: string;
  /** Such as `/api/v1/nodes`. */
  readonly path: string;
  /** Parameters of list and watch. */
  readonly selectors: { readonly labelSelector?: string; readonly fieldSelector?: string };
  /** Undefined for an object that does not count. Comparable with `===`. */
  readonly keep: (item: Item) => Kept | undefined;
}

interface Listed<Kept> {
  readonly kept: Map<string, Kept>;
  readonly resourceVersion: string;
}

/** Told of changes. */
export interface FollowEvents<Kept> {
  /** What is kept, by `NAMESPACE/NAME` or `/NAME`; undefined when the objects may no longer be listed. */
  readonly onChange: (kept: ReadonlyMap<string, Kept> | undefined) => void;
  /** Called once for each cause. */
  readonly onProblem: (message: string) => void;
}

/**
 * Lists the objects and watches them until ended. Memory grows with what is kept, not with the objects.
 *
 * @returns a function that ends it
 */
export function follow<Item extends KubernetesObject, Kept>(
  cluster: Connection,
  collection: Collection<Item, Kept>,
  { onChange, onProblem }: FollowEvents<Kept>,
): () => void {
  const watch = new cluster.k8s.Watch(cluster.config);
  let ended = false;
  let current: AbortController | undefined;
  const failures = new Failures(RETRY_MS, MAX_RETRY_MS);

  /** One watch, until it ends. Returns the resourceVersion from which the next one goes on, or undefined: list again. */
  const watchOnce = (kept: Map<string, Kept>, from: string): Promise<string | undefined> =>
    new Promise((resolve, reject) => {
      let resourceVersion: string | undefined = from;
      const onEvent = (phase: string, item: Item): void => {
        // Such as 410: the resourceVersion is too old.
        resourceVersion = phase === 'ERROR' ? undefined : item.metadata?.resourceVersion;
        if (phase === 'ERROR' || phase === 'BOOKMARK') return;
        const key = keyOf(item);
        const next = phase === 'DELETED' ? undefined : collection.keep(item);
        // Objects change all the time, and mostly in what is not kept.
        if (kept.get(key) === next) return;
        if (next === undefined) kept.delete(key);
        else kept.set(key, next);
        onChange(kept);
      };
      const onEnd = (error: unknown): void => {
        if (error !== null && !isTimeout(error)) {
          reject(error);
          return;
        }
        failures.end();
        resolve(resourceVersion);
      };
      const parameters = { ...collection.selectors, resourceVersion: from, allowWatchBookmarks: true };
      watch.watch(collection.path, parameters, onEvent, onEnd).then((controller) => {
        current = controller;
        if (ended) controller.abort();
      }, reject);
    });

  const run = async (): Promise<void> => {
    while (!ended) {
      try {
        const { kept, resourceVersion } = await list(cluster, collection);
        if (ended) return;
        onChange(kept);
        for (let from: string | undefined = resourceVersion; from !== undefined && !ended; ) {
          from = await watchOnce(kept, from);
          await sleep(RETRY_MS, undefined, { ref: false });
        }
      } catch (error) {
        if (ended) return;
        if (failures.add(error)) onProblem(failures.problem);
        // If only the watch is not permitted, the next list counts them again; an API server that is busy or unavailable has not taken the objects away.
        if (error instanceof ApiError && [401, 403].includes(error.status ?? 0)) onChange(undefined);
        await sleep(failures.waitMs, undefined, { ref: false });
      }
    }
  };
  void run();
  return () => {
    ended = true;
    current?.abort();
  };
}

/**
 * Lists the objects once, and returns what is kept of them.
 *
 * @throws ApiError when they cannot be listed
 */
export async function list<Item extends KubernetesObject, Kept>(
  cluster: Connection,
  { what, path, selectors, keep }: Collection<Item, Kept>,
): Promise<Listed<Kept>> {
  const kept = new Map<string, Kept>();
  let from: string | undefined;
  for (;;) {
    const query = { ...selectors, limit: PAGE_SIZE, ...(from ? { continue: from } : {}) };
    const { items, metadata } = await call(`list ${what}`, request<Page<Item>>(cluster, 'GET', path, { query }));
    for (const item of items) {
      const one = keep(item);
      if (one !== undefined) kept.set(keyOf(item), one);
    }
    from = metadata.continue;
    if (!from) return { kept, resourceVersion: metadata.resourceVersion ?? '' };
  }
}

function keyOf({ metadata }: KubernetesObject): string {
  return `${metadata?.namespace ?? ''}/${metadata?.name ?? ''}`;
}

/** client-node ends a watch that has been silent for half a minute. */
function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.name === 'TimeoutError';
}
