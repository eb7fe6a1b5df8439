/** The servers under measurement, each a process of its own, and the check of their responses before anything is measured. */

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import jsonPatch from 'fast-json-patch';
import { readConfig } from '../src/config/config.ts';
import { decide } from '../src/sideload/decide.ts';
import { UNKNOWN_CLUSTER } from '../src/sideload/settings.ts';
import { CA_FILE, ensureLocalCertificates } from '../src/tls/local.ts';
import { namesOfService } from '../src/tls/names.ts';
import { freePorts } from '../test/e2e/cluster/process.ts';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const SERVER_CORE = '0';
const TICKS_PER_SECOND = 100;
/** All connections of a benchmark come from one address. */
const MANY = '--max-connections-per-peer=2000';
const { sideload } = readConfig([], {});

/**
 * Compiles the product and returns the command line with which its image starts it, after `node`.
 *
 * @throws Error when it cannot be compiled, or the Dockerfile has no ENTRYPOINT in JSON
 */
export function compileProduct(): string[] {
  execFileSync('npm', ['run', '--silent', 'prepack'], { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] });
  const entrypoint = /^ENTRYPOINT (\[.*\])$/m.exec(readFileSync(`${ROOT}Dockerfile`, 'utf8'))?.[1];
  if (entrypoint === undefined) throw new Error('Dockerfile: no ENTRYPOINT in JSON');
  return (JSON.parse(entrypoint) as string[]).slice(1).map((arg) => arg.replace(/^\/app\//, ROOT));
}

type Name = 'floor' | 'plain' | 'no-op' | 'product';

export type Server = Awaited<ReturnType<Awaited<ReturnType<typeof openBench>>['start']>>;

/** Makes a folder for certificates, logs and reviews, and a certificate. Servers end and the folder goes with this process, also when it is interrupted. */
export async function openBench() {
  const dir = mkdtempSync(join(tmpdir(), 'sideload-bench-'));
  const ends = new Set<() => void>();
  process.once('exit', () => {
    for (const end of ends) end();
    rmSync(dir, { recursive: true });
  });
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
  const tls = join(dir, 'tls');
  await ensureLocalCertificates(tls, namesOfService('openshell-sideload', 'openshell-system'));
  let product: string[] | undefined;
  let files = 0;

  /** Starts a server on the given cores, by default on one of its own; `review` is the first that it responds to. */
  const start = async (name: Name, review: string, cores = SERVER_CORE) => {
    const [port = 0, adminPort = 0] = await freePorts(2);
    if (name === 'product') product ??= compileProduct();
    const flags = [
      `--port=${port}`,
      `--admin-port=${adminPort}`,
      '--bind-address=127.0.0.1',
      `--tls-cert-dir=${tls}`,
      '--shutdown-delay=0',
      MANY,
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
    ends.add(kill);
    const agent = new Agent({ ca: readFileSync(join(tls, CA_FILE)), keepAlive: true, servername: 'localhost' });
    const send = (body: string) => post(port, agent, body);
    const responds = (): Promise<boolean> =>
      send(review)
        .then(({ status }) => status === 200)
        .catch(() => false);
    while (!(await responds())) {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`${name} ended: ${readFileSync(logFile, 'utf8')}`);
      await sleep(2);
    }
    const proc = `/proc/${child.pid}`;
    return {
      // Of the product; the others listen nowhere else.
      adminPort,
      ...{ port, logFile },
      /** Milliseconds from its start to its first response. */
      startMs: performance.now() - started,
      /** Seconds of CPU that it has taken, in user and kernel mode. */
      cpu: () => {
        // Fields 14 and 15, counted behind the program's name, which may hold spaces (proc_pid_stat(5)).
        const fields = readFileSync(`${proc}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
        return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
      },
      /** Resident memory in MiB. */
      rss: () => Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`${proc}/status`, 'utf8'))?.[1]) / 1024,
      /** Checks the response to each review. @throws Error at the first that is not as it has to be */
      check: async (reviews: readonly string[]) => {
        for (const each of reviews) checkResponse(name, each, await send(each));
      },
      stop: async () => {
        ends.delete(kill);
        agent.destroy();
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
  return { dir, write, start };
}

function post(port: number, agent: Agent, body: string): Promise<{ status: number; body: string }> {
  const options = { host: '127.0.0.1', port, path: '/mutate', method: 'POST', agent, headers: { 'content-type': 'application/json' } };
  return new Promise((resolve, reject) => {
    const call = request(options, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
    });
    call.on('error', reject).end(body);
  });
}

/** @throws Error when a response is not what the server has to send */
function checkResponse(name: Name, review: string, { status, body }: { status: number; body: string }): void {
  const admission = JSON.parse(review).request;
  const { response } = JSON.parse(body);
  const fail = (what: string): never => {
    throw new Error(`${name}: ${what}: ${body.slice(0, 300)}`);
  };
  const constant = name === 'floor' || name === 'no-op';
  const expected = decide(admission.object, sideload, UNKNOWN_CLUSTER);
  if (status !== 200 || response.allowed !== (constant || expected.verdict !== 'refuse')) fail(`HTTP ${status}`);
  if (constant) return;
  if (response.uid !== admission.uid) fail('the uid of another review');
  if (expected.verdict !== 'inject') {
    if ((response.auditAnnotations.reason ?? response.auditAnnotations.skipped) !== expected.reason) fail(`not ${expected.reason}`);
    return;
  }
  const operations = JSON.parse(Buffer.from(response.patch, 'base64').toString());
  const outcome = decide(jsonPatch.applyPatch(admission.object, operations, true).newDocument, sideload, UNKNOWN_CLUSTER);
  if (outcome.reason !== 'already-sideloaded') fail(`the pod is not under its supervisor (${outcome.reason})`);
}
