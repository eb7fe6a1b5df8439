import { type Logger, pino } from 'pino';

/** Lines are written when this many characters have come together, or when so much time has passed since the first of them. */
const CHUNK_LENGTH = 16 * 1024;
const DELAY_MS = 50;
/** A log reader that is slow or gone must neither hold up admissions nor take more memory than this. */
const MAX_WAITING_BYTES = 4 * 1024 * 1024;

let now = 0;
let timestampOfNow = '';

/** As pino's own isoTime, but made once a millisecond. */
function timestamp(): string {
  const time = Date.now();
  if (time !== now) {
    now = time;
    timestampOfNow = `,"time":"${new Date(time).toISOString()}"`;
  }
  return timestampOfNow;
}

/** The process's log. */
export interface Log {
  readonly logger: Logger;
  /** How many lines were dropped because the log reader was too slow or gone. */
  readonly lostLines: () => number;
}

/**
 * Opens the process's log: JSON, a line an event, on standard output. Writing does not block; what is still waiting when the
 * process ends by itself is written then.
 *
 * Lines are put together here, because pino's destination counts its whole content again with each line.
 *
 * @param level the lowest that is written, one of pino's
 */
export function openLog(level: string): Log {
  const destination = pino.destination({ dest: 1, sync: false, maxLength: MAX_WAITING_BYTES });
  let lost = 0;
  destination.on('drop', (chunk: string) => {
    lost += chunk.split('\n').length - 1;
  });
  let lines = '';
  let timer: NodeJS.Timeout | undefined;
  const handOver = (): void => {
    clearTimeout(timer);
    timer = undefined;
    if (lines !== '') destination.write(lines);
    lines = '';
  };
  const write = (line: string): void => {
    lines += line;
    if (lines.length >= CHUNK_LENGTH) handOver();
    else timer ??= setTimeout(handOver, DELAY_MS);
  };
  const flushSync = (): void => {
    handOver();
    destination.flushSync();
  };
  process.on('exit', flushSync);
  const formatters = { level: (label: string) => ({ level: label }) };
  const logger = pino({ level, base: null, timestamp, formatters }, { write, flushSync } as pino.DestinationStream);
  return { logger, lostLines: () => lost };
}

/**
 * Opens a log for a person at a terminal: readable lines, if pino-pretty is installed, as it is for development.
 *
 * @returns undefined if it is not
 */
export async function openTerminalLog(level: string): Promise<Log | undefined> {
  const pretty = await import('pino-pretty').catch(() => undefined);
  if (!pretty) return undefined;
  const stream = pretty.default({ sync: true, translateTime: 'SYS:HH:MM:ss.l' });
  return { logger: pino({ level, base: null }, stream), lostLines: () => 0 };
}
