/** Which owners were told of which reasons lately, so that a controller that tries again and again makes one Event and not thousands. */

/** A reason is told again after so much time. */
export const TELL_AGAIN_MS = 10 * 60_000;
/** In that time, in all and for one namespace: anyone who may create pods can name owners. */
const [MOST, MOST_OF_ONE] = [4096, 128];

export interface ToldOwners {
  /** Remembers it. `told`: it was told already. `full`: too much was told in this namespace, or in all. */
  readonly add: (namespace: string, uid: string, reason: string) => 'new' | 'told' | 'full';
}

/** @param clock milliseconds */
export function openToldOwners(clock: () => number = Date.now): ToldOwners {
  // In the order of time.
  const told = new Map<string, { readonly namespace: string; readonly at: number }>();
  const ofNamespace = new Map<string, number>();
  const count = (namespace: string, change: 1 | -1): void => {
    const next = (ofNamespace.get(namespace) ?? 0) + change;
    if (next > 0) ofNamespace.set(namespace, next);
    else ofNamespace.delete(namespace);
  };
  return {
    add: (namespace, uid, reason) => {
      const now = clock();
      for (const [key, { namespace: other, at }] of told) {
        if (at > now - TELL_AGAIN_MS) break;
        told.delete(key);
        count(other, -1);
      }
      const key = `${namespace}/${uid}/${reason}`;
      if (told.has(key)) return 'told';
      if (told.size >= MOST || (ofNamespace.get(namespace) ?? 0) >= MOST_OF_ONE) return 'full';
      told.set(key, { namespace, at: now });
      count(namespace, 1);
      return 'new';
    },
  };
}
