import type { X509Certificate } from 'node:crypto';
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { generate } from 'selfsigned';
import { CERT_FILE, KEY_FILE } from './directory.ts';
import { type CertificatePair, checkPair } from './pair.ts';

/** The CA that clients of a local webhook trust; its base64 is the caBundle of a webhook configuration. */
export const CA_FILE = 'ca.crt';
const CA_KEY_FILE = 'ca.key';

const DAY_MS = 24 * 60 * 60 * 1000;
const CA_DAYS = 365;
const LEAF_DAYS = 90;
/** A pair with less time left than this is made anew at the next start. */
const RENEW_DAYS = 30;
/** For clocks that run behind. */
const BACKDATE_MS = 60 * 60 * 1000;

/** The Service of manifests/base, under every name by which the API server may call it. */
const SERVICE = 'openshell-sideload.openshell-system';
const DNS_NAMES = ['localhost', 'openshell-sideload', SERVICE, `${SERVICE}.svc`, `${SERVICE}.svc.cluster.local`];
const IP_ADDRESSES = ['127.0.0.1', '::1'];

/**
 * Makes a CA and a serving certificate for local use, unless the directory has good ones.
 *
 * @param dir made when it is missing; private keys are written with mode 0600
 * @returns whether something was made
 * @throws Error when the directory cannot be written
 */
export async function ensureLocalCertificates(dir: string, now = new Date()): Promise<boolean> {
  const files = { ca: join(dir, CA_FILE), caKey: join(dir, CA_KEY_FILE), cert: join(dir, CERT_FILE), key: join(dir, KEY_FILE) };
  const [caCert, caKey] = await Promise.all([readIfThere(files.ca), readIfThere(files.caKey)]);
  const [cert, key] = await Promise.all([readIfThere(files.cert), readIfThere(files.key)]);
  const renewal = new Date(now.getTime() + RENEW_DAYS * DAY_MS);
  const oldCa = usable(caCert, caKey, renewal);
  const oldLeaf = usable(cert, key, renewal);
  if (oldCa && oldLeaf && isOurs(oldLeaf.leaf, oldCa.leaf)) {
    await Promise.all([files.caKey, files.key].map((file) => chmod(file, 0o600)));
    return false;
  }
  const ca = oldCa?.pair ?? (await makeCa(now));
  const leaf = await makeLeaf(ca, now);
  await mkdir(dir, { recursive: true });
  if (!oldCa) {
    await writeWhole(files.caKey, ca.key, 0o600);
    await writeWhole(files.ca, ca.cert, 0o644);
  }
  await writeWhole(files.key, leaf.key, 0o600);
  await writeWhole(files.cert, leaf.cert, 0o644);
  return true;
}

async function readIfThere(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return '';
    throw error;
  }
}

function usable(cert: string, key: string, until: Date): { pair: CertificatePair; leaf: X509Certificate } | undefined {
  const pair = { cert, key };
  try {
    return { pair, leaf: checkPair(pair, until) };
  } catch {
    return undefined;
  }
}

function isOurs(leaf: X509Certificate, ca: X509Certificate): boolean {
  return ca.ca && leaf.checkIssued(ca) && leaf.verify(ca.publicKey) && DNS_NAMES.every((name) => leaf.checkHost(name) !== undefined);
}

/** EC P-256 and SHA-256: some managed control planes refuse Ed25519, and selfsigned's own default is SHA-1. */
function keyAndDates(now: Date, days: number) {
  const notBeforeDate = new Date(now.getTime() - BACKDATE_MS);
  return {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    notBeforeDate,
    notAfterDate: new Date(now.getTime() + days * DAY_MS),
  } as const;
}

async function makeCa(now: Date): Promise<CertificatePair> {
  const { cert, private: key } = await generate([{ name: 'commonName', value: `openshell-sideload local CA ${now.toISOString()}` }], {
    ...keyAndDates(now, CA_DAYS),
    extensions: [
      { name: 'basicConstraints', cA: true, pathLenConstraint: 0, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    ],
  });
  return { cert, key };
}

async function makeLeaf(ca: CertificatePair, now: Date): Promise<CertificatePair> {
  const { cert, private: key } = await generate([{ name: 'commonName', value: `${SERVICE}.svc` }], {
    ...keyAndDates(now, LEAF_DAYS),
    ca,
    extensions: [
      { name: 'basicConstraints', cA: false, critical: true },
      { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      {
        name: 'subjectAltName',
        altNames: [...DNS_NAMES.map((value) => ({ type: 2 as const, value })), ...IP_ADDRESSES.map((ip) => ({ type: 7 as const, ip }))],
      },
    ],
  });
  return { cert, key };
}

/** Writes beside the file and renames, so that a reader never sees half of it. */
async function writeWhole(file: string, text: string, mode: number): Promise<void> {
  const beside = `${file}.new`;
  await writeFile(beside, text, { mode });
  await chmod(beside, mode);
  await rename(beside, file);
}
