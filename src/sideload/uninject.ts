/** The way back: the operations that take out of a pod what `inject` put in. */

import { escapePathComponent } from 'fast-json-patch';
import {
  ENV,
  POLICY_ANNOTATION,
  POLICY_MOUNT_PATH,
  POLICY_RULES_MOUNT_PATH,
  POLICY_RULES_VOLUME,
  POLICY_VOLUME,
  PROXY_AUTH_MOUNT_PATH,
  PROXY_AUTH_VOLUME,
  SANDBOX_ID_LABEL,
  SIDELOADED_ANNOTATION,
  SUPERVISOR_MOUNT_PATH,
} from './contract.ts';
import { isSame, PINNED_VARIABLES } from './environment.ts';
import { findExisting, findInstallers, hasAnyPart } from './existing.ts';
import { launchOf } from './launch.ts';
import { type Operation, set } from './operations.ts';
import { isRefusal, quote } from './outcome.ts';
import { absolutePath } from './paths.ts';
import type { Container, EnvVar, Pod, PodSpec } from './pod.ts';
import { addedCapabilities, isAppArmorProfile } from './security-context.ts';
import { chooseContainer } from './selection.ts';
import type { SideloadSettings } from './settings.ts';
import { isProcessOnly } from './topology.ts';

/** What becomes of a pod. */
export type Uninjected =
  | { readonly found: 'nothing' }
  | { readonly found: 'problem'; readonly message: string }
  | {
      readonly found: 'supervisor';
      readonly container: string;
      readonly operations: readonly Operation[];
      /** What `inject` replaced and nothing tells any more, for the author to look at. */
      readonly lost: readonly string[];
    };

const problem = (message: string): Uninjected => ({ found: 'problem', message });

/**
 * Takes the supervisor out of a pod: `inject`, with the same settings, puts the same one in again.
 *
 * What `inject` adds goes: volumes, mounts, install containers, variables, capabilities, the AppArmor profile, the annotation. What
 * it replaces comes back as far as the pod still tells: the program from behind `--`, its user from OPENSHELL_SANDBOX_UID. The label
 * stays, so that the webhook would inject the pod.
 *
 * @param pod passes `podShape`
 * @param settings those with which it was injected
 */
export function uninject(pod: Pod, settings: SideloadSettings): Uninjected {
  const spec = pod.spec ?? {};
  const choice = chooseContainer(pod, spec.containers ?? []);
  if (isRefusal(choice)) return problem(choice.message);
  const container = spec.containers?.[choice.index] ?? {};
  const existing = findExisting(spec, container, undefined, settings);
  if (isRefusal(existing)) return problem(existing.message);
  if (!hasAnyPart(existing)) return { found: 'nothing' };
  if (isProcessOnly(container))
    return problem(
      "OpenShell's driver made this sidecar topology, and uninject takes out only what inject puts in: change the driver's settings",
    );
  const name = quote(container.name ?? '');
  if (!existing.launched || existing.method === undefined || !existing.mount)
    return problem(
      `container ${name} has a part of a supervisor and does not start it from its volume, which inject does not write: take the rest out by hand`,
    );
  const { program } = launchOf(container);
  if (startsSupervisor(container, program))
    return problem(
      `container ${name} names a supervisor a second time, in its program, a probe or a hook, which inject does not write: take that out first`,
    );
  const installers = findInstallers(spec, container, existing, existing.method, settings);
  if (isRefusal(installers)) return problem(installers.message);

  const path = `/spec/containers/${choice.index}`;
  // Without an annotation and an operator's policy, files of a policy are the author's own.
  const hasPolicy = pod.metadata?.annotations?.[POLICY_ANNOTATION] !== undefined || settings.policy.operator !== undefined;
  const policyFiles = [
    [POLICY_VOLUME, POLICY_MOUNT_PATH],
    [POLICY_RULES_VOLUME, POLICY_RULES_MOUNT_PATH],
  ] as const;
  const placed: readonly (readonly [string, string])[] = [
    [existing.volumeName, SUPERVISOR_MOUNT_PATH],
    ...(hasPolicy ? policyFiles : []),
    ...(settings.proxyAuthSecret ? [[PROXY_AUTH_VOLUME, PROXY_AUTH_MOUNT_PATH] as const] : []),
  ];
  const isOurs = ({ name, mountPath }: { name?: string | null | undefined; mountPath?: string | null | undefined }): boolean =>
    placed.some(([volume, at]) => name === volume && absolutePath(mountPath ?? '') === at);
  const mounted = new Set((container.volumeMounts ?? []).filter(isOurs).map(({ name }) => name));
  for (const name of stillMounted(spec, choice.index, installers, isOurs)) mounted.delete(name);
  return {
    found: 'supervisor',
    container: container.name ?? '',
    operations: [
      ...programOperations(container, program, path),
      ...without(`${path}/env`, container.env, (variable) => isAdded(variable, pod, settings, hasPolicy)),
      ...without(`${path}/volumeMounts`, container.volumeMounts, isOurs),
      ...securityOperations(spec, container, settings, path),
      ...without('/spec/initContainers', spec.initContainers, (_, index) => installers.includes(index)),
      ...without('/spec/volumes', spec.volumes, ({ name }) => mounted.has(name)),
      ...annotationOperations(pod),
    ],
    lost: lostBy(spec, container, settings),
  };
}

