import type { V1LabelSelectorRequirement, V1MutatingWebhook } from '@kubernetes/client-node';
import type { ControlPlane } from './cluster/control-plane.ts';

/** What AKS asks of the namespaces of every webhook. https://github.com/Azure/AKS/issues/4002 */
const REQUIREMENTS: readonly V1LabelSelectorRequirement[] = [
  { key: 'control-plane', operator: 'NotIn', values: ['true'] },
  { key: 'kubernetes.azure.com/managedby', operator: 'NotIn', values: ['aks'] },
];

/**
 * Does to our webhook configuration what the admissions enforcer of AKS does, under its name: it adds the requirements that an
 * entry lacks, and leaves an entry alone that has both.
 *
 * @returns whether it changed anything
 */
export async function enforceAdmissions({ run }: ControlPlane, name: string): Promise<boolean> {
  const configuration = JSON.parse(await run(['get', 'mutatingwebhookconfiguration', name, '-o', 'json']));
  let changes = false;
  for (const { namespaceSelector } of configuration.webhooks as V1MutatingWebhook[]) {
    const expressions = namespaceSelector?.matchExpressions ?? [];
    const missing = REQUIREMENTS.filter(({ key }) => !expressions.some((expression) => expression.key === key));
    expressions.push(...missing);
    changes ||= missing.length > 0;
  }
  if (changes) await run(['replace', '--field-manager=admissionsenforcer', '-f', '-'], JSON.stringify(configuration));
  return changes;
}
