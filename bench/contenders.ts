/** The servers that are measured side by side: each a process of its own, with one certificate and a log file for each. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Agent } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CA_FILE, ensureLocalCertificates } from '../src/tls/local.ts';
import { namesOfService } from '../src/tls/names.ts';
import { freePorts } from '../test/e2e/cluster/process.ts';
import { checkAnswers } from './answers.ts';
import { compileProduct } from './product.ts';
import { type Server, send, startServer } from './server.ts';

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** The command line of each. The product runs as its image starts it, metrics and log on, the log into a file. */
const SERVERS = {
  floor: (tls: string, port: number) => [path('./servers/floor.ts'), String(port), tls],
  plain: (tls: string, port: number) => [path('./servers/plain.ts'), String(port), tls],
  product: (tls: string, port: number, adminPort: number) => [
    ...compiled(),
    `--port=${port}`,
    `--admin-port=${adminPort}`,
    '--bind-address=127.0.0.1',
    `--tls-cert-dir=${tls}`,
    '--shutdown-delay=0',
  ],
};
/** Compiled once a run. */
let product: string[] | undefined;
function compiled(): string[] {
  product ??= compileProduct();
  return product;
}

export type Name = keyof typeof SERVERS;

/** A server that was started. */
interface Contender extends Server {
  readonly name: Name;
  /** Of the product; the others listen nowhere else. */
  readonly adminPort: number;
  /** Where its log goes. */
  readonly logFile: string;
}

/** A folder for certificates, logs and reviews, and what is done in it. */
export interface Bench {
  /** Writes reviews into a file that `load` reads; returns its path. */
  readonly write: (reviews: readonly string[]) => string;
  /** Starts a server; `review` is the first that it answers. */
  readonly start: (name: Name, review: string) => Promise<Contender>;
  /** Looks at the answer to each review. */
  readonly check: (server: Contender, reviews: readonly string[]) => Promise<void>;
}

/** Makes the folder and its certificate. Servers end and the folder goes with this process, also when it is interrupted. */
export async function openBench(): Promise<Bench> {
  const dir = mkdtempSync(join(tmpdir(), 'sideload-bench-'));
  const running = new Set<Server>();
  process.once('exit', () => {
    for (const server of running) void server.stop();
    rmSync(dir, { recursive: true });
  });
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
  const tls = join(dir, 'tls');
  await ensureLocalCertificates(tls, namesOfService('openshell-sideload', 'openshell-system'));
  let files = 0;
  return {
    write: (reviews) => {
      const file = join(dir, `reviews-${files++}.jsonl`);
      writeFileSync(file, `${reviews.join('\n')}\n`);
      return file;
    },
    start: async (name, review) => {
      const [port = 0, adminPort = 0] = await freePorts(2);
      const logFile = join(dir, `${name}.log`);
      const server = await startServer(SERVERS[name](tls, port, adminPort), port, review, logFile);
      running.add(server);
      const stop = async (): Promise<void> => {
        running.delete(server);
        await server.stop();
      };
      return { ...server, stop, name, adminPort, logFile };
    },
    check: async ({ name, port }, reviews) => {
      const agent = new Agent({ ca: readFileSync(join(tls, CA_FILE)), keepAlive: true, servername: 'localhost' });
      for (const review of reviews) checkAnswers(name, review, await send(port, agent, review));
      agent.destroy();
    },
  };
}
