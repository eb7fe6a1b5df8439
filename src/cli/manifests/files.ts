/** What a command line names, as kubectl takes it: files, folders, URLs and standard input. */

import { isUtf8 } from 'node:buffer';
import { type Dirent, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from '../../config/config.ts';
import type { CommandLine, CommandOption } from '../command.ts';
import { plain } from '../plain.ts';

const EXTENSIONS = /\.(ya?ml|json)$/;

/** The options that name manifests. */
export const SOURCES: Readonly<Record<'filename' | 'recursive', CommandOption>> = {
  filename: {
    short: 'f',
    value: 'FILE',
    description: 'A file with YAML or JSON, a folder of such files, a URL, or - for standard input. Repeatable.',
    repeatable: true,
  },
  recursive: { short: 'R', description: 'Takes the files of folders in folders, too.' },
};

/** Where manifests are read from. */
export interface Sources {
  readonly paths: readonly string[];
  readonly recursive: boolean;
}

/**
 * The sources that a command line names, by -f or as words.
 *
 * @throws UsageError where it names none, or standard input twice
 */
export function sourcesOf(flags: CommandLine['flags'], words: readonly string[]): Sources {
  const paths = [...(flags.get('filename') ?? []), ...words];
  if (paths.length === 0) throw new UsageError(['a file is missing: -f FILE, a folder, a URL, or - for standard input']);
  if (paths.filter((path) => path === '-').length > 1) throw new UsageError(['standard input can be read once: give - once']);
  return { paths, recursive: flags.has('recursive') };
}

const URLS = /^https?:\/\//i;

/** A text, and what it is from, for messages. */
export interface SourceText {
  readonly source: string;
  readonly text: string;
}

/**
 * Reads sources: files, folders (their .yaml, .yml and .json files, in the order of their names), URLs and standard input.
 *
 * @throws UsageError that names the file or URL
 */
export async function readSources({ paths, recursive }: Sources): Promise<SourceText[]> {
  const texts: SourceText[] = [];
  for (const path of paths) {
    if (path === '-') texts.push({ source: 'stdin', text: readText(path) });
    else if (URLS.test(path)) texts.push(await download(path));
    else texts.push(...filesOf(path, recursive).map((file) => ({ source: file, text: readText(file) })));
  }
  return texts;
}

function filesOf(path: string, recursive: boolean): string[] {
  let entries: Dirent[];
  try {
    if (!statSync(path).isDirectory()) return [path];
    entries = readdirSync(path, { recursive, withFileTypes: true });
  } catch (error) {
    throw unreadable(path, error);
  }
  const isFolder = (entry: Dirent): boolean =>
    entry.isDirectory() ||
    (entry.isSymbolicLink() && statSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.isDirectory() === true);
  const files = entries.filter((entry) => EXTENSIONS.test(entry.name) && !isFolder(entry));
  if (files.length === 0) {
    const deeper = recursive ? '' : ' of its own; -R takes those of folders in it';
    throw new UsageError([`${path}: the folder has no .yaml, .yml or .json files${deeper}`]);
  }
  return files.map((entry) => join(entry.parentPath, entry.name)).sort();
}

const DOWNLOAD_TIMEOUT_MS = 30_000;
const MOST_DOWNLOADED = 16 * 1024 * 1024;

/** Messages name a URL without its query, which may hold a secret. */
async function download(path: string): Promise<SourceText> {
  const url = URL.parse(path);
  if (!url) throw new UsageError([`${JSON.stringify(path)}: it is no URL`]);
  const source = `${url.origin}${url.pathname}`;
  if (url.username !== '' || url.password !== '')
    throw new UsageError([`${source}: a URL with credentials is not read: fetch it yourself, and give - for standard input`]);
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(DOWNLOAD_TIMEOUT_MS) });
    if (!response.ok) throw new Error(`HTTP ${response.status} ${plain(response.statusText)}`);
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of response.body ?? []) {
      bytes += chunk.length;
      if (bytes > MOST_DOWNLOADED) throw new Error(`it has more than ${MOST_DOWNLOADED} bytes`);
      chunks.push(chunk);
    }
    return { source, text: decode(source, Buffer.concat(chunks)) };
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const { cause } = error as Error;
    throw unreadable(source, cause instanceof Error ? cause : error);
  }
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
  return decode(source, bytes);
}

function decode(source: string, bytes: Buffer): string {
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
