#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { type Command, EXIT, readCommandLine } from './cli/command.ts';
import { PROGRAM } from './cli/program.ts';
import { didYouMean } from './config/arguments.ts';
import { UsageError } from './config/config.ts';
import { ExpectedError } from './observe/expected-error.ts';

// Of what is loaded from here on: where it is bundled, stack traces name the lines of the sources.
process.setSourceMapsEnabled(true);

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };

/** Loaded when they are needed: serving takes no YAML library, a command line no web server. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  serve: async () => (await import('./cli/serve.ts')).serve,
  inject: async () => (await import('./cli/inject.ts')).inject,
  uninject: async () => (await import('./cli/uninject.ts')).uninject,
  check: async () => (await import('./cli/check.ts')).check,
  explain: async () => (await import('./cli/explain/explain.ts')).explain,
  policy: async () => (await import('./cli/policy.ts')).policy,
  backstop: async () => (await import('./cli/backstop.ts')).backstop,
  'admission-policy': async () => (await import('./cli/admission-policy.ts')).admissionPolicy,
  version: async () => (await import('./cli/version.ts')).version,
  completion: async () => (await import('./cli/completion.ts')).completionOf(allCommands),
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

async function help(name: string | undefined): Promise<number> {
  const { commandHelp, helpText } = await import('./cli/help.ts');
  process.stdout.write(name === undefined ? helpText(await allCommands()) : commandHelp(await commandOf(name)));
  return EXIT.done;
}

async function main(args: readonly string[]): Promise<number> {
  const [first = '', ...rest] = args;
  const name = first === '' || first.startsWith('-') ? undefined : first;
  if (name === 'help') return help(rest[0]);
  if (args.includes('--help') || args.includes('-h')) return help(name);
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
