import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** A program that a test started. */
export interface Process {
  readonly name: string;
  readonly pid: number;
  /** Whether it ended by itself. */
  readonly ended: () => boolean;
  /** The end of what it printed. */
  readonly tail: () => string;
  /** Sends a signal (SIGTERM), after half a minute SIGKILL, and waits until the program has ended and its log is complete. */
  readonly stop: (signal?: NodeJS.Signals) => Promise<void>;
}

/** How long a stopped program may take to end by itself. */
const STOP_MS = 30_000;
/** The bound of every wait. Only a fault reaches it: on a busy machine everything takes many times as long. */
const WAIT_MS = 5 * 60_000;
/** The same bound, for commands that wait themselves: `kubectl wait`, `kubectl rollout status`, `helm --wait`. */
export const WAIT_FLAG = `--timeout=${WAIT_MS / 1000}s`;

/** What still runs is ended with the test run, however that ends. */
const children = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

/**
 * Starts a program; its output goes to a file. It is written by the program itself: a pipe would be read by the test, and a kubelet
 * would stand still while the test waits for a command.
 */
export function start(
  name: string,
  command: string,
  args: readonly string[],
  logFile: string,
  env: NodeJS.ProcessEnv = process.env,
): Process {
  writeFileSync(logFile, '');
  const log = openSync(logFile, 'a');
  const child = spawn(command, args, { stdio: ['ignore', log, log], env });
  closeSync(log);
  children.add(child);
  const closed = once(child, 'close').finally(() => children.delete(child));
  const ended = (): boolean => child.exitCode !== null || child.signalCode !== null;
  return {
    name,
    // A program that cannot be started has none.
    pid: child.pid ?? -1,
    ended,
    tail: () => readFileSync(logFile, 'utf8').split('\n').slice(-15).join('\n'),
    stop: async (signal = 'SIGTERM') => {
      child.kill(signal);
      const force = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
      await closed;
      clearTimeout(force);
    },
  };
}

/** Waits until something holds, however long that takes on a busy machine; fails at once when one of the processes has ended. */
export async function waitFor(what: string, holds: () => boolean | Promise<boolean>, processes: readonly Process[] = []): Promise<void> {
  for (const end = Date.now() + WAIT_MS; Date.now() < end; await sleep(100)) {
    if (await holds()) return;
    for (const program of processes)
      if (program.ended()) throw new Error(`${program.name} ended while waiting for ${what}:\n${program.tail()}`);
  }
  throw new Error(
    `not within ${WAIT_MS / 1000} s: ${what}\n${processes.map((program) => `${program.name}:\n${program.tail()}`).join('\n')}`,
  );
}

/** Ports of 127.0.0.1 that nobody listens on. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
  return ports;
}
