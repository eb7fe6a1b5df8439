/** Label selectors, as the API server evaluates them (k8s.io/apimachinery, pkg/apis/meta/v1, LabelSelectorAsSelector). */

import type { V1LabelSelector } from '@kubernetes/client-node';

/** Whether labels match a selector; an absent or empty one matches everything. */
export function matchesSelector(selector: V1LabelSelector | undefined, labels: Readonly<Record<string, string>>): boolean {
  const exact = Object.entries(selector?.matchLabels ?? {}).every(([key, value]) => labels[key] === value);
  const expressions = (selector?.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
    const label = labels[key];
    switch (operator) {
      case 'In':
        return label !== undefined && values.includes(label);
      // A label that is absent is not in any list.
      case 'NotIn':
        return label === undefined || !values.includes(label);
      case 'Exists':
        return label !== undefined;
      case 'DoesNotExist':
        return label === undefined;
      default:
        return false;
    }
  });
  return exact && expressions;
}
