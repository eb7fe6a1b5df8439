/** What `inject` and `uninject` have in common: what they read, and whether they print it. */

import { type Config, configOf, UsageError } from '../../config/config.ts';
import { type CommandLine, EXIT } from '../command.ts';
import { sourcesOf } from './files.ts';
import { type Kinds, kindsWith } from './pods.ts';
import { type Edited, type Format, formatOf, printEdited } from './print.ts';
import { type Manifest, readManifests } from './read.ts';
import { settingsIn } from './resource-list.ts';

export interface Input {
  readonly manifests: readonly Manifest[];
  readonly kinds: Kinds;
  readonly format: Format;
  readonly config: Config;
}

/**
 * Reads the manifests that a command line names, and the settings for them: what it says itself wins over what a function is given.
 *
 * @throws UsageError
 */
export async function readInput({ flags, positionals }: CommandLine): Promise<Input> {
  const format = formatOf(flags);
  const kinds = kindsWith(flags.get('template-path'));
  const manifests = await readManifests(sourcesOf(flags, positionals));
  const config = configOf({ flags: new Map([...settingsIn(manifests), ...flags]), positionals: [], problems: [] }, process.env);
  return { manifests, kinds, format, config };
}

/**
 * Prints all documents, or none: a user who pipes them into kubectl must not get a part, least of all the part without a supervisor.
 *
 * @param problems of pods that are not valid
 * @param obstacles how many pods, and what is wrong with them
 * @returns the exit code
 * @throws UsageError where a pod is not valid
 */
export function printAll(
  results: readonly Edited[],
  format: Format,
  problems: readonly string[],
  obstacles: readonly (readonly [count: number, what: string])[],
): number {
  if (problems.length > 0) throw new UsageError(problems);
  const parts = obstacles.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
  if (parts.length > 0) {
    process.stderr.write(`${parts.join(', ')}: nothing is printed\n`);
    return EXIT.failed;
  }
  process.stdout.write(printEdited(results, format));
  return EXIT.done;
}
