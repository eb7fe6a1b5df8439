/** What was measured, as docs/performance.md shows it: tables, and the marks between which they stand. */

import { readFileSync, writeFileSync } from 'node:fs';
import { arch, cpus, release } from 'node:os';
import { parseArgs } from 'node:util';
import { median } from 'simple-statistics';
import { markdownTable, replaceSection } from '../docs/markdown.ts';

const DOCS = new URL('../docs/', import.meta.url);

/** Options of a command, `--name=value`, by their defaults; and `--write`. */
export function options<T extends Readonly<Record<string, number | string>>>(defaults: T): T & { readonly write: boolean } {
  const specs = Object.entries(defaults).map(([name, value]) => [name, { type: 'string', default: String(value) }] as const);
  const { values } = parseArgs({ options: { ...Object.fromEntries(specs), write: { type: 'boolean', default: false } } });
  const read = (name: string, text: unknown) => [name, typeof defaults[name] === 'number' ? Number(text) : text];
  return Object.fromEntries(Object.entries(values).map(([name, text]) => read(name, text)));
}

/** A column of figures. */
export interface Column<Figures> {
  readonly head: string;
  readonly digits: number;
  readonly of: (figures: Figures) => number;
}

/** The median of the rounds, with the lowest and the highest in brackets if they differ. Empty if one is no number. */
export function spread(values: readonly number[], digits: number): string {
  if (!values.every(Number.isFinite)) return '';
  const [low, high] = [Math.min(...values), Math.max(...values)].map((value) => value.toFixed(digits));
  return low === high ? `${low}` : `${median([...values]).toFixed(digits)} (${low} to ${high})`;
}

/** A row for each group of rounds. */
export function table<Figures>(
  heads: readonly string[],
  columns: readonly Column<Figures>[],
  rows: readonly { readonly cells: readonly string[]; readonly rounds: readonly Figures[] }[],
): string {
  const lines = rows.map(({ cells, rounds }) => [...cells, ...columns.map(({ of, digits }) => spread(rounds.map(of), digits))]);
  return markdownTable([...heads, ...columns.map(({ head }) => head)], lines);
}

/** Rows of what was measured, its limit, and whether it holds. */
export function limits(heads: readonly string[], rows: readonly (readonly [string, string, string, boolean | undefined])[]): string {
  const words = (holds: boolean | undefined): string => (holds === undefined ? '' : holds ? 'yes' : 'NO');
  return markdownTable(
    heads,
    rows.map(([what, measured, limit, holds]) => [what, measured, limit, words(holds)]),
  );
}

/** The day and the machine, for the line below a table. */
export function dayAndMachine(): string {
  const machine = `${cpus()[0]?.model.trim()}, ${cpus().length} cores, Linux ${release()} ${arch()}, Node.js ${process.version}`;
  return `${new Date().toISOString().slice(0, 10)}, ${machine}`;
}

/**
 * Prints what a command has measured; with `write`, it replaces the part of docs/performance.md that the command made before.
 *
 * @param command as npm runs it, such as `bench`
 */
export function publish(command: string, text: string, write: boolean): void {
  process.stdout.write(`${text}\n`);
  if (!write) return;
  const file = new URL('performance.md', DOCS);
  const document = readFileSync(file, 'utf8');
  writeFileSync(file, replaceSection('docs/performance.md', document, `npm run ${command} -- --write`, command, text));
}
