/** Certificates as people compare them: without keys, by the fingerprint that `openssl x509 -fingerprint -sha256` prints. */

import { X509Certificate } from 'node:crypto';
import { type Certificate, readBundle } from './bundle.ts';
import type { Trust } from './trust.ts';

/** A CA of the shared trust, and its part in it. */
export interface KnownAuthority {
  readonly role: 'CA that signs' | 'next CA' | 'former CA';
  readonly certificate: Certificate;
}

/** A certificate for people. */
export interface ShownCertificate {
  readonly role: 'serving' | 'chain' | KnownAuthority['role'];
  readonly issuer: string;
  readonly validFrom: Date;
  readonly validTo: Date;
  /** SHA-256, in hexadecimal with colons. */
  readonly fingerprint: string;
}

/** The CAs that replicas share; none before the first response of the API server. */
export function authoritiesOf(trust: Trust | undefined): KnownAuthority[] {
  if (!trust) return [];
  const { active, next, retiring } = trust;
  return [
    { role: 'CA that signs', certificate: active.certificate },
    ...(next ? [{ role: 'next CA' as const, certificate: next.certificate }] : []),
    ...retiring.map(({ certificate }) => ({ role: 'former CA' as const, certificate })),
  ];
}

/**
 * Reads what is served, and the CAs.
 *
 * @param chain PEM, the leaf first
 */
export function showCertificates(chain: string, authorities: readonly KnownAuthority[]): ShownCertificate[] {
  const served = readBundle(chain).certificates.map((certificate, at) => show(at === 0 ? 'serving' : 'chain', certificate));
  return [...served, ...authorities.map(({ role, certificate }) => show(role, certificate))];
}

function show(role: ShownCertificate['role'], { pem }: Certificate): ShownCertificate {
  const { issuer, validFrom, validTo, fingerprint256 } = new X509Certificate(pem);
  return {
    role,
    issuer: issuer.replaceAll('\n', ', '),
    validFrom: new Date(validFrom),
    validTo: new Date(validTo),
    fingerprint: fingerprint256,
  };
}
