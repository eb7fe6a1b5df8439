/** Namespaces that opted in, and whether sandboxes can be created there. */

import type { V1MutatingWebhook, V1Namespace } from '@kubernetes/client-node';
import { call } from '../../cluster/client.ts';
import { readConfigMapKeys } from '../../cluster/config-maps.ts';
import { NAMESPACE_LABEL, POLICY_ENFORCED, POLICY_MODE_LABEL, SANDBOX_LABEL } from '../../sideload/contract.ts';
import type { Pod } from '../../sideload/pod.ts';
import { configMapsOf } from '../../sideload/policy-source.ts';
import { enforcesPolicy, type SideloadSettings, settingsIn } from '../../sideload/settings.ts';
import { matchesSelector } from '../label-selector.ts';
import { policyFilesOf } from '../policy-files.ts';
import type { Context } from './context.ts';
import { ENTRIES, entriesOf } from './entries.ts';
import { type Finding, failed, ok, problemsOr, warning } from './finding.ts';
import { guarded } from './guarded.ts';
import type { Group } from './run.ts';

/** Source: kubernetes.io/docs/concepts/security/pod-security-standards. */
const ENFORCE_LABEL = 'pod-security.kubernetes.io/enforce';
const OPT_IN = `kubectl label namespace NAME ${NAMESPACE_LABEL}=enabled --overwrite`;

/** What an operator adds to namespaceSelector narrows where sandboxes are guarded. */
function judge({ metadata }: V1Namespace, entries: readonly V1MutatingWebhook[], own: string): Finding {
  const { name = '', labels = {} } = metadata ?? {};
  const take = `kubectl label namespace ${name} ${NAMESPACE_LABEL}-`;
  if (labels[NAMESPACE_LABEL] !== 'enabled')
    return warning(
      `${name} has not opted in: label ${NAMESPACE_LABEL} is ${JSON.stringify(labels[NAMESPACE_LABEL])}`,
      OPT_IN.replace('NAME', name),
    );
  if (name === 'kube-system' || name === own) return warning(`${name} opted in, and is excluded by its name`, take);
  const responsible = entries.filter((entry) => ENTRIES[entry.name]?.enforced === enforcesPolicy(labels));
  if (!responsible.every(({ namespaceSelector }) => matchesSelector(namespaceSelector, { ...labels, 'kubernetes.io/metadata.name': name })))
    return warning(`${name} opted in, and namespaceSelector excludes it: sandboxes start there without their supervisor`, take);
  const level = labels[ENFORCE_LABEL];
  if (level === undefined || level === 'privileged') return ok(`${name} opted in${level ? ', Pod Security level privileged' : ''}`);
  return failed(
    `${name} opted in and enforces the Pod Security level ${level}: sandboxes are refused there`,
    `kubectl label namespace ${name} ${ENFORCE_LABEL}=privileged --overwrite\ndocs/security.md#the-process says why`,
  );
}

async function opted({ labelledNamespaces, configuration, config }: Context): Promise<readonly Finding[]> {
  const entries = entriesOf(await configuration().catch(() => ({})));
  const findings = (await labelledNamespaces()).map((namespace) => judge(namespace, entries, config.namespace));
  return findings.length > 0 ? findings : [warning('none has opted in: no pod becomes a sandbox', OPT_IN)];
}

/** A namespace may hold more pods; the ConfigMaps of so many say enough. */
const MAX_PODS = 500;

/** Policies that pods name, and that the operator names for all pods, of one namespace. */
async function policiesIn(namespace: V1Namespace, { cluster }: Context, settings: SideloadSettings): Promise<Finding[]> {
  const { name = '', labels = {} } = namespace.metadata ?? {};
  const mode = labels[POLICY_MODE_LABEL];
  if (mode !== undefined && mode !== POLICY_ENFORCED && mode !== 'default')
    return [
      failed(
        `${name}: label ${POLICY_MODE_LABEL} is ${JSON.stringify(mode)}, which enforces nothing`,
        `kubectl label namespace ${name} ${POLICY_MODE_LABEL}=${POLICY_ENFORCED} --overwrite`,
      ),
    ];
  const judged = settingsIn(labels, settings);
  if (judged.policy.enforced && !judged.policy.enforceable)
    return [failed(`${name} enforces a policy, and --policy is no image by digest: sandboxes are refused there`, 'docs/policy.md')];
  const core = cluster.config.makeApiClient(cluster.k8s.CoreV1Api);
  const request = core.listNamespacedPod({ namespace: name, labelSelector: `${SANDBOX_LABEL}=true`, limit: MAX_PODS });
  const { items } = await call(`list pods of namespace ${name}`, request);
  const pods = items.map((pod) => JSON.parse(JSON.stringify(pod)) as Pod);
  const wanted = new Map<string, Set<string>>();
  const operators = judged.policy.operator ? configMapsOf(judged.policy.operator) : [];
  const files = [...operators, ...pods.flatMap((pod) => policyFilesOf(pod, judged))];
  for (const { name: file, keys } of files) wanted.set(file, new Set([...(wanted.get(file) ?? []), ...keys]));
  const findings = [...wanted].map(async ([file, keys]): Promise<Finding> => {
    const found = await readConfigMapKeys(cluster, name, file);
    const create = `openshell-sideload policy configmap ${file} -n ${name} -f policy.yaml --rules policy.rego | kubectl apply -f -`;
    if (found === 'forbidden') return warning(`${name}: you may not read ConfigMap ${file}, which holds a policy`);
    if (found === 'missing') return failed(`${name}: ConfigMap ${file} is missing: sandboxes that need it wait`, create);
    const lacking = [...keys].filter((key) => !found.includes(key));
    if (lacking.length === 0) return ok(`${name}: ConfigMap ${file} has ${[...keys].join(', ')}`);
    return failed(`${name}: ConfigMap ${file} lacks ${lacking.join(', ')}: sandboxes that need it wait`, create);
  });
  return Promise.all(findings);
}

async function policies(context: Context): Promise<readonly Finding[]> {
  const settings = await context.settings();
  const namespaces = await context.optedInNamespaces();
  const findings = await Promise.all(namespaces.map((namespace) => policiesIn(namespace, context, settings)));
  return problemsOr(findings.flat(), 'no pod needs a ConfigMap');
}

export const NAMESPACES: Group<Context> = {
  heading: 'namespaces',
  checks: [
    { name: 'opted in', needs: ['API server'], run: opted },
    { name: 'policies', needs: ['API server'], run: policies },
    { name: 'sandboxes', needs: ['API server'], run: guarded },
  ],
};
