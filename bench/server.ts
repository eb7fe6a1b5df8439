/** A server under measurement: a process of its own, on a core of its own unless told otherwise. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';

const SERVER_CORE = '0';
const TICKS_PER_SECOND = 100;

export interface Server {
  readonly port: number;
  /** Milliseconds from its start to its first answer. */
  readonly startMs: number;
  /** Seconds of CPU that it has taken, in user and kernel mode. */
  readonly cpu: () => number;
  /** Resident memory in MiB. */
  readonly rss: () => number;
  readonly stop: () => Promise<void>;
}

/** Sends one review over a connection of the agent and returns the answer. */
export function send(port: number, agent: Agent, body: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const call = request(
      { host: '127.0.0.1', port, path: '/mutate', method: 'POST', agent, headers: { 'content-type': 'application/json' } },
      (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body: text }));
      },
    );
    call.on('error', reject).end(body);
  });
}

/**
 * Starts a server and waits for its first answer.
 *
 * @param args for node, with its port among them
 * @param logFile where its output goes
 * @param cores that it may use, as taskset names them
 */
export async function startServer(
  args: readonly string[],
  port: number,
  review: string,
  logFile: string,
  cores = SERVER_CORE,
): Promise<Server> {
  const log = openSync(logFile, 'w');
  const started = performance.now();
  const child = spawn('taskset', ['-c', cores, process.execPath, ...args], {
    stdio: ['ignore', log, log],
    // As in the image.
    env: { ...process.env, NODE_ENV: 'production' },
  });
  // The certificate is made for this run; whether it is trusted is no matter of speed.
  const agent = new Agent({ rejectUnauthorized: false });
  for (;;) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`${args.join(' ')} ended: ${readFileSync(logFile, 'utf8')}`);
    const answered = await send(port, agent, review).then(
      ({ status }) => status === 200,
      () => false,
    );
    if (answered) break;
    await sleep(2);
  }
  const startMs = performance.now() - started;
  agent.destroy();
  const proc = `/proc/${child.pid}`;
  return {
    port,
    startMs,
    cpu: () => {
      // Fields 14 and 15, counted behind the program's name, which may hold spaces (proc_pid_stat(5)).
      const fields = readFileSync(`${proc}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
      return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
    },
    rss: () => Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`${proc}/status`, 'utf8'))?.[1]) / 1024,
    stop: async () => {
      child.kill('SIGTERM');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    },
  };
}
