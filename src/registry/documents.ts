/**
 * What registries hold of an image: an index of its platforms, a manifest, its configuration. Only the members that are read are
 * checked. Source: opencontainers/image-spec v1.1 (image-index.md, manifest.md, config.md); Docker's types of the same shape:
 * distribution/distribution, docs/content/spec/manifest-v2-2.md.
 */

import { createHash } from 'node:crypto';
import type { ImageConfig } from '../sideload/image-facts.ts';
import { holdsTooMany, MAX_VALUES } from '../sideload/json-size.ts';
import { ImageError } from './image-error.ts';
import { repeatedMember } from './members.ts';

const INDEX_TYPES = ['application/vnd.oci.image.index.v1+json', 'application/vnd.docker.distribution.manifest.list.v2+json'];
const MANIFEST_TYPES = ['application/vnd.oci.image.manifest.v1+json', 'application/vnd.docker.distribution.manifest.v2+json'];
const CONFIG_TYPES = ['application/vnd.oci.image.config.v1+json', 'application/vnd.docker.container.image.v1+json'];

/** What a client asks for when it wants a manifest. */
export const ACCEPTED = [...INDEX_TYPES, ...MANIFEST_TYPES].join(', ');

/** sha256 is the only algorithm that registries have to know. */
export const DIGEST = /^sha256:[0-9a-f]{64}$/;
/** More platforms than any image has that an agent runs in. */
const MAX_PLATFORMS = 8;

/** Every pod of an image gets its words: no image has more of them, or longer ones. */
const [MAX_WORDS, MAX_WORD_CHARACTERS] = [2_000, 128 * 1024];

type Platform = ImageConfig['platform'];

interface Descriptor {
  readonly digest: string;
  readonly platform: Platform;
}

export type Manifest =
  | { readonly kind: 'index'; readonly platforms: readonly Descriptor[] }
  | { readonly kind: 'manifest'; readonly config: Pick<Descriptor, 'digest'> };

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** Enough of a digest to know it. */
const SHOWN = 'sha256:'.length + 12;

/** @throws ImageError when the bytes have another digest */
export function verify(what: string, bytes: Uint8Array, digest: string): void {
  const found = digestOf(bytes);
  if (found !== digest) throw new ImageError('broken', `${what} has digest ${found.slice(0, SHOWN)}..., not ${digest.slice(0, SHOWN)}...`);
}

/** Of the names of members, so much is shown; no system or architecture has a longer one. */
const LONGEST_NAME = 50;

