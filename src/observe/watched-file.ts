import { readFile } from 'node:fs/promises';
import { ExpectedError } from './expected-error.ts';

/** A change in a mounted ConfigMap or Secret reaches its files within a minute or two; it is seen so much later. */
const POLL_MS = 10_000;

/** A file that is read again when it changes. */
export interface WatchedFile<T> {
  /** What was read last and could be used. */
  readonly current: () => T;
  readonly stop: () => void;
}

/**
 * Reads a file, and again when it changes, until stopped.
 *
 * @param option the option that names the file, for messages
 * @param parse throws where the text cannot be used
 * @param events a changed file was read; or it cannot be used: what was read before stays, and the problem is reported once
 * @throws ExpectedError that names option and file, when the first reading fails
 */
export async function watchFile<T>(
  option: string,
  file: string,
  parse: (text: string) => T | Promise<T>,
  events: { readonly onChange: (value: T) => void; readonly onProblem: (error: Error) => void },
): Promise<WatchedFile<T>> {
  const read = async (): Promise<{ text: string; value: T }> => {
    try {
      const text = await readFile(file, 'utf8');
      return { text, value: await parse(text) };
    } catch (cause) {
      throw new ExpectedError(`${option} ${file}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    }
  };
  let [known, problem] = [await read(), ''];
  const reload = async (): Promise<void> => {
    try {
      const next = await read();
      problem = '';
      if (next.text === known.text) return;
      known = next;
      events.onChange(next.value);
    } catch (error) {
      if (!(error instanceof Error) || error.message === problem) return;
      problem = error.message;
      events.onProblem(error);
    }
  };
  const poll = setInterval(() => void reload(), POLL_MS).unref();
  return { current: () => known.value, stop: () => clearInterval(poll) };
}
