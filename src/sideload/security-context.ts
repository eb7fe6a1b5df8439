import { isDeepStrictEqual } from 'node:util';
import { append, type Operation, set } from './operations.ts';
import type { Plan } from './plan.ts';
import type { Container, PodSpec } from './pod.ts';
import type { SideloadSettings } from './settings.ts';

/** In a user namespace the bounding set starts empty: changing user, and reading other users' /proc, have to be asked for (OpenShell's driver). */
export const USER_NAMESPACE_CAPABILITIES: readonly string[] = ['SETUID', 'SETGID', 'DAC_READ_SEARCH'];

/** What uid 0 lacks besides when the container drops ALL: signalling, and handing files to, the sandboxed user. */
export const DROPPED_CAPABILITIES: readonly string[] = [...USER_NAMESPACE_CAPABILITIES, 'KILL', 'CHOWN', 'SETPCAP', 'FOWNER'];

/**
 * What uid 0 has by default and the supervisor fails without, so that a single drop of it goes. Seen with the supervisor of 0.0.111:
 *
 * | missing                      | what the supervisor says                                   |
 * |------------------------------|------------------------------------------------------------|
 * | SETPCAP                      | exit 101: wait() should either return Ok or panic          |
 * | SETUID, SETGID               | Invalid argument (os error 22)                             |
 * | CHOWN, FOWNER, DAC_OVERRIDE  | EPERM: Operation not permitted                             |
 * | KILL                         | the program outlives SIGTERM: uid 0 may not signal it      |
 */
export const DEFAULT_CAPABILITIES: readonly string[] = ['SETPCAP', 'SETUID', 'SETGID', 'CHOWN', 'FOWNER', 'DAC_OVERRIDE', 'KILL'];

/** There are 41 capabilities: a list of more has some twice, and gets one operation instead of thousands. */
const MANY = 64;

/** Runtimes read names without regard to case. */
function upper(capability: string): string {
  return capability.toUpperCase();
}

/** The capability that a drop takes away; some runtimes take the kernel's `CAP_` prefix off first. */
function bare(dropped: string): string {
  return upper(dropped).replace(/^CAP_/, '');
}

/** Whether the container starts from none: containerd drops ALL after it adds ALL (internal/cri/opts/spec_opts.go, WithCapabilities). */
function dropsAll(container: Container): boolean {
  return container.securityContext?.capabilities?.drop?.some((name) => upper(name) === 'ALL') ?? false;
}

/** The capabilities that the webhook adds to a container, whether it has them or not. */
export function addedCapabilities(spec: PodSpec, container: Container, { capabilities }: SideloadSettings): readonly string[] {
  if (capabilities.length === 0) return [];
  const dropped = dropsAll(container);
  if (!dropped && spec.hostUsers !== false) return capabilities;
  return [...new Set([...capabilities, ...(dropped ? DROPPED_CAPABILITIES : USER_NAMESPACE_CAPABILITIES)])];
}

/** Adds to what is there; a drop of a capability that the supervisor needs goes, because runtimes apply single drops last. */
function capabilityOperations(plan: Plan, path: string, settings: SideloadSettings): Operation[] {
  const context = plan.container.securityContext;
  if (context?.privileged) return [];
  const needed = addedCapabilities(plan.spec, plan.container, settings);
  if (needed.length === 0) return [];
  const kept = new Set([...needed, ...DEFAULT_CAPABILITIES]);
  const capabilities = context?.capabilities;
  // `CAP_X` does not count: containerd would look for CAP_CAP_X.
  const added = new Set((capabilities?.add ?? []).map(upper));
  const missing = added.has('ALL') && !dropsAll(plan.container) ? [] : needed.filter((name) => !added.has(name));
  if (!capabilities) return missing.length === 0 ? [] : [set(path, 'capabilities', { add: missing })];
  const drop = capabilities.drop ?? [];
  // From the end, so that the indexes of those that follow hold.
  const undropped = [...drop.keys()].reverse().filter((index) => kept.has(bare(drop[index] ?? '')));
  const additions = append(`${path}/capabilities`, 'add', capabilities.add, missing);
  if (undropped.length > MANY) {
    const left = drop.filter((name) => !kept.has(bare(name)));
    return [...additions, set(`${path}/capabilities`, 'drop', left)];
  }
  return [...additions, ...undropped.map((index): Operation => ({ op: 'remove', path: `${path}/capabilities/drop/${index}` }))];
}

/** `Unconfined`, `RuntimeDefault` or `Localhost/NAME` as the API writes it. */
function appArmorProfile(profile: string): { type: string; localhostProfile?: string } {
  const prefix = 'Localhost/';
  return profile.startsWith(prefix) ? { type: 'Localhost', localhostProfile: profile.slice(prefix.length) } : { type: profile };
}

/** Whether this is the profile that the webhook writes where a pod chose none. */
export function isAppArmorProfile(profile: unknown, settings: SideloadSettings): boolean {
  return settings.appArmorProfile !== '' && isDeepStrictEqual(profile, appArmorProfile(settings.appArmorProfile));
}

/**
 * Whether the pod chose a profile: in a field, or in the annotation that came before the field (KEP-24). The API server
 * refuses a pod whose field and annotation differ.
 */
function choosesAppArmorProfile({ pod, spec, container }: Plan): boolean {
  if (container.securityContext?.appArmorProfile || spec.securityContext?.appArmorProfile) return true;
  return pod.metadata?.annotations?.[`container.apparmor.security.beta.kubernetes.io/${container.name ?? ''}`] !== undefined;
}

/**
 * The supervisor starts as root. A kubelet refuses uid 0 beside runAsNonRoot: true, the pod's as well as the container's.
 * AppArmor: containerd's default profile denies mounts even with SYS_ADMIN, so the operator's profile fills an empty choice.
 */
export function securityContextOperations(plan: Plan, path: string, settings: SideloadSettings): Operation[] {
  const { spec, container } = plan;
  const context = container.securityContext;
  const members: Record<string, unknown> = {};
  if (context?.runAsUser !== 0) members.runAsUser = 0;
  if (context?.runAsNonRoot ?? spec.securityContext?.runAsNonRoot) members.runAsNonRoot = false;
  if (settings.appArmorProfile !== '' && !choosesAppArmorProfile(plan)) members.appArmorProfile = appArmorProfile(settings.appArmorProfile);
  if (!context) {
    const needed = addedCapabilities(plan.spec, plan.container, settings);
    return [set(path, 'securityContext', needed.length === 0 ? members : { ...members, capabilities: { add: needed } })];
  }
  const own = `${path}/securityContext`;
  return [...Object.entries(members).map(([member, value]) => set(own, member, value)), ...capabilityOperations(plan, own, settings)];
}
