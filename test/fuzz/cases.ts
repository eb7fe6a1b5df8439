/** The requests that are sent: each follows from the seed and its number alone. */

import { METHODS } from 'node:http';
import type { Pod } from '../../src/sideload/pod.ts';
import { review } from '../reviews.ts';
import { member, type Tree, textOf, treeOf } from './json-tree.ts';
import { addNoise, mutate, replaceAny, replaceNamed } from './mutations.ts';
import { anyValue, nested } from './oddities.ts';
import { Random } from './random.ts';
import { SEED_PODS } from './seeds.ts';

/** Source: README.md, "Endpoints". */
export const BODY_LIMIT = 8 * 2 ** 20;

export interface FuzzCase {
  readonly family: string;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** Number of the seed pod whose plain review has to get the same answer. */
  readonly sameAs?: number;
  /** Whether it takes so much memory or time that nothing else is sent meanwhile. */
  readonly alone: boolean;
}

type Draft = Pick<FuzzCase, 'body'> & Partial<FuzzCase>;
interface Family {
  readonly family: string;
  /** Of 2,000 cases, on average. */
  readonly weight: number;
  readonly draft: (random: Random) => Draft;
}

const reviewTree = (pod: Pod, request?: object): Tree => treeOf(review(pod, request));
const seedReview = (random: Random): Tree =>
  reviewTree(random.pick(SEED_PODS), { uid: `u-${random.below(1e9)}`, dryRun: random.chance(0.5) });
const podOf = (tree: Tree): Tree => member(tree, 'request', 'object') ?? tree;
const body = (tree: Tree): Buffer => Buffer.from(textOf(tree));

/** Seed pods without OpenShell's network sidecar, in which nothing may be added. */
const OPEN_SEEDS = [...SEED_PODS.keys()].filter(
  (index) => !SEED_PODS[index]?.spec?.containers?.some(({ name }) => name === 'openshell-supervisor-network'),
);

/** The plain review of a seed pod: what a case of family "harmless" is compared with. */
export function plainReview(seed: number): Buffer {
  return body(reviewTree(SEED_PODS[seed] ?? {}));
}

/** Breaks a text: flips bits, cuts, repeats or inserts bytes; or another encoding. */
function damage(random: Random, text: Buffer): Buffer {
  const at = random.below(text.length);
  switch (random.below(7)) {
    case 0:
      return text.subarray(0, at);
    case 1:
      return Buffer.concat([text.subarray(0, at), random.bytes(1 + random.below(8)), text.subarray(at)]);
    case 2:
      return Buffer.concat([text.subarray(0, at), text.subarray(random.below(at + 1))]);
    case 3:
      return Buffer.concat([Buffer.from('\ufeff'), text]);
    case 4:
      return Buffer.from(text.toString(), 'utf16le');
    case 5:
      // Half of a surrogate pair as UTF-8 must not have it.
      return Buffer.concat([text.subarray(0, at), Buffer.from([0xed, 0xa0, 0x80]), text.subarray(at)]);
    default: {
      const flipped = Buffer.from(text);
      for (let left = 1 + random.below(3); left > 0; left--) {
        const byte = random.below(flipped.length);
        flipped[byte] = (flipped[byte] ?? 0) ^ (1 << random.below(8));
      }
      return flipped;
    }
  }
}

const CONTENT_TYPES = [
  'application/json; charset=utf-8',
  'Application/JSON',
  'application/json;',
  'application/json; charset=utf-16',
  'application/json, text/plain',
  'application/json/x',
  'application/jsonx',
  'application/vnd.kubernetes.protobuf',
  'application/x-www-form-urlencoded',
  'multipart/form-data; boundary=x',
  'text/plain',
  'text/plain; application/json',
  '*/*',
  ';',
  '',
];
const PATHS = ['/', '//mutate', '/mutate/', '/MUTATE', '/mutate%00', '/mutat%65', '/mutate?x=%', '/mutate?__proto__[x]=1', '/mutate#x']
  .concat(['/mutate;x=1', '/%', '/%zz', '/%c0%ae%c0%ae/', '/../mutate', '/healthz', '/metrics', '*', `/${'a'.repeat(9000)}`])
  .concat(['http://other.example/mutate', '/__proto__', '/constructor']);
