/** The working directory of the sandboxed process. */

import { absolutePath, overlap } from './paths.ts';
import type { Container } from './pod.ts';
import type { SideloadSettings } from './settings.ts';

/**
 * Directories that no sandboxed process may get as its working directory: the supervisor opens the working directory for
 * writing (Landlock), so that `/` would open the whole file system.
 */
const SYSTEM_PATHS = [
  ...['/bin', '/boot', '/dev', '/etc', '/lib', '/lib32', '/lib64', '/libx32', '/opt/openshell'],
  ...['/proc', '/root', '/run', '/sbin', '/sys', '/usr', '/var'],
];

/** Whether a path may be the working directory of a sandboxed process: it is absolute, and not at, above or below a system path. */
export function isWorkdir(path: string): boolean {
  if (!path.startsWith('/')) return false;
  const absolute = absolutePath(path);
  return !SYSTEM_PATHS.some((system) => overlap(absolute, system));
}

/** Whether the container names a working directory that its program does not get. */
export function replacesWorkdir({ workingDir }: Container): boolean {
  return Boolean(workingDir) && !isWorkdir(workingDir ?? '');
}

/** The working directory for the supervisor's command line: the container's where it may be one, else the operator's. */
export function workdirWord(container: Container, settings: SideloadSettings): string {
  const { workingDir } = container;
  const path = workingDir && isWorkdir(workingDir) ? workingDir : settings.workdir;
  // A kubelet expands $(NAME) in a command, and nowhere in workingDir.
  return path.replaceAll('$(', '$$$$(');
}

/** Whether a word of a command line that arrived is a working directory which a kubelet cannot expand into another one. */
export function isWorkdirWord(word: string): boolean {
  const path = word.replaceAll('$$', '\0');
  return !path.includes('$(') && isWorkdir(path.replaceAll('\0', '$'));
}
