/** Files that the command line names, as kubectl takes them: files, folders and standard input. */

import { isUtf8 } from 'node:buffer';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from '../config/config.ts';
import type { CommandOption } from './command.ts';

const EXTENSIONS = /\.(ya?ml|json)$/;

/** The option that names manifests. */
export const FILENAME: CommandOption = {
  short: 'f',
  value: 'FILE',
  description: 'A file with YAML or JSON, a folder of such files, or - for standard input. Repeatable.',
  repeatable: true,
};

/**
 * The files that a path names.
 *
 * @param path a file, a folder (its own .yaml, .yml and .json files, in the order of their names), or `-` for standard input
 * @throws UsageError that names the path
 */
export function filesOf(path: string): string[] {
  if (path === '-') return [path];
  try {
    if (!statSync(path).isDirectory()) return [path];
  } catch (error) {
    throw unreadable(path, error);
  }
  const names = readdirSync(path).filter((name) => EXTENSIONS.test(name));
  if (names.length === 0) throw new UsageError([`${path}: the folder has no .yaml, .yml or .json files`]);
  return names.sort().map((name) => join(path, name));
}

/**
 * Reads a file, or standard input for `-`: UTF-8, with or without a byte order mark.
 *
 * @throws UsageError that names the file, and its encoding where it is another one
 */
export function readText(file: string): string {
  const source = file === '-' ? 'stdin' : file;
  let bytes: Buffer;
  try {
    bytes = readFileSync(file === '-' ? 0 : file);
  } catch (error) {
    throw unreadable(source, error);
  }
  const other = otherEncoding(bytes);
  if (other !== undefined) throw new UsageError([`${source}: the file is not UTF-8: ${other}; write it as UTF-8 (iconv -t UTF-8)`]);
  return new TextDecoder().decode(bytes);
}

/** What a text is that is not UTF-8; undefined where it is. */
function otherEncoding(bytes: Buffer): string | undefined {
  const mark = bytes.subarray(0, 4).toString('hex');
  if (/^(fffe0000|0000feff)/.test(mark)) return 'it has the byte order mark of UTF-32';
  if (/^(fffe|feff)/.test(mark)) return `it has the byte order mark of UTF-16, ${mark.startsWith('fffe') ? 'little' : 'big'} endian`;
  const nul = bytes.indexOf(0);
  if (nul !== -1) return `byte ${nul + 1} is NUL (UTF-16 without a mark?)`;
  if (isUtf8(bytes)) return undefined;
  // No character of UTF-8 has a line feed within it.
  const line = bytes
    .toString('latin1')
    .split('\n')
    .findIndex((text) => !isUtf8(Buffer.from(text, 'latin1')));
  return `line ${line + 1} has a byte that UTF-8 does not allow there (Latin-1?)`;
}

/** A file that cannot be used, and why. */
export function unreadable(source: string, error: unknown): UsageError {
  return new UsageError([`${source}: ${error instanceof Error ? error.message : String(error)}`]);
}
