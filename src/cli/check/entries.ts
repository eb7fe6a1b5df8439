/** Whether the entries of the webhook configuration let no sandbox pass, compared with manifests/base/webhook.yaml. */

import type { V1MutatingWebhook, V1RuleWithOperations } from '@kubernetes/client-node';
import {
  MANAGED_BY_LABEL,
  MANAGED_BY_OPENSHELL,
  NAMESPACE_LABEL,
  POLICY_ENFORCED,
  POLICY_MODE_LABEL,
  SANDBOX_LABEL,
  TWO_POD_LABELS,
} from '../../sideload/contract.ts';
import { APPLY_AGAIN, type Finding, failed, warning } from './finding.ts';
import { type Requirement, requirementsOf, without, written } from './selectors.ts';

const SANDBOX_PODS: readonly Requirement[] = [
  { key: SANDBOX_LABEL, operator: 'Exists', values: [] },
  { key: SANDBOX_LABEL, operator: 'NotIn', values: ['false'] },
];
const MANAGED_PODS: readonly Requirement[] = [
  { key: MANAGED_BY_LABEL, operator: 'In', values: [MANAGED_BY_OPENSHELL] },
  ...[SANDBOX_LABEL, ...TWO_POD_LABELS].map((key) => ({ key, operator: 'DoesNotExist', values: [] })),
];

/** What an entry is for. */
interface Entry {
  /** The pods, by their labels. */
  readonly pods: readonly Requirement[];
  /** Whether it is for namespaces that enforce the operator's policy. */
  readonly enforced: boolean;
}

export const ENTRIES: Readonly<Record<string, Entry>> = {
  'sandbox.sideload.openshell.ai': { pods: SANDBOX_PODS, enforced: false },
  'managed.sideload.openshell.ai': { pods: MANAGED_PODS, enforced: false },
  'sandbox-enforced.sideload.openshell.ai': { pods: SANDBOX_PODS, enforced: true },
  'managed-enforced.sideload.openshell.ai': { pods: MANAGED_PODS, enforced: true },
};

const OPTED_IN: Requirement = { key: NAMESPACE_LABEL, operator: 'In', values: ['enabled'] };

/** Seconds. The webhook answers in milliseconds; what takes longer is a connection to a replica that has gone. */
const SHORT_TIMEOUT = 5;

/** The entries of ours. */
export function entriesOf({ webhooks = [] }: { readonly webhooks?: V1MutatingWebhook[] }): V1MutatingWebhook[] {
  return webhooks.filter(({ name }) => Object.hasOwn(ENTRIES, name));
}

/**
 * Whatever the entries are, in the order of ENTRIES: one that is missing, and what is wrong with the others.
 *
 * @param ownerEvents whether the webhook writes Events
 */
export function judgeEntries(entries: readonly V1MutatingWebhook[], ownerEvents = false): Finding[] {
  return Object.entries(ENTRIES).flatMap(([name, expected]) => {
    const entry = entries.find((candidate) => candidate.name === name);
    if (entry)
      return judgeEntry(entry, expected, ownerEvents).map((finding) => ({ ...finding, detail: `entry ${name}: ${finding.detail}` }));
    const where = expected.enforced ? `, in namespaces with ${POLICY_MODE_LABEL}=${POLICY_ENFORCED},` : '';
    const pods = expected.pods.map(written).join(', ');
    return [failed(`entry ${name} is missing: pods with ${pods}${where} start without their supervisor`, APPLY_AGAIN)];
  });
}

function judgeEntry(entry: V1MutatingWebhook, { pods, enforced }: Entry, ownerEvents: boolean): Finding[] {
  const findings: Finding[] = [];
  const cross = (detail: string): void => void findings.push(failed(detail, APPLY_AGAIN));
  const warn = (detail: string): void => void findings.push(warning(detail, APPLY_AGAIN));

  const asked = requirementsOf(entry.objectSelector);
  const narrower = without(asked, pods);
  const wider = without(pods, asked);
  if (narrower.length > 0)
    cross(`objectSelector asks for ${narrower.map(written).join(', ')} too: sandboxes without it start without their supervisor`);
  if (wider.length > 0) warn(`objectSelector does not ask for ${wider.map(written).join(', ')}: other pods wait for the webhook too`);
  if (entry.matchConditions?.length)
    cross(`matchConditions ${entry.matchConditions.map(({ name }) => name).join(', ')} skip sandboxes for which they are false`);
  if (!entry.rules?.some(coversPodCreation)) cross('no rule covers the creation of pods: no pod reaches the webhook');
  if (entry.failurePolicy !== 'Fail')
    cross('failurePolicy is Ignore: sandboxes start without their supervisor when the webhook is unavailable');
  if (entry.reinvocationPolicy !== 'IfNeeded')
    cross('reinvocationPolicy is Never: if a later webhook removes a part of the supervisor, it is not restored');

  const mode: Requirement = { key: POLICY_MODE_LABEL, operator: enforced ? 'In' : 'NotIn', values: [POLICY_ENFORCED] };
  const path = enforced ? '/mutate/enforced' : '/mutate';
  if (without([mode], requirementsOf(entry.namespaceSelector)).length > 0)
    warn(`namespaceSelector does not ask for ${written(mode)}: namespaces of the other policy mode reach it too`);
  const { service, url } = entry.clientConfig;
  if ((service ? service.path : new URL(url ?? 'https://none/').pathname) !== path)
    cross(`it does not call ${path}: sandboxes get the policy of another kind of namespace`);
  if (without([OPTED_IN], requirementsOf(entry.namespaceSelector)).length > 0)
    warn(`namespaceSelector does not ask for ${written(OPTED_IN)}: pods of namespaces that did not opt in reach the webhook`);
  const sideEffects = ownerEvents ? 'NoneOnDryRun' : 'None';
  if (entry.sideEffects !== sideEffects)
    warn(`sideEffects is ${entry.sideEffects}: with --owner-events=${ownerEvents} it is ${sideEffects}`);
  if (entry.matchPolicy !== 'Equivalent') warn(`matchPolicy is ${entry.matchPolicy}: another version of the pod API would pass`);
  const seconds = entry.timeoutSeconds ?? 10;
  if (seconds < SHORT_TIMEOUT) warn(`timeoutSeconds is ${seconds}: a short network delay refuses sandboxes`);
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
