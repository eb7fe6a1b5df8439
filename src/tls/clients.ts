/** The CAs that sign client certificates, from a file that is reloaded when it changes. */

import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { ExpectedError } from '../observe/expected-error.ts';

/** As often as a mounted ConfigMap or Secret is looked at for serving certificates. */
const POLL_MS = 10_000;
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

/**
 * Reads the CAs of client certificates.
 *
 * @returns the file's text, PEM
 * @throws Error that names the file, where it holds no certificate or one that cannot be read
 */
export async function readClientAuthorities(file: string): Promise<string> {
  try {
    const text = await readFile(file, 'utf8');
    const certificates = text.match(CERTIFICATE) ?? [];
    if (certificates.length === 0) throw new ExpectedError('it holds no certificate (PEM)');
    for (const certificate of certificates) new X509Certificate(certificate);
    return text;
  } catch (cause) {
    throw new ExpectedError(`--require-client-cert ${file}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

/**
 * Follows the file until stopped.
 *
 * @param current the text in use; an unusable file leaves it in use, and is reported once
 */
export function followClientAuthorities(
  file: string,
  current: string,
  events: { readonly onChange: (authorities: string) => void; readonly onProblem: (error: Error) => void },
): () => void {
  let [known, problem] = [current, ''];
  const reload = async (): Promise<void> => {
    try {
      const text = await readClientAuthorities(file);
      problem = '';
      if (text === known) return;
      known = text;
      events.onChange(text);
    } catch (error) {
      if (!(error instanceof Error) || error.message === problem) return;
      problem = error.message;
      events.onProblem(error);
    }
  };
  const poll = setInterval(() => void reload(), POLL_MS).unref();
  return () => clearInterval(poll);
}
