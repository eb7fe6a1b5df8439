/** CA certificates of a caBundle, read once. */

import { X509Certificate } from 'node:crypto';

/** A certificate, in the one spelling that is compared and written. */
export interface Certificate {
  readonly pem: string;
  readonly notAfter: Date;
}

/** A caBundle. */
export interface Bundle {
  readonly certificates: readonly Certificate[];
  /** Whether it holds text that is no certificate: broken, though it adds no trust. */
  readonly broken: boolean;
}

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

export function certificateOf(x509: X509Certificate): Certificate {
  return { pem: x509.toString(), notAfter: new Date(x509.validTo) };
}

/** Reads a caBundle in PEM. Certificates that cannot be read are left out. */
export function readBundle(text: string): Bundle {
  let broken = text.replaceAll(PEM_CERTIFICATE, '').trim() !== '';
  const certificates = (text.match(PEM_CERTIFICATE) ?? []).flatMap((pem) => {
    try {
      return [certificateOf(new X509Certificate(pem))];
    } catch {
      broken = true;
      return [];
    }
  });
  return { certificates, broken };
}

/** Those that have not expired, in PEM. */
export function valid(certificates: readonly Certificate[], now: Date): string[] {
  return certificates.filter(({ notAfter }) => notAfter > now).map(({ pem }) => pem);
}
