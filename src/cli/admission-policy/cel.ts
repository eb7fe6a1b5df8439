/** Pieces of CEL, the language of admission policies (cel-spec, langdef.md). */

/** A named expression of an admission policy; later ones may use it as `variables.NAME`. */
export interface PolicyVariable {
  readonly name: string;
  readonly expression: string;
  /** For readers of the policy; lines of YAML, each with a space before it. */
  readonly comment?: string;
}

/** A string, a list or a map of CEL. */
export function literal(value: string | readonly string[] | Readonly<Record<string, string>>): string {
  if (typeof value === 'string') return /['\\\n]/.test(value) ? JSON.stringify(value) : `'${value}'`;
  if (Array.isArray(value)) return `[${value.map((element: string) => literal(element)).join(', ')}]`;
  return `{${Object.entries(value)
    .map(([key, element]) => `${literal(key)}: ${literal(element)}`)
    .join(', ')}}`;
}

/** A map with values of several types, each an expression. */
export function mixed(members: Readonly<Record<string, string>>): string {
  return `{${Object.entries(members)
    .map(([name, expression]) => `'${name}': dyn(${expression})`)
    .join(', ')}}`;
}

/** An operation of a JSON Patch (RFC 6902), as a map: variables know no other type for it. `add` replaces a member that is there. */
export function add(path: string, value: string): string {
  return mixed({ op: literal('add'), path, value });
}

export function replace(path: string, value: string): string {
  return mixed({ op: literal('replace'), path, value });
}

export function remove(path: string): string {
  return mixed({ op: literal('remove'), path });
}

/** Operations, if a condition holds. */
export function when(condition: string, ...operations: readonly string[]): string {
  return `(${condition} ? [${operations.join(', ')}] : [])`;
}

/**
 * Operations that append to a list that may be absent; elements that are there are not touched.
 *
 * @param list an expression: whether the list is there
 * @param values the variable with the list of what is appended
 */
export function append(path: string, list: string, values: string): string {
  return `(${values}.size() == 0 ? [] : ${list} ? ${values}.map(v, ${add(`${path} + '/-'`, 'v')}) : [${add(path, values)}])`;
}

/** Expressions in order, each on a line of its own. */
export function lines(joint: string, ...expressions: readonly string[]): string {
  return expressions.join(`${joint}\n`);
}
