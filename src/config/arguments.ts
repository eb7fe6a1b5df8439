/** Words of a command line, read once: the settings' and those of a command. */

import { parseArgs } from 'node:util';
import { nearestOf } from './near.ts';

/** An option, as far as it says how its words are read. */
export interface ArgumentSpec {
  readonly short?: string;
  /** What stands for the value in `--help`; an option without one is a switch. */
  readonly value?: string;
  /** Those that are understood, where they can be listed. */
  readonly values?: readonly string[];
  readonly repeatable?: boolean;
  /** The value may hold a secret: messages do not show it. */
  readonly secret?: boolean;
}

export interface Arguments {
  /** The texts of each option that is there, in order, by long name; of a switch, empty ones. */
  readonly flags: ReadonlyMap<string, readonly string[]>;
  readonly positionals: readonly string[];
  readonly problems: readonly string[];
}

/** Reads words. Never throws: all problems are told together with those of the values. */
export function readArguments(args: readonly string[], specs: Readonly<Record<string, ArgumentSpec>>): Arguments {
  const flags = new Map<string, string[]>();
  const positionals: string[] = [];
  const problems: string[] = [];
  const options = Object.entries(specs).map(([name, { short, value }]) => [
    name,
    { type: value === undefined ? 'boolean' : 'string', ...(short ? { short } : {}) } as const,
  ]);
  const { tokens } = parseArgs({ args: [...args], options: Object.fromEntries(options), strict: false, tokens: true });
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value);
    if (token.kind !== 'option') continue;
    const { name, rawName, value } = token;
    const spec = Object.hasOwn(specs, name) ? specs[name] : undefined;
    const before = flags.get(name);
    if (spec === undefined) problems.push(`unknown flag ${rawName}: ${didYouMean(name, Object.keys(specs), '--')}`);
    else if (spec.value === undefined && value !== undefined) problems.push(`${rawName} takes no value`);
    else if (spec.value !== undefined && value === undefined) problems.push(`${rawName} needs a value: ${exampleOf(rawName, spec.value)}`);
    else if (spec.value !== undefined && before && !spec.repeatable)
      problems.push(`${rawName} is given twice${spec.secret ? '' : `: ${JSON.stringify(before[0])} and ${JSON.stringify(value)}`}`);
    else flags.set(name, [...(before ?? []), value ?? '']);
  }
  return { flags, positionals, problems };
}

/** What to do about a word that is not known. */
export function didYouMean(word: string, known: readonly string[], before = ''): string {
  const near = nearestOf(word, known);
  return near === undefined ? 'see --help' : `did you mean ${before}${near}?`;
}

function exampleOf(rawName: string, value: string): string {
  return rawName.startsWith('--') ? `${rawName}=${value}` : `${rawName} ${value}`;
}

/** A word where no word is understood. */
export function unexpected(word: string): string {
  return `unexpected argument ${word.includes('=') ? 'with "=", which may be a secret' : JSON.stringify(word)}: see --help`;
}