const ODD_HEADERS: readonly Readonly<Record<string, string>>[] = [
  { 'content-encoding': 'gzip' },
  { 'accept-version': '1.0.0' },
  { accept: 'application/yaml' },
  { expect: '100-continue' },
  { 'x-http-method-override': 'DELETE' },
  { 'x-forwarded-for': '::1', forwarded: 'for=x' },
  { host: '' },
  { host: 'a b' },
  { upgrade: 'h2c', connection: 'upgrade' },
  { te: 'trailers' },
  { __proto__x: '1', constructor: 'x' },
  { 'x-long': 'x'.repeat(8000) },
  { connection: 'close' },
];
// CONNECT asks for a tunnel and TRACE has no body; the connections' part sends such things.
const ODD_METHODS = METHODS.filter((method) => method !== 'CONNECT' && method !== 'TRACE');

function oddRequest(random: Random): Draft {
  const draft = { body: body(seedReview(random)) };
  switch (random.below(4)) {
    case 0: {
      const type = random.pick(CONTENT_TYPES);
      return { ...draft, headers: type === '' ? {} : { 'content-type': type } };
    }
    case 1:
      return { ...draft, path: random.pick(PATHS) };
    case 2:
      return { ...draft, method: random.pick(ODD_METHODS) };
    default:
      return { ...draft, headers: { 'content-type': 'application/json', ...random.pick(ODD_HEADERS) } };
  }
}

const list = (bytes: number, element: string): string => `[${`${element},`.repeat(bytes / (element.length + 1))}${element}]`;

/** Strings for which careless programs need the square of their length. */
function longString(random: Random, bytes: number): string {
  const many = (unit: string): string => unit.repeat(bytes / unit.length);
  return random.pick([many('x'), many('/..'), many('$('), many('\ud800'), `/${'a'.repeat(bytes / 2)}${'/b/..'.repeat(bytes / 10)}`]);
}

const STRING_MEMBERS = [
  'mountPath',
  'path',
  'workingDir',
  'image',
  'name',
  'value',
  'namespace',
  'openshell.ai/sandbox',
  'uid',
  'reference',
];

function long(random: Random): Draft {
  const tree = seedReview(random);
  const text = JSON.stringify(longString(random, random.pick([20_000, 1_000_000])));
  replaceNamed(random, tree, STRING_MEMBERS, text);
  return { body: body(tree), alone: true };
}

const LISTS = ['containers', 'initContainers', 'volumes', 'env', 'volumeMounts', 'command', 'args', 'add', 'drop', 'envFrom'];
const ELEMENTS = [
  '{}',
  '[]',
  'null',
  '""',
  '0',
  '1.5',
  '"SYSLOG"',
  '{"name":"OPENSHELL_SANDBOX_UID"}',
  '{"name":"agent","mountPath":"/x"}',
];

/** Many things, each as long as it may be: what is compared with each other, or written out more than once. */
function crowded(random: Random): Draft {
  const tree = seedReview(random);
  const path = random.pick(['/a/../'.repeat(682), '/'.repeat(4095), '/../..'.repeat(682), `/${'b'.repeat(4000)}`]);
  const element = random.pick([
    { name: 'data', mountPath: path },
    { name: 'data', hostPath: { path } },
    { name: 'openshell-supervisor-bin', mountPath: path, readOnly: true },
    { name: 'spy', securityContext: { capabilities: { add: ['CHOWN'] } } },
    { name: 'PATH', value: path.replaceAll('/', ':/') },
    { name: 'OPENSHELL_SANDBOX_UID', value: '0' },
    { name: '\u202e\u0085\u061c', image: path, command: [path] },
  ]);
  const text = JSON.stringify(element);
  const bytes = random.pick([2 ** 20, BODY_LIMIT - 100_000]);
  replaceNamed(random, tree, LISTS, list(Math.min(bytes, text.length * 20_000), text));
  return { body: body(tree), alone: true };
}

