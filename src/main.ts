#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { type Command, EXIT, readCommandLine } from './cli/command.ts';
import { UsageError } from './config/config.ts';
import { ExpectedError } from './observe/expected-error.ts';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };

/** Loaded when they are needed: serving takes no YAML library, a command line no web server. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  serve: async () => (await import('./cli/serve.ts')).serve,
  inject: async () => (await import('./cli/inject.ts')).inject,
  check: async () => (await import('./cli/check.ts')).check,
  explain: async () => (await import('./cli/explain/explain.ts')).explain,
  policy: async () => (await import('./cli/policy.ts')).policy,
  backstop: async () => (await import('./cli/backstop.ts')).backstop,
};

async function main(args: readonly string[]): Promise<number> {
  const [first = ''] = args;
  const named = Object.hasOwn(COMMANDS, first) ? COMMANDS[first] : undefined;
  if (args.includes('--help') || args.includes('-h')) {
    const { commandHelp, helpText } = await import('./cli/help.ts');
    const commands = Object.values(COMMANDS).map((load) => load());
    process.stdout.write(named ? commandHelp(await named()) : helpText(await Promise.all(commands)));
    return EXIT.done;
  }
  if (args.includes('--version')) {
    process.stdout.write(`openshell-sideload ${version}\n`);
    return EXIT.done;
  }
  // A word that is no command is a mistake, which the command line of serve reports.
  const command = await (named ?? COMMANDS.serve)?.();
  if (!command) return EXIT.usage;
  return command.run(readCommandLine(named ? args.slice(1) : args, command, process.env), version);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (error instanceof UsageError) {
    const count = error.problems.length === 1 ? '1 problem' : `${error.problems.length} problems`;
    const problems = error.problems.map((problem) => `  ${problem}\n`).join('');
    process.stderr.write(`openshell-sideload: ${count}:\n${problems}See openshell-sideload --help.\n`);
    process.exitCode = EXIT.usage;
  } else {
    const text = error instanceof ExpectedError ? error.message : String((error as Error).stack ?? error);
    process.stderr.write(`openshell-sideload: ${text}\n`);
    process.exitCode = EXIT.failed;
  }
}
