/** OpenShell's sidecar topology: the agent's supervisor guards processes only, another one guards the network. */

import { isDeepStrictEqual } from 'node:util';
import { launchOf } from './launch.ts';
import type { Container, PodSpec } from './pod.ts';
import type { SideloadSettings } from './settings.ts';
import { BINARY_PATHS, isTrusted, runsItsImage } from './supervisor-container.ts';

/** Names in OpenShell's sidecar topology (crates/openshell-driver-kubernetes/src/driver.rs). */
const NETWORK_SIDECAR = 'openshell-supervisor-network';
const NETWORK_INIT_CONTAINER = 'openshell-network-init';

/**
 * Whether the supervisor of this container leaves the network to a sidecar. Reads what the supervisor's own command line
 * would take as options. What a kubelet will expand there cannot be read, and counts as such.
 */
export function isProcessOnly(container: Container): boolean {
  const { options } = launchOf(container);
  if (options.some((word) => word.includes('$('))) return true;
  const at = options.findIndex((word) => word === '--mode' || word.startsWith('--mode='));
  if (at === -1) return false;
  const word = options[at] ?? '';
  const modes = (word === '--mode' ? (options[at + 1] ?? '') : word.slice('--mode='.length)).split(',').map((mode) => mode.trim());
  return !(modes.includes('process') && modes.includes('network'));
}

/** Whether a word is no option, which could be --help, and nothing that a kubelet expands into one. */
function isValue(word: string): boolean {
  return !word.startsWith('-') && !word.includes('$(');
}

/**
 * Whether the pod has what a process-only supervisor relies on, as OpenShell's driver writes it: an init container that sets
 * the network up for one user, a network supervisor that runs as this user, both trusted, and an agent that is another user
 * without capabilities (supervisor_network_init_container and supervisor_sidecar_container in driver.rs).
 */
export function hasNetworkSupervisor(spec: PodSpec, agent: Container, settings: SideloadSettings): boolean {
  const sidecars = [...(spec.containers ?? []), ...(spec.initContainers ?? []).filter((container) => container.restartPolicy === 'Always')];
  const init = (spec.initContainers ?? []).find((container) => container.name === NETWORK_INIT_CONTAINER);
  const network = sidecars.find((container) => container.name === NETWORK_SIDECAR);
  if (!init || !network) return false;
  const isSupervisor = (container: Container): boolean =>
    isTrusted(container.image, settings) &&
    BINARY_PATHS.includes(container.command?.[0] ?? '') &&
    !container.args?.length &&
    runsItsImage(container, BINARY_PATHS);
  const proxyUid = network.securityContext?.runAsUser;
  const initWords = init.command?.slice(1) ?? [];
  const initIsDrivers =
    isDeepStrictEqual(initWords.slice(0, 4), ['--mode=network-init', '--proxy-uid', String(proxyUid), '--proxy-gid']) &&
    isDeepStrictEqual([initWords[5], initWords[7]], ['--sidecar-state-dir', '--sidecar-tls-dir']) &&
    initWords.length === 9 &&
    [4, 6, 8].every((index) => isValue(initWords[index] ?? '')) &&
    !init.env?.length;
  const [mode, ...options] = network.command?.slice(1) ?? [];
  const networkIsDrivers = mode === '--mode=network' && options.every((word) => isValue(word.replace(/^--upstream-/, '')));
  const { runAsUser, capabilities, privileged, allowPrivilegeEscalation } = agent.securityContext ?? {};
  // Whoever can become the proxy's user passes its firewall.
  const agentIsBound =
    Boolean(runAsUser) && runAsUser !== proxyUid && allowPrivilegeEscalation === false && !capabilities?.add?.length && !privileged;
  return [init, network].every(isSupervisor) && initIsDrivers && networkIsDrivers && agentIsBound;
}
