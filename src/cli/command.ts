/**
 * The commands, one file each, as a person at a terminal sees them. This folder may import all others.
 *
 * This file: what the commands have in common, their own options beside the settings, and how the command line is read.
 */

import { type ArgumentSpec, readArguments, unexpected } from '../config/arguments.ts';
import { type Config, configOf } from '../config/config.ts';
import { OPTIONS } from '../config/options.ts';

/** Exit codes of every command: 0 done, 1 failed or refused, 2 the command line, the environment or a file cannot be used. */
export const EXIT = { done: 0, failed: 1, usage: 2 } as const;

/** An option of one command. The settings of src/config/options.ts are understood by every command. */
export interface CommandOption extends ArgumentSpec {
  readonly description: string;
}

export interface CommandLine {
  /** The values of the command's own options, by long name; of a switch, one empty value. */
  readonly flags: ReadonlyMap<string, readonly string[]>;
  readonly positionals: readonly string[];
  readonly config: Config;
}

export interface Command {
  readonly usage: string;
  /** One line of the list of commands. */
  readonly summary: string;
  readonly description: string;
  readonly options: Readonly<Record<string, CommandOption>>;
  /** Words behind the program's name, and what they do. */
  readonly examples: readonly (readonly [string, string])[];
  /** Whether words without a dash are understood. */
  readonly takesWords: boolean;
  /** @returns the exit code */
  readonly run: (line: CommandLine, version: string) => Promise<number>;
}

/**
 * Reads a command's own options, and the settings.
 *
 * @throws UsageError with every problem of either
 */
export function readCommandLine(
  args: readonly string[],
  { options, takesWords }: Command,
  env: Readonly<Record<string, string | undefined>>,
): CommandLine {
  const { flags, positionals, problems } = readArguments(args, { ...OPTIONS, ...options });
  const unknown = takesWords ? [] : positionals.map(unexpected);
  const config = configOf({ flags, positionals, problems: [...unknown, ...problems, ...unlistedValues(flags, options)] }, env);
  return { flags, positionals, config };
}

/** Values that an option of the command does not understand. The settings read their own, which may come from the environment too. */
function unlistedValues(flags: CommandLine['flags'], options: Command['options']): string[] {
  return Object.entries(options).flatMap(([name, { values }]) =>
    (flags.get(name) ?? [])
      .filter((value) => values !== undefined && !values.includes(value))
      .map((value) => `--${name} ${JSON.stringify(value)}: expected ${values?.join(', ')}`),
  );
}