/** Removes elements of a list from its end, so that the indexes of the others hold; all of them: the list. */
function without<T>(path: string, list: readonly T[] | null | undefined, isAway: (element: T, index: number) => boolean): Operation[] {
  const away = [...(list ?? []).keys()].filter((index) => isAway((list ?? [])[index] as T, index));
  if (away.length === 0) return [];
  if (away.length === list?.length) return [{ op: 'remove', path }];
  return away.reverse().map((index) => ({ op: 'remove', path: `${path}/${index}` }));
}

/** Volumes that other containers mount, or this one elsewhere. */
function stillMounted(
  spec: PodSpec,
  chosen: number,
  installers: readonly number[],
  isOurs: (mount: NonNullable<Container['volumeMounts']>[number]) => boolean,
): (string | null | undefined)[] {
  const others = (spec.containers ?? []).flatMap(({ volumeMounts }, index) =>
    (volumeMounts ?? []).filter((mount) => index !== chosen || !isOurs(mount)),
  );
  const init = (spec.initContainers ?? [])
    .filter((_, index) => !installers.includes(index))
    .flatMap(({ volumeMounts }) => volumeMounts ?? []);
  return [...others, ...init].map(({ name }) => name);
}

/** Whether the supervisor would still be started without what `inject` wrote. */
function startsSupervisor({ livenessProbe, readinessProbe, startupProbe, lifecycle }: Container, program: readonly string[]): boolean {
  return JSON.stringify([program, livenessProbe, readinessProbe, startupProbe, lifecycle]).includes(`${SUPERVISOR_MOUNT_PATH}/`);
}

function programOperations(container: Container, program: readonly string[], path: string): Operation[] {
  const args: Operation[] = container.args ? [{ op: 'remove', path: `${path}/args` }] : [];
  return [program.length === 0 ? { op: 'remove', path: `${path}/command` } : set(path, 'command', program), ...args];
}

const POLICY_PATHS = [POLICY_MOUNT_PATH, POLICY_RULES_MOUNT_PATH, SUPERVISOR_MOUNT_PATH];

/** Whether a variable is the webhook's: by its name where a pod cannot set it, else by its value. */
function isAdded(variable: EnvVar, { metadata }: Pod, { pinnedEnv, env }: SideloadSettings, hasPolicy: boolean): boolean {
  const { name = '', value } = variable;
  if ([...PINNED_VARIABLES, ENV.containerImage].includes(name ?? '') || pinnedEnv.some((pinned) => pinned.name === name)) return true;
  if (name === ENV.sandboxId) return value === metadata?.labels?.[SANDBOX_ID_LABEL];
  if (name === ENV.policyRules || name === ENV.policyData) return hasPolicy && POLICY_PATHS.some((path) => value?.startsWith(`${path}/`));
  return env.some((added) => added.name === name && isSame(variable, added));
}

/** The user of the sandboxed process; undefined where the container has none of its own: its pod's counts, or the operator's default did. */
function ownUser({ securityContext: pods }: PodSpec, { env }: Container, settings: SideloadSettings): number | undefined {
  const uid = Number(env?.find(({ name }) => name === ENV.sandboxUid)?.value ?? settings.uid);
  return uid === (pods?.runAsUser || settings.uid) ? undefined : uid;
}

function securityOperations(spec: PodSpec, container: Container, settings: SideloadSettings, path: string): Operation[] {
  const context = container.securityContext;
  if (!context) return [];
  const own = `${path}/securityContext`;
  const operations: Operation[] = [];
  const left = new Set(Object.entries(context).flatMap(([member, value]) => (value === undefined || value === null ? [] : [member])));
  const remove = (member: string): void => {
    operations.push({ op: 'remove', path: `${own}/${member}` });
    left.delete(member);
  };
  const user = ownUser(spec, container, settings);
  if (context.runAsUser === 0) {
    if (user === undefined) remove('runAsUser');
    else operations.push(set(own, 'runAsUser', user));
  }
  // The webhook writes false over true only.
  if (context.runAsNonRoot === false && spec.securityContext?.runAsNonRoot) remove('runAsNonRoot');
  if (isAppArmorProfile(context.appArmorProfile, settings)) remove('appArmorProfile');
  const { capabilities } = context;
  const added = addedCapabilities(spec, container, settings);
  const names = capabilities?.add ?? [];
  if (names.length > 0 && names.every((name) => added.includes(name))) {
    if (capabilities?.drop?.length) operations.push({ op: 'remove', path: `${own}/capabilities/add` });
    else remove('capabilities');
  } else operations.push(...without(`${own}/capabilities/add`, names, (name) => added.includes(name)));
  return left.size === 0 ? [{ op: 'remove', path: own }] : operations;
}

function annotationOperations({ metadata }: Pod): Operation[] {
  const annotations = metadata?.annotations;
  if (annotations?.[SIDELOADED_ANNOTATION] === undefined) return [];
  const path = '/metadata/annotations';
  return [{ op: 'remove', path: Object.keys(annotations).length === 1 ? path : `${path}/${escapePathComponent(SIDELOADED_ANNOTATION)}` }];
}

/** What may have been otherwise before. */
function lostBy(spec: PodSpec, container: Container, settings: SideloadSettings): string[] {
  const context = container.securityContext;
  const lost: string[] = [];
  if (context?.runAsUser === 0 && ownUser(spec, container, settings) === undefined && !spec.securityContext?.runAsUser)
    lost.push(`runAsUser (the program ran as ${settings.uid}, and now as its image's user)`);
  if (context?.runAsNonRoot === false && !spec.securityContext?.runAsNonRoot) lost.push('runAsNonRoot (now false)');
  if (context?.capabilities?.drop?.length) lost.push('drops of capabilities that the supervisor needs');
  return lost;
}
