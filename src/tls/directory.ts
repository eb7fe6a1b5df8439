import { type FSWatcher, watch } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ExpectedError } from '../observe/expected-error.ts';
import { type CertificatePair, checkPair } from './pair.ts';

/** File names as in a Secret of type kubernetes.io/tls, which cert-manager writes too. */
export const CERT_FILE = 'tls.crt';
export const KEY_FILE = 'tls.key';

/** A change is seen by the watch; the poll is for file systems that tell nothing. */
const POLL_MS = 10_000;
/** Two files are written one after the other: wait for the second one before reading. */
const SETTLE_MS = 200;

export interface DirectoryEvents {
  /** The directory holds another good pair. `notAfter` is the end of its validity. */
  readonly onPair: (pair: CertificatePair, notAfter: Date) => void;
  /** The directory holds something that cannot be served; the last good pair stays in use. Called once for each distinct problem. */
  readonly onProblem: (error: Error) => void;
}

/**
 * Reads tls.crt and tls.key of a directory once.
 *
 * @throws Error that names the directory and what is wrong
 */
export async function readCertificateDirectory(dir: string): Promise<{ pair: CertificatePair; notAfter: Date }> {
  try {
    const [cert, key] = await Promise.all([readFile(join(dir, CERT_FILE), 'utf8'), readFile(join(dir, KEY_FILE), 'utf8')]);
    const leaf = checkPair({ cert, key }, new Date());
    return { pair: { cert, key }, notAfter: new Date(leaf.validTo) };
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw new ExpectedError(`no usable certificate in ${dir} (${CERT_FILE}, ${KEY_FILE}): ${detail}`, { cause });
  }
}

/**
 * Follows a directory of certificates.
 *
 * The directory is watched, not its files: a kubelet replaces a mounted Secret by renaming the link `..data`, after which a
 * watch on a file would see the old one for ever.
 *
 * @param current the pair in use
 * @returns a function that stops following
 */
export function followCertificateDirectory(dir: string, current: CertificatePair, events: DirectoryEvents): () => void {
  let known = current;
  let problem = '';
  let settle: NodeJS.Timeout | undefined;
  let reading = Promise.resolve();

  const reload = async (): Promise<void> => {
    try {
      const { pair, notAfter } = await readCertificateDirectory(dir);
      problem = '';
      if (pair.cert === known.cert && pair.key === known.key) return;
      known = pair;
      events.onPair(pair, notAfter);
    } catch (error) {
      if (!(error instanceof Error) || error.message === problem) return;
      problem = error.message;
      events.onProblem(error);
    }
  };
  // One after the other: a change during a read is read again.
  const schedule = (): void => {
    reading = reading.then(reload);
  };

  const poll = setInterval(schedule, POLL_MS).unref();
  let watcher: FSWatcher | undefined;
  try {
    watcher = watch(dir, { persistent: false }, () => {
      clearTimeout(settle);
      settle = setTimeout(schedule, SETTLE_MS).unref();
    });
    watcher.on('error', () => watcher?.close());
  } catch {
    // The kernel's limit on watches is reached, or the file system has none: the poll remains.
  }
  return () => {
    watcher?.close();
    clearInterval(poll);
    clearTimeout(settle);
  };
}
