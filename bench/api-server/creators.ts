import { createHistogram } from 'node:perf_hooks';

export interface Creations<Answer> {
  readonly answers: readonly Answer[];
  /** From the start of the first creation to the end of the last. */
  readonly seconds: number;
  /** Milliseconds from a request to the whole of its answer. */
  readonly p50: number;
  readonly p99: number;
}

/**
 * Runs creators side by side for some time. Each waits for its pod before it creates the next.
 *
 * @param create sends one pod
 */
export async function runCreators<Answer>(create: () => Promise<Answer>, creators: number, seconds: number): Promise<Creations<Answer>> {
  const answers: Answer[] = [];
  const microseconds = createHistogram();
  const started = performance.now();
  const creator = async (): Promise<void> => {
    while (performance.now() - started < seconds * 1000) {
      const sent = performance.now();
      answers.push(await create());
      microseconds.record(Math.round((performance.now() - sent) * 1000));
    }
  };
  await Promise.all(Array.from({ length: creators }, creator));
  return {
    answers,
    seconds: (performance.now() - started) / 1000,
    p50: microseconds.percentile(50) / 1000,
    p99: microseconds.percentile(99) / 1000,
  };
}
