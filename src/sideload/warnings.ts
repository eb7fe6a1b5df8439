import { ENV, METHOD_ANNOTATION } from './contract.ts';
import { variableNames } from './environment.ts';
import { enumerate, quote, type Warning } from './outcome.ts';
import type { Plan } from './plan.ts';
import type { Container } from './pod.ts';
import type { ClusterFacts, SideloadSettings } from './settings.ts';

function hookNames(container: Container): string[] {
  const hooks = {
    livenessProbe: container.livenessProbe,
    readinessProbe: container.readinessProbe,
    startupProbe: container.startupProbe,
    'lifecycle.postStart': container.lifecycle?.postStart,
    'lifecycle.preStop': container.lifecycle?.preStop,
  };
  return Object.entries(hooks).flatMap(([name, hook]) => (hook?.exec ? [name] : []));
}

/**
 * What the author of an admitted pod should know. `kubectl` prints it for bare pods; the owner of a Deployment never sees it.
 * A variable may come from envFrom, which an admission webhook cannot look into: then nothing is said.
 */
export function warningsFor(plan: Plan, settings: SideloadSettings, { nodes }: ClusterFacts): Warning[] {
  const { spec, container, existing, method } = plan;
  const warnings: Warning[] = [];
  const name = quote(container.name ?? '');
  const variables = variableNames(plan, settings);
  const has = (...names: string[]): boolean => names.every((variable) => variables.has(variable)) || Boolean(container.envFrom?.length);
  if (!existing.launched && !container.command?.length && !container.args?.length && !has(ENV.mainProcessSpec)) {
    warnings.push({
      code: 'no-command',
      message: `container ${name} has no command: the image's ENTRYPOINT does not run, the supervisor starts its default shell; set command or ${ENV.mainProcessSpec}`,
    });
  }
  if (!has(ENV.sandboxId, ENV.endpoint) && !has(ENV.policyRules, ENV.policyData)) {
    warnings.push({
      code: 'no-policy-source',
      message: `container ${name} has no policy source, the supervisor will exit: set ${ENV.sandboxId} and ${ENV.endpoint}, or ${ENV.policyRules} and ${ENV.policyData}`,
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
      message: `exec in ${enumerate(hooks)} of container ${name} runs outside the supervisor, as root`,
    });
  }
  if (container.securityContext?.readOnlyRootFilesystem) {
    warnings.push({
      code: 'read-only-root',
      message: `container ${name} has a read-only root file system: the supervisor writes its user to /etc/passwd and /etc/group and will exit; set readOnlyRootFilesystem: false`,
    });
  }
  const others = [...(spec.containers ?? []), ...(spec.initContainers ?? []).filter((candidate) => candidate.restartPolicy === 'Always')]
    .filter((candidate) => candidate !== container)
    .map((candidate) => candidate.name ?? '');
  if (others.length > 0) {
    warnings.push({
      code: 'containers-outside',
      message: `only container ${name} runs under the supervisor, not ${enumerate(others)}`,
    });
  }
  return warnings;
}
