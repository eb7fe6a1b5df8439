/** Nothing to take out: absolute, no `.`, `..`, doubled or trailing slash. */
const PLAIN = /^(\/[^/.][^/]*)+$/;

/** A mount path as the container runtime sees it: absolute, without `.`, `..` and doubled or trailing slashes. */
export function absolutePath(path: string): string {
  if (path.length < 200 && PLAIN.test(path)) return path;
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
  return a === b || a === '/' || b === '/' || a.startsWith(`${b}/`) || b.startsWith(`${a}/`);
}
