/** The operator's map: what images run, for clusters that reach no registry, and for images that say something else. */

import { ExpectedError } from '../observe/expected-error.ts';
import { parseReference } from '../sideload/image.ts';
import type { ImageConfig } from '../sideload/image-facts.ts';
import { matchesWildcard } from './wildcard.ts';

/** One entry of the map. */
interface Entry {
  /** Of image references; `*` stands for any characters but `/`, `/**` at the end for all that follows. */
  readonly image: string;
  readonly config: ImageConfig;
}

export type EntrypointMap = readonly Entry[];

/** The members that an entry may have. */
const MEMBERS = ['image', 'entrypoint', 'cmd', 'workingDir'];

/**
 * Reads the map: a list, whose first entry that matches an image counts.
 *
 * @param document what YAML made of the file
 * @throws ExpectedError that names the entry and what is wrong
 */
export function readEntrypointMap(document: unknown): EntrypointMap {
  if (!Array.isArray(document)) throw new ExpectedError('expected a list of entries, each with image and entrypoint or cmd');
  return document.map((entry: unknown, index) => {
    const fail = (problem: string): never => {
      throw new ExpectedError(`entry ${index + 1}: ${problem}`);
    };
    if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) return fail('expected an object with image and entrypoint');
    const { image, entrypoint, cmd, workingDir = '' } = entry as Record<string, unknown>;
    const unknown = Object.keys(entry).find((member) => !MEMBERS.includes(member));
    if (unknown !== undefined) return fail(`${JSON.stringify(unknown)} is unknown: expected ${MEMBERS.join(', ')}`);
    if (typeof image !== 'string' || image === '') return fail('image is missing: a glob such as registry.example/agents/*');
    if (/\*\*/.test(image.replace(/\/\*\*$/, ''))) return fail('** stands for all that follows, and only behind the last /');
    const words = (name: string, value: unknown): readonly string[] => {
      if (value === undefined) return [];
      if (Array.isArray(value) && value.every((word) => typeof word === 'string')) return value as string[];
      return fail(`${name} is no list of words: expected ["program", "argument"]`);
    };
    const [first, second] = [words('entrypoint', entrypoint), words('cmd', cmd)];
    if (first.length + second.length === 0) return fail('it names no program: expected entrypoint or cmd');
    if (typeof workingDir !== 'string' || (workingDir !== '' && !workingDir.startsWith('/'))) return fail('workingDir is no absolute path');
    const platform = { os: 'linux', architecture: '', variant: undefined };
    return { image, config: { platform, entrypoint: first, cmd: second, env: [], workingDir, user: '' } };
  });
}

/** What the map says of an image, whether it is named in full or as pods abbreviate it (`nginx` is docker.io/library/nginx:latest). */
export function mapped(map: EntrypointMap, reference: string): ImageConfig | undefined {
  const { repository, tag, digest } = parseReference(reference);
  const full = `${repository}${tag === undefined ? (digest === undefined ? ':latest' : '') : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
  const names = [...new Set([reference, full, repository])];
  return map.find(({ image }) => names.some((name) => matchesName(image, name)))?.config;
}

/** Part by part, so that `*` stays within one. */
function matchesName(pattern: string, name: string): boolean {
  const [wanted, parts] = [pattern.split('/'), name.split('/')];
  const isOpen = wanted.at(-1) === '**';
  const fixed = isOpen ? wanted.slice(0, -1) : wanted;
  if (isOpen ? parts.length <= fixed.length : parts.length !== fixed.length) return false;
  return fixed.every((part, index) => matchesWildcard(part, parts[index] ?? ''));
}
