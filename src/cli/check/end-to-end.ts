/** A sandbox for each pod label, created as a dry run: what the API server would store. */

import { call, statusOf } from '../../cluster/client.ts';
import {
  MANAGED_BY_LABEL,
  MANAGED_BY_OPENSHELL,
  POLICY_ANNOTATION,
  SANDBOX_LABEL,
  SIDELOADED_ANNOTATION,
} from '../../sideload/contract.ts';
import { decide } from '../../sideload/decide.ts';
import type { Pod } from '../../sideload/pod.ts';
import { settingsIn, UNKNOWN_CLUSTER } from '../../sideload/settings.ts';
import type { Context } from './context.ts';
import { type Finding, failed, ok, skipped } from './finding.ts';
import type { Check, Group } from './run.ts';

/** Small, and with limits, for namespaces whose quota asks for them. It needs no service account. */
function sandbox(label: string, value: string, policy: Readonly<Record<string, string>>): Pod {
  const size = { cpu: '10m', memory: '16Mi' };
  return {
    metadata: { generateName: 'openshell-sideload-check-', labels: { [label]: value }, annotations: policy },
    spec: {
      automountServiceAccountToken: false,
      containers: [
        {
          name: 'agent',
          image: 'check',
          command: ['check'],
          resources: { requests: size, limits: size },
        },
      ],
    },
  } as Pod;
}

/** The first one that opted in, other than those that are excluded by name. */
async function namespaceFor({ sandboxNamespace, optedInNamespaces, config }: Context): Promise<string | undefined> {
  if (sandboxNamespace !== undefined) return sandboxNamespace;
  const candidates = await optedInNamespaces();
  return candidates.map(({ metadata }) => metadata?.name ?? '').find((name) => name !== 'kube-system' && name !== config.namespace);
}

const tryLabel =
  (label: string, value: string) =>
  async (context: Context): Promise<Finding> => {
    const namespace = await namespaceFor(context);
    if (namespace === undefined) return skipped('no namespace opted in; --namespace=NAMESPACE names one');
    const { k8s, config } = context.cluster;
    const labelled = (await context.labelledNamespaces()).find(({ metadata }) => metadata?.name === namespace);
    const judged = settingsIn(labelled?.metadata?.labels, await context.settings());
    // A dry run mounts nothing: the ConfigMap need not be there. Where the policy is enforced, no pod may name one.
    const policy = judged.policy.enforced ? {} : { [POLICY_ANNOTATION]: 'check' };
    const body = sandbox(label, value, policy) as object;
    const request = config.makeApiClient(k8s.CoreV1Api).createNamespacedPod({ namespace, body, dryRun: 'All' });
    let stored: Pod;
    try {
      // The client's classes carry dates; the core reads JSON.
      stored = JSON.parse(JSON.stringify(await call(`create a sandbox in namespace ${namespace}`, request)));
    } catch (error) {
      if (statusOf(error) === undefined || !(error instanceof Error)) throw error;
      return failed(error.message, fix(error.message, namespace));
    }
    const outcome = decide(stored, judged, UNKNOWN_CLUSTER);
    if (outcome.reason === 'already-sideloaded')
      return ok(
        `namespace ${namespace} would store it under its supervisor, method ${stored.metadata?.annotations?.[SIDELOADED_ANNOTATION]}`,
      );
    const why = outcome.verdict === 'refuse' ? outcome.message : 'its supervisor is missing, or not whole';
    return failed(
      `namespace ${namespace} would store a sandbox that is not under its supervisor: ${why}`,
      'fix the failed checks above; otherwise another webhook removes it, which the backstop catches: docs/security.md#backstop',
    );
  };

/** By the messages of the API server. */
function fix(message: string, namespace: string): string {
  if (message.includes('failed calling webhook')) return 'docs/operations.md#when-it-is-down';
  if (message.includes('violates PodSecurity'))
    return `kubectl label namespace ${namespace} pod-security.kubernetes.io/enforce=privileged --overwrite`;
  if (message.includes('exceeded quota') || message.includes('failed quota') || message.includes('usage per'))
    return `kubectl describe resourcequotas,limitranges -n ${namespace}; docs/operations.md#limits-and-quotas`;
  if (message.includes('AdmissionPolicy') && message.includes('denied request'))
    return 'docs/no-server.md; docs/troubleshooting.md has each reason code';
  if (message.includes('denied the request')) return 'docs/operations.md#refused-pods';
  return `kubectl auth can-i create pods -n ${namespace}; kubectl get namespace ${namespace}`;
}

const check = (label: string, value: string): Check<Context> => ({
  name: `a pod with ${label}=${value}`,
  needs: ['Deployment', 'webhook configuration'],
  run: tryLabel(label, value),
});

export const END_TO_END: Group<Context> = {
  heading: 'end to end, as a dry run',
  checks: [check(SANDBOX_LABEL, 'true'), check(MANAGED_BY_LABEL, MANAGED_BY_OPENSHELL)],
};
