#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import closeWithGrace from 'close-with-grace';
import { pino } from 'pino';
import { ConfigError, readConfig } from './config.ts';
import { helpText } from './help.ts';
import { type Running, serve } from './serve.ts';

/** Exit codes: 0 stopped as asked, 1 could not start or failed, 2 wrong command line or environment. */
const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

/** In-flight requests end within their own timeout; after this the process ends regardless. */
const DRAIN_LIMIT_MS = 20_000;

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };

async function main(args: readonly string[]): Promise<void> {
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(helpText());
    return;
  }
  if (args.includes('--version')) {
    process.stdout.write(`openshell-sideload ${version}\n`);
    return;
  }
  const config = readConfig(args[0] === 'serve' ? args.slice(1) : args, process.env);
  const log = pino({
    level: config.logLevel,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (level) => ({ level }) },
  });
  let running: Running | undefined;
  // Before anything listens: a signal during the start ends the process too.
  closeWithGrace({ delay: config.shutdownDelay * 1000 + DRAIN_LIMIT_MS, logger: false }, async ({ err, signal }) => {
    if (err) log.fatal({ err }, 'ending after an error that nothing caught');
    else log.info({ signal }, 'asked to stop');
    await running?.drain();
  });
  try {
    running = await serve(config, version, log);
  } catch (error) {
    log.fatal({ err: error }, 'cannot start');
    // One of the two ports may be listening already.
    process.exit(EXIT_FAILED);
  }
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  const count = error.problems.length === 1 ? '1 setting is' : `${error.problems.length} settings are`;
  process.stderr.write(
    `openshell-sideload: ${count} wrong:\n${error.problems.map((problem) => `  ${problem}\n`).join('')}See openshell-sideload --help.\n`,
  );
  process.exitCode = EXIT_USAGE;
}
