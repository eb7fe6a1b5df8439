/**
 * OpenShell's sidecar topology: the agent's supervisor guards processes only, another one guards the network. A pod has it only
 * where it is as OpenShell's driver writes it.
 * Source: NVIDIA/OpenShell, crates/openshell-driver-kubernetes/src/driver.rs, apply_supervisor_sidecar_topology.
 */

import { isDeepStrictEqual } from 'node:util';
import { ENV } from './contract.ts';
import { literalOf } from './gateway.ts';
import { launchOf } from './launch.ts';
import { hasPowerOverNetwork } from './neighbours.ts';
import { quote } from './outcome.ts';
import { overlap } from './paths.ts';
import type { Container, PodSpec } from './pod.ts';
import { coversPrograms } from './root-programs.ts';
import type { SideloadSettings } from './settings.ts';
import { addedMembers, BINARY_PATHS, isTokenMount, isTrusted, type Mount } from './supervisor-container.ts';
import { isWorkdirWord } from './workdir.ts';

const NETWORK_SIDECAR = 'openshell-supervisor-network';
const NETWORK_INIT_CONTAINER = 'openshell-network-init';
const STATE_VOLUME = 'openshell-sidecar-state';
const TLS_VOLUME = 'openshell-supervisor-tls';

/** Where the driver mounts what the two network containers share with the agent. */
const STATE_PATH = '/run/openshell-sidecar';
const TLS_PATH = '/etc/openshell-tls/proxy';
/** Where it mounts what they read: certificates, the token for the gateway, credentials of a corporate proxy. */
const READ_PATHS = ['/etc/openshell-tls/client', '/etc/openshell-tls/proxy/client', '/var/run/secrets/openshell', '/etc/openshell/auth'];
/** The volume of SPIFFE's socket, which an operator of OpenShell may put anywhere. */
const SPIFFE_VOLUME = 'spiffe-workload-api';

/** Variables that the driver gives the network sidecar (supervisor_sidecar_env). */
const SIDECAR_VARIABLES: readonly string[] = [
  ...[ENV.sandboxId, ENV.sandbox, ENV.endpoint, ENV.tlsCa, ENV.tlsCert, ENV.tlsKey, ENV.tlsServerName],
  ...[ENV.serviceAccountTokenFile, ENV.logLevel, ENV.topology, ENV.networkEnforcement, ENV.binaryIdentity],
  ...[ENV.sandboxUid, ENV.sandboxGid, ENV.ociImageUser, 'OPENSHELL_SSH_SOCKET_PATH', 'OPENSHELL_SIDECAR_CONTROL_SOCKET'],
  ...['OPENSHELL_PROXY_TLS_DIR', 'OPENSHELL_PROVIDER_SPIFFE_WORKLOAD_API_SOCKET'],
];

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

/** The containers that the driver adds for the network. */
export function networkContainers({ initContainers, containers }: PodSpec): Container[] {
  const init = initContainers?.find(({ name }) => name === NETWORK_INIT_CONTAINER);
  const network = containers?.find(({ name }) => name === NETWORK_SIDECAR);
  return [...(init ? [init] : []), ...(network ? [network] : [])];
}

/**
 * The first difference between a sidecar topology and what OpenShell's driver writes: an init container that sets the network up for one user,
 * a network supervisor that runs as this user, both trusted, an agent that is another user without capabilities, and nobody
 * else who could change the network or what the three share.
 *
 * @returns undefined where all is as the driver writes it; else what is not, for a message
 */
export function brokenTopology(spec: PodSpec, agent: Container, settings: SideloadSettings): string | undefined {
  const { containers, initContainers, volumes } = spec;
  const init = initContainers?.find(({ name }) => name === NETWORK_INIT_CONTAINER);
  const network = containers?.find(({ name }) => name === NETWORK_SIDECAR);
  if (!init) return `there is no init container ${NETWORK_INIT_CONTAINER}`;
  if (!network) return `there is no container ${NETWORK_SIDECAR}`;
  const shared = [STATE_VOLUME, TLS_VOLUME].find((name) => !volumes?.find((volume) => volume.name === name)?.emptyDir);
  if (shared) return `volume ${shared} is no emptyDir`;
  const others = [...(initContainers ?? []), ...(containers ?? [])].filter((container) => ![init, network, agent].includes(container));
  return brokenInit(init, network, settings) ?? brokenNetwork(network, settings) ?? brokenAgent(agent, network) ?? intruder(others);
}

