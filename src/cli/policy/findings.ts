/** What a check of a policy finds, and where. Pure. */

/** A place in policy data: `['network_policies', 'api', 'endpoints', 0]`. */
export type Path = readonly (string | number)[];

export interface Finding {
  /** error: the supervisor would not start. warning: it starts, but not with what the author may expect. */
  readonly level: 'error' | 'warning';
  /** From 1, in the text that was checked. */
  readonly line: number;
  /** The thing, its value, the problem and the fix. */
  readonly message: string;
}

export type Members = Readonly<Record<string, unknown>>;

/** Whether a value of YAML is a map. */
export const isMap = (value: unknown): value is Members => typeof value === 'object' && value !== null && !Array.isArray(value);

/** The supervisor reads an empty list as a map without members. */
export const isEmptyList = (value: unknown): boolean => Array.isArray(value) && value.length === 0;

const LONGEST_VALUE = 80;

/** A value for a message, cut where it is long. */
function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > LONGEST_VALUE ? `${text.slice(0, LONGEST_VALUE)}…` : text;
}

/** A path for a message: `network_policies.api.endpoints[0].host`. */
function named(path: Path): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`;
    const member = /^[\w-]+$/.test(key) ? key : JSON.stringify(key);
    return text === '' ? member : `${text}.${member}`;
  }, '');
}

/** Collects what is found about one text. */
export class Findings {
  readonly list: Finding[] = [];
  readonly #lineOf: (path: Path) => number;

  /** @param lineOf the line of a path; of a path that is not in the text, that of the nearest one above it */
  constructor(lineOf: (path: Path) => number) {
    this.#lineOf = lineOf;
  }

  /** The supervisor would not start. @param value as it is; undefined where the message says that it is missing */
  error(path: Path, value: unknown, problem: string): void {
    this.#add('error', path, value, problem);
  }

  /** The supervisor starts, but the author should know. */
  warning(path: Path, value: unknown, problem: string): void {
    this.#add('warning', path, value, problem);
  }

  /** Warns of each member that nothing reads. */
  unknownMembers(path: Path, value: Members, known: readonly string[], effect = 'the supervisor ignores it'): void {
    for (const key of Object.keys(value)) {
      if (known.includes(key)) continue;
      const problem =
        key === '<<'
          ? 'the supervisor does not apply merge keys; write the members out'
          : `${effect}; correct its name or remove it. Known here: ${known.join(', ')}`;
      this.warning([...path, key], undefined, problem);
    }
  }

  #add(level: Finding['level'], path: Path, value: unknown, problem: string): void {
    const thing = named(path) || 'the policy';
    this.list.push({ level, line: this.#lineOf(path), message: `${thing}${value === undefined ? '' : ` ${shown(value)}`}: ${problem}` });
  }
}