/** As much as a body may hold, or more. */
function huge(random: Random): Draft {
  const tree = seedReview(random);
  const bytes = random.pick([2 ** 20, 3 * 2 ** 20, BODY_LIMIT - 20_000, BODY_LIMIT + 1]);
  switch (random.below(6)) {
    case 0:
      replaceNamed(random, tree, STRING_MEMBERS, JSON.stringify('x'.repeat(bytes)));
      break;
    case 1:
    case 2:
      replaceNamed(random, tree, LISTS, list(bytes, random.pick(ELEMENTS)));
      break;
    case 3: {
      const members = Array.from({ length: bytes / 16 }, (_, index) => `"${index.toString(36).padStart(9, 'k')}":""`);
      replaceNamed(random, tree, ['labels', 'annotations', 'requests'], `{${members.join()}}`);
      break;
    }
    case 4:
      replaceAny(random, tree, nested(random, Math.floor(bytes / 14)));
      break;
    default: {
      const text = body(tree);
      return { body: Buffer.concat([text, Buffer.alloc(Math.max(0, bytes - text.length), ' ')]), alone: true };
    }
  }
  return { body: body(tree), alone: true };
}

/** Members that are passed on or compared as a whole. */
const NESTABLE = ['requests', 'limits', 'valueFrom', 'emptyDir', 'object', 'userInfo'];

const FAMILIES: readonly Family[] = [
  { family: 'bytes', weight: 100, draft: (random) => ({ body: random.bytes(random.below(2000)) }) },
  { family: 'damaged', weight: 240, draft: (random) => ({ body: damage(random, body(seedReview(random))) }) },
  {
    family: 'generated',
    weight: 160,
    draft: (random) => {
      if (random.chance(0.3)) return { body: body(anyValue(random, 5)) };
      const tree = seedReview(random);
      replaceNamed(random, tree, ['request', 'object', 'metadata', 'spec', 'containers'], anyValue(random, 5));
      return { body: body(tree) };
    },
  },
  {
    family: 'mutated',
    weight: 1000,
    draft: (random) => {
      const tree = seedReview(random);
      mutate(random, random.chance(0.9) ? podOf(tree) : tree);
      return { body: body(tree) };
    },
  },
  {
    family: 'harmless',
    weight: 270,
    draft: (random) => {
      const sameAs = random.pick(OPEN_SEEDS);
      const tree = reviewTree(SEED_PODS[sameAs] ?? {});
      addNoise(random, tree);
      return { body: body(tree), sameAs };
    },
  },
  { family: 'http', weight: 200, draft: oddRequest },
  {
    family: 'nested',
    weight: 24,
    draft: (random) => {
      const tree = seedReview(random);
      const brackets = nested(random, random.pick([100, 3_000, 10_001, 100_000]));
      if (random.chance(0.5)) replaceAny(random, podOf(tree), brackets);
      else replaceNamed(random, tree, NESTABLE, brackets);
      return { body: body(tree) };
    },
  },
  { family: 'long', weight: 10, draft: long },
  { family: 'huge', weight: 1, draft: huge },
  { family: 'crowded', weight: 1, draft: crowded },
];

/** The case of that number: the same one for the same seed. */
export function caseAt(seed: string, index: number): FuzzCase {
  const random = new Random(`${seed}/${index}`);
  const { family, draft } = random.weighted(FAMILIES);
  return { family, method: 'POST', path: '/mutate', headers: { 'content-type': 'application/json' }, alone: false, ...draft(random) };
}
