/** The backstop of manifests/components/backstop: whether it is in force, and knows the webhook's choices. */

import type { V1ValidatingAdmissionPolicy, V1ValidatingAdmissionPolicyBinding } from '@kubernetes/client-node';
import { call } from '../../cluster/client.ts';
import { backstopLiterals, type LiteralName } from '../backstop-literals.ts';
import type { Context } from './context.ts';
import { ENTRIES } from './entries.ts';
import { type Finding, failed, problemsOr, skipped, warning } from './finding.ts';
import { requirementsOf, without, written } from './selectors.ts';

const COMPONENT = 'manifests/components/backstop';
const DOCUMENTED = 'docs/security.md#backstop';

/** In any order, as they are compared; a literal that is no JSON is compared as it is. */
function comparable(literal: string): string {
  try {
    const value: unknown = JSON.parse(literal);
    return JSON.stringify(Array.isArray(value) ? value.sort() : value);
  } catch {
    return literal;
  }
}

/** Options whose values may be secrets: they are not shown. */
const SECRET: readonly string[] = ['supervisorArgs', 'pinnedEnv', 'supervisorEnv'];

/**
 * What the webhook puts into pods and the backstop would refuse.
 *
 * @param wanted the webhook's choices, by the name of the backstop's variable
 */
export function judgeLiterals({ metadata, spec }: V1ValidatingAdmissionPolicy, wanted: Readonly<Record<LiteralName, string>>): Finding[] {
  const expressions = new Map(spec?.variables?.map(({ name, expression }) => [name, expression]));
  return (Object.entries(wanted) as [LiteralName, string][]).flatMap(([name, literal]) => {
    const found = expressions.get(name);
    if (found !== undefined && comparable(found) === comparable(literal)) return [];
    const shown = SECRET.includes(name) ? '' : `: ${found ?? 'nothing'} instead of ${literal}`;
    return [
      failed(
        `${metadata?.name} has another ${name} than the webhook${shown}: sandboxes are refused`,
        `openshell-sideload backstop OPTIONS | kubectl apply -f -, with the webhook's options; ${DOCUMENTED}`,
      ),
    ];
  });
}

function denies({ spec }: V1ValidatingAdmissionPolicyBinding): boolean {
  return spec?.validationActions?.includes('Deny') === true;
}

/** Pods that no binding covers. A binding covers an entry's pods when it asks for nothing but what the entry asks for. */
function uncovered(bindings: readonly V1ValidatingAdmissionPolicyBinding[]): string[] {
  return Object.values(ENTRIES)
    .filter(({ enforced }) => !enforced)
    .map(({ pods }) => pods)
    .filter((pods) => !bindings.some(({ spec }) => without(requirementsOf(spec?.matchResources?.objectSelector), pods).length === 0))
    .map((pods) => pods.map(written).join(', '));
}

export async function checkBackstop({ cluster: { k8s, config }, configuration, deployed }: Context): Promise<Finding | readonly Finding[]> {
  const admission = config.makeApiClient(k8s.AdmissionregistrationV1Api);
  const name = `${(await configuration()).metadata?.name}-backstop`;
  const { items: policies } = await call('list ValidatingAdmissionPolicies', admission.listValidatingAdmissionPolicy());
  const find = (policy: string): V1ValidatingAdmissionPolicy | undefined => policies.find(({ metadata }) => metadata?.name === policy);
  const stored = find(name);
  if (!stored) return skipped(`not installed: ${COMPONENT} adds it, ${DOCUMENTED} says what it is for`);

  const { items } = await call('list ValidatingAdmissionPolicyBindings', admission.listValidatingAdmissionPolicyBinding());
  const bindingsOf = (policy: string) => items.filter((binding) => binding.spec?.policyName === policy && denies(binding));
  const bindings = bindingsOf(name);
  const problems: Finding[] = uncovered(bindings).map((pods) =>
    failed(`no binding of ${name} with the action Deny covers pods with ${pods}`, `install ${COMPONENT} again`),
  );
  if (!find(`${name}-changed`) || bindingsOf(`${name}-changed`).length === 0)
    problems.push(
      warning(
        `policy ${name}-changed, or its binding, is missing: sandboxes can be changed after their creation`,
        `install ${COMPONENT} again`,
      ),
    );

  problems.push(...judgeLiterals(stored, backstopLiterals((await deployed()).config)));
  return problemsOr(problems, `${name} is in force and trusts what the webhook trusts`);
}
