/** The operations that put the supervisor into a pod: only what is missing, and no element of the user's is rewritten. */

import { escapePathComponent, type Operation } from 'fast-json-patch';
import { type Method, SIDELOADED_ANNOTATION, SUPERVISOR_MOUNT_PATH, supervisorBinary } from './contract.ts';
import { environmentOperations } from './environment.ts';
import { installContainer } from './install-container.ts';
import { append, set } from './operations.ts';
import type { Plan } from './plan.ts';
import { securityContextOperations } from './security-context.ts';
import { startsRightBinary } from './selection.ts';
import type { SideloadSettings } from './settings.ts';

const ANNOTATION_MEMBER = escapePathComponent(SIDELOADED_ANNOTATION);

/** Builds the JSON Patch for a pod; applying it in order gives the sideloaded pod. */
export function patchFor(plan: Plan, settings: SideloadSettings): Operation[] {
  const { spec, method, existing } = plan;
  const container = `/spec/containers/${plan.index}`;
  const volumes = existing.method === undefined ? [{ name: existing.volumeName, ...volumeSource(method, settings) }] : [];
  const installers = method === 'init-container' && !plan.installed ? [installContainer(plan, settings)] : [];
  return [
    ...append('/spec', 'volumes', spec.volumes, volumes),
    ...append('/spec', 'initContainers', spec.initContainers, installers),
    ...mountOperations(plan, container),
    ...commandOperations(plan, container, settings),
    ...environmentOperations(plan, container, settings),
    ...securityContextOperations(plan, container, settings),
    ...annotationOperations(plan),
  ];
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

function mountOperations({ container, existing }: Plan, path: string): Operation[] {
  if (existing.mount === -1) {
    return append(path, 'volumeMounts', container.volumeMounts, [
      { name: existing.volumeName, mountPath: SUPERVISOR_MOUNT_PATH, readOnly: true },
    ]);
  }
  return existing.readOnly ? [] : [set(`${path}/volumeMounts/${existing.mount}`, 'readOnly', true)];
}

/**
 * The supervisor becomes the command; what the container ran before follows `--`, because the supervisor would take words
 * that start with a dash for its own options. A container that ran nothing of its own gets no args: the supervisor then runs
 * OPENSHELL_MAIN_PROCESS_SPEC or its default shell (crates/openshell-sandbox/src/main.rs).
 */
function commandOperations(plan: Plan, path: string, settings: SideloadSettings): Operation[] {
  const { container, method, existing } = plan;
  const binary = supervisorBinary(method, settings.layout);
  // With the volume, its layout was chosen; without it, the one that is added has the operator's.
  const isRight = existing.method === undefined ? container.command?.[0] === binary : startsRightBinary(container, method);
  if (existing.launched) return isRight ? [] : [{ op: 'replace', path: `${path}/command/0`, value: binary }];
  // A kubelet expands $(NAME) in a command, and nowhere in workingDir.
  const workdir = (container.workingDir || settings.workdir).replaceAll('$(', '$$$$(');
  const command = set(path, 'command', [binary, '--workdir', workdir]);
  const words = withoutSupervisor([...(container.command ?? []), ...(container.args ?? [])], plan);
  // Args with no command of their own are ours, from before another webhook took the command away: `decide` refuses all others.
  if (words.length === 0 || !container.command?.length) return [command];
  return [command, set(path, 'args', ['--', ...words])];
}

/**
 * What another webhook has wrapped after us: its wrapper starts our supervisor, which starts the program. The supervisor that is
 * put in front starts the wrapper; the one behind it goes, since it could not start inside the sandbox.
 */
function withoutSupervisor(words: readonly string[], { existing, method }: Plan): readonly string[] {
  if (existing.method === undefined) return words;
  const at = words.findIndex(
    (word, index) => startsRightBinary({ command: [word] }, method) && words[index + 1] === '--workdir' && words[index + 3] === '--',
  );
  return at === -1 ? words : words.toSpliced(at, 4);
}

function annotationOperations({ pod, method }: Plan): Operation[] {
  const annotations = pod.metadata?.annotations;
  if (annotations?.[SIDELOADED_ANNOTATION] === method) return [];
  if (annotations) return [set('/metadata/annotations', ANNOTATION_MEMBER, method)];
  const metadata = set('/metadata', 'annotations', { [SIDELOADED_ANNOTATION]: method });
  return pod.metadata ? [metadata] : [set('', 'metadata', {}), metadata];
}
