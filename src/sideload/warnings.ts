import { ENV, METHOD_ANNOTATION } from './contract.ts';
import { willHaveVariable } from './environment.ts';
import { enumerate, quote, type Warning } from './outcome.ts';
import type { Plan } from './plan.ts';
import type { Container, PodSpec } from './pod.ts';
import type { ClusterFacts, SideloadSettings } from './settings.ts';

function hookNames({ livenessProbe, readinessProbe, startupProbe, lifecycle }: Container): string[] {
  const names: string[] = [];
  if (livenessProbe?.exec) names.push('livenessProbe');
  if (readinessProbe?.exec) names.push('readinessProbe');
  if (startupProbe?.exec) names.push('startupProbe');
  if (lifecycle?.postStart?.exec) names.push('lifecycle.postStart');
  if (lifecycle?.preStop?.exec) names.push('lifecycle.preStop');
  return names;
}

/** Names of the other containers that run as long as the pod does: init containers that stay are sidecars (KEP-753). */
function othersBeside(chosen: Container, { containers, initContainers }: PodSpec): string[] {
  const names: string[] = [];
  for (const container of containers ?? []) if (container !== chosen) names.push(container.name ?? '');
  for (const container of initContainers ?? []) if (container.restartPolicy === 'Always') names.push(container.name ?? '');
  return names;
}

/**
 * What the author of an admitted pod should know. `kubectl` prints it for bare pods; the owner of a Deployment never sees it.
 * A variable may come from envFrom, which an admission webhook cannot look into: then nothing is said.
 */
export function warningsFor(plan: Plan, settings: SideloadSettings, { nodes }: ClusterFacts): Warning[] {
  const { spec, container, existing, method } = plan;
  const warnings: Warning[] = [];
  const name = (): string => quote(container.name ?? '');
  const has = (...variables: string[]): boolean =>
    Boolean(container.envFrom?.length) || variables.every((variable) => willHaveVariable(variable, plan, settings));
  if (!existing.launched && !container.command?.length && !container.args?.length && !has(ENV.mainProcessSpec)) {
    warnings.push({
      code: 'no-command',
      message: `container ${name()} has no command: the image's ENTRYPOINT does not run, the supervisor starts its default shell; set command or ${ENV.mainProcessSpec}`,
    });
  }
  if (!has(ENV.sandboxId, ENV.endpoint) && !has(ENV.policyRules, ENV.policyData)) {
    warnings.push({
      code: 'no-policy-source',
      message: `container ${name()} has no policy source, the supervisor will exit: set ${ENV.sandboxId} and ${ENV.endpoint}, or ${ENV.policyRules} and ${ENV.policyData}`,
    });
  }
  if (method === 'image-volume' && nodes && nodes.mountingImages < nodes.total) {
    warnings.push({
      code: 'nodes-without-image-volumes',
      message: `only ${nodes.mountingImages} of ${nodes.total} schedulable Linux nodes are known to mount image volumes: choose such nodes, or set annotation ${METHOD_ANNOTATION} to init-container`,
    });
  }
  const hooks = hookNames(container);
  if (hooks.length > 0) {
    warnings.push({
      code: 'hooks-outside',
      message: `exec in ${enumerate(hooks)} of container ${name()} runs outside the supervisor, as root`,
    });
  }
  if (container.securityContext?.readOnlyRootFilesystem) {
    warnings.push({
      code: 'read-only-root',
      message: `container ${name()} has a read-only root file system: the supervisor writes its user to /etc/passwd and /etc/group and will exit; set readOnlyRootFilesystem: false`,
    });
  }
  const others = othersBeside(container, spec);
  if (others.length > 0) {
    warnings.push({
      code: 'containers-outside',
      message: `only container ${name()} runs under the supervisor, not ${enumerate(others)}`,
    });
  }
  return warnings;
}
