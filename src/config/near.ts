/** Words that were nearly written. */

import leven from 'leven';

/** Most letters by which a word may differ from one that is known to be taken for it; of short ones fewer. */
const NEAR = 3;

/** The known word that is nearest to another, which is not known; undefined where none is near. */
export function nearestOf(word: string, known: readonly string[]): string | undefined {
  const most = Math.min(NEAR, Math.floor(word.length / 2));
  const near = known
    .map((each) => ({ each, distance: leven(word.toLowerCase(), each, { maxDistance: most + 1 }) }))
    .filter(({ distance }) => distance <= most)
    .sort((a, b) => a.distance - b.distance);
  return near[0]?.each;
}
