/**
 * `npm run bench:profile`: where the time of the server's main thread goes, for a review, in the product and in a floor with a
 * response as long: V8's profile of each, by what the functions belong to.
 *
 * `--reviews=100000`; `--write` puts the table into docs/performance.md.
 */

import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { markdownTable } from '../docs/markdown.ts';
import { buildProduct, openBench } from './harness.ts';
import { dayAndMachine, options, publish } from './report.ts';
import { makeReviews } from './reviews.ts';

const NAMES = ['long-floor', 'product'] as const;
const [CONNECTIONS, SAMPLE_MICROSECONDS] = [16, 250];

interface CallFrame {
  readonly functionName: string;
  readonly url: string;
  readonly lineNumber: number;
  readonly columnNumber: number;
}
/** Of the DevTools protocol, Profiler.Profile, as far as it is read here. */
interface Profile {
  readonly nodes: readonly { readonly id: number; readonly callFrame: CallFrame }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

const values = options({ reviews: 100_000 });

const maps = new Map<string, SourceMap | undefined>();
/** Whether a place in the bundle comes from a source of ours: the maps have no others. */
function isOurs({ url, lineNumber, columnNumber }: CallFrame): boolean {
  if (!maps.has(url)) {
    const map = `${fileURLToPath(url)}.map`;
    maps.set(url, existsSync(map) ? new SourceMap(JSON.parse(readFileSync(map, 'utf8'))) : undefined);
  }
  const entry = maps.get(url)?.findEntry(lineNumber, columnNumber);
  return entry !== undefined && 'originalSource' in entry && entry.originalSource !== undefined;
}

const GROUPS = {
  write: 'socket: write, with TLS and the kernel',
  parse: 'JSON.parse, and what asks for it',
  stringify: 'JSON and base64 of the response',
  ours: 'our other functions',
  packages: 'packages: Fastify, pino, prom-client',
  node: 'Node.js: HTTP, TLS, streams, timers',
  collector: 'garbage collection',
  native: 'native code that V8 gives no name',
} as const;
type Group = keyof typeof GROUPS;

function groupOf(frame: CallFrame): Group | undefined {
  const { functionName: name, url } = frame;
  if (name === '(idle)' || name === '(root)') return undefined;
  if (name === '(garbage collector)') return 'collector';
  if (/^write(Utf8String|Latin1String|Buffer)$|^writev$/.test(name)) return 'write';
  // secure-json-parse in Fastify's own parser; ours.
  if (name === 'parseBody' || name === '_parse') return 'parse';
  if (name === 'encodePatch' || name === 'serialize' || name === 'base64Slice') return 'stringify';
  if (url.startsWith('node:')) return 'node';
  if (!url.startsWith('file:')) return 'native';
  return isOurs(frame) ? 'ours' : 'packages';
}

const bench = await openBench();
const reviews = makeReviews(200);
const file = bench.write(reviews);
// So that only the servers are profiled.
buildProduct();

/** Microseconds for a review, by group. */
async function measure(name: (typeof NAMES)[number]): Promise<ReadonlyMap<Group, number>> {
  const dir = join(bench.dir, `profile-${name}`);
  mkdirSync(dir);
  process.env.NODE_OPTIONS = `--cpu-prof --cpu-prof-interval=${SAMPLE_MICROSECONDS} --cpu-prof-dir=${dir}`;
  const server = await bench.start(name, reviews[0] ?? '');
  const { failed } = await server.load(file, CONNECTIONS, { count: values.reviews });
  await server.stop();
  if (failed > 0) throw new Error(`${failed} reviews failed`);
  const [profile, ...others] = readdirSync(dir).filter((each) => each.includes(`.${server.pid}.0.`));
  if (profile === undefined || others.length > 0) throw new Error(`not one profile of process ${server.pid}: ${readdirSync(dir)}`);
  const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(join(dir, profile), 'utf8')) as Profile;
  const groups = new Map(nodes.map(({ id, callFrame }) => [id, groupOf(callFrame)]));
  const times = new Map<Group, number>();
  for (const [index, id] of samples.entries()) {
    const group = groups.get(id);
    if (group !== undefined) times.set(group, (times.get(group) ?? 0) + (timeDeltas[index] ?? 0) / values.reviews);
  }
  return times;
}

const measured: ReadonlyMap<Group, number>[] = [];
for (const name of NAMES) measured.push(await measure(name));
const [floor = new Map(), product = new Map()] = measured;
const row = (what: string, one: number, other: number): string[] => [what, ...[one, other, other - one].map((time) => time.toFixed(1))];
const rows = (Object.keys(GROUPS) as Group[]).map((group) => row(GROUPS[group], floor.get(group) ?? 0, product.get(group) ?? 0));
const all = measured.map((times) => [...times.values()].reduce((sum, time) => sum + time, 0));
const table = markdownTable(['µs of the main thread for a review', ...NAMES, 'more'], [...rows, row('all', all[0] ?? 0, all[1] ?? 0)]);
const conditions = `${dayAndMachine()}; ${values.reviews} reviews over ${CONNECTIONS} connections, a sample every ${SAMPLE_MICROSECONDS} µs, the start of the server among them; server and load on a core each`;
publish('bench:profile', `${table}\n\n${conditions}`, values.write);
