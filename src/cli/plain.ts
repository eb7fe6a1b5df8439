import { printable } from '../sideload/outcome.ts';

/** What a manifest says, for a line that people read: control characters, which a terminal would obey, are escaped. */
export function plain(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is them that are escaped
  return printable(text.replaceAll(/[\u0000-\u001f]/g, (character) => JSON.stringify(character).slice(1, -1)));
}
