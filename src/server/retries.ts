/**
 * Reviews that are answered with 503, after which the API server calls again with the same uid (client-go, rest/with_retry.go),
 * until timeoutSeconds are over. Its user then sees "context deadline exceeded" and not why; so the last answer that arrives in
 * time has to be a refusal.
 */

/** After so many seconds the API server calls again. */
export const RETRY_AFTER_SECONDS = 2;
/** What manifests/base/webhook.yaml says, where the call does not. */
const TIMEOUT_MS = 10_000;
/** For connection, TLS and the API server's own work. */
const MARGIN_MS = 1_000;
/** More reviews than wait at a time. */
const MAX_REVIEWS = 4096;

export interface Retries {
  /**
   * Whether another call of the API server would come too late: it would take as long as everything so far.
   *
   * @param started when this call came, in milliseconds
   * @param timeout of the call's URL, such as `10s`
   */
  readonly isLast: (uid: string, started: number, timeout: string | undefined) => boolean;
}

/** @param clock milliseconds */
export function openRetries(clock: () => number = () => performance.now()): Retries {
  const firstCalls = new Map<string, number>();
  return {
    isLast: (uid, started, timeout) => {
      const first = firstCalls.get(uid) ?? started;
      const [, seconds] = /^(\d{1,3})s$/.exec(timeout ?? '') ?? [];
      const limit = seconds === undefined ? TIMEOUT_MS : Number(seconds) * 1000;
      const passed = clock() - first;
      const isLast = 2 * passed + RETRY_AFTER_SECONDS * 1000 > limit - MARGIN_MS;
      firstCalls.delete(uid);
      if (!isLast) firstCalls.set(uid, first);
      const [oldest] = firstCalls.keys();
      if (firstCalls.size > MAX_REVIEWS && oldest !== undefined) firstCalls.delete(oldest);
      return isLast;
    },
  };
}
