/** Reading one option's value: each function returns it, or throws BadValueError with what is allowed. */

import { isIP } from 'node:net';
import { ENV, METHODS, type Method } from './sideload/contract.ts';
import { PINNED_VARIABLES } from './sideload/environment.ts';

/** The value cannot be taken. The message says what is allowed. */
export class BadValueError extends Error {
  override readonly name = 'BadValueError';
}

export function oneOf<const T extends string>(...values: readonly T[]): (value: string) => T {
  return (value) => {
    const found = values.find((candidate) => candidate === value);
    if (found === undefined) throw new BadValueError(`expected ${values.map((candidate) => candidate || 'an empty value').join(', ')}`);
    return found;
  };
}

export function integer(min: number, max: number, what: string): (value: string) => number {
  return (value) => {
    const number = Number(value);
    if (!/^\d{1,10}$/.test(value) || number < min || number > max) throw new BadValueError(`expected ${what}, ${min} to ${max}`);
    return number;
  };
}

export function matching(pattern: RegExp, expected: string): (value: string) => string {
  return (value) => {
    if (!pattern.test(value)) throw new BadValueError(`expected ${expected}`);
    return value;
  };
}

/** Milliseconds, written as 90s, 10m or 24h. */
export function duration(value: string): number {
  const [, number, unit] = /^([1-9]\d{0,6})([smh])$/.exec(value) ?? [];
  if (number === undefined) throw new BadValueError('expected a duration such as 90s, 10m or 24h');
  return Number(number) * { s: 1_000, m: 60_000, h: 3_600_000 }[unit as 's' | 'm' | 'h'];
}

function words(value: string): string[] {
  return value
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
}

export function methods(value: string): Method[] {
  const allowed = words(value).map(oneOf(...METHODS));
  if (allowed.length === 0) throw new BadValueError(`expected at least one of ${METHODS.join(', ')}`);
  return [...new Set(allowed)];
}

export function capabilities(value: string): string[] {
  return words(value).map((name) => {
    // The API server refuses CAP_SYS_ADMIN beside allowPrivilegeEscalation: false, and takes SYS_ADMIN.
    if (name.startsWith('CAP_')) throw new BadValueError(`expected capability names without CAP_: write ${name.slice('CAP_'.length)}`);
    if (name === 'ALL' || !/^[A-Z][A-Z0-9_]*$/.test(name))
      throw new BadValueError('expected capability names such as SYS_ADMIN, separated by commas');
    return name;
  });
}

export function appArmorProfile(value: string): string {
  if (['', 'Unconfined', 'RuntimeDefault'].includes(value) || /^Localhost\/./.test(value)) return value;
  throw new BadValueError('expected Unconfined, RuntimeDefault, Localhost/NAME or an empty value');
}

/** Written by the webhook from each pod; an operator's default would contradict it. */
const RESERVED_VARIABLES: readonly string[] = [...PINNED_VARIABLES, ENV.sandboxId];

export function variables(value: string): { name: string; value: string }[] {
  const found = new Map<string, string>();
  for (const [index, line] of value.split('\n').entries()) {
    if (line === '') continue;
    const [, name, text] = /^([A-Za-z_][A-Za-z0-9_]*)=(.*)$/.exec(line) ?? [];
    if (name === undefined || text === undefined)
      throw new BadValueError(`value ${index + 1}: expected NAME=VALUE, the name of letters, digits and _`);
    if (RESERVED_VARIABLES.includes(name)) throw new BadValueError(`${name} is set by the webhook itself`);
    if (found.has(name)) throw new BadValueError(`${name} is given twice`);
    found.set(name, text);
  }
  return [...found].map(([name, text]) => ({ name, value: text }));
}

/** Optional registry with port, then path: github.com/distribution/reference, without its length limits. */
const COMPONENT = '[a-z0-9]+(?:[._-]+[a-z0-9]+)*';
const REPOSITORY = `(?:[A-Za-z0-9]+(?:[.-]+[A-Za-z0-9]+)*(?::[0-9]+)?/)?${COMPONENT}(?:/${COMPONENT})*`;
export const REFERENCE = new RegExp(`^${REPOSITORY}(?::[\\w][\\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$`);

export function repositories(value: string): string[] {
  return words(value).map(matching(new RegExp(`^${REPOSITORY}$`), 'repositories without tag or digest, separated by commas'));
}

export const objectName = matching(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/, 'the name of a Kubernetes object');

export function ipAddress(value: string): string {
  if (isIP(value) === 0) throw new BadValueError('expected an IP address');
  return value;
}

export const port = integer(0, 65535, 'a port, or 0 for any free one');
export const id = integer(1, 2 ** 31 - 1, 'an id other than root');