/** What is added to a network container, or not its image's. */
function changed(container: Container, settings: SideloadSettings, ...members: readonly string[]): string | undefined {
  const { name, image, command, args, volumeMounts } = container;
  const where = `container ${quote(name ?? '')}`;
  if (!isTrusted(image, settings)) return `${where} has image ${quote(image ?? '')}, which is not trusted`;
  if (!BINARY_PATHS.includes(command?.[0] ?? '') || args?.length) return `${where} starts something else`;
  const [added] = addedMembers(container, ...members);
  if (added) return `${where} has ${quote(added)}`;
  const mount = volumeMounts?.find((candidate) => !isDriversMount(candidate));
  return mount && `${where} has a mount at ${quote(mount.mountPath ?? '')}`;
}

/** Whether the driver writes this mount, or the API server adds it. */
function isDriversMount(mount: Mount): boolean {
  const { name, mountPath, subPath, subPathExpr } = mount;
  const path = mountPath ?? '';
  if (subPath || subPathExpr) return false;
  if (name === STATE_VOLUME) return path === STATE_PATH;
  if (name === TLS_VOLUME) return path === TLS_PATH;
  if (name === SPIFFE_VOLUME) return !coversPrograms(path) && ![...BINARY_PATHS, STATE_PATH, TLS_PATH].some((own) => overlap(path, own));
  return READ_PATHS.includes(path) || isTokenMount(mount);
}

function brokenInit(init: Container, network: Container, settings: SideloadSettings): string | undefined {
  const [, ...words] = init.command ?? [];
  const gid = words[4] ?? '';
  const expected = ['--mode=network-init', '--proxy-uid', String(network.securityContext?.runAsUser), '--proxy-gid', gid];
  expected.push('--sidecar-state-dir', STATE_PATH, '--sidecar-tls-dir', TLS_PATH);
  if (!/^[0-9]+$/.test(gid) || !isDeepStrictEqual(words, expected))
    return `init container ${NETWORK_INIT_CONTAINER} has other words than the driver's`;
  return changed(init, settings);
}

/** A corporate proxy's options in one word each, as the operator gives them: the driver writes two. */
function inOneWord(words: readonly string[]): string[] {
  const joined: string[] = [];
  for (const word of words) {
    const before = joined.at(-1);
    if (before !== undefined && !word.startsWith('--') && !before.includes('=')) joined[joined.length - 1] = `${before}=${word}`;
    else joined.push(word);
  }
  return joined;
}

function brokenNetwork(network: Container, settings: SideloadSettings): string | undefined {
  const [, mode, ...options] = network.command ?? [];
  if (mode !== '--mode=network' || !isDeepStrictEqual(inOneWord(options), settings.supervisorArgs))
    return `container ${NETWORK_SIDECAR} has other words than --mode=network and the operator's arguments`;
  // What the operator pins for the supervisors of all other pods.
  const identity = settings.pinnedEnv.find(({ name }) => name === ENV.binaryIdentity)?.value;
  const variable = network.env?.find(
    ({ name = '', value, valueFrom }) =>
      !SIDECAR_VARIABLES.includes(name ?? '') || valueFrom || (name === ENV.binaryIdentity && value !== identity),
  );
  if (variable) return `container ${NETWORK_SIDECAR} has variable ${quote(variable.name ?? '')}`;
  return changed(network, settings, 'env');
}

function brokenAgent(agent: Container, network: Container): string | undefined {
  const { options } = launchOf(agent);
  const [mode, workdirOption, workdir = '', ...more] = options;
  if (mode !== '--mode=process' || workdirOption !== '--workdir' || !isWorkdirWord(workdir) || more.length > 0)
    return `container ${quote(agent.name ?? '')} has other words than --mode=process, --workdir and its program`;
  const { runAsUser, capabilities, privileged, allowPrivilegeEscalation } = agent.securityContext ?? {};
  // Anyone who can become the proxy's user passes its firewall.
  const isBound =
    Boolean(runAsUser) &&
    runAsUser !== network.securityContext?.runAsUser &&
    allowPrivilegeEscalation === false &&
    !capabilities?.add?.length &&
    capabilities?.drop?.includes('ALL') &&
    !privileged;
  if (!isBound) return `container ${quote(agent.name ?? '')} can become another user, or has capabilities`;
  // Where the pod says nothing, the image's ENV would count.
  return literalOf(agent, ENV.topology) === 'sidecar' ? undefined : `container ${quote(agent.name ?? '')} lacks ${ENV.topology}=sidecar`;
}

/** Who else could change the network, or what the three share. */
function intruder(others: readonly Container[]): string | undefined {
  for (const container of others) {
    const where = `container ${quote(container.name ?? '')}`;
    if (hasPowerOverNetwork(container)) return `${where} could change the network rules`;
    if (container.volumeMounts?.some(({ name }) => name === STATE_VOLUME || name === TLS_VOLUME))
      return `${where} mounts what the supervisors share`;
  }
  return undefined;
}
