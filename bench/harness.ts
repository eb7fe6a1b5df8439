/** The servers under measurement, each a process of its own, and the check of their responses before anything is measured. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { CA_FILE, ensureLocalCertificates } from '../src/tls/local.ts';
import { namesOfService } from '../src/tls/names.ts';
import { buildBundle, DIST } from '../test/e2e/bundle.ts';
import { freePorts } from '../test/e2e/cluster/process.ts';
import { createClient, postReview } from '../test/fuzz/client.ts';
import { judge } from '../test/fuzz/oracle.ts';
import { buildClient } from './client.ts';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const [SERVER_CORE, LOAD_CORE] = ['0', '1'];
/** All connections of a benchmark come from one address. */
const MANY = '--max-connections-per-peer=2000';

/**
 * Builds the product and returns the command line with which its image starts it, after `node`.
 *
 * @throws Error when it cannot be built, or the Dockerfile has no ENTRYPOINT in JSON
 */
export function buildProduct(): string[] {
  buildBundle();
  const entrypoint = /^ENTRYPOINT (\[.*\])$/m.exec(readFileSync(`${ROOT}Dockerfile`, 'utf8'))?.[1];
  if (entrypoint === undefined) throw new Error('Dockerfile: no ENTRYPOINT in JSON');
  return (JSON.parse(entrypoint) as string[]).slice(1).map((arg) => arg.replace(/^\/app\//, DIST));
}

type Name = 'floor' | 'long-floor' | 'plain' | 'product';
/** What each response holds. */
const WANTED: Readonly<Record<Name, string>> = {
  floor: '"allowed":true',
  'long-floor': '"patch":"',
  plain: '"patch":"',
  product: '"response":{',
};

export type Bench = Awaited<ReturnType<typeof openBench>>;
export type Server = Awaited<ReturnType<Bench['start']>>;

/** Makes a folder for certificates, logs and reviews, and a certificate. Servers end and the folder goes with this process, also when it is interrupted. */
export async function openBench() {
  const dir = mkdtempSync(join(tmpdir(), 'sideload-bench-'));
  process.once('exit', () => rmSync(dir, { recursive: true }));
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
  const tls = join(dir, 'tls');
  await ensureLocalCertificates(tls, namesOfService('openshell-sideload', 'openshell-system'));
  const send = buildClient(dir);
  let product: string[] | undefined;
  let files = 0;

  /** Starts a server on the given cores, by default on one of its own; `review` is the first that it responds to. */
  const start = async (name: Name, review: string, cores = SERVER_CORE, more: readonly string[] = []) => {
    const [port = 0, adminPort = 0] = await freePorts(2);
    if (name === 'product') product ??= buildProduct();
    const flags = [
      `--port=${port}`,
      `--admin-port=${adminPort}`,
      '--bind-address=127.0.0.1',
      `--tls-cert-dir=${tls}`,
      '--shutdown-delay=0',
      MANY,
      ...more,
    ];
    const args = name === 'product' ? [...(product ?? []), ...flags] : [`${ROOT}bench/servers/${name}.ts`, String(port), tls];
    const logFile = join(dir, `${name}.log`);
    const log = openSync(logFile, 'w');
    const started = performance.now();
    // NODE_ENV as in the image.
    const child = spawn('taskset', ['-c', cores, process.execPath, ...args], {
      stdio: ['ignore', log, log],
      env: { ...process.env, NODE_ENV: 'production' },
    });
    const kill = (): void => void child.kill('SIGTERM');
    process.once('exit', kill);
    const client = createClient(port, readFileSync(join(tls, CA_FILE), 'utf8'), 1);
    const responds = (): Promise<boolean> =>
      client
        .send(postReview(Buffer.from(review)))
        .then(({ status }) => status === 200)
        .catch(() => false);
    while (!(await responds())) {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`${name} ended: ${readFileSync(logFile, 'utf8')}`);
      await sleep(2);
    }
    return {
      // Of the product; the others listen nowhere else.
      adminPort,
      ...{ port, logFile, pid: child.pid ?? 0 },
      /** Milliseconds from its start to its first response. */
      startMs: performance.now() - started,
      /** Sends the reviews of a file over so many connections, from a core of its own; with options of client/main.go. */
      load: (file: string, connections: number, options: Readonly<Record<string, number>>) =>
        send(
          {
            ...{ url: `https://127.0.0.1:${port}/mutate`, ca: join(tls, CA_FILE), bodies: file, want: WANTED[name] },
            ...{ 'at-once': connections, idle: connections, pid: child.pid ?? 0, ...options },
          },
          LOAD_CORE,
        ),
      /** Judges the product's response to each review. @throws InvalidAnswerError */
      check: async (reviews: readonly string[]) => {
        for (const sent of reviews.map((each) => postReview(Buffer.from(each)))) {
          const response = await client.send(sent);
          if (name === 'product') judge(sent, response);
        }
      },
      stop: async () => {
        process.off('exit', kill);
        client.close();
        kill();
        if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      },
    };
  };
  /** Writes lines into a file; returns its path. */
  const write = (lines: readonly string[]): string => {
    const file = join(dir, `lines-${files++}.jsonl`);
    writeFileSync(file, `${lines.join('\n')}\n`);
    return file;
  };
  return { dir, write, start, send };
}
