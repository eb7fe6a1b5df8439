/** Label selectors as lists of requirements, for comparing them. */

import { isDeepStrictEqual } from 'node:util';
import type { V1LabelSelector } from '@kubernetes/client-node';

export interface Requirement {
  readonly key: string;
  readonly operator: string;
  readonly values: readonly string[];
}

/** All of them have to hold. None: everything is selected. */
export function requirementsOf(selector: V1LabelSelector | undefined): Requirement[] {
  const labels = Object.entries(selector?.matchLabels ?? {}).map(([key, value]) => ({ key, operator: 'In', values: [value] }));
  const expressions = (selector?.matchExpressions ?? []).map(({ key, operator, values = [] }) => ({
    key,
    operator,
    values: values.toSorted(),
  }));
  return [...labels, ...expressions];
}

/** The requirements of the first list that the second one lacks. */
export function without(requirements: readonly Requirement[], others: readonly Requirement[]): Requirement[] {
  return requirements.filter((requirement) => !others.some((other) => isDeepStrictEqual(requirement, other)));
}

/** As kubectl writes it: `openshell.ai/sandbox notin (false)`. */
export function written({ key, operator, values }: Requirement): string {
  switch (operator) {
    case 'Exists':
      return key;
    case 'DoesNotExist':
      return `!${key}`;
    default:
      return `${key} ${operator.toLowerCase()} (${values.join(', ')})`;
  }
}
