/**
 * Structural checks of decoded JSON: they name the first member that has the wrong type and change nothing.
 *
 * A schema library would build a second object and drop or convert members on the way; a pod has to come out as it came in.
 * Go writes an absent slice or map as `null`, so `null` counts as absent everywhere.
 */

/** Checks `value`, found at `path`. Returns undefined when it fits, else a sentence such as "spec.volumes is a string, not a list". */
type Check = (value: unknown, path: string) => string | undefined;

/** A check that carries, for the compiler only, the type of what passes it. */
export type Shape<T> = Check & { readonly passes?: T };

/** The TypeScript type of what passes a shape. */
export type Passing<S> = S extends Shape<infer T> ? T : never;

type Members = Record<string, Shape<unknown>>;
type MembersOf<M extends Members> = { readonly [K in keyof M]?: Passing<M[K]> | null | undefined };

function kind(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (value === null) return 'null';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

function scalar<T>(name: string, fits: (value: unknown) => boolean): Shape<T> {
  return (value, path) => (fits(value) ? undefined : `${path} is ${kind(value)}, not ${name}`);
}

export const string = scalar<string>('a string', (value) => typeof value === 'string');
export const boolean = scalar<boolean>('a boolean', (value) => typeof value === 'boolean');
export const integer = scalar<number>('an integer', Number.isInteger);

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An object whose named members, where present, have the given shapes; other members are not looked at. */
export function object<M extends Members>(members: M): Shape<MembersOf<M>> {
  const entries = Object.entries(members);
  return (value, path) => {
    if (!isObject(value)) return `${path} is ${kind(value)}, not an object`;
    for (const [name, check] of entries) {
      const member = value[name];
      if (member === undefined || member === null) continue;
      const wrong = check(member, path === '' ? name : `${path}.${name}`);
      if (wrong !== undefined) return wrong;
    }
    return undefined;
  };
}

/** A list whose elements all have the given shape. */
export function list<T>(element: Shape<T>): Shape<readonly T[]> {
  return (value, path) => {
    if (!Array.isArray(value)) return `${path} is ${kind(value)}, not a list`;
    for (let i = 0; i < value.length; i++) {
      const wrong = element(value[i], `${path}[${i}]`);
      if (wrong !== undefined) return wrong;
    }
    return undefined;
  };
}

/** An object used as a map from any key to values of one shape. */
function map<T>(element: Shape<T>): Shape<Readonly<Record<string, T>>> {
  return (value, path) => {
    if (!isObject(value)) return `${path} is ${kind(value)}, not an object`;
    for (const key of Object.keys(value)) {
      const wrong = element(value[key], `${path}[${JSON.stringify(key)}]`);
      if (wrong !== undefined) return wrong;
    }
    return undefined;
  };
}

export const stringMap = map(string);

/** Resource quantities: the API server writes strings, people write numbers too (k8s.io/apimachinery, pkg/api/resource). */
export const quantities = map(
  scalar<string | number | null>('a quantity', (value) => typeof value === 'string' || Number.isFinite(value) || value === null),
);