function parse(what: string, bytes: Uint8Array): Record<string, unknown> {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    if (holdsTooMany(text)) throw new ImageError('broken', `${what} has more than ${MAX_VALUES} values`);
    const value: unknown = JSON.parse(text);
    const repeated = repeatedMember(text);
    if (repeated !== undefined)
      throw new ImageError('broken', `${what} has two members ${JSON.stringify(repeated.slice(0, LONGEST_NAME))} in one object`);
    if (isObject(value)) return value;
  } catch (error) {
    if (error instanceof ImageError) throw error;
    // Said below.
  }
  throw new ImageError('broken', `${what} is not a JSON object`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Members that are read of each object. */
const READ = {
  manifest: ['mediaType', 'manifests', 'config'],
  descriptor: ['mediaType', 'digest', 'size', 'platform'],
  platform: ['os', 'architecture', 'variant'],
  image: ['config'],
  config: ['Entrypoint', 'Cmd', 'Env', 'WorkingDir', 'User'],
};

/** Other names of architectures (containerd/platforms, database.go, normalizeArch). */
const ARCHITECTURES: Readonly<Record<string, string>> = {
  x86_64: 'amd64',
  'x86-64': 'amd64',
  aarch64: 'arm64',
  i386: '386',
  armhf: 'arm',
  armel: 'arm',
};

/** Reads a platform as containerd does: what it does not say is empty. */
function platformOf(what: string, value: unknown): Platform {
  refuseOtherSpellings(what, value, READ.platform);
  const { os, architecture, variant } = isObject(value) ? value : {};
  if ([os, architecture, variant].some((part) => typeof part === 'string' && part.length > LONGEST_NAME))
    throw new ImageError('broken', `${what} has a platform of more than ${LONGEST_NAME} characters`);
  const name = typeof architecture === 'string' ? architecture.toLowerCase() : '';
  return {
    os: typeof os === 'string' ? os.toLowerCase() : '',
    architecture: Object.hasOwn(ARCHITECTURES, name) ? (ARCHITECTURES[name] ?? '') : name,
    variant: typeof variant === 'string' ? variant : undefined,
  };
}

/**
 * Refuses members that a node reads by another spelling: Go takes `env` for `Env`, and for it the Kelvin sign is a k.
 *
 * @throws ImageError
 */
function refuseOtherSpellings(what: string, value: unknown, read: readonly string[]): void {
  if (!isObject(value)) return;
  const fold = (name: string): string => name.toUpperCase().toLowerCase();
  const folded = read.map(fold);
  const other = Object.keys(value).find((name) => !read.includes(name) && folded.includes(fold(name)));
  if (other !== undefined)
    throw new ImageError('broken', `${what} has a member ${JSON.stringify(other.slice(0, LONGEST_NAME))}, which programs read differently`);
}

/** Reads a descriptor; undefined where it is none. @throws ImageError */
function descriptor(what: string, value: unknown): (Descriptor & { readonly mediaType: unknown }) | undefined {
  refuseOtherSpellings(what, value, READ.descriptor);
  if (!isObject(value) || typeof value.digest !== 'string' || !DIGEST.test(value.digest)) return undefined;
  if (typeof value.size !== 'number' || !Number.isSafeInteger(value.size) || value.size < 0) return undefined;
  return { digest: value.digest, platform: platformOf(what, value.platform), mediaType: value.mediaType };
}

/**
 * Reads an index or a manifest. Of an index, every entry counts that some node of Linux may run. An entry that names no system is
 * any node's (containerd/platforms, database.go, normalizeOS). Of an entry without a platform, containerd reads the configuration
 * (core/images/image.go, Manifest); CRI-O takes it where no other fits, whatever the configuration says (containers/image,
 * oci_index.go, chooseInstance): it has no architecture here, and no nodeSelector leaves it out.
 *
 * @param type the Content-Type of the response: what registries of older images say of a document that does not name its own
 * @throws ImageError when it is neither, holds too much, or names no config of an image
 */
export function readManifest(what: string, bytes: Uint8Array, type: string): Manifest {
  const document = parse(what, bytes);
  refuseOtherSpellings(what, document, READ.manifest);
  const mediaType = typeof document.mediaType === 'string' ? document.mediaType : type.split(';')[0]?.trim().toLowerCase();
  if (Array.isArray(document.manifests) && INDEX_TYPES.includes(mediaType ?? '')) {
    const platforms = document.manifests.flatMap((value) => {
      const entry = descriptor(what, value);
      // BuildKit's attestations are of a system "unknown" (moby/buildkit, attestation-storage.md).
      if (!entry) throw new ImageError('broken', `${what} has an entry without size or sha256 digest`);
      const { digest, platform } = entry;
      return ['linux', ''].includes(platform.os) ? [{ digest, platform }] : [];
    });
    if (platforms.length === 0) throw new ImageError('no-linux', `${what} has no image for Linux`);
    if (platforms.length > MAX_PLATFORMS)
      throw new ImageError(
        'broken',
        `${what} has ${platforms.length} images for Linux, more than ${MAX_PLATFORMS}: name one by its digest`,
      );
    return { kind: 'index', platforms };
  }
  const config = descriptor(what, document.config);
  if (config && MANIFEST_TYPES.includes(mediaType ?? '')) {
    if (CONFIG_TYPES.includes(String(config.mediaType))) return { kind: 'manifest', config: { digest: config.digest } };
    throw new ImageError('broken', `${what} has a config of type ${JSON.stringify(config.mediaType)}, which no image has`);
  }
  throw new ImageError('broken', `${what} has type ${JSON.stringify(mediaType ?? '')}, which is no index and no manifest of an image`);
}

/** Of several variables of a name the last counts, as for a runtime. */
function lastOfEach(env: readonly string[]): readonly string[] {
  return [...new Map(env.map((entry) => [entry.split('=', 1)[0], entry])).values()];
}

/** @throws ImageError when it is not the configuration of an image */
export function readConfig(what: string, bytes: Uint8Array): ImageConfig {
  const document = parse(what, bytes);
  const { config } = document;
  refuseOtherSpellings(what, document, READ.image);
  refuseOtherSpellings(what, config, READ.config);
  const { Entrypoint, Cmd, Env, WorkingDir, User } = isObject(config) ? config : {};
  const words = (name: string, value: unknown): readonly string[] => {
    if (value === undefined || value === null) return [];
    if (Array.isArray(value) && value.every((word) => typeof word === 'string')) return value as string[];
    throw new ImageError('broken', `${what} has ${name} that is no list of words`);
  };
  const text = (value: unknown): string => (typeof value === 'string' ? value : '');
  const all = [words('Entrypoint', Entrypoint), words('Cmd', Cmd), words('Env', Env), [text(WorkingDir), text(User)]].flat();
  if (all.length > MAX_WORDS || all.reduce((sum, word) => sum + word.length, 0) > MAX_WORD_CHARACTERS)
    throw new ImageError('broken', `${what} has more than ${MAX_WORDS} words and variables, or ${MAX_WORD_CHARACTERS} characters in them`);
  return {
    platform: platformOf(what, document),
    entrypoint: words('Entrypoint', Entrypoint),
    cmd: words('Cmd', Cmd),
    env: lastOfEach(words('Env', Env)),
    workingDir: text(WorkingDir),
    user: text(User),
  };
}
