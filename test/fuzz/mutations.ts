/** Changes to the tree of a review, in place. */

import { type Node, nodesIn, type Place, placesIn, type Tree } from './json-tree.ts';
import { anyValue, ODD_NAMES, oddNumber, oddString } from './oddities.ts';
import type { Random } from './random.ts';

/** Names that decide how containers and volumes are told apart. */
const NAMES = [
  'agent',
  'openshell-supervisor-bin',
  'openshell-supervisor-install',
  'openshell-supervisor-network',
  'openshell-network-init',
];

type Mutation = (random: Random, place: Place, all: readonly Place[]) => void;

function put({ within, index }: Place, value: Tree): void {
  const entry = within.entries[index];
  // A change before this one may have taken it away.
  if (entry) within.entries[index] = { name: entry.name, value };
}

function insert({ within, index }: Place, name: string, value: Tree): void {
  within.entries.splice(index, 0, { name, value });
}

const MUTATIONS: readonly { readonly weight: number; readonly apply: Mutation }[] = [
  { weight: 6, apply: (random, place) => put(place, anyValue(random)) },
  { weight: 5, apply: (random, place) => put(place, oddString(random)) },
  { weight: 3, apply: (random, place) => put(place, oddNumber(random)) },
  { weight: 3, apply: (_random, { within, index }) => within.entries.splice(index, 1) },
  // The same member or element twice, the second time perhaps with another value.
  {
    weight: 3,
    apply: (random, place) => {
      const entry = place.within.entries[place.index];
      if (entry) insert(place, entry.name, random.chance(0.5) ? structuredClone(entry.value) : anyValue(random));
    },
  },
  // One more member, or one more element: most lists are of strings.
  {
    weight: 4,
    apply: (random, place) => {
      if (place.within.kind === 'object') insert(place, random.pick(ODD_NAMES), anyValue(random));
      else insert(place, '', oddString(random));
    },
  },
  // What would be inherited if a program merged it.
  {
    weight: 2,
    apply: (random, place) =>
      insert(place, random.pick(['__proto__', 'constructor']), '{"prototype":{"runAsUser":1},"openshell.ai/sandbox":"false","op":"test"}'),
  },
  // A part of the pod elsewhere in the pod.
  {
    weight: 3,
    apply: (random, place, all) => {
      const { within, index } = random.pick(all);
      const entry = within.entries[index];
      if (entry) put(place, structuredClone(entry.value));
    },
  },
  {
    weight: 3,
    apply: (random, _place, all) => {
      const named = all.filter(({ within, index }) => within.entries[index]?.name === 'name');
      if (named.length > 0) put(random.pick(named), JSON.stringify(random.pick(NAMES)));
    },
  },
];

/** Changes one thing to a few things below a tree. */
export function mutate(random: Random, tree: Tree): void {
  for (let left = 1 + random.below(3); left > 0; left--) {
    const all = placesIn(tree);
    if (all.length > 0) random.weighted(MUTATIONS).apply(random, random.pick(all), all);
  }
}

/** Maps of the user's: the webhook reads or copies every member. */
const MAPS = ['labels', 'annotations', 'nodeSelector', 'requests', 'limits'];
/** What the webhook compares with its own, member by member: volumes, and init containers that may install the supervisor. */
const COMPARED = ['volumes', 'initContainers'];

/** Adds what the webhook has no business with: unknown members with odd names and values, or a member again as it is. */
export function addNoise(random: Random, tree: Tree): void {
  const objects = nodesIn(tree, (name) => ![...MAPS, ...COMPARED].includes(name)).filter(({ kind }) => kind === 'object');
  for (let left = 1 + random.below(4); left > 0; left--) {
    const { entries }: Node = random.pick(objects);
    const entry = entries.length > 0 && random.chance(0.3) ? random.pick(entries) : undefined;
    entries.splice(random.below(entries.length + 1), 0, entry ?? { name: random.pick(ODD_NAMES), value: anyValue(random, 3) });
  }
}

/** Replaces the value of a member that has one of the names, where the tree has any. */
export function replaceNamed(random: Random, tree: Tree, names: readonly string[], value: Tree): void {
  const named = placesIn(tree).filter(({ within, index }) => names.includes(within.entries[index]?.name ?? ''));
  if (named.length > 0) put(random.pick(named), value);
}

/** Replaces a value at any place. */
export function replaceAny(random: Random, tree: Tree, value: Tree): void {
  put(random.pick(placesIn(tree)), value);
}
