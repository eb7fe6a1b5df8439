/** `openshell-sideload serve`: the webhook as a process, with its log and its signals. */

import closeWithGrace from 'close-with-grace';
import { openLog, openTerminalLog } from '../observe/log.ts';
import { type Running, startWebhook } from '../server/start.ts';
import { type Command, type CommandLine, EXIT } from './command.ts';

/** In-flight requests end within their own timeout; after this the process ends regardless. */
const DRAIN_LIMIT_MS = 20_000;

async function run({ config }: CommandLine, version: string): Promise<number> {
  const { logger: log, lostLines } = (process.stdout.isTTY && (await openTerminalLog(config.logLevel))) || openLog(config.logLevel);
  let running: Running | undefined;
  // Before anything listens: a signal during the start ends the process too.
  closeWithGrace({ delay: config.shutdownDelay * 1000 + DRAIN_LIMIT_MS, logger: false }, async ({ err, signal }) => {
    if (err) log.fatal({ err }, 'stopping after an uncaught error');
    else log.info({ signal }, 'stopping');
    await running?.drain();
  });
  try {
    running = await startWebhook(config, version, log, lostLines);
  } catch (error) {
    log.fatal({ err: error }, 'cannot start');
    // One of the two ports may be listening already.
    process.exit(EXIT.failed);
  }
  return EXIT.done;
}

export const serve: Command = {
  summary: 'Serves the webhook. This is the default command.',
  usage: '[serve] [SETTINGS]',
  description: 'Serves the webhook until SIGTERM or SIGINT. This is the default command.',
  options: {},
  examples: [['serve --log-level=debug', 'with certificates of its own, in ./certs']],
  takesWords: false,
  run,
};
