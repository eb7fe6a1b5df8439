const MINUTE_MS = 60_000;
/** The oldest one is at most an hour old when the next one is made. */
const MAX_LOOKS = 60;

/** Counts by name. */
export type Totals = ReadonlyMap<string, number>;

/** What was counted within about an hour. */
export interface Recent {
  /** The moment from which on it was counted: the start of the process, or between 59 and 60 minutes ago. */
  readonly since: Date;
  /** Names that were counted since then. */
  readonly counts: Totals;
}

/** The last hour of a counter. */
export interface LastHour {
  readonly read: () => Promise<Recent>;
  readonly stop: () => void;
}

/**
 * Follows totals that only grow, and are zero at the start. They are read once a minute and at each question, so that
 * counting itself costs nothing more.
 */
export function followLastHour(readTotals: () => Promise<Totals>): LastHour {
  const looks: { readonly at: Date; readonly totals: Totals }[] = [{ at: new Date(), totals: new Map() }];
  const look = async (): Promise<void> => {
    looks.push({ at: new Date(), totals: await readTotals() });
    if (looks.length > MAX_LOOKS) looks.shift();
  };
  const timer = setInterval(() => void look(), MINUTE_MS).unref();
  return {
    read: async () => {
      const totals = await readTotals();
      const [first] = looks;
      const grown = [...totals].map(([name, total]) => [name, total - (first?.totals.get(name) ?? 0)] as const);
      return { since: first?.at ?? new Date(), counts: new Map(grown.filter(([, count]) => count > 0)) };
    },
    stop: () => clearInterval(timer),
  };
}
