/** Writes the ConfigMap of a policy. Pure. */

import { createHash } from 'node:crypto';
import { Document, Scalar } from 'yaml';
import { POLICY_DATA_FILE, POLICY_RULES_FILE } from '../../sideload/contract.ts';

/** As the API server limits the keys and values of a ConfigMap together (MaxSecretSize, 1 MiB). */
export const MOST_BYTES = 1024 * 1024;
const HASH_LENGTH = 10;
const NAMESPACE = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** Whether a namespace can have the name: a DNS label of RFC 1123. */
export const isNamespaceName = (name: string): boolean => NAMESPACE.test(name);

/** What a policy ConfigMap holds: key -> text. */
export type PolicyFiles = Readonly<Record<string, string>>;

/** The files of a policy by their keys; without rules, of the data alone. */
export const policyFiles = (data: string, rules: string | undefined): PolicyFiles => ({
  [POLICY_DATA_FILE]: data,
  ...(rules === undefined ? {} : { [POLICY_RULES_FILE]: rules }),
});

/** The size that the API server counts, in bytes. */
export const sizeOf = (files: PolicyFiles): number =>
  Object.entries(files).reduce((sum, [key, text]) => sum + Buffer.byteLength(key) + Buffer.byteLength(text), 0);

/** A name that changes with the content: `NAME-` and the first digits of a SHA-256 over keys and texts. */
export function hashedName(name: string, files: PolicyFiles): string {
  const hash = createHash('sha256');
  // Lengths keep one text from reaching into the next.
  for (const [key, text] of Object.entries(files)) hash.update(`${key} ${Buffer.byteLength(text)}\n${text}`);
  return `${name}-${hash.digest('hex').slice(0, HASH_LENGTH)}`;
}

/**
 * The ConfigMap as text.
 *
 * @returns JSON, or YAML in which the files are block scalars wherever YAML can hold them so, else quoted: byte for byte in both
 */
export function configMapText(name: string, namespace: string | undefined, files: PolicyFiles, output: 'yaml' | 'json'): string {
  const metadata = { name, ...(namespace === undefined ? {} : { namespace }) };
  const value = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: files };
  if (output === 'json') return `${JSON.stringify(value, null, 2)}\n`;
  const document = new Document(value);
  for (const [key, text] of Object.entries(files)) {
    const node = new Scalar(text);
    node.type = canBeBlock(text) ? Scalar.BLOCK_LITERAL : Scalar.QUOTE_DOUBLE;
    document.setIn(['data', key], node);
  }
  return document.toString({ lineWidth: 0 });
}

/** A block scalar changes carriage returns and the characters that YAML does not print; a first line of spaces only hides the indentation. */
function canBeBlock(text: string): boolean {
  const isPrintable = /^[\t\n\x20-\x7e\u00a0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\u{10000}-\u{10ffff}]*$/u.test(text);
  return text !== '' && isPrintable && !/^\s/.test(text);
}
