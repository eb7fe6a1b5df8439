/** The backstop of manifests/components/backstop: whether it is in force, and knows the webhook's choices. */

import type { V1ConfigMap, V1ValidatingAdmissionPolicyBinding } from '@kubernetes/client-node';
import { answer, orUndefined } from '../../cluster/client.ts';
import type { SideloadSettings } from '../../sideload/settings.ts';
import type { Context } from './context.ts';
import { ENTRIES } from './entries.ts';
import { type Finding, failed, problemsOr, skipped, warning } from './finding.ts';
import { requirementsOf, without, written } from './selectors.ts';

const COMPONENT = 'manifests/components/backstop';
const DOCUMENTED = 'docs/security.md#backstop';

/** The values of a key, separated as in the policy. */
function listed({ data }: V1ConfigMap, key: string): string[] {
  return (data?.[key] ?? '')
    .split(/[,\n]/)
    .map((value) => value.trim())
    .filter((value) => value !== '');
}

/** Lines in any order, as they are compared. */
const lines = (text: string): string =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .sort()
    .join('\n');

/**
 * What the webhook puts into pods and the backstop would refuse.
 *
 * @param settings the webhook's, and `options` as they are written on its command line
 */
export function judgeParameters(
  parameters: V1ConfigMap,
  { trustedImages, allowedMethods, supervisorArgs }: SideloadSettings,
  options: BackstopOptions,
): Finding[] {
  const name = `ConfigMap ${parameters.metadata?.namespace}/${parameters.metadata?.name}`;
  const wayOut = `kubectl edit configmap ${parameters.metadata?.name} -n ${parameters.metadata?.namespace}; ${DOCUMENTED}`;
  const trusted = listed(parameters, 'trustedSupervisorImages');
  const untrusted = [...trustedImages.keys()].filter((image) => !trusted.includes(image));
  const methods = listed(parameters, 'allowedSideloadMethods');
  return [
    ...(untrusted.length > 0
      ? [failed(`${name} lacks ${untrusted.join(', ')} in trustedSupervisorImages: such sandboxes are refused`, wayOut)]
      : []),
    ...(
      [
        ['supervisorArgs', supervisorArgs.join('\n'), ''],
        ['pinnedEnv', options.pinnedEnv, ''],
        ['policy', options.policy, 'none'],
        ['policyRules', options.policyRules, 'same'],
        ['policyMode', options.policyMode, 'default'],
      ] as const
    ).flatMap(([key, wanted, fallback]) => {
      const found = parameters.data?.[key] ?? fallback;
      // Variables may hold secrets: they are not shown.
      const shown = key === 'pinnedEnv' ? '' : `: ${JSON.stringify(found)} instead of ${JSON.stringify(wanted)}`;
      return lines(found) === lines(wanted)
        ? []
        : [failed(`${name} has another ${key} than the webhook${shown}: sandboxes are refused`, wayOut)];
    }),
    // Of the methods, the backstop asks for this one only.
    ...(allowedMethods.includes('host-path') && !methods.includes('host-path')
      ? [failed(`${name} lacks host-path in allowedSideloadMethods: such sandboxes are refused`, wayOut)]
      : []),
  ];
}

/** Options that the backstop has to know, as text. */
export interface BackstopOptions {
  readonly pinnedEnv: string;
  readonly policy: string;
  readonly policyRules: string;
  readonly policyMode: string;
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
  const core = config.makeApiClient(k8s.CoreV1Api);
  const name = `${(await configuration()).metadata?.name}-backstop`;
  const { items: policies } = await answer('list ValidatingAdmissionPolicies', admission.listValidatingAdmissionPolicy());
  const isThere = (policy: string): boolean => policies.some(({ metadata }) => metadata?.name === policy);
  if (!isThere(name)) return skipped(`not installed: ${COMPONENT} adds it, ${DOCUMENTED} says what it is for`);

  const { items } = await answer('list ValidatingAdmissionPolicyBindings', admission.listValidatingAdmissionPolicyBinding());
  const bindingsOf = (policy: string) => items.filter((binding) => binding.spec?.policyName === policy && denies(binding));
  const bindings = bindingsOf(name);
  const problems: Finding[] = uncovered(bindings).map((pods) =>
    failed(`no binding of ${name} with the action Deny covers pods with ${pods}`, `install ${COMPONENT} again`),
  );
  if (!isThere(`${name}-changed`) || bindingsOf(`${name}-changed`).length === 0)
    problems.push(
      warning(
        `policy ${name}-changed, or its binding, is missing: sandboxes can be changed after their creation`,
        `install ${COMPONENT} again`,
      ),
    );

  const { sideload: settings, texts } = (await deployed()).config;
  const references = new Map(
    bindings.flatMap(({ spec }) => {
      const { name: parameters, namespace } = spec?.paramRef ?? {};
      return parameters && namespace ? [[`${namespace}/${parameters}`, { name: parameters, namespace }] as const] : [];
    }),
  );
  for (const reference of references.values()) {
    const what = `${reference.namespace}/${reference.name}`;
    const parameters = await orUndefined(answer(`read ConfigMap ${what}`, core.readNamespacedConfigMap(reference)));
    problems.push(
      ...(parameters
        ? judgeParameters(parameters, settings, texts)
        : [failed(`ConfigMap ${what} is missing: every sandbox is refused`, `install ${COMPONENT} again`)]),
    );
  }
  return problemsOr(problems, `${name} is in force and trusts what the webhook trusts`);
}
