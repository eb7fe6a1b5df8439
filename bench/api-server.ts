/**
 * `npm run bench:api-server`: what the webhook adds to the creation of a pod on a real API server, beside a webhook that does
 * nothing and beside none, with few and with many creators. All of them share the cores of this machine.
 *
 * `--rounds=5 --seconds=2.5 --creators=1,10,50`; `--write` puts the tables into docs/performance.md.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { Agent } from 'node:https';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { parseAllDocuments } from 'yaml';
import { ensureLocalCertificates } from '../src/tls/local.ts';
import { namesOfService } from '../src/tls/names.ts';
import { clusterAdmin } from '../test/e2e/cluster/cluster-admin.ts';
import { startControlPlane } from '../test/e2e/cluster/control-plane.ts';
import { freePorts } from '../test/e2e/cluster/process.ts';
import { writeOverlay } from '../test/e2e/webhook.ts';
import { type Bench, measure } from './api-server/cell.ts';
import { runCreators } from './api-server/creators.ts';
import { type Cell, type Measured, SETUPS, type Setup, tables } from './api-server/report.ts';
import { dayAndMachine, writeSection } from './document.ts';
import { EMPTY, readHistogram } from './histogram.ts';
import { compileProduct } from './product.ts';
import { makeReviews } from './reviews.ts';
import { type Server, send, startServer } from './server.ts';

const WARM_UP_SECONDS = 3;
const NO_OP = fileURLToPath(new URL('./servers/no-op.ts', import.meta.url));
const EVERY_CORE = `0-${availableParallelism() - 1}`;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '2.5' },
    creators: { type: 'string', default: '1,10,50' },
    write: { type: 'boolean', default: false },
  },
});
const [rounds, seconds] = [values.rounds, values.seconds].map(Number) as [number, number];
const numbersOfCreators = values.creators.split(',').map(Number);

const dir = mkdtempSync(join(tmpdir(), 'sideload-bench-'));
const tls = join(dir, 'tls');
await ensureLocalCertificates(tls, namesOfService('openshell-sideload', 'openshell-system'));
const cluster = await startControlPlane(join(dir, 'cluster'), '127.0.0.1', {
  release: '1.36',
  // Pods are removed between two measurements.
  flags: ['--delete-collection-workers=8'],
});
const admin = clusterAdmin(cluster);
const servers: Server[] = [];

/** Starts a webhook that may use every core, like all else here, and sends it so many reviews that its code is compiled. */
async function serve(name: Setup, port: number, args: readonly string[]): Promise<Server> {
  const reviews = makeReviews(200).map((review) => JSON.stringify(review));
  const [first = ''] = reviews;
  const server = await startServer(args, port, first, join(dir, `${name}.log`), EVERY_CORE);
  servers.push(server);
  const agent = new Agent({ keepAlive: true, rejectUnauthorized: false });
  let sent = 0;
  await runCreators(() => send(port, agent, reviews[sent++ % reviews.length] ?? first), 16, WARM_UP_SECONDS);
  agent.destroy();
  return server;
}

/** The product's MutatingWebhookConfiguration, with the address of a server of this machine. */
async function configurationFor(port: number): Promise<object> {
  const documents = parseAllDocuments(await cluster.run(['kustomize', writeOverlay(dir, port)]));
  return documents.map((document) => document.toJS()).find(({ kind }) => kind === 'MutatingWebhookConfiguration');
}

async function open(): Promise<Bench> {
  await cluster.run(['create', 'namespace', 'agents']);
  await cluster.run(['label', 'namespace', 'agents', 'openshell.ai/sideload=enabled']);
  // The controller that makes it does not run here.
  await cluster.run(['create', 'serviceaccount', 'default', '-n', 'agents']);
  const [noOpPort = 0, port = 0, adminPort = 0] = await freePorts(3);
  const noOp = await serve('no-op', noOpPort, [NO_OP, String(noOpPort), tls]);
  const flags = [`--port=${port}`, `--admin-port=${adminPort}`, '--bind-address=127.0.0.1', `--tls-cert-dir=${tls}`];
  const product = await serve('product', port, [...compileProduct(), ...flags, '--shutdown-delay=0']);
  const decisions = async () => {
    const metrics = await fetch(`http://127.0.0.1:${adminPort}/metrics`);
    if (!metrics.ok) throw new Error(`metrics of the product: HTTP ${metrics.status}`);
    return readHistogram(await metrics.text(), 'openshell_sideload_admission_duration_seconds');
  };
  return {
    admin,
    webhooks: {
      none: { configuration: undefined, cpu: () => 0, decisions: async () => EMPTY },
      'no-op': { configuration: await configurationFor(noOpPort), cpu: noOp.cpu, decisions: async () => EMPTY },
      product: { configuration: await configurationFor(port), cpu: product.cpu, decisions },
    },
  };
}

/** Every set-up with every number of creators, in interleaved rounds. */
async function measureAll(bench: Bench): Promise<Measured> {
  // The first pods of an API server count no more than the first reviews of a webhook.
  for (const setup of SETUPS) await measure(bench, setup, 10, 1);
  const measured = new Map(
    numbersOfCreators.map((creators) => [creators, { none: [], 'no-op': [], product: [] } as Record<Setup, Cell[]>]),
  );
  for (let round = 0; round < rounds; round++) {
    for (const [creators, cells] of measured) {
      process.stderr.write(`round ${round + 1} of ${rounds}: creators: ${creators}\n`);
      for (const setup of SETUPS) cells[setup].push(await measure(bench, setup, creators, seconds));
    }
  }
  return measured;
}

let measured: Measured;
let version: string;
try {
  measured = await measureAll(await open());
  version = JSON.parse((await admin.send('GET', '/version')).body).gitVersion;
} finally {
  admin.close();
  for (const server of servers) await server.stop();
  await cluster.stop();
}
rmSync(dir, { recursive: true });

const cells = [...measured.values()].flatMap((setups) => Object.values(setups).flat());
const pods = cells.reduce((sum, cell) => sum + cell.pods, 0);
const conditions = `${dayAndMachine()}; ${rounds} rounds of ${seconds} s, ${pods} pods, kube-apiserver ${version}, etcd without fsync; API server, etcd, webhooks and creators share the cores`;
const printed = `${tables(measured)}\n\n${conditions}`;
process.stdout.write(`${printed}\n`);
if (values.write) writeSection('bench:api-server', printed);
process.exitCode = cells.some(({ errors }) => errors > 0) ? 1 : 0;
