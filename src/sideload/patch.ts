/** The operations that put the supervisor into a pod: only what is missing, and no element of the user's is rewritten. */

import { isDeepStrictEqual } from 'node:util';
import { escapePathComponent } from 'fast-json-patch';
import { type Method, SIDELOADED_ANNOTATION, SUPERVISOR_MOUNT_PATH } from './contract.ts';
import { environmentOperations } from './environment.ts';
import { installContainer, installerOperations } from './install-container.ts';
import { commandLine } from './launch.ts';
import { append, type Operation, set } from './operations.ts';
import type { Plan } from './plan.ts';
import { securityContextOperations } from './security-context.ts';
import type { SideloadSettings } from './settings.ts';
import { wordsOf } from './supervisor-container.ts';

const ANNOTATION_MEMBER = escapePathComponent(SIDELOADED_ANNOTATION);

/**
 * Builds the JSON Patch for a pod, without the annotation for people; applying it in order gives the sandbox as the
 * webhook writes it. No operation: the pod is that already.
 */
export function patchFor(plan: Plan, settings: SideloadSettings): Operation[] {
  const { spec, method, existing, files } = plan;
  const container = `/spec/containers/${plan.index}`;
  const supervisor = existing.method === undefined ? [{ name: existing.volumeName, ...volumeSource(method, settings) }] : [];
  const missing = files.filter(({ hasVolume }) => !hasVolume).map(({ files: { name, source } }) => ({ name, ...source }));
  const installers = method === 'init-container' && plan.installers.length === 0 ? [installContainer(plan, settings)] : [];
  return append('/spec', 'volumes', spec.volumes, [...supervisor, ...missing]).concat(
    append('/spec', 'initContainers', spec.initContainers, installers),
    installerOperations(plan),
    mountOperations(plan, container),
    imageOperations(plan, container),
    commandOperations(plan, container, settings),
    environmentOperations(plan, container, settings),
    securityContextOperations(plan, container, settings),
  );
}

function volumeSource(method: Method, settings: SideloadSettings): Record<string, unknown> {
  switch (method) {
    case 'image-volume':
      return { image: { reference: settings.image, ...(settings.pullPolicy === '' ? {} : { pullPolicy: settings.pullPolicy }) } };
    case 'init-container':
      return { emptyDir: {} };
    case 'host-path':
      return { hostPath: { path: SUPERVISOR_MOUNT_PATH, type: 'Directory' } };
  }
}

function mountOperations({ container, existing, files }: Plan, path: string): Operation[] {
  const mounts = [
    { name: existing.volumeName, mountPath: SUPERVISOR_MOUNT_PATH, there: existing.mount },
    ...files.map(({ files: { name, mountPath }, mount }) => ({ name, mountPath, there: mount })),
  ];
  const present = mounts.flatMap(({ there }) => there ?? []);
  // What is mounted below it elsewhere would come along.
  const propagating = present.filter(({ index }) => !['None', undefined, null].includes(container.volumeMounts?.[index]?.mountPropagation));
  const missing = mounts.filter(({ there }) => !there).map(({ name, mountPath }) => ({ name, mountPath, readOnly: true }));
  return [
    ...present.filter(({ readOnly }) => !readOnly).map(({ index }) => set(`${path}/volumeMounts/${index}`, 'readOnly', true)),
    ...propagating.map(({ index }): Operation => ({ op: 'remove', path: `${path}/volumeMounts/${index}/mountPropagation` })),
    ...append(path, 'volumeMounts', container.volumeMounts, missing),
  ];
}

/** An image that was looked up runs by its digest: its tag may mean another program when the kubelet pulls it. */
function imageOperations({ container, written }: Plan, path: string): Operation[] {
  return container.image === written.image ? [] : [set(path, 'image', container.image)];
}

/**
 * The supervisor becomes the command; what the container ran before follows `--`, because the supervisor would take words
 * that start with a dash for its own options. A container that ran nothing of its own gets no args: the supervisor then runs
 * OPENSHELL_MAIN_PROCESS_SPEC or its default shell (crates/openshell-sandbox/src/main.rs).
 */
function commandOperations(plan: Plan, path: string, settings: SideloadSettings): Operation[] {
  const { container, method, existing } = plan;
  const { command, program } = commandLine(container, existing, method, settings);
  const args = program.length === 0 ? [] : ['--', ...program];
  const words = wordsOf(container);
  // A program of no words, after `--`, is none.
  if (existing.launched && isDeepStrictEqual(words.at(-1) === '--' ? words.slice(0, -1) : words, [...command, ...args])) return [];
  const setCommand = isDeepStrictEqual(container.command, command) ? [] : [set(path, 'command', command)];
  // Args with no command of their own are ours, from before another webhook took the command away: `decide` refuses all others.
  if (!container.command?.length || isDeepStrictEqual(container.args ?? [], args)) return setCommand;
  return [...setCommand, set(path, 'args', args)];
}

/** The operations of the annotation that shows people how the supervisor got into the pod. */
export function annotationOperations({ pod, method }: Plan): Operation[] {
  const annotations = pod.metadata?.annotations;
  if (annotations?.[SIDELOADED_ANNOTATION] === method) return [];
  if (annotations) return [set('/metadata/annotations', ANNOTATION_MEMBER, method)];
  const metadata = set('/metadata', 'annotations', { [SIDELOADED_ANNOTATION]: method });
  return pod.metadata ? [metadata] : [set('', 'metadata', {}), metadata];
}
