/** Members of JSON objects, as they are written. */

const [QUOTE, BACKSLASH, COMMA] = [0x22, 0x5c, 0x2c];
const [LIST, LIST_END, OBJECT, OBJECT_END] = [0x5b, 0x5d, 0x7b, 0x7d];

/**
 * Finds a member that one object has twice. JSON.parse takes the last of them; Go merges them, and its older value shows through.
 *
 * @param text of JSON that JSON.parse accepts
 * @returns its name; undefined where there is none
 */
export function repeatedMember(text: string): string | undefined {
  /** Names of each object that is open; undefined: a list. */
  const around: (Set<string> | undefined)[] = [];
  let names: Set<string> | undefined;
  let isName = false;
  for (let at = 0; at < text.length; at++) {
    const character = text.charCodeAt(at);
    if (character === QUOTE) {
      const end = endOfString(text, at);
      if (isName && names) {
        const name = nameOf(text.slice(at, end + 1));
        if (names.has(name)) return name;
        names.add(name);
      }
      isName = false;
      at = end;
    } else if (character === COMMA) isName = true;
    else if (character === OBJECT || character === LIST) {
      around.push(names);
      names = character === OBJECT ? new Set() : undefined;
      isName = true;
    } else if (character === OBJECT_END || character === LIST_END) {
      names = around.pop();
      isName = false;
    }
  }
  return undefined;
}

/** Index of the quote that ends a string. */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  for (let character = text.charCodeAt(at); character !== QUOTE; character = text.charCodeAt(at)) at += character === BACKSLASH ? 2 : 1;
  return at;
}

function nameOf(literal: string): string {
  return literal.includes('\\') ? (JSON.parse(literal) as string) : literal.slice(1, -1);
}
