/** Whether the sandboxes that run in namespaces that opted in have their supervisor: the webhook sees only pods that are created. */

import type { V1Namespace, V1Pod } from '@kubernetes/client-node';
import { listPods, SANDBOX_SELECTORS } from '../../cluster/pods.ts';
import { type SideloadSettings, settingsIn } from '../../sideload/settings.ts';
import { isUnguarded } from '../../sideload/unguarded.ts';
import type { Context } from './context.ts';
import { type Finding, failed, ok, problemsOr, warning } from './finding.ts';

/** Of one namespace and selector. */
const MOST_PODS = 10_000;

function ownerOf({ metadata }: V1Pod): string {
  const owner = metadata?.ownerReferences?.find(({ controller }) => controller);
  return owner ? `${owner.kind} ${owner.name}` : `Pod ${metadata?.name}`;
}

/** Owners for a message: a few of them, each with the number of its pods. */
const SHOWN = 5;

async function judge(namespace: V1Namespace, context: Context, settings: SideloadSettings): Promise<Finding> {
  const { name = '', labels = {} } = namespace.metadata ?? {};
  const { pods, more } = await listPods(context.cluster, name, SANDBOX_SELECTORS, MOST_PODS);
  const owners = new Map<string, number>();
  const judged = settingsIn(labels, settings);
  // The client's classes carry dates; the core reads JSON.
  const unguarded = pods.filter((pod) => isUnguarded(JSON.parse(JSON.stringify(pod)), judged));
  for (const owner of unguarded.map(ownerOf)) owners.set(owner, (owners.get(owner) ?? 0) + 1);
  if (unguarded.length > 0) {
    const listed = [...owners].slice(0, SHOWN).map(([owner, count]) => (count === 1 ? owner : `${owner} (${count})`));
    const rest = owners.size > SHOWN ? ` and ${owners.size - SHOWN} more` : '';
    return failed(
      `${name}: ${unguarded.length} sandboxes run without their supervisor: ${listed.join(', ')}${rest}`,
      `openshell-sideload explain pods -n ${name} says why; create them again: kubectl rollout restart, or kubectl delete pod`,
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
