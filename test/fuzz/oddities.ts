/** Values that programs stumble over. */

import { type Tree, treeOf } from './json-tree.ts';
import type { Random } from './random.ts';

/** JSON texts of numbers that a double cannot hold, that are no integers, or that no id may be. */
const NUMBERS: readonly string[] = [
  '9007199254740993',
  '-9007199254740993',
  '18446744073709551616',
  '123456789012345678901234567890',
  '1e400',
  '-1e400',
  '1e-400',
  '-0',
  '0.0',
  '1.5',
  '1E2',
  '10e-1',
  '-1',
  '2147483647',
  '2147483648',
  '4294967296',
];

/** Names that mean something to JavaScript, to JSON Pointer or to JSON. */
export const ODD_NAMES: readonly string[] = [
  '__proto__',
  'constructor',
  'prototype',
  'hasOwnProperty',
  'toString',
  'toJSON',
  'valueOf',
  'length',
  'then',
  '',
  ' ',
  '-',
  '0',
  '-1',
  'a/b',
  'a~b',
  '~0',
  '~1',
  '~2',
  '/',
  '..',
  'openshell.ai~1sideloaded',
  '\u0000',
  '\ud800',
  '\udfff',
  '\u202e',
  '\ufeff',
  'é',
  'e\u0301',
  '\u{1f600}',
  '"',
  '\\',
  '\n',
];

const STRINGS: readonly string[] = [
  ...ODD_NAMES,
  '$(PATH)',
  '$$(X)',
  '$&$`$1',
  '%s%n%00',
  '{{x}}',
  '<script>',
  "'; --",
  '--',
  '--mode=process',
  '\r\n\r\nHTTP/1.1 200 OK',
  'true',
  'True',
  'false',
  'null',
  'NaN',
  '1e3',
  '\ud83d'.repeat(50),
  `${'x'.repeat(39)}\u{1f600}`,
];

/** Strings that the contract gives a meaning, and spellings close to them. */
const MEANINGFUL: readonly string[] = [
  'agent',
  'openshell',
  'image-volume',
  'init-container',
  'host-path',
  'openshell-supervisor-bin',
  'openshell-supervisor-install',
  'openshell-supervisor-network',
  'openshell-network-init',
  'supervisor-bin',
  '/opt/openshell/bin',
  '/opt/openshell/bin/',
  '//opt/./openshell//bin',
  '/opt/openshell/bin/../bin',
  '/opt/openshell',
  '/',
  '.',
  '/opt/openshell/bin/openshell-sandbox',
  '/opt/openshell/bin/usr/local/bin/openshell-sandbox',
  '/openshell-sandbox',
  'copy-self',
  'cp',
  'Always',
  'windows',
  'ALL',
  'all',
  'SYS_ADMIN',
  'NET_ADMIN',
  'SYSLOG',
  'sys_ptrace',
  'CAP_SYS_ADMIN',
  'OPENSHELL_SANDBOX_UID',
  'OPENSHELL_SUPERVISOR_TOPOLOGY',
  'LD_PRELOAD',
  'PATH',
  'ghcr.io/nvidia/openshell/supervisor:1',
  'ghcr.io/nvidia/openshell/supervisor@sha256:0',
  'ghcr.io/nvidia/openshell/supervisor.evil/x',
];

export const oddNumber = (random: Random): Tree => random.pick(NUMBERS);

export function oddString(random: Random): Tree {
  const string = random.pick(random.chance(0.5) ? MEANINGFUL : STRINGS);
  if (random.chance(0.02)) return JSON.stringify(string.repeat(1 + random.below(2000)));
  return JSON.stringify(string);
}

/** A small value of any type. */
export function anyValue(random: Random, depth = 2): Tree {
  switch (random.below(depth > 0 ? 8 : 5)) {
    case 0:
      return random.pick(['null', 'true', 'false', '0', '""']);
    case 1:
    case 2:
      return oddNumber(random);
    case 3:
    case 4:
      return oddString(random);
    case 5:
      return random.pick([treeOf([]), treeOf({}), treeOf([null]), treeOf([[]]), treeOf([{}])]);
    case 6:
      return { kind: 'list', entries: Array.from({ length: random.below(4) }, () => ({ name: '', value: anyValue(random, depth - 1) })) };
    default:
      return {
        kind: 'object',
        entries: Array.from({ length: random.below(4) }, () => ({ name: random.pick(ODD_NAMES), value: anyValue(random, depth - 1) })),
      };
  }
}

/** Brackets in brackets, closed again most of the time. */
export function nested(random: Random, depth: number): Tree {
  const [open, close] = random.pick([
    ['[', ']'],
    ['{"a":', '}'],
    ['{"__proto__":', '}'],
    ['[{"":', '}]'],
  ] as const);
  return `${open.repeat(depth)}0${random.chance(0.9) ? close.repeat(depth) : ''}`;
}
