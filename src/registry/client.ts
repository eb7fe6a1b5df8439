/**
 * What an image runs, read from its registry. This folder may import tls/, observe/ and sideload/.
 * Source: opencontainers/distribution-spec v1.1, "Pulling manifests" and "Pulling blobs".
 */

import { parseReference } from '../sideload/image.ts';
import type { ImageConfig } from '../sideload/image-facts.ts';
import { quote } from '../sideload/outcome.ts';
import { authorize } from './authentication.ts';
import { type Credential, credentialsFor, type Keyring } from './credentials.ts';
import { ACCEPTED, DIGEST, digestOf, type Manifest, readConfig, readManifest, verify } from './documents.ts';
import { ImageError } from './image-error.ts';
import { isListed, type RegistryAccess, type RegistryRequest, type RegistryResponse, schemeOf, send } from './transport.ts';

const MANIFEST_BYTES = 4 * 1024 * 1024;
const CONFIG_BYTES = 8 * 1024 * 1024;
const MAX_REDIRECTS = 3;
/** For all requests of one image: a webhook call has 10 s. */
const TOTAL_MS = 5_000;
/** Names of repositories: distribution-spec, "Pulling manifests". */
const PATH = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^\w[\w.-]{0,127}$/;
const DEFAULT_PORTS: Readonly<Record<string, string>> = { 'http:': '80', 'https:': '443' };
/** A host as DNS has it: nothing in it that a URL would read as something else. */
const HOST = /^(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i;
/** The host that is asked for a registry: Docker Hub's has another name than its images. */
export function registryHost(name: string): string {
  return name === 'docker.io' ? 'registry-1.docker.io' : name;
}

/** An image that exists, and that the credentials may read. */
export interface FoundImage {
  /** Of the index or the manifest that the reference names. */
  readonly digest: string;
  /** Reads what it runs, one for each platform of Linux. @throws ImageError */
  readonly read: () => Promise<readonly ImageConfig[]>;
}

/** One image, at one registry, with one credential. */
interface Session {
  /** The namespace that asks. */
  readonly owner: string;
  readonly reference: string;
  /** Its tag, or its digest. */
  readonly wanted: string;
  readonly base: string;
  readonly repository: string;
  readonly credential: Credential | undefined;
  readonly access: RegistryAccess;
  readonly signal: AbortSignal;
  authorization: string | undefined;
}

/** A place where an image can be read, and the credential to try there; undefined: anonymous. */
export interface Attempt {
  /** With its registry: docker.io/library/nginx. */
  readonly repository: string;
  readonly credential: Credential | undefined;
}

/** Where an image is looked for, and as whom: at the operator's mirror of its registry first, the most specific credential first. */
export function attemptsFor(reference: string, keyrings: readonly Keyring[], { mirrors }: RegistryAccess): Attempt[] {
  const { repository } = parseReference(reference);
  const slash = repository.indexOf('/');
  const mirror = mirrors.get(repository.slice(0, slash));
  const places = mirror === undefined ? [repository] : [`${mirror}${repository.slice(slash)}`, repository];
  return places.flatMap((place) => {
    const credentials = credentialsFor(place, keyrings);
    return (credentials.length > 0 ? credentials : [undefined]).map((credential) => ({ repository: place, credential }));
  });
}

/**
 * Asks for the digest of an image: one small request, which also shows that the credential may read it.
 *
 * @param owner the namespace that asks
 * @param attempts in order; the first that succeeds counts
 * @throws ImageError what the image's own registry said, to the first credential
 */
export async function findImage(
  owner: string,
  reference: string,
  attempts: readonly Attempt[],
  access: RegistryAccess,
): Promise<FoundImage> {
  const stop = new AbortController();
  const signal = AbortSignal.any([AbortSignal.timeout(TOTAL_MS), stop.signal]);
  const failures = new Map<string, ImageError>();
  const ended = new Set<string>();
  for (const { repository, credential } of attempts) {
    if (ended.has(repository)) continue;
    try {
      const session = openSession(owner, reference, repository, credential, access, signal);
      const found = await resolve(session);
      // Where one platform cannot be read, the requests for the others end too.
      return { digest: found, read: () => readConfigs(session, found).finally(() => stop.abort()) };
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
      if (!failures.has(repository)) failures.set(repository, error);
      // A registry may report a missing image to a client without access: another credential may see it.
      if (!['unauthorized', 'not-found'].includes(error.problem)) ended.add(repository);
    }
  }
  throw [...failures.values()].at(-1) ?? new ImageError('broken', `image ${quote(reference)} is no image name`);
}

function openSession(
  owner: string,
  reference: string,
  repository: string,
  credential: Credential | undefined,
  access: RegistryAccess,
  signal: AbortSignal,
): Session {
  const { tag, digest } = parseReference(reference);
  const slash = repository.indexOf('/');
  const [name, path] = [repository.slice(0, slash), repository.slice(slash + 1)];
  const host = registryHost(name);
  const base = `${schemeOf(host, access)}://${host}/v2/${path}`;
  const wanted = digest ?? tag ?? 'latest';
  const isName = path.length <= 255 && PATH.test(path) && (digest === undefined ? TAG : DIGEST).test(wanted);
  // The credentials were chosen by the name of the host, so that has to be the host that is asked.
  const asked = URL.canParse(base) ? new URL(base) : undefined;
  const isAsked = asked !== undefined && [asked.host, `${asked.hostname}:${DEFAULT_PORTS[asked.protocol]}`].includes(host.toLowerCase());
  if (!isName || !HOST.test(host) || !isAsked) throw new ImageError('broken', `image ${quote(reference)} is no image name`);
  return { owner, reference, wanted, base, repository: path, credential, access, signal, authorization: undefined };
}

async function readConfigs(session: Session, digest: string): Promise<readonly ImageConfig[]> {
  const top = await manifestOf(session, digest);
  if (top.kind === 'manifest') return [await configOf(session, top.config.digest)];
  const reading = new Map<string, Promise<ImageConfig>>();
  const configs = await Promise.all(
    top.platforms.map(async (entry) => {
      const each = await configDigest(session, entry.digest);
      const config = reading.get(each) ?? configOf(session, each);
      reading.set(each, config);
      return { platform: entry.platform, config: await config };
    }),
  );
  // The index decides where an image may run, whatever its configuration says: see readManifest.
  return configs.map(({ platform, config }) => ({ ...config, platform: { ...platform, os: 'linux' } }));
}

async function configDigest(session: Session, digest: string): Promise<string> {
  const manifest = await manifestOf(session, digest);
  if (manifest.kind === 'manifest') return manifest.config.digest;
  throw new ImageError('broken', `image ${quote(session.reference)} has an index in its index`);
}

/** The digest of a tag, or of a digest that is there. Registries need not tell it: then what they send is read. */
async function resolve(session: Session): Promise<string> {
  const { wanted } = session;
  const path = `/manifests/${wanted}`;
  const { headers } = await ask(session, 'HEAD', path, MANIFEST_BYTES, () => undefined);
  if (DIGEST.test(wanted)) return wanted;
  const digest = headers['docker-content-digest'];
  if (typeof digest === 'string' && DIGEST.test(digest)) return digest;
  return (await ask(session, 'GET', path, MANIFEST_BYTES, digestOf)).content;
}

async function manifestOf(session: Session, digest: string): Promise<Manifest> {
  const what = `a manifest of image ${quote(session.reference)}`;
  const response = await ask(session, 'GET', `/manifests/${digest}`, MANIFEST_BYTES, (body, headers) => {
    verify(what, body, digest);
    return readManifest(what, body, headers['content-type'] ?? '');
  });
  return response.content;
}

async function configOf(session: Session, digest: string): Promise<ImageConfig> {
  const what = `the config of image ${quote(session.reference)}`;
  const response = await ask(session, 'GET', `/blobs/${digest}`, CONFIG_BYTES, (body) => {
    verify(what, body, digest);
    return readConfig(what, body);
  });
  return response.content;
}

/** One request, again with authorization where the registry asks for it, and for a blob wherever it is sent on. */
async function ask<T>(
  session: Session,
  method: 'GET' | 'HEAD',
  path: string,
  maxBytes: number,
  read: RegistryRequest<T>['read'],
): Promise<Extract<RegistryResponse<T>, { readonly content: T }>> {
  const url = new URL(`${session.base}${path}`);
  const { access, owner, signal, reference } = session;
  const common = { owner, signal, method, maxBytes, read };
  const attempt = (): Promise<RegistryResponse<T>> => {
    const authorization: Record<string, string> = session.authorization ? { authorization: session.authorization } : {};
    return send(url, { ...common, headers: { accept: ACCEPTED, ...authorization } }, access);
  };
  let response = await attempt();
  const challenge = response.headers['www-authenticate'];
  if (response.status === 401 && challenge !== undefined) {
    session.authorization = await authorize(
      challenge,
      `repository:${session.repository}:pull`,
      session.credential,
      { owner, signal },
      access,
      isListed(url.host, access),
    );
    if (session.authorization !== undefined) response = await attempt();
  }
  for (let left = MAX_REDIRECTS; [301, 302, 303, 307, 308].includes(response.status); left--) {
    const target = response.headers.location ?? '';
    if (left === 0 || !path.startsWith('/blobs/') || !URL.canParse(target, url.href))
      throw new ImageError(
        'broken',
        `registry ${url.host} redirects ${path} to ${JSON.stringify(target.slice(0, 200))}, which is not followed`,
      );
    // The server of the blob is told nothing of the credentials.
    response = await send(
      new URL(target, url),
      { ...common, headers: { accept: '*/*' }, isNamed: true, namedByListed: isListed(url.host, access) },
      access,
    );
  }
  if ('content' in response) return response;
  const { status } = response;
  const where = `registry ${url.host}`;
  const who = session.credential ? 'the credentials' : 'anonymous access';
  if (status === 401 || status === 403) throw new ImageError('unauthorized', `${where} refuses ${who} (${status})`);
  if (status === 404) throw new ImageError('not-found', `${where} has no image ${quote(reference)} (404)`);
  if (status === 429) throw new ImageError('limited', `${where} limits requests (429)`);
  if (status >= 500) throw new ImageError('unavailable', `${where} responds with ${status} for image ${quote(reference)}`);
  throw new ImageError('broken', `${where} responds with ${status} for image ${quote(reference)}`);
}
