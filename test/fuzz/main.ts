/**
 * Sends hostile and odd input to the webhook, which runs as a process of its own: never a crash, a hang, a status 500, memory
 * that grows, or an answer that is not valid.
 *
 *   npm run fuzz                                   100,000 cases, then connections that misbehave
 *   npm run fuzz -- --seed=S --cases=N             other cases, or fewer
 *   npm run fuzz -- --seed=S --only=INDEX          one case again
 */

import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Failure, runCampaign } from './campaign.ts';
import { plainReview } from './cases.ts';
import { createClient } from './client.ts';
import { misuseConnections } from './connections.ts';
import { crowd } from './crowd.ts';
import { MemoryWatch } from './memory.ts';
import { startProduct } from './product.ts';
import { Stops } from './stops.ts';

const CASES = '100000';
/** docs/performance.md. */
const LONGEST_STOP_MS = 50;
/** Requests under way at a time: the webhook has one thread, and judging its answers is as much work as giving them. */
const CONNECTIONS = 8;

const { values } = parseArgs({
  options: { seed: { type: 'string' }, cases: { type: 'string', default: CASES }, only: { type: 'string' } },
});
const seed = values.seed ?? String(Date.now());
const range = values.only === undefined ? ([0, Number(values.cases)] as const) : ([Number(values.only), 1] as const);
if (!range.every((number) => Number.isSafeInteger(number) && number >= 0)) throw new TypeError('--cases and --only take whole numbers');

// The webhook ends with this process.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

const started = Date.now();
const seconds = (): string => `${Math.round((Date.now() - started) / 1000)} s`;
// All its clients have one address.
const product = await startProduct('--max-connections=4000', '--max-connections-per-peer=4000');
const client = createClient(product.port, product.ca, CONNECTIONS);
const memory = new MemoryWatch(product.memory);
await memory.sample();
const complaints: string[] = [];
const check = (complaint: string | undefined): void => void (complaint && complaints.push(complaint));
process.stdout.write(`seed ${seed}\n`);

const progress = async (done: number): Promise<void> => {
  await memory.sample();
  if (done % 10_000 === 0) process.stdout.write(`${done} cases, ${seconds()}\n`);
};
const stops = new Stops();
const campaign = await runCampaign(client, seed, range, CONNECTIONS, progress, () => !product.process.ended(), stops);
process.stdout.write(`\n${campaign.families.total} cases\n${campaign.families}\nanswers\n${campaign.answers}\n`);
process.stdout.write(`${campaign.again} pods sent again after their patch; ${campaign.notAgain} too deeply nested for that\n`);
for (const failure of campaign.failures) check(describe(failure));
check(stops.excess(LONGEST_STOP_MS));

if (values.only === undefined && campaign.usable) {
  check(memory.growth());
  const connections = await misuseConnections(product, seed);
  process.stdout.write(`\n${connections.endings.total} connections and requests on them\n${connections.endings}\n`);
  process.stdout.write(
    `${connections.served} reviews of a bystander answered meanwhile; open files ${connections.files.join(', then ')}\n`,
  );
  if (connections.complaints.total > 0) check(`connections\n${connections.complaints}`);
  await crowdOut();
}
if (product.process.ended()) check(`the webhook ended:\n${product.process.tail()}`);
else if (campaign.usable) {
  await memory.sample();
  check(memory.excess());
}
client.close();
await product.process.stop();

process.stdout.write(`\n${stops}\n${memory}\nseed ${seed}, ${seconds()}\n`);
if (complaints.length > 0) process.stdout.write(`\nfailed, because of\n${complaints.join('\n')}\n`);
else rmSync(product.dir, { recursive: true });
process.exitCode = complaints.length > 0 ? 1 : 0;

/** A webhook with the limits that it has by default, and more connections than those. */
async function crowdOut(): Promise<void> {
  const crowded = await startProduct();
  const { open, complaint } = await crowd(crowded, plainReview(0));
  const watch = new MemoryWatch(crowded.memory);
  await watch.sample();
  process.stdout.write(`6,000 connections at once: ${open} open; ${watch}\n`);
  check(complaint);
  check(watch.excess());
  await crowded.process.stop();
  rmSync(crowded.dir, { recursive: true });
}

/** One kind of failure, with the first input that showed it in a file. */
function describe({ complaint, count, family, index, input }: Failure): string {
  const file = join(product.dir, `case-${index}`);
  writeFileSync(file, input);
  return `${count} x ${complaint}\n    first: family ${family}, npm run fuzz -- --seed=${seed} --only=${index}, body of ${input.length} bytes in ${file}`;
}
