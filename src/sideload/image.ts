/**
 * The repository of an image reference: the reference without tag and digest, as written.
 * Source: the reference grammar of github.com/distribution/reference; a colon before the last slash is a registry's port.
 */
export function repositoryOf(reference: string): string {
  const [name = ''] = reference.split('@', 1);
  const colon = name.indexOf(':', name.lastIndexOf('/') + 1);
  return colon === -1 ? name : name.slice(0, colon);
}
