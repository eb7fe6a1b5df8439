/** The documents of this version, as URLs: who reads a message has no copy of the repository. */

const REPOSITORY = 'https://github.com/openshell-sideload/openshell-sideload';

/** The URL of a document of a version, such as `docs/security.md#backstop`. */
export function documentUrl(path: string, version: string): string {
  return `${REPOSITORY}/blob/v${version}/${path}`;
}

/** Writes the documents that a text names as URLs of a version. */
export function linked(text: string, version: string): string {
  return text.replaceAll(/\bdocs\/[\w/-]+\.md(?:#[\w-]+)?/g, (path) => documentUrl(path, version));
}
