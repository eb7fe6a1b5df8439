/**
 * What the supervisor runs as root before it confines anything: `ip`, `nsenter` and `nft`, found in the sandbox container's own
 * file system and environment (NVIDIA/OpenShell#2750). What the image itself holds there cannot be seen; what the pod puts over
 * it can.
 */

import { quote, type Refuse, refuse, type Warning } from './outcome.ts';
import { absolutePath, PATH_MAX } from './paths.ts';
import type { Container, PodSpec, Volume } from './pod.ts';
import type { SideloadSettings } from './settings.ts';

/**
 * Paths at, above or below directories of programs and of the libraries that a loader takes; and what tells a loader where else
 * to look: glibc's /etc/ld.so.cache, .conf and .preload, musl's /etc/ld-musl-ARCH.path. musl looks into /usr/local/lib too: a
 * library in it counts, a language's packages below it do not.
 */
const PROGRAM_PATHS = new RegExp(
  [
    '^/$|^/(usr|usr/local|usr/local/lib|etc)$',
    '^/(usr/|usr/local/)?s?bin(/|$)',
    '^/(usr/)?lib(32|64|x32|exec)?(/|$)',
    '^/usr/local/lib/[^/]*[.]so([.][^/]*)?$',
    '^/etc/ld[.-]',
  ].join('|'),
);

/** Whether something at this path would take the place of a program, a library or a loader's configuration. */
export function coversPrograms(path: string): boolean {
  return PROGRAM_PATHS.test(absolutePath(path));
}

/** Refuses a sandbox container in which the pod puts something over the programs that the supervisor runs as root. */
export function refuseCoveredPrograms({ name, volumeMounts, volumeDevices, terminationMessagePath }: Container): Refuse | undefined {
  const mount = volumeMounts?.find(({ mountPath }) => coversPrograms(mountPath ?? ''));
  const device = volumeDevices?.find(({ devicePath }) => devicePath && coversPrograms(devicePath));
  const [what, path] = mount
    ? [`mount ${quote(mount.name ?? '')}`, mount.mountPath]
    : device
      ? ['a volume device', device.devicePath]
      : ['terminationMessagePath', terminationMessagePath && coversPrograms(terminationMessagePath) ? terminationMessagePath : undefined];
  if (typeof path !== 'string') return undefined;
  return refuse(
    'programs-covered',
    `${what} of container ${quote(name ?? '')} is at ${quote(path)}, over programs or libraries that the supervisor runs as root: move it`,
  );
}

/**
 * Variables by which a loader, or a program that it loads, takes other code: ld.so(8) of glibc, which lists them as ignored in
 * secure execution, and iptables' directory of extensions.
 */
const LOADER_VARIABLES: readonly string[] = ['GCONV_PATH', 'GLIBC_TUNABLES', 'LOCPATH', 'XTABLES_LIBDIR'];

/** Whether a variable makes programs load other code. */
export function isLoaderVariable(name: string): boolean {
  return name.startsWith('LD_') || LOADER_VARIABLES.includes(name);
}

/** Refuses a sandbox container whose variables load other code into the programs that the supervisor runs as root. */
export function refuseLoaderVariables({ name, env }: Container): Refuse | undefined {
  const variable = env?.find((candidate) => isLoaderVariable(candidate.name ?? ''));
  if (variable === undefined) return undefined;
  return refuse(
    'loader-variable',
    `container ${quote(name ?? '')} sets ${quote(variable.name ?? '')}, which loads code into programs that the supervisor runs as root: set it in your program's own command (env NAME=VALUE program)`,
  );
}

/** Whether what is mounted of a volume can be written: a kubelet mounts these kinds read-only. */
function isWritable({ image, configMap, secret, projected, downwardAPI }: Volume): boolean {
  return !image && !configMap && !secret && !projected && !downwardAPI;
}

/** Where the sandboxed program may write whatever the pod mounts. */
const WRITABLE = '/tmp';

/** A path and all directories above it. */
function withParents(path: string): string[] {
  const paths = [path];
  for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) paths.push(path.slice(0, end));
  return [...paths, '/'];
}

/** Warns of a PATH in which the program, or another container, could put a program that the supervisor then runs as root. */
export function pathConcerns(spec: PodSpec, { name, env, volumeMounts }: Container, { workdir }: SideloadSettings): Warning[] {
  const path = env?.findLast((variable) => variable.name === 'PATH')?.value;
  if (!path) return [];
  const volumes = new Map((spec.volumes ?? []).map((volume) => [volume.name, volume]));
  const writable = (volumeMounts ?? []).filter(({ name: volume, readOnly }) => !readOnly && isWritable(volumes.get(volume) ?? {}));
  const places = [workdir, WRITABLE, ...writable.map(({ mountPath }) => mountPath ?? '')].map(absolutePath);
  const within = new Set(places);
  const above = new Set(places.flatMap(withParents));
  const isUnsafe = (entry: string): boolean => {
    const directory = absolutePath(entry);
    return !entry.startsWith('/') || above.has(directory) || withParents(directory).some((parent) => within.has(parent));
  };
  const directory = path.length >= PATH_MAX ? path : path.split(':').find(isUnsafe);
  if (directory === undefined) return [];
  return [
    {
      code: 'writable-path',
      message: `PATH of container ${quote(name ?? '')} has ${quote(directory)}, which can be written: the supervisor runs programs from PATH as root; leave it out, and set PATH in your program's own command`,
    },
  ];
}
