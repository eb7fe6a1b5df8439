import { type DestinationStream, type Logger, pino } from 'pino';

/** A reader that is slow, or away, must not hold up admissions, nor take more memory than this. */
const MAX_BUFFERED_BYTES = 8 * 1024 * 1024;
/** So much is written at once while the event loop is busy; whatever there is, when it has come round. */
const BUFFER_BYTES = 8 * 1024;

/**
 * Makes the process's log: JSON, a line an event, on standard output. Lines for which the buffer has no room are lost; those in
 * it are written when the process ends by itself.
 */
export function createLog(level: string): Logger {
  const destination = pino.destination({ fd: 1, sync: false, minLength: BUFFER_BYTES, maxLength: MAX_BUFFERED_BYTES });
  let flushing = false;
  const write = (line: string): void => {
    destination.write(line);
    if (flushing) return;
    flushing = true;
    setImmediate(() =>
      destination.flush(() => {
        flushing = false;
      }),
    );
  };
  const flushSync = (): void => destination.flushSync();
  process.on('exit', flushSync);
  const formatters = { level: (label: string) => ({ level: label }) };
  const stream: DestinationStream & { flushSync: () => void } = { write, flushSync };
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime, formatters }, stream);
}
