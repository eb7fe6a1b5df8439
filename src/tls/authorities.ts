/** CAs in a file, PEM. */

import { X509Certificate } from 'node:crypto';
import { ExpectedError } from '../observe/expected-error.ts';

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

/**
 * Checks the text of a file of CAs.
 *
 * @returns the text
 * @throws Error where it holds no certificate, or one that cannot be read
 */
export function checkAuthorities(text: string): string {
  const certificates = text.match(CERTIFICATE) ?? [];
  if (certificates.length === 0) throw new ExpectedError('it holds no certificate (PEM)');
  for (const certificate of certificates) new X509Certificate(certificate);
  return text;
}
