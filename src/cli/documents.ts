/** The documents of this version, as URLs: who reads a message has no copy of the repository. */

const REPOSITORY = 'https://github.com/openshell-sideload/openshell-sideload';

/** Writes the documents that a text names, such as `docs/security.md#backstop`, as URLs of a version. */
export function linked(text: string, version: string): string {
  return text.replaceAll(/\bdocs\/[\w/-]+\.md(?:#[\w-]+)?/g, (path) => `${REPOSITORY}/blob/v${version}/${path}`);
}
