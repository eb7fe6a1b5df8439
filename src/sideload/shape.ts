/**
 * Structural checks of decoded JSON: they name the first member that has the wrong type and change nothing.
 *
 * A schema library would build a second object and drop or convert members on the way; a pod has to come out as it came in.
 * Go writes an absent slice or map as `null`, so `null` counts as absent everywhere.
 */

/**
 * Checks a value. Returns undefined when it fits, else the end of a message that begins with the value's path, such as
 * ".volumes is a string, not a list": the path is put together on the way back, so that what fits costs nothing.
 */
type Check = (value: unknown) => string | undefined;

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
  return (value) => (fits(value) ? undefined : ` is ${kind(value)}, not ${name}`);
}

export const string = scalar<string>('a string', (value) => typeof value === 'string');
export const boolean = scalar<boolean>('a boolean', (value) => typeof value === 'boolean');
export const integer = scalar<number>('an integer', Number.isInteger);
/** A port by number or by name (k8s.io/apimachinery, pkg/util/intstr). */
export const integerOrString = scalar<number | string>(
  'an integer or a string',
  (value) => typeof value === 'string' || Number.isInteger(value),
);

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An object whose named members, where present, have the given shapes; other members are not looked at. */
export function object<M extends Members>(members: M): Shape<MembersOf<M>> {
  const checks = new Map(Object.entries(members));
  return (value) => {
    if (!isObject(value)) return ` is ${kind(value)}, not an object`;
    for (const name in value) {
      const check = checks.get(name);
      if (check === undefined) continue;
      const member = value[name];
      if (member === undefined || member === null) continue;
      const wrong = check(member);
      if (wrong !== undefined) return `.${name}${wrong}`;
    }
    return undefined;
  };
}

/** A list whose elements all have the given shape. */
export function list<T>(element: Shape<T>): Shape<readonly T[]> {
  return (value) => {
    if (!Array.isArray(value)) return ` is ${kind(value)}, not a list`;
    for (let i = 0; i < value.length; i++) {
      const wrong = element(value[i]);
      if (wrong !== undefined) return `[${i}]${wrong}`;
    }
    return undefined;
  };
}

/** An object used as a map from any key to values of one shape. */
function map<T>(element: Shape<T>): Shape<Readonly<Record<string, T>>> {
  return (value) => {
    if (!isObject(value)) return ` is ${kind(value)}, not an object`;
    for (const key of Object.keys(value)) {
      const wrong = element(value[key]);
      if (wrong !== undefined) return `[${JSON.stringify(key)}]${wrong}`;
    }
    return undefined;
  };
}

export const stringMap = map(string);

/**
 * Checks a value that has a place.
 *
 * @param path of the value, for the message; empty for one whose members are known by their names alone
 * @returns a message such as "spec.volumes is a string, not a list", or undefined when it fits
 */
export function misfit(shape: Shape<unknown>, value: unknown, path: string): string | undefined {
  const wrong = shape(value);
  if (wrong === undefined) return undefined;
  return path === '' && wrong.startsWith('.') ? wrong.slice(1) : `${path}${wrong}`;
}

/** Resource quantities: the API server writes strings, people write numbers too (k8s.io/apimachinery, pkg/api/resource). */
export const quantities = map(
  scalar<string | number | null>('a quantity', (value) => typeof value === 'string' || Number.isFinite(value) || value === null),
);
