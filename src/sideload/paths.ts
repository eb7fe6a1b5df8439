/** Linux takes no longer path, its final NUL included (PATH_MAX in limits.h). */
export const PATH_MAX = 4096;

/**
 * A mount path as the container runtime sees it: absolute, without `.`, `..` and doubled or trailing slashes. What is longer than
 * any path can never be mounted. It counts as the root directory, which overlaps every path.
 */
export function absolutePath(path: string): string {
  if (path.length >= PATH_MAX) return '/';
  // Nothing to take out.
  if (path.startsWith('/') && !path.endsWith('/') && !path.includes('/.') && !path.includes('//')) return path;
  // Not posix.resolve: its time is quadratic in the length.
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return `/${parts.join('/')}`;
}

/** Whether one path is the other, above it or below it: a mount at one then covers, or is covered by, the other. */
export function overlap(one: string, other: string): boolean {
  const [a, b] = [absolutePath(one), absolutePath(other)];
  return isWithin(a, b) || isWithin(b, a);
}

function isWithin(path: string, directory: string): boolean {
  return directory === '/' || (path.startsWith(directory) && (path.length === directory.length || path[directory.length] === '/'));
}

/**
 * Whether a directory of the node is one of these, above or below one. One that is written with `..`, which API servers refuse
 * in a hostPath (pkg/apis/core/validation, validatePathNoBacksteps), counts as all of them.
 */
export function nodePathOverlaps(path: string, directories: readonly string[]): boolean {
  if (/(^|\/)\.\.(\/|$)/.test(path)) return true;
  const absolute = absolutePath(path);
  return directories.some((directory) => overlap(absolute, directory));
}
