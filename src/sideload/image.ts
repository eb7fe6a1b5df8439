/**
 * Image references, read as a kubelet reads them: one image has several names, and a name without a registry is Docker Hub's.
 * Source: github.com/distribution/reference, normalize.go, splitDockerDomain; a colon before the last slash is a registry's port.
 */

const DOCKER_HUB = 'docker.io';

/** The parts of an image reference. */
export interface ImageReference {
  /** With its registry: `docker.io/library/nginx` for `nginx`. */
  readonly repository: string;
  readonly tag: string | undefined;
  /** Such as `sha256:…`. */
  readonly digest: string | undefined;
}

/** Reads an image reference; what is no reference gives a repository that no image has. */
export function parseReference(reference: string): ImageReference {
  const at = reference.indexOf('@');
  const named = at === -1 ? reference : reference.slice(0, at);
  const colon = named.indexOf(':', named.lastIndexOf('/') + 1);
  return {
    repository: withRegistry(colon === -1 ? named : named.slice(0, colon)),
    tag: colon === -1 ? undefined : named.slice(colon + 1),
    digest: at === -1 ? undefined : reference.slice(at + 1),
  };
}

/** The repository of an image reference, with its registry. */
export function repositoryOf(reference: string): string {
  return parseReference(reference).repository;
}

/** Whether a reference names an image by its content, which cannot be changed. */
export function isPinned(reference: string): boolean {
  return parseReference(reference).digest !== undefined;
}

function withRegistry(name: string): string {
  const slash = name.indexOf('/');
  const first = name.slice(0, Math.max(slash, 0));
  const isRegistry = /[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase();
  if (isRegistry && first !== DOCKER_HUB && first !== `index.${DOCKER_HUB}`) return name;
  const path = isRegistry ? name.slice(slash + 1) : name;
  return `${DOCKER_HUB}/${path.includes('/') ? path : `library/${path}`}`;
}

/** The images that an operator trusts: by repository, the digests that are trusted; none of them, every tag and digest. */
export type TrustedImages = ReadonlyMap<string, ReadonlySet<string>>;

/**
 * Reads the images that an operator trusts. A digest binds: where one reference of a repository has a digest, no other tag or
 * digest of that repository is trusted.
 *
 * @param references repositories and images; tags do not count
 */
export function trustedImages(references: readonly string[]): TrustedImages {
  const trusted = new Map<string, Set<string>>();
  for (const reference of references) {
    const { repository, digest } = parseReference(reference);
    const digests = trusted.get(repository) ?? new Set();
    trusted.set(repository, digest === undefined ? digests : digests.add(digest));
  }
  return trusted;
}

/** Whether an image is one of these. */
export function isAmong(reference: string, trusted: TrustedImages): boolean {
  const { repository, digest } = parseReference(reference);
  const digests = trusted.get(repository);
  return digests !== undefined && (digests.size === 0 || (digest !== undefined && digests.has(digest)));
}
