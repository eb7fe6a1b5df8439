/** Images as a build makes them, pushed by the test itself (distribution-spec v1.1, "Pushing blobs" and "Pushing manifests"). */

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';

const OCI = 'application/vnd.oci.image';

const digestOf = (bytes: Uint8Array): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const bytesOf = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

/** What a platform of an image runs, in the words of its configuration. */
export interface Platform {
  readonly architecture?: string;
  readonly config: object;
  /** A tar archive; without one, an empty layer. */
  readonly layer?: Uint8Array;
}

/** What a docker-archive of one layer holds, for a push. */
export function unpacked(archive: string): { readonly layer: Uint8Array; readonly config: object } {
  const read = (name: string): Buffer => execFileSync('tar', ['-xOf', archive, name], { maxBuffer: 2 ** 30 });
  return { layer: read('layer.tar'), config: JSON.parse(read('config.json').toString()).config };
}

/** An archive without a file. */
const EMPTY = Buffer.alloc(1024);

async function put(url: URL, type: string, body: Uint8Array): Promise<void> {
  const response = await fetch(url, { method: 'PUT', headers: { 'content-type': type }, body: new Uint8Array(body) });
  if (!response.ok) throw new Error(`PUT ${url}: ${response.status} ${await response.text()}`);
}

async function pushBlob(repository: URL, blob: Uint8Array): Promise<{ digest: string; size: number }> {
  const response = await fetch(`${repository}/blobs/uploads/`, { method: 'POST', headers: { 'content-length': '0' } });
  const location = response.headers.get('location');
  if (response.status !== 202 || location === null) throw new Error(`POST ${repository}: ${response.status} ${await response.text()}`);
  const upload = new URL(location, repository);
  upload.searchParams.set('digest', digestOf(blob));
  await put(upload, 'application/octet-stream', blob);
  return { digest: digestOf(blob), size: blob.length };
}

const putManifest = (repository: URL, name: string, type: string, body: Uint8Array): Promise<void> =>
  put(new URL(`${repository}/manifests/${name}`), type, body);

async function pushPlatform(repository: URL, { architecture = 'amd64', config, layer = EMPTY }: Platform, tag?: string) {
  const image = { os: 'linux', architecture, config, rootfs: { type: 'layers', diff_ids: [digestOf(layer)] } };
  const manifest = bytesOf({
    schemaVersion: 2,
    mediaType: `${OCI}.manifest.v1+json`,
    config: { mediaType: `${OCI}.config.v1+json`, ...(await pushBlob(repository, bytesOf(image))) },
    layers: [{ mediaType: `${OCI}.layer.v1.tar+gzip`, ...(await pushBlob(repository, gzipSync(layer))) }],
  });
  await putManifest(repository, tag ?? digestOf(manifest), `${OCI}.manifest.v1+json`, manifest);
  return { digest: digestOf(manifest), size: manifest.length, platform: { os: 'linux', architecture } };
}

/** As BuildKit adds it to an index (moby/buildkit, docs/attestations/attestation-storage.md). */
async function pushAttestation(repository: URL, of: string) {
  const { digest, size } = await pushPlatform(repository, { architecture: 'unknown', config: { Cmd: ['attestation'] } });
  const annotations = { 'vnd.docker.reference.type': 'attestation-manifest', 'vnd.docker.reference.digest': of };
  return { digest, size, platform: { os: 'unknown', architecture: 'unknown' }, annotations };
}

/**
 * Pushes an image: one platform as a manifest, several as an index with an attestation.
 *
 * @param registry its URL, plain HTTP and open
 * @param name repository and tag
 * @returns the digest that the tag stands for
 */
export async function push(registry: string, name: string, ...platforms: readonly Platform[]): Promise<string> {
  const [path = '', tag = ''] = name.split(':');
  const repository = new URL(`/v2/${path}`, registry);
  const [only, ...others] = platforms;
  if (only && others.length === 0) return (await pushPlatform(repository, only, tag)).digest;
  const entries = [];
  for (const platform of platforms) entries.push(await pushPlatform(repository, platform));
  const attestation = await pushAttestation(repository, entries[0]?.digest ?? '');
  const manifests = [...entries, attestation].map((entry) => ({ mediaType: `${OCI}.manifest.v1+json`, ...entry }));
  const index = bytesOf({ schemaVersion: 2, mediaType: `${OCI}.index.v1+json`, manifests });
  await putManifest(repository, tag, `${OCI}.index.v1+json`, index);
  return digestOf(index);
}
