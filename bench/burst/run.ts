/** Sends a burst, and tells what became of it. */

/** timeoutSeconds of manifests/base/webhook.yaml, in milliseconds: then the API server gives up. */
export const TIMEOUT_MS = 10_000;

export interface Result {
  /** Answered as it has to be, and before the limit. */
  readonly inTime: number;
  /** Answered as it has to be, but later. */
  readonly late: number;
  /** Not answered, or answered otherwise. */
  readonly failed: number;
  /** Seconds from the call to its answer, or to its failure. */
  readonly p50: number;
  readonly p99: number;
  readonly slowest: number;
}

/**
 * Calls for each of a list, so many side by side; each waits for its answer before it takes the next.
 *
 * @param call rejects where it fails
 * @param limitMs milliseconds after which an answer is late
 */
export async function runBurst<Item>(
  items: readonly Item[],
  atOnce: number,
  call: (item: Item) => Promise<unknown>,
  limitMs: number,
): Promise<Result> {
  const left = items.values();
  const seconds: number[] = [];
  const counts = { inTime: 0, late: 0, failed: 0 };
  let failure: unknown;
  const caller = async (): Promise<void> => {
    for (const item of left) {
      const begin = performance.now();
      const answered = await call(item).then(
        () => true,
        (error) => {
          failure ??= error;
          return false;
        },
      );
      const milliseconds = performance.now() - begin;
      seconds.push(milliseconds / 1000);
      counts[answered ? (milliseconds <= limitMs ? 'inTime' : 'late') : 'failed']++;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, caller));
  if (failure !== undefined) process.stderr.write(`${counts.failed} failed; the first: ${failure}\n`);
  seconds.sort((a, b) => a - b);
  const at = (share: number): number => seconds[Math.ceil(share * seconds.length) - 1] ?? Number.NaN;
  return { ...counts, p50: at(0.5), p99: at(0.99), slowest: at(1) };
}
