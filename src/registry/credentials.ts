/**
 * Credentials for registries, as image pull secrets and Docker's configuration hold them, and which of them fit an image.
 * Source of the matching: k8s.io/kubernetes, pkg/credentialprovider/keyring.go (longest prefix first, globs in the host).
 */

import { ExpectedError } from '../observe/expected-error.ts';
import { matchesWildcard } from './wildcard.ts';

export interface Credential {
  readonly username: string;
  readonly password: string;
  /** Exchanged for an access token, in place of user and password. */
  readonly identityToken: string;
}

/** A credential, and for which images it is. */
interface Entry {
  readonly host: string;
  readonly path: string;
  readonly credential: Credential;
}

export type Keyring = readonly Entry[];

/** Names that Docker Hub has in configurations. */
const DOCKER_HUB = ['index.docker.io', 'registry-1.docker.io', 'registry.hub.docker.com'];

/** More registries than anyone has: all of them are compared with each image. */
const MAX_ENTRIES = 1000;

interface Auth {
  readonly username?: unknown;
  readonly password?: unknown;
  readonly auth?: unknown;
  readonly identitytoken?: unknown;
}

/**
 * Reads the text of a `.dockerconfigjson` (an object with `auths`) or a `.dockercfg` (that object itself).
 *
 * @throws ExpectedError that repeats nothing of the text
 */
export function readKeyring(text: string): Keyring {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw new ExpectedError('it is not JSON');
  }
  const auths = (document as { auths?: unknown } | null)?.auths ?? document;
  if (typeof auths !== 'object' || auths === null || Array.isArray(auths)) throw new ExpectedError('it holds no registries');
  if (Object.keys(auths).length > MAX_ENTRIES) throw new ExpectedError(`it holds more than ${MAX_ENTRIES} registries`);
  return Object.entries(auths as Record<string, Auth | null>).flatMap(([name, auth]) => {
    const credential = credentialOf(auth ?? {});
    // As in Docker's own: a URL, whose version of the API does not count.
    const [host = '', ...path] = name
      .replace(/^https?:\/\//, '')
      .replace(/\/v[12]\/?$/, '')
      .split('/');
    return credential && host !== '' ? [{ host: hostOf(host), path: path.filter(Boolean).join('/'), credential }] : [];
  });
}

function hostOf(name: string): string {
  const host = name.toLowerCase();
  return DOCKER_HUB.includes(host) ? 'docker.io' : host;
}

function credentialOf({ username, password, auth, identitytoken }: Auth): Credential | undefined {
  const token = typeof identitytoken === 'string' ? identitytoken : '';
  if (typeof username === 'string' && typeof password === 'string' && username !== '') return { username, password, identityToken: token };
  const decoded = typeof auth === 'string' ? Buffer.from(auth, 'base64').toString() : '';
  const colon = decoded.indexOf(':');
  if (colon > 0) return { username: decoded.slice(0, colon), password: decoded.slice(colon + 1), identityToken: token };
  return token === '' ? undefined : { username: '', password: '', identityToken: token };
}

/** Whether a host is one that an entry names; `*` stands for a part of a label, as in `*.example.com`. */
function matchesHost(pattern: string, host: string): boolean {
  const [labels, wanted] = [host.split('.'), pattern.split('.')];
  return labels.length === wanted.length && wanted.every((label, index) => matchesWildcard(label, labels[index] ?? ''));
}

/**
 * The credentials for an image, the most specific first, each once.
 *
 * @param repository with its registry, such as docker.io/library/nginx
 */
export function credentialsFor(repository: string, keyrings: readonly Keyring[]): Credential[] {
  const slash = repository.indexOf('/');
  const [host, path] = [repository.slice(0, slash), repository.slice(slash + 1)];
  const fitting = keyrings
    .flat()
    .filter((entry) => matchesHost(entry.host, host) && (entry.path === '' || path === entry.path || path.startsWith(`${entry.path}/`)))
    .toSorted((a, b) => b.path.length - a.path.length);
  const seen = new Set<string>();
  return fitting.flatMap(({ credential }) => {
    const key = JSON.stringify(credential);
    if (seen.has(key)) return [];
    seen.add(key);
    return [credential];
  });
}
