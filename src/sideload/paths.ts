/** A mount path as the container runtime sees it: absolute, without `.`, `..` and doubled or trailing slashes. */
export function absolutePath(path: string): string {
  // Nothing to take out.
  if (path.startsWith('/') && !path.endsWith('/') && !path.includes('/.') && !path.includes('//')) return path;
  // Not posix.resolve: its time is quadratic in the length, and a mountPath may have megabytes.
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
