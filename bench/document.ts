/** docs/performance.md: what was measured stands between two marks, and is replaced by the next measurement. */

import { readFileSync, writeFileSync } from 'node:fs';
import { arch, cpus, release } from 'node:os';

const DOCUMENT = new URL('../docs/performance.md', import.meta.url);

/**
 * Replaces the part of the document that a command has made.
 *
 * @param command as npm runs it, such as `bench`
 * @throws Error when the document has no place for it
 */
export function writeSection(command: string, text: string): void {
  const [start, end] = [`<!-- made by npm run ${command} -- --write -->\n`, `<!-- end of ${command} -->\n`];
  const document = readFileSync(DOCUMENT, 'utf8');
  const [from, to] = [document.indexOf(start), document.indexOf(end)];
  if (from === -1 || to < from) throw new Error(`docs/performance.md has no lines ${start.trimEnd()} and ${end.trimEnd()}`);
  writeFileSync(DOCUMENT, `${document.slice(0, from + start.length)}${text}\n${document.slice(to)}`);
}

/** The day and the machine, for the line below a table. */
export function dayAndMachine(): string {
  const machine = `${cpus()[0]?.model.trim()}, ${cpus().length} cores, Linux ${release()} ${arch()}, Node.js ${process.version}`;
  return `${new Date().toISOString().slice(0, 10)}, ${machine}`;
}
