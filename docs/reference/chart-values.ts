/** The values of the Helm chart, as the comments of its values.yaml describe them. */

import { isMap, isScalar, parseDocument, type YAMLMap } from 'yaml';

interface DescribedValue {
  /** Its keys, from the outermost. */
  readonly path: readonly string[];
  readonly description: string;
}

/** What follows `# --` above a key, as helm-docs reads it: until the next line that is no comment. */
function descriptionOf(comment: string | null | undefined): string | undefined {
  const lines = comment?.split('\n').map((line) => line.trim()) ?? [];
  const start = lines.findLastIndex((line) => line.startsWith('-- '));
  if (start === -1) return undefined;
  return lines.slice(start).join(' ').slice('-- '.length);
}

/**
 * The values that have a comment, in their order.
 *
 * @param text of values.yaml
 * @throws Error when a value has no comment, neither itself nor an object that it is in
 */
export function describedValues(text: string): readonly DescribedValue[] {
  const described: DescribedValue[] = [];
  const walk = (map: YAMLMap, above: readonly string[], inside: boolean): void => {
    map.items.forEach(({ key, value }, at) => {
      if (!isScalar(key)) throw new Error(`values.yaml has a key that is no word below ${above.join('.')}`);
      const path = [...above, String(key.value)];
      // The comment above the first key belongs to the object.
      const description = descriptionOf(at === 0 ? (map.commentBefore ?? key.commentBefore) : key.commentBefore);
      if (description !== undefined) described.push({ path, description });
      const isDescribed = inside || description !== undefined;
      if (isMap(value) && value.items.length > 0) walk(value, path, isDescribed);
      else if (!isDescribed) throw new Error(`values.yaml: ${path.join('.')} has no comment "# -- …"`);
    });
  };
  const { contents } = parseDocument(text);
  if (!isMap(contents)) throw new Error('values.yaml holds no object');
  walk(contents, [], false);
  return described;
}

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
}

/**
 * A schema with each value's description.
 *
 * @throws Error when the schema does not have a value
 */
export function describedSchema(values: string, schema: Schema): Schema {
  return describedValues(values).reduce((described, { path, description }) => describe(described, path, description, path), schema);
}

function describe(schema: Schema, [key, ...rest]: readonly string[], description: string, path: readonly string[]): Schema {
  if (key === undefined) return Object.assign({ description }, schema, { description });
  const property = schema.properties?.[key];
  if (!property) throw new Error(`values.schema.json has no ${path.join('.')}`);
  return { ...schema, properties: { ...schema.properties, [key]: describe(property, rest, description, path) } };
}
