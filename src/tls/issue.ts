import { generate } from 'selfsigned';
import type { ServingNames } from './names.ts';
import type { CertificatePair } from './pair.ts';

/** For clocks that run behind. */
const BACKDATE_MS = 60 * 60 * 1000;

/** EC P-256 and SHA-256: some managed control planes refuse Ed25519, and selfsigned's own default is SHA-1. */
function keyAndDates(now: Date, notAfter: Date) {
  return {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    notBeforeDate: new Date(now.getTime() - BACKDATE_MS),
    notAfterDate: notAfter,
  } as const;
}

/**
 * Makes a CA that can sign serving certificates and nothing else.
 *
 * @param subject common name; every CA needs one of its own, because verifiers tell CAs of one bundle apart by it
 */
export async function makeAuthority(subject: string, now: Date, notAfter: Date): Promise<CertificatePair> {
  const { cert, private: key } = await generate([{ name: 'commonName', value: subject }], {
    ...keyAndDates(now, notAfter),
    extensions: [
      { name: 'basicConstraints', cA: true, pathLenConstraint: 0, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    ],
  });
  return { cert, key };
}

/** Signs a serving certificate. */
export async function issueServing(ca: CertificatePair, names: ServingNames, now: Date, notAfter: Date): Promise<CertificatePair> {
  const { cert, private: key } = await generate([{ name: 'commonName', value: names.dns[0] ?? 'localhost' }], {
    ...keyAndDates(now, notAfter),
    ca: { cert: ca.cert, key: ca.key },
    extensions: [
      { name: 'basicConstraints', cA: false, critical: true },
      { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      {
        name: 'subjectAltName',
        altNames: [...names.dns.map((value) => ({ type: 2 as const, value })), ...names.ips.map((ip) => ({ type: 7 as const, ip }))],
      },
    ],
  });
  return { cert, key };
}
