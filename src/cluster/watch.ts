import { setTimeout as sleep } from 'node:timers/promises';
import { Failures } from '../observe/failures.ts';
import { type Connection, statusOf } from './client.ts';

const RETRY_MS = 1_000;
const MAX_RETRY_MS = 30_000;

/**
 * Reports when one object may have changed, until it is stopped.
 *
 * The watch carries no resourceVersion, so that none can expire: it starts with the present state, which counts as a change.
 * It is opened again whenever it ends: the API server closes it now and then, restarts, or stays silent (client-node's own
 * timeout). The caller reads the object again, so a watch that was interrupted loses nothing.
 *
 * @param path of the collection, such as /api/v1/namespaces/NS/secrets
 * @returns a function that ends it
 */
export function watchObject(
  { k8s, config }: Connection,
  path: string,
  name: string,
  onChange: () => void,
  onRefused: (code: number) => void,
): () => void {
  const watch = new k8s.Watch(config);
  let ended = false;
  let current: AbortController | undefined;
  const failures = new Failures(RETRY_MS, MAX_RETRY_MS);
  let refused: number | undefined;

  const once = (): Promise<unknown> =>
    new Promise((resolve) => {
      const onEvent = (): void => {
        failures.end();
        onChange();
      };
      watch.watch(path, { fieldSelector: `metadata.name=${name}` }, onEvent, resolve).then((controller) => {
        current = controller;
        if (ended) controller.abort();
      }, resolve);
    });

  const follow = async (): Promise<void> => {
    while (!ended) {
      const error = await once();
      if (ended) return;
      // It was open and silent: client-node's own timeout, or the API server's.
      if (error === null || (error instanceof Error && error.name === 'TimeoutError')) failures.end();
      else failures.add(error);
      const code = statusOf(error);
      if (code !== undefined && code !== refused) onRefused(code);
      refused = code;
      await sleep(failures.inARow === 0 ? RETRY_MS : failures.waitMs, undefined, { ref: false });
    }
  };
  void follow();
  return () => {
    ended = true;
    current?.abort();
  };
}
