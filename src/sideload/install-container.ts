/** The init container that copies the supervisor into its volume: written, recognised and corrected. */

import { isDeepStrictEqual } from 'node:util';
import { INSTALL_CONTAINER, INSTALLED_BINARY, installCommand, SUPERVISOR_MOUNT_PATH } from './contract.ts';
import { type Operation, set } from './operations.ts';
import { absolutePath } from './paths.ts';
import type { Plan } from './plan.ts';
import type { Container, PodSpec } from './pod.ts';
import type { SideloadSettings } from './settings.ts';
import { addedMembers, BINARY_PATHS, isTokenMount, wordsOf } from './supervisor-container.ts';

/**
 * The sandbox container's own requests and limits: init containers run before it, so the pod's effective size and its class
 * of service stay what they were, and a quota that admits the one admits the other. Where it has none, none are set: a
 * BestEffort pod stays BestEffort.
 */
function resourcesFor({ container }: Plan): Record<string, unknown> | undefined {
  const { requests, limits } = container.resources ?? {};
  return requests || limits ? { ...(requests ? { requests } : {}), ...(limits ? { limits } : {}) } : undefined;
}

/** The install container as the webhook writes it. */
export function installContainer(plan: Plan, settings: SideloadSettings): Record<string, unknown> {
  const resources = resourcesFor(plan);
  return {
    name: INSTALL_CONTAINER,
    image: settings.image,
    ...(settings.pullPolicy === '' ? {} : { imagePullPolicy: settings.pullPolicy }),
    command: installCommand(settings.layout),
    ...(resources ? { resources } : {}),
    securityContext: {
      runAsUser: 0,
      // Without this a pod-level runAsNonRoot: true leaves the container in CreateContainerConfigError.
      runAsNonRoot: false,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
    volumeMounts: [{ name: plan.existing.volumeName, mountPath: SUPERVISOR_MOUNT_PATH }],
  };
}

/** `sh -c "cp SOURCE TARGET"`, as kagenti's driver installs, with or without a chmod of what was copied. */
const SHELL_COPY = /^\s*cp (\S+) (\S+)(?: && chmod (?:\+x|a\+x|0?755) (\S+))?\s*$/;

/** The words of a copy that a shell does; other words as they are. */
function copyWords(words: readonly string[]): readonly string[] {
  const [shell = '', flag, script = '', ...more] = words;
  if (!['sh', '/bin/sh'].includes(shell) || flag !== '-c' || more.length > 0) return words;
  const [, source = '', target = '', made = INSTALLED_BINARY] = SHELL_COPY.exec(script) ?? [];
  return source !== '' && made === INSTALLED_BINARY ? ['cp', source, target] : words;
}

/** Whether these words copy the binary out of the container's image into the volume, and do nothing else. */
function isCopy(words: readonly string[]): boolean {
  const [program = '', ...rest] = copyWords(words);
  const [source = '', target = ''] = rest;
  if (program !== 'cp') return BINARY_PATHS.includes(program) && isDeepStrictEqual(rest, ['copy-self', INSTALLED_BINARY]);
  return rest.length === 2 && BINARY_PATHS.includes(source) && [SUPERVISOR_MOUNT_PATH, INSTALLED_BINARY].includes(absolutePath(target));
}

/** Index of the mount into which an install container copies; -1 where it has none. */
function targetMount({ volumeMounts }: Container, volumeName: string): number {
  return (volumeMounts ?? []).findIndex(
    ({ name, mountPath, subPath, subPathExpr }) =>
      name === volumeName && absolutePath(mountPath ?? '') === SUPERVISOR_MOUNT_PATH && !subPath && !subPathExpr,
  );
}

/**
 * Whether an init container is an install container: its words copy the binary, and its mount is the supervisor's. What was
 * added to it besides, `installerOperations` takes out.
 */
export function isInstaller(container: Container, volumeName: string): boolean {
  return isCopy(wordsOf(container)) && targetMount(container, volumeName) !== -1;
}

/**
 * The operations that make an install container what the webhook, or a driver, writes: exactly one mount (and the token that an
 * API server adds), no variables, no hooks, no other restart policy. Injectors add variables and certificates to every container;
 * here they are of no use, and could load code into what fills the supervisor's volume.
 */
export function installerOperations({ spec, installers, existing: { volumeName } }: Plan): Operation[] {
  return installers.flatMap((index) => {
    const container = spec.initContainers?.[index] ?? {};
    const path = `/spec/initContainers/${index}`;
    const mounts = container.volumeMounts ?? [];
    const target = targetMount(container, volumeName);
    const more = [...mounts.keys()].filter((mount) => {
      const there = mounts[mount] ?? {};
      return mount !== target && (there.name === volumeName || !isTokenMount(there));
    });
    return [
      ...addedMembers(container).map((member): Operation => ({ op: 'remove', path: `${path}/${member}` })),
      // From the end, so that the indexes of those that follow hold.
      ...more.reverse().map((mount): Operation => ({ op: 'remove', path: `${path}/volumeMounts/${mount}` })),
      ...(mounts[target]?.readOnly ? [set(`${path}/volumeMounts/${target}`, 'readOnly', false)] : []),
      ...rootOperations(container, spec, path),
    ];
  });
}

/** A kubelet refuses to start what runs as root, by its image or by its id, beside runAsNonRoot: true. */
function rootOperations({ securityContext: own }: Container, { securityContext: pods }: PodSpec, path: string): Operation[] {
  if (!(own?.runAsNonRoot ?? pods?.runAsNonRoot) || (own?.runAsUser ?? pods?.runAsUser)) return [];
  return own ? [set(`${path}/securityContext`, 'runAsNonRoot', false)] : [set(path, 'securityContext', { runAsNonRoot: false })];
}
