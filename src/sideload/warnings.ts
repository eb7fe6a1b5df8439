import { ENV, METHOD_ANNOTATION, POLICY_ANNOTATION, SANDBOX_ID_LABEL } from './contract.ts';
import { willHaveVariable } from './environment.ts';
import { literalOf, missingForGateway, setsVariable } from './gateway.ts';
import { userConcerns } from './image-facts.ts';
import { refusesNeighbours, unsafeNeighbour } from './neighbours.ts';
import { enumerate, quote, type RefuseReason, type Warning } from './outcome.ts';
import type { Plan } from './plan.ts';
import type { Container, PodSpec } from './pod.ts';
import { pathConcerns } from './root-programs.ts';
import { doubtfulRuntime } from './runtime.ts';
import type { ClusterFacts, SideloadSettings } from './settings.ts';
import { unreachablePorts, unreachableProbes } from './unreachable.ts';
import { replacesWorkdir, workdirWord } from './workdir.ts';

/** A warning, or what the operator has made a refusal of it. */
export interface Concern extends Warning {
  readonly refusal?: RefuseReason;
}

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
 * What the author of an admitted pod should know, and what an operator refuses. `kubectl` prints warnings for bare pods; the
 * owner of a Deployment never sees them. A variable may come from envFrom, which an admission webhook cannot look into: then
 * nothing is said.
 */
export function concernsOf(plan: Plan, settings: SideloadSettings, facts: ClusterFacts): Concern[] {
  return [
    ...commandConcerns(plan, settings),
    ...(plan.image ? userConcerns(plan.spec, plan.container, plan.image, plan.identity) : []),
    ...policyConcerns(plan, settings),
    ...variableConcerns(plan),
    ...nodeConcerns(plan, facts),
    ...containerConcerns(plan, settings),
    ...neighbourConcerns(plan, settings),
    ...pathConcerns(plan.spec, plan.container, settings),
  ];
}

/** What `refuseNeighbours` lets pass. */
function neighbourConcerns({ spec, container, installers, method }: Plan, settings: SideloadSettings): Concern[] {
  if (refusesNeighbours(settings, method)) return [];
  const unsafe = unsafeNeighbour(spec, [container, ...installers.flatMap((index) => spec.initContainers?.[index] ?? [])]);
  return unsafe === undefined ? [] : [{ code: 'unsafe-neighbours', message: `${unsafe} and could replace the supervisor, or reach it` }];
}

function commandConcerns(plan: Plan, settings: SideloadSettings): Concern[] {
  const { container, existing } = plan;
  const concerns: Concern[] = [];
  const mayBeSpecified = Boolean(container.envFrom?.length) || willHaveVariable(ENV.mainProcessSpec, plan, settings);
  // What is looked up is a command by now, or will be.
  const isLookedUp = settings.missingCommand === 'lookup';
  if (!isLookedUp && !existing.launched && !container.command?.length && !container.args?.length && !mayBeSpecified) {
    concerns.push({
      code: 'no-command',
      message: `container ${quote(container.name ?? '')} has no command: the image's ENTRYPOINT does not run, the supervisor starts its default shell; set command or ${ENV.mainProcessSpec}`,
      ...(settings.missingCommand === 'refuse' ? { refusal: 'missing-command' } : {}),
    });
  }
  if (!existing.launched && replacesWorkdir(container)) {
    concerns.push({
      code: 'workdir-replaced',
      message: `the working directory of container ${quote(container.name ?? '')} is ${quote(container.workingDir ?? '')}, which the supervisor would make writable: the program starts in ${quote(workdirWord(container, settings))}`,
    });
  }
  return concerns;
}

function policyConcerns({ pod, container, policy }: Plan, settings: SideloadSettings): Concern[] {
  if (policy.from !== 'nothing') return [];
  const name = quote(container.name ?? '');
  const refusal = settings.policy.missing === 'refuse' ? ({ refusal: 'no-policy-source' } as const) : {};
  if (setsVariable(container, ENV.endpoint)) {
    const missing = missingForGateway(pod, container, settings);
    return [
      {
        code: 'no-policy-source',
        message: `container ${name} has ${ENV.endpoint} and lacks ${enumerate(missing)}: the supervisor cannot reach its gateway; set them, or annotation ${POLICY_ANNOTATION}`,
        ...refusal,
      },
    ];
  }
  const message = `container ${name} has no policy: set annotation ${POLICY_ANNOTATION} to a ConfigMap (the operator: --policy; --missing-policy=warn admits images that bring ${ENV.policyRules} in their ENV)`;
  return [{ code: 'no-policy-source', message, ...refusal }];
}

