/** Which pods are sandboxes, and which of their containers goes under the supervisor. */

import {
  CONTAINER_ANNOTATION,
  DEFAULT_CONTAINER_ANNOTATION,
  DEFAULT_SANDBOX_CONTAINER,
  LAYOUTS,
  MANAGED_BY_LABEL,
  MANAGED_BY_OPENSHELL,
  METHODS,
  type Method,
  SANDBOX_LABEL,
  SUPERVISOR_MOUNT_PATH,
  supervisorBinary,
  TWO_POD_LABELS,
} from './contract.ts';
import { enumerate, quote, type Refuse, refuse, type Skip, skip } from './outcome.ts';
import { absolutePath } from './paths.ts';
import type { Container, NodeRequirement, Pod, PodSpec } from './pod.ts';

/** A kubelet copies its static pods to the API server with this annotation; kubelets never run a pod that carries it. */
const MIRROR_POD_ANNOTATION = 'kubernetes.io/config.mirror';

/** Says why the webhook leaves a pod unchanged, or refuses it because of its labels. Returns undefined for a sandbox. */
export function passOver(pod: Pod): Skip | Refuse | undefined {
  if (pod.metadata?.annotations?.[MIRROR_POD_ANNOTATION] !== undefined) return skip('mirror-pod');
  const labels = pod.metadata?.labels ?? {};
  const sandbox = labels[SANDBOX_LABEL];
  if (sandbox === undefined) {
    if (labels[MANAGED_BY_LABEL] !== MANAGED_BY_OPENSHELL) return skip('not-labelled');
    return TWO_POD_LABELS.some((label) => labels[label] !== undefined) ? skip('two-pod-openshell') : undefined;
  }
  if (sandbox === 'true') return undefined;
  if (sandbox === 'false') return skip('opted-out');
  return refuse(
    'unknown-label-value',
    `label ${SANDBOX_LABEL} is ${quote(sandbox)}: set it to "true" to run the pod under the supervisor, or to "false"`,
  );
}

/** Labels of nodes with their operating system; kubelets still write the older one too (k8s.io/api/core/v1, well_known_labels.go). */
const OS_LABELS = ['kubernetes.io/os', 'beta.kubernetes.io/os'];

/** Options that mean something on Windows only; false or empty ones mean nothing. */
function hasWindowsOptions({ securityContext }: Pick<Container, 'securityContext'> | PodSpec): boolean {
  const options = securityContext?.windowsOptions;
  return Boolean(options?.hostProcess || options?.gmsaCredentialSpecName || options?.gmsaCredentialSpec || options?.runAsUserName);
}

/** Whether the required node affinity leaves no Linux node: terms are alternatives, the expressions of a term hold together. */
function isKeptFromLinux({ affinity }: PodSpec): boolean {
  const terms = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  return terms.length > 0 && terms.every(({ matchExpressions }) => matchExpressions?.some(leavesNoLinux));
}

function leavesNoLinux({ key, operator, values }: NodeRequirement): boolean {
  if (!OS_LABELS.includes(key ?? '')) return false;
  return operator === 'In' ? !values?.includes('linux') : operator === 'NotIn' && (values?.includes('linux') ?? false);
}

/** The supervisor is a Linux binary. */
export function refuseWindows(spec: PodSpec): Refuse | undefined {
  const isForWindows =
    spec.os?.name === 'windows' ||
    OS_LABELS.some((label) => spec.nodeSelector?.[label] === 'windows') ||
    isKeptFromLinux(spec) ||
    hasWindowsOptions(spec) ||
    spec.initContainers?.some(hasWindowsOptions) ||
    spec.containers?.some(hasWindowsOptions);
  if (!isForWindows) return undefined;
  return refuse(
    'windows-pod',
    `the pod is for Windows, the OpenShell supervisor runs on Linux only: set label ${SANDBOX_LABEL} to "false" or schedule the pod on Linux`,
  );
}

/** The supervisor makes a network namespace beside the one that it is in: in the node's, it would change the node's network. */
export function refuseHostNetwork({ hostNetwork }: PodSpec): Refuse | undefined {
  if (!hostNetwork) return undefined;
  return refuse(
    'host-network',
    'the pod has hostNetwork: true, in which the supervisor would change the network of the node: remove hostNetwork',
  );
}

/** Where each method puts the supervisor, by the image's layout. */
const BINARIES = new Map(METHODS.map((method) => [method, LAYOUTS.map((layout) => supervisorBinary(method, layout))]));
const ALL_BINARIES = [...new Set([...BINARIES.values()].flat())];

/** Whether the container's command is the supervisor, at one of the places where a sideload puts it. */
export function isLaunched({ command }: Container): boolean {
  return ALL_BINARIES.includes(command?.[0] ?? '');
}

/** Whether the container's command is the supervisor at the place where this method puts it. */
export function startsRightBinary({ command }: Container, method: Method): boolean {
  return BINARIES.get(method)?.includes(command?.[0] ?? '') ?? false;
}

/** Whether a sideload, or what another webhook left of one, is in this container. */
function bearsSupervisor(container: Container): boolean {
  return (
    isLaunched(container) || (container.volumeMounts ?? []).some((mount) => absolutePath(mount.mountPath ?? '') === SUPERVISOR_MOUNT_PATH)
  );
}

/** Why a container is the sandbox container. */
export const CHOICES = {
  annotation: `annotation ${CONTAINER_ANNOTATION}`,
  name: `its name`,
  supervisor: 'it has a supervisor already',
  default: `annotation ${DEFAULT_CONTAINER_ANNOTATION}`,
  first: 'it is the first',
} as const;

export interface ContainerChoice {
  /** In spec.containers. */
  readonly index: number;
  readonly because: keyof typeof CHOICES;
}

/**
 * Chooses the container that goes under the supervisor.
 *
 * The annotation decides; else the name `agent`; else the first, as OpenShell's Kubernetes driver chooses. Before the first
 * come one that has the supervisor already, so that another webhook which puts its sidecar first cannot move the choice
 * between two invocations, and the pod's default container, so that it cannot before the first one.
 */
export function chooseContainer(pod: Pod, containers: readonly Container[]): ContainerChoice | Refuse {
  if (containers.length === 0)
    return refuse('no-containers', 'spec.containers is empty: a sandbox needs a container to run under the supervisor');
  const named = (name: string | undefined): number => containers.findIndex((container) => container.name === name);
  const annotations = pod.metadata?.annotations;
  const wanted = annotations?.[CONTAINER_ANNOTATION];
  if (wanted !== undefined) {
    const index = named(wanted);
    if (index !== -1) return { index, because: 'annotation' };
    const names = containers.map((container) => container.name ?? '');
    return refuse(
      'container-not-found',
      `annotation ${CONTAINER_ANNOTATION} is ${quote(wanted)}, which spec.containers does not have: name one of ${enumerate(names)}`,
    );
  }
  const agent = named(DEFAULT_SANDBOX_CONTAINER);
  if (agent !== -1) return { index: agent, because: 'name' };
  const bearer = containers.findIndex(bearsSupervisor);
  if (bearer !== -1) return { index: bearer, because: 'supervisor' };
  const preferred = named(annotations?.[DEFAULT_CONTAINER_ANNOTATION]);
  return preferred === -1 ? { index: 0, because: 'first' } : { index: preferred, because: 'default' };
}
