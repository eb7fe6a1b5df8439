/** The command line: which command runs, and what is said where none can. */

import { readFileSync } from 'node:fs';
import { didYouMean } from '../config/arguments.ts';
import { UsageError } from '../config/config.ts';
import { ExpectedError } from '../observe/expected-error.ts';
import { type Command, EXIT, readCommandLine } from './command.ts';
import { PROGRAM } from './program.ts';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };

/** Loaded when they are needed: serving takes no YAML library, a command line no web server. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  serve: async () => (await import('./serve.ts')).serve,
  inject: async () => (await import('./inject.ts')).inject,
  uninject: async () => (await import('./uninject.ts')).uninject,
  check: async () => (await import('./check.ts')).check,
  explain: async () => (await import('./explain/explain.ts')).explain,
  policy: async () => (await import('./policy.ts')).policy,
  backstop: async () => (await import('./backstop.ts')).backstop,
  'admission-policy': async () => (await import('./admission-policy.ts')).admissionPolicy,
  version: async () => (await import('./version.ts')).version,
  completion: async () => (await import('./completion.ts')).completionOf(allCommands),
};

async function allCommands(): Promise<ReadonlyMap<string, Command>> {
  return new Map(await Promise.all(Object.entries(COMMANDS).map(async ([name, load]) => [name, await load()] as const)));
}

/** The command of this name. @throws UsageError where there is none */
async function commandOf(name: string): Promise<Command> {
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!load) throw new UsageError([`unknown command ${JSON.stringify(name)}: ${didYouMean(name, Object.keys(COMMANDS))}`]);
  return load();
}

async function help(names: readonly string[]): Promise<number> {
  const [name, ...others] = names;
  if (others.length > 0) throw new UsageError([`help takes one command, not ${names.length}: ${names.join(' ')}`]);
  const { commandHelp, helpText } = await import('./help.ts');
  process.stdout.write(name === undefined ? helpText(await allCommands()) : commandHelp(await commandOf(name)));
  return EXIT.done;
}

async function main(args: readonly string[]): Promise<number> {
  const [first = '', ...rest] = args;
  const name = first === '' || first.startsWith('-') ? undefined : first;
  if (name === 'help') return help(rest.filter((word) => !word.startsWith('-')));
  if (args.includes('--help') || args.includes('-h')) return help(name === undefined ? [] : [name]);
  if (args.includes('--version')) {
    process.stdout.write(`openshell-sideload ${version}\n`);
    return EXIT.done;
  }
  const command = await commandOf(name ?? 'serve');
  return command.run(readCommandLine(name === undefined ? args : rest, command, process.env), version);
}

// A reader such as head has what it wants.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') process.stderr.write(`${PROGRAM}: cannot write to standard output: ${error.message}\n`);
  process.exit(EXIT.failed);
});

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (error instanceof UsageError) {
    const count = error.problems.length === 1 ? '1 problem' : `${error.problems.length} problems`;
    const problems = error.problems.map((problem) => `  ${problem}\n`).join('');
    process.stderr.write(`${PROGRAM}: ${count}:\n${problems}See ${PROGRAM} --help.\n`);
    process.exitCode = EXIT.usage;
  } else {
    const text = error instanceof ExpectedError ? error.message : String((error as Error).stack ?? error);
    process.stderr.write(`${PROGRAM}: ${text}\n`);
    process.exitCode = EXIT.failed;
  }
}
