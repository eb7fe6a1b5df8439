import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';

/** A path in the cache outside the work tree, ${XDG_CACHE_HOME:-~/.cache}/openshell-sideload. */
export function cachePath(name: string): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'openshell-sideload', name);
}

/**
 * Makes something that belongs into the cache, unless it is there. It is made under another name and renamed, so that a
 * file or folder under the final name is always whole.
 *
 * @returns the path in the cache
 */
export function cached(name: string, make: (beside: string) => void): string {
  const path = cachePath(name);
  if (existsSync(path)) return path;
  const beside = `${path}.${process.pid}`;
  mkdirSync(dirname(path), { recursive: true });
  try {
    make(beside);
    if (!existsSync(path)) renameSync(beside, path);
  } finally {
    rmSync(beside, { recursive: true, force: true });
  }
  return path;
}
