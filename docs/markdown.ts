/** Parts of the documents that programs write: tables, between two marks. */

/** A table. */
export function markdownTable(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  return [heads, heads.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/**
 * Replaces what stands in a document between `<!-- made by MADE -->` and `<!-- end of NAME -->`.
 *
 * @param file its path, for the message
 * @throws Error when the document has no such marks
 */
export function replaceSection(file: string, document: string, made: string, name: string, text: string): string {
  const [start, end] = [`<!-- made by ${made} -->\n`, `\n<!-- end of ${name} -->`];
  const [from, to] = [document.indexOf(start), document.indexOf(end)];
  if (from === -1 || to < from) throw new Error(`${file} has no lines ${start.trim()} and ${end.trim()}`);
  return `${document.slice(0, from + start.length)}${text}${document.slice(to)}`;
}
