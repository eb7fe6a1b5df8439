import { posix } from 'node:path';

/** A mount path as the container runtime sees it: absolute, without `.`, `..` and doubled or trailing slashes. */
export function absolutePath(path: string): string {
  return posix.resolve('/', path);
}

/** Whether one path is the other, above it or below it: a mount at one then covers, or is covered by, the other. */
export function overlap(one: string, other: string): boolean {
  const [a, b] = [absolutePath(one), absolutePath(other)];
  return a === b || a === '/' || b === '/' || a.startsWith(`${b}/`) || b.startsWith(`${a}/`);
}
