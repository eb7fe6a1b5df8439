/** Whether the entries of the webhook configuration let no sandbox pass, compared with manifests/base/webhook.yaml. */

import type { V1MutatingWebhook, V1RuleWithOperations } from '@kubernetes/client-node';
import { MANAGED_BY_LABEL, MANAGED_BY_OPENSHELL, NAMESPACE_LABEL, SANDBOX_LABEL } from '../../sideload/contract.ts';
import { APPLY_AGAIN, type Finding, failed, warning } from './finding.ts';
import { type Requirement, requirementsOf, without, written } from './selectors.ts';

/** Pods of each entry, by their labels. */
export const ENTRIES: Readonly<Record<string, readonly Requirement[]>> = {
  'sandbox.sideload.openshell.ai': [
    { key: SANDBOX_LABEL, operator: 'Exists', values: [] },
    { key: SANDBOX_LABEL, operator: 'NotIn', values: ['false'] },
  ],
  'managed.sideload.openshell.ai': [
    { key: MANAGED_BY_LABEL, operator: 'In', values: [MANAGED_BY_OPENSHELL] },
    { key: SANDBOX_LABEL, operator: 'DoesNotExist', values: [] },
  ],
};

const OPTED_IN: Requirement = { key: NAMESPACE_LABEL, operator: 'In', values: ['enabled'] };

/** Seconds. The webhook answers in milliseconds; what takes longer is a connection to a replica that has gone. */
const SHORT_TIMEOUT = 5;

/** The entries of ours. */
export function entriesOf({ webhooks = [] }: { readonly webhooks?: V1MutatingWebhook[] }): V1MutatingWebhook[] {
  return webhooks.filter(({ name }) => Object.hasOwn(ENTRIES, name));
}

/** Whatever the entries are, in the order of ENTRIES: one that is missing, and what is wrong with the others. */
export function judgeEntries(entries: readonly V1MutatingWebhook[]): Finding[] {
  return Object.entries(ENTRIES).flatMap(([name, pods]) => {
    const entry = entries.find((candidate) => candidate.name === name);
    if (entry) return judgeEntry(entry, pods).map((finding) => ({ ...finding, detail: `entry ${name}: ${finding.detail}` }));
    return [failed(`entry ${name} is missing: pods with ${pods.map(written).join(', ')} start without their supervisor`, APPLY_AGAIN)];
  });
}

function judgeEntry(entry: V1MutatingWebhook, pods: readonly Requirement[]): Finding[] {
  const findings: Finding[] = [];
  const cross = (detail: string): void => void findings.push(failed(detail, APPLY_AGAIN));
  const warn = (detail: string): void => void findings.push(warning(detail, APPLY_AGAIN));

  const asked = requirementsOf(entry.objectSelector);
  const narrower = without(asked, pods);
  const wider = without(pods, asked);
  if (narrower.length > 0)
    cross(`objectSelector asks for ${narrower.map(written).join(', ')} too: sandboxes that lack it start without their supervisor`);
  if (wider.length > 0) warn(`objectSelector does not ask for ${wider.map(written).join(', ')}: other pods wait for the webhook, too`);
  if (entry.matchConditions?.length)
    cross(`matchConditions ${entry.matchConditions.map(({ name }) => name).join(', ')} let sandboxes pass for which they are false`);
  if (!entry.rules?.some(coversPodCreation)) cross('no rule covers the creation of pods: none of them reaches the webhook');
  if (entry.failurePolicy !== 'Fail') cross('failurePolicy is Ignore: sandboxes start without their guard when the webhook is away');
  if (entry.reinvocationPolicy !== 'IfNeeded')
    cross('reinvocationPolicy is Never: what a later webhook takes out of a sandbox is not put back');

  if (without([OPTED_IN], requirementsOf(entry.namespaceSelector)).length > 0)
    warn(`namespaceSelector does not ask for ${written(OPTED_IN)}: pods of namespaces that did not opt in reach the webhook`);
  if (entry.sideEffects !== 'None') warn(`sideEffects is ${entry.sideEffects}: the webhook has none`);
  if (entry.matchPolicy !== 'Equivalent') warn(`matchPolicy is ${entry.matchPolicy}: another version of the pod API would pass`);
  const seconds = entry.timeoutSeconds ?? 10;
  if (seconds < SHORT_TIMEOUT) warn(`timeoutSeconds is ${seconds}: a moment on the network refuses sandboxes`);
  return findings;
}

function coversPodCreation({ operations, apiGroups, apiVersions, resources, scope }: V1RuleWithOperations): boolean {
  const covers = (list: readonly string[] | undefined, ...wanted: string[]): boolean =>
    (list ?? []).some((element) => wanted.includes(element));
  return (
    covers(operations, 'CREATE', '*') &&
    covers(apiGroups, '', '*') &&
    covers(apiVersions, 'v1', '*') &&
    covers(resources, 'pods', '*', '*/*') &&
    scope !== 'Cluster'
  );
}
