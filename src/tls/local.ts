import type { X509Certificate } from 'node:crypto';
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CERT_FILE, KEY_FILE } from './directory.ts';
import { issueServing, makeAuthority } from './issue.ts';
import type { ServingNames } from './names.ts';
import { type CertificatePair, checkPair } from './pair.ts';

/** The CA that clients of a local webhook trust; its base64 is the caBundle of a webhook configuration. */
export const CA_FILE = 'ca.crt';
const CA_KEY_FILE = 'ca.key';

const DAY_MS = 24 * 60 * 60 * 1000;
const CA_DAYS = 365;
const LEAF_DAYS = 90;
/** A pair with less time left than this is made again at the next start. */
const RENEW_DAYS = 30;

/**
 * Makes a CA and a serving certificate for local use, unless the directory has good ones.
 *
 * @param dir made when it is missing; private keys are written with mode 0600
 * @returns whether something was made
 * @throws Error when the directory cannot be written
 */
export async function ensureLocalCertificates(dir: string, names: ServingNames, now = new Date()): Promise<boolean> {
  const files = { ca: join(dir, CA_FILE), caKey: join(dir, CA_KEY_FILE), cert: join(dir, CERT_FILE), key: join(dir, KEY_FILE) };
  const [caCert, caKey] = await Promise.all([readIfThere(files.ca), readIfThere(files.caKey)]);
  const [cert, key] = await Promise.all([readIfThere(files.cert), readIfThere(files.key)]);
  const renewal = new Date(now.getTime() + RENEW_DAYS * DAY_MS);
  const oldCa = usable(caCert, caKey, renewal);
  const oldLeaf = usable(cert, key, renewal);
  if (oldCa && oldLeaf && isOurs(oldLeaf.leaf, oldCa.leaf, names)) {
    await Promise.all([files.caKey, files.key].map((file) => chmod(file, 0o600)));
    return false;
  }
  const after = (days: number): Date => new Date(now.getTime() + days * DAY_MS);
  const ca = oldCa?.pair ?? (await makeAuthority(`openshell-sideload local CA ${now.toISOString()}`, now, after(CA_DAYS)));
  const leaf = await issueServing(ca, names, now, after(LEAF_DAYS));
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

function isOurs(leaf: X509Certificate, ca: X509Certificate, names: ServingNames): boolean {
  return ca.ca && leaf.checkIssued(ca) && leaf.verify(ca.publicKey) && names.dns.every((name) => leaf.checkHost(name) !== undefined);
}

/** Writes beside the file and renames, so that a reader never sees half of it. */
async function writeWhole(file: string, text: string, mode: number): Promise<void> {
  const beside = `${file}.new`;
  await writeFile(beside, text, { mode });
  await chmod(beside, mode);
  await rename(beside, file);
}
