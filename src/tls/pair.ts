import { createPrivateKey, X509Certificate } from 'node:crypto';
import { ExpectedError } from '../observe/expected-error.ts';

/** A serving certificate (PEM, the chain leaf first) and its private key (PEM). */
export interface CertificatePair {
  readonly cert: string;
  readonly key: string;
}

/**
 * Reads a pair whose dates do not matter.
 *
 * @throws Error when one is not PEM, or they do not belong together
 */
export function readPair({ cert, key }: CertificatePair): X509Certificate {
  const leaf = parse('the certificate', () => new X509Certificate(cert));
  const privateKey = parse('the private key', () => createPrivateKey(key));
  if (!leaf.checkPrivateKey(privateKey)) throw new ExpectedError('the private key does not belong to the certificate');
  return leaf;
}

/**
 * Checks that a pair can be served.
 *
 * @param at the moment at which the certificate has to be valid still
 * @returns the leaf, for its dates and names
 * @throws Error when one is not PEM, they do not belong together, or the certificate is not valid yet or any more
 */
export function checkPair(pair: CertificatePair, at: Date): X509Certificate {
  const leaf = readPair(pair);
  if (new Date(leaf.validFrom) > at)
    throw new ExpectedError(`the certificate is not valid before ${new Date(leaf.validFrom).toISOString()}`);
  if (new Date(leaf.validTo) <= at) throw new ExpectedError(`the certificate expired at ${new Date(leaf.validTo).toISOString()}`);
  return leaf;
}

function parse<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new ExpectedError(`${what} is not PEM that can be read`, { cause });
  }
}
