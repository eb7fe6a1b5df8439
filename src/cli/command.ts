/**
 * The commands, one file each, as a person at a terminal sees them. This folder may import all others.
 *
 * This file: what the commands have in common, their own options beside the settings, and how the command line is read.
 */

import { parseArgs } from 'node:util';
import { type Config, ConfigError, readConfig } from '../config/config.ts';
import { OPTIONS } from '../config/options.ts';

/** Exit codes of every command: 0 done, 1 failed or refused, 2 the command line, the environment or a file cannot be used. */
export const EXIT = { done: 0, failed: 1, usage: 2 } as const;

/** An option of one command. The settings of src/config/options.ts are understood by every command. */
export interface CommandOption {
  readonly short?: string;
  /** What stands for the value in `--help`; an option without one is a switch. */
  readonly value?: string;
  readonly description: string;
  readonly repeatable?: boolean;
}

export interface CommandLine {
  /** The values of the command's own options, by long name; of a switch, one empty value. */
  readonly flags: ReadonlyMap<string, readonly string[]>;
  readonly positionals: readonly string[];
  readonly config: Config;
}

export interface Command {
  readonly usage: string;
  readonly description: string;
  readonly options: Readonly<Record<string, CommandOption>>;
  /** Whether words without a dash are understood. */
  readonly takesWords: boolean;
  /** @returns the exit code */
  readonly run: (line: CommandLine, version: string) => Promise<number>;
}

/**
 * Separates a command's own options from the settings, and reads both.
 *
 * @throws ConfigError with every problem of either
 */
export function readCommandLine(
  args: readonly string[],
  { options, takesWords }: Command,
  env: Readonly<Record<string, string | undefined>>,
): CommandLine {
  const problems: string[] = [];
  const flags = new Map<string, string[]>();
  const positionals: string[] = [];
  const settings: string[] = [];
  const own = Object.entries(options).map(([name, { short, value, repeatable }]) => [
    name,
    { type: value === undefined ? 'boolean' : 'string', multiple: repeatable === true, ...(short ? { short } : {}) } as const,
  ]);
  const known = Object.keys(OPTIONS).map((name) => [name, { type: 'string' as const }]);
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries([...known, ...own]),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  for (const token of tokens) {
    if (token.kind === 'positional') (takesWords ? positionals : settings).push(token.value);
    if (token.kind !== 'option') continue;
    const option = Object.hasOwn(options, token.name) ? options[token.name] : undefined;
    if (option === undefined) {
      settings.push(token.value === undefined ? token.rawName : `${token.rawName}=${token.value}`);
      continue;
    }
    const before = flags.get(token.name);
    if (option.value !== undefined && token.value === undefined) problems.push(`${token.rawName} needs a value: ${option.value}`);
    else if (option.value === undefined && token.value !== undefined) problems.push(`${token.rawName} takes no value`);
    else if (before && option.value !== undefined && !option.repeatable)
      problems.push(`${token.rawName} is given twice: ${JSON.stringify(before[0])} and ${JSON.stringify(token.value)}`);
    else flags.set(token.name, [...(before ?? []), token.value ?? '']);
  }
  try {
    const config = readConfig(settings, env);
    if (problems.length === 0) return { flags, positionals, config };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    problems.push(...error.problems);
  }
  throw new ConfigError(problems);
}