function variableConcerns({ pod, container }: Plan): Concern[] {
  const concerns: Concern[] = [];
  const name = (): string => quote(container.name ?? '');
  if (setsVariable(container, ENV.inferenceRoutes)) {
    concerns.push({
      code: 'inference-routes',
      message: `container ${name()} sets ${ENV.inferenceRoutes}: its file replaces the inference routes of the gateway`,
    });
  }
  const label = pod.metadata?.labels?.[SANDBOX_ID_LABEL];
  const id = literalOf(container, ENV.sandboxId);
  if (label && id && id !== label) {
    concerns.push({
      code: 'sandbox-id-differs',
      message: `container ${name()} sets ${ENV.sandboxId} to ${quote(id)}, label ${SANDBOX_ID_LABEL} is ${quote(label)}: the variable counts; make them equal`,
    });
  }
  if (literalOf(container, ENV.sandboxToken)) {
    concerns.push({
      code: 'token-in-spec',
      message: `container ${name()} has a token in ${ENV.sandboxToken}, which everyone who may read the pod can read: mount a Secret and set ${ENV.sandboxTokenFile}`,
    });
  }
  return concerns;
}

function nodeConcerns({ spec, container, method, policy }: Plan, facts: ClusterFacts): Concern[] {
  const concerns: Concern[] = [];
  const { nodes } = facts;
  const mountsImages = method === 'image-volume' || policy.policy?.usesImages;
  if (mountsImages && nodes && nodes.mountingImages < nodes.total) {
    concerns.push({
      code: 'nodes-without-image-volumes',
      message: `only ${nodes.mountingImages} of ${nodes.total} schedulable Linux nodes are known to mount image volumes: choose such nodes, or set annotation ${METHOD_ANNOTATION} to init-container`,
    });
  }
  const doubt = mountsImages ? doubtfulRuntime(spec, facts) : undefined;
  if (doubt !== undefined) {
    const fix = method === 'image-volume' ? `set annotation ${METHOD_ANNOTATION} to init-container` : 'take the policy from a ConfigMap';
    concerns.push({ code: 'runtime-without-image-volumes', message: `${doubt}: ${fix}` });
  }
  const shared = (['hostPID', 'hostIPC'] as const).filter((member) => spec[member]);
  if (shared.length > 0) {
    concerns.push({
      code: 'host-namespaces',
      message: `the pod has ${shared.join(' and ')}: container ${quote(container.name ?? '')} starts with a view of the node's processes or memory; remove them`,
    });
  }
  return concerns;
}

function shownPorts(ports: readonly number[]): string {
  return ports.length > 3 ? `${ports.slice(0, 3).join(', ')} and ${ports.length - 3} more` : ports.join(', ');
}

function containerConcerns({ spec, container }: Plan, settings: SideloadSettings): Concern[] {
  const concerns: Concern[] = [];
  const name = (): string => quote(container.name ?? '');
  const hooks = hookNames(container);
  if (hooks.length > 0) {
    concerns.push({
      code: 'hooks-outside',
      message: `exec in ${enumerate(hooks)} of container ${name()} runs outside the supervisor, as root`,
    });
  }
  const probes = unreachableProbes(container, spec);
  if (probes.length > 0) {
    concerns.push({
      code: 'ports-unreachable',
      message: `${enumerate(probes)} of container ${name()} connects to the program, which runs in a network namespace of its own: it always fails; use exec, or remove it`,
      ...(settings.unreachableProbes === 'refuse' ? { refusal: 'unreachable-probes' } : {}),
    });
  }
  const ports = unreachablePorts(container);
  if (ports.length > 0) {
    concerns.push({
      code: 'ports-unreachable',
      message: `nothing reaches the ports of container ${name()} (${shownPorts(ports)}): its program runs in a network namespace of its own, so that no Service leads to it`,
    });
  }
  if (container.securityContext?.readOnlyRootFilesystem) {
    concerns.push({
      code: 'read-only-root',
      message: `container ${name()} has a read-only root file system: the supervisor exits with "mkdir /run/netns failed: Read-only file system"; set readOnlyRootFilesystem: false`,
    });
  }
  const others = othersBeside(container, spec);
  if (others.length > 0) {
    concerns.push({
      code: 'containers-outside',
      message: `only container ${name()} runs under the supervisor, not ${enumerate(others)}`,
    });
  }
  return concerns;
}
