/**
 * Reading one option's value: each function returns it, or throws BadValueError with what is allowed. Here are the forms that any
 * option may have; image-values.ts and sandbox-values.ts have those of OpenShell's and of Kubernetes' own.
 */

import { isIP } from 'node:net';
import { ExpectedError } from '../observe/expected-error.ts';

/** The value cannot be taken. The message says what is allowed. */
export class BadValueError extends ExpectedError {
  override readonly name = 'BadValueError';
}

/** Reads one of some words; it has them, for help and completion. */
export interface OneOf<T extends string> {
  (value: string): T;
  readonly values: readonly T[];
}

export function oneOf<const T extends string>(...values: readonly T[]): OneOf<T> {
  const read = (value: string): T => {
    const found = values.find((candidate) => candidate === value);
    if (found === undefined) throw new BadValueError(`expected ${values.map((candidate) => candidate || 'an empty value').join(', ')}`);
    return found;
  };
  return Object.assign(read, { values });
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

/** Words, separated by commas. */
export function words(value: string): string[] {
  return value
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
}

export const objectName = matching(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/, 'the name of a Kubernetes object');

export function ipAddress(value: string): string {
  if (isIP(value) === 0) throw new BadValueError('expected an IP address');
  return value;
}

export const port = integer(0, 65535, 'a port, or 0 for any free one');
export const id = integer(1, 2 ** 31 - 1, 'an id other than root');
