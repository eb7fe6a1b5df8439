/** Whether the sandboxes that run in namespaces that opted in have their supervisor: the webhook sees only pods that are created. */

import type { V1Namespace, V1Pod } from '@kubernetes/client-node';
import { call } from '../../cluster/client.ts';
import { MANAGED_BY_LABEL, SANDBOX_LABEL } from '../../sideload/contract.ts';
import { decide } from '../../sideload/decide.ts';
import { type Pod, podShape } from '../../sideload/pod.ts';
import { type SideloadSettings, settingsIn, UNKNOWN_CLUSTER } from '../../sideload/settings.ts';
import { misfit } from '../../sideload/shape.ts';
import type { Context } from './context.ts';
import { type Finding, failed, ok, problemsOr, warning } from './finding.ts';

/** As the entries of the webhook configuration select. */
const SELECTORS = [`${SANDBOX_LABEL},${SANDBOX_LABEL}!=false`, `${MANAGED_BY_LABEL}=openshell,!${SANDBOX_LABEL}`];
/** Of one response of the API server; and in all, for one namespace and selector. */
const [PAGE, MOST_PAGES] = [500, 20];

/** Pods of a namespace that are, or were to be, sandboxes; and whether there are more. */
async function sandboxesIn({ cluster }: Context, namespace: string): Promise<{ pods: V1Pod[]; more: boolean }> {
  const core = cluster.config.makeApiClient(cluster.k8s.CoreV1Api);
  const pods: V1Pod[] = [];
  let more = false;
  for (const labelSelector of SELECTORS) {
    let next: string | undefined;
    for (let page = 0; page < MOST_PAGES; page++) {
      const request = core.listNamespacedPod({ namespace, labelSelector, limit: PAGE, ...(next === undefined ? {} : { _continue: next }) });
      const { items, metadata } = await call(`list pods of namespace ${namespace}`, request);
      pods.push(...items);
      next = metadata?._continue || undefined;
      if (next === undefined) break;
    }
    more ||= next !== undefined;
  }
  return { pods, more };
}

/** Whether a pod that runs, or will, has no complete supervisor of a trusted image. */
function isUnguarded(pod: V1Pod, settings: SideloadSettings): boolean {
  if (pod.metadata?.deletionTimestamp !== undefined || ['Succeeded', 'Failed'].includes(pod.status?.phase ?? '')) return false;
  // The client's classes carry dates; the core reads JSON.
  const plain: unknown = JSON.parse(JSON.stringify(pod));
  if (misfit(podShape, plain, '') !== undefined) return true;
  let isComplete = false;
  const outcome = decide(plain as Pod, settings, UNKNOWN_CLUSTER, undefined, (seen) => {
    isComplete ||= seen.step === 'supervisor' && seen.parts === 'all';
  });
  // A complete one of another release, or of other settings, guards as well.
  return outcome.verdict !== 'skip' && !isComplete;
}

function ownerOf({ metadata }: V1Pod): string {
  const owner = metadata?.ownerReferences?.find(({ controller }) => controller);
  return owner ? `${owner.kind} ${owner.name}` : `Pod ${metadata?.name}`;
}

/** Owners for a message: a few of them, each with the number of its pods. */
const SHOWN = 5;

async function judge(namespace: V1Namespace, context: Context, settings: SideloadSettings): Promise<Finding> {
  const { name = '', labels = {} } = namespace.metadata ?? {};
  const { pods, more } = await sandboxesIn(context, name);
  const owners = new Map<string, number>();
  const unguarded = pods.filter((pod) => isUnguarded(pod, settingsIn(labels, settings)));
  for (const owner of unguarded.map(ownerOf)) owners.set(owner, (owners.get(owner) ?? 0) + 1);
  if (unguarded.length > 0) {
    const listed = [...owners].slice(0, SHOWN).map(([owner, count]) => (count === 1 ? owner : `${owner} (${count})`));
    const rest = owners.size > SHOWN ? ` and ${owners.size - SHOWN} more` : '';
    return failed(
      `${name}: ${unguarded.length} sandboxes run without their supervisor: ${listed.join(', ')}${rest}`,
      `openshell-sideload explain pod NAME -n ${name} says why; create them again: kubectl rollout restart, or kubectl delete pod`,
    );
  }
  return more
    ? warning(`${name}: the first ${pods.length} sandboxes have their supervisor, others were not looked at`)
    : ok(`${name}: ${pods.length} sandboxes, all under their supervisor`);
}

/** Lists what runs unguarded, by namespace and owner. */
export async function guarded(context: Context): Promise<readonly Finding[]> {
  const settings = await context.settings();
  const namespaces = await context.optedInNamespaces();
  const findings = await Promise.all(namespaces.map((namespace) => judge(namespace, context, settings)));
  return problemsOr(findings, 'no namespace opted in');
}
