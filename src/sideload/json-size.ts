/** How much a text of JSON is: every value takes tens of bytes of memory and a part of a microsecond, however short its text is. */

/** Below this nothing is counted: reviews of ordinary pods, and documents of images, are a few KiB. */
export const LARGE_BYTES = 256 * 1024;
/** A pod with 20,000 variables has fewer. */
export const MAX_VALUES = 70_000;

/**
 * Whether a large text of JSON may hold more values than anything that is read here: every value but the first of a list or object
 * follows a comma, the first one a bracket.
 */
export function holdsTooMany(text: string): boolean {
  if (text.length <= LARGE_BYTES) return false;
  let values = 0;
  for (const before of [',', '[', '{'])
    for (let at = text.indexOf(before); at !== -1; at = text.indexOf(before, at + 1)) if (++values > MAX_VALUES) return true;
  return false;
}
