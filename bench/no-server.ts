/**
 * `npm run bench:no-server`: what the creation of a pod takes on a real API server without any guard, with the webhook and the
 * backstop, and with the admission policies of `openshell-sideload admission-policy`, of which the backstop is a part.
 *
 * `--rounds=3 --seconds=2.5 --creators=1,10`; `--write` puts the table into docs/performance.md.
 */

import { availableParallelism } from 'node:os';
import { parseAllDocuments } from 'yaml';
import { policyTexts } from '../src/cli/admission-policy.ts';
import { readBackstop } from '../src/cli/backstop.ts';
import { readConfig } from '../src/config/config.ts';
import { waitFor } from '../test/e2e/cluster/process.ts';
import { writeOverlay } from '../test/e2e/webhook.ts';
import { startCluster } from './cluster.ts';
import { openBench } from './harness.ts';
import { total } from './metrics.ts';
import { type Column, dayAndMachine, options, publish, table } from './report.ts';
import { makeReviews } from './reviews.ts';

const SETUPS = ['none', 'webhook and backstop', 'policies'] as const;
type Setup = (typeof SETUPS)[number];
const [WARM_UP_SECONDS, MOST_PODS_A_SECOND] = [3, 3000];

const values = options({ rounds: 3, seconds: 2.5, creators: '1,10' });
const { rounds, seconds } = values;
const bench = await openBench();
// Pods are removed between two measurements.
const cluster = await startCluster(bench, ['--delete-collection-workers=8']);

const reviews = makeReviews(200);
const webhook = await bench.start('product', reviews[0] ?? '', `0-${availableParallelism() - 1}`);
await webhook.load(bench.write(reviews), 16, { seconds: WARM_UP_SECONDS });

const { stored, changed } = readBackstop();
const documents = parseAllDocuments(await cluster.run(['kustomize', writeOverlay(bench.dir, webhook.port)])).map((each) => each.toJS());
const configuration = JSON.stringify(documents.find(({ kind }) => kind === 'MutatingWebhookConfiguration'));
const OBJECTS: Readonly<Record<Setup, readonly string[]>> = {
  none: [],
  'webhook and backstop': [configuration, `${stored}---\n${changed}`],
  policies: [policyTexts(readConfig(['--missing-command=shell', '--entrypoint=off'], {}), 'refuse')],
};

/** Creates pods for some time, or one as a dry run. */
function create(setup: Setup, creators: number, limit: number, dryRun = false) {
  const measured = { seconds: dryRun ? 0 : limit, ...(setup === 'none' ? { want: '"kind":"Pod"' } : {}) };
  return cluster.create(dryRun ? 1 : Math.ceil(limit * MOST_PODS_A_SECOND), creators, measured, dryRun ? '?dryRun=All' : '');
}

const kinds = ['mutatingwebhookconfigurations', 'mutatingadmissionpolicies', 'mutatingadmissionpolicybindings'];
kinds.push('validatingadmissionpolicies', 'validatingadmissionpolicybindings');

/** What the API server measures of itself. */
async function readings() {
  const page = await cluster.run(['get', '--raw', '/metrics']);
  return { bytes: total(page, 'process_resident_memory_bytes'), cpu: total(page, 'process_cpu_seconds_total') };
}

async function register(setup: Setup): Promise<void> {
  for (const kind of kinds) await cluster.run(['delete', kind, '--all']);
  await waitFor(
    'an API server without guards',
    async () => (await create('none', 1, 1, true)).failed === 0 && (await create('policies', 1, 1, true)).failed > 0,
  );
  for (const text of OBJECTS[setup]) await cluster.run(['create', '-f', '-'], text);
  await waitFor(`an API server with ${setup}`, async () => (await create(setup, 1, 1, true)).failed === 0);
}

/** One round of a set-up with a number of creators. */
async function measure(setup: Setup, creators: number, duration: number) {
  await register(setup);
  // The first pods of new policies count no more than the first reviews of a webhook.
  await create(setup, creators, 1);
  const before = await readings();
  const sent = await create(setup, creators, duration);
  const after = await readings();
  await cluster.run(['delete', 'pods', '--all', '-n', 'agents', '--force', '--wait=false']);
  return { ...sent, cpuMs: ((after.cpu - before.cpu) * 1000) / (sent.inTime + sent.late), mebibytes: after.bytes / 2 ** 20 };
}
type Cell = Awaited<ReturnType<typeof measure>>;

const COLUMNS: readonly Column<Cell>[] = [
  { head: 'pods/s', digits: 0, of: ({ perSecond }) => perSecond },
  { head: 'p50 ms', digits: 2, of: ({ p50 }) => p50 },
  { head: 'p99 ms', digits: 2, of: ({ p99 }) => p99 },
  { head: 'API server: CPU ms/pod', digits: 2, of: ({ cpuMs }) => cpuMs },
  { head: 'API server: MiB', digits: 0, of: ({ mebibytes }) => mebibytes },
  { head: 'errors', digits: 0, of: ({ failed }) => failed },
];

const rows: { cells: readonly string[]; rounds: Cell[] }[] = [];
for (const creators of values.creators.split(',')) for (const setup of SETUPS) rows.push({ cells: [creators, setup], rounds: [] });
for (let round = 1; round <= rounds; round++)
  for (const { cells, rounds: measured } of rows) {
    process.stderr.write(`round ${round} of ${rounds}: ${cells.join(', ')}\n`);
    measured.push(await measure(cells[1] as Setup, Number(cells[0]), seconds));
  }
const version = JSON.parse(await cluster.run(['get', '--raw', '/version'])).gitVersion;
await webhook.stop();
await cluster.stop();
const conditions = `${dayAndMachine()}; ${rounds} rounds of ${seconds} s, kube-apiserver ${version}, etcd without fsync; API server, etcd, webhook and creators share the cores`;
publish('bench:no-server', [table(['creators', 'guard'], COLUMNS, rows), conditions].join('\n\n'), values.write);
process.exitCode = rows.some(({ rounds: cells }) => cells.some(({ failed }) => failed > 0)) ? 1 : 0;
