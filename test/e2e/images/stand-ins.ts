import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { INSTALLED_BINARY, SUPERVISOR_MOUNT_PATH } from '../../../src/sideload/contract.ts';
import { cached } from '../cluster/cache.ts';
import { PAUSE_IMAGE } from '../cluster/containerd.ts';
import { requirePrograms } from '../cluster/debian.ts';
import { build } from '../cluster/go-build.ts';
import { type Image, packImage } from './archive.ts';

const SOURCES = fileURLToPath(new URL('./', import.meta.url));

/** The webhook's default image, layout `scratch`: the program's output goes to the container's log. */
export const SUPERVISOR_IMAGE = 'ghcr.io/nvidia/openshell/supervisor:0.0.110';
/** The next version, which keeps the program's output to itself. */
export const SILENT_SUPERVISOR_IMAGE = 'ghcr.io/nvidia/openshell/supervisor:0.0.111';
/** An image of layout `community`. */
export const COMMUNITY_SUPERVISOR_IMAGE = 'ghcr.io/nvidia/openshell-community/supervisor:latest';
/** For what runs under the supervisor: busybox, and the programs that the supervisor calls. */
export const WORKLOAD_IMAGE = 'local/workload:1';
/** The same without `ip`. */
export const WORKLOAD_IMAGE_WITHOUT_IP = 'local/workload-without-ip:1';

/** The policy of the tests: the name of each file in a policy's volume, and the file. */
export const POLICY_FILES = {
  'policy.yaml': join(SOURCES, 'policy', 'policy.yaml'),
  'policy.rego': join(SOURCES, 'policy', 'policy.rego'),
};

/** A ConfigMap with the policy of the tests, as JSON; `replaced` has other texts. */
export function policyConfigMap(name: string, namespace: string, replaced: Readonly<Record<string, string>> = {}): string {
  const files = Object.entries(POLICY_FILES).map(([key, file]) => [key, readFileSync(file, 'utf8')]);
  const data = { ...Object.fromEntries(files), ...replaced };
  return JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace }, data });
}

const ENVIRONMENT = { Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'] };
const SILENT_LINE = '0.0.111';

const ARCHIVES = {
  [PAUSE_IMAGE]: 'pause.tar',
  [SUPERVISOR_IMAGE]: 'supervisor.tar',
  [SILENT_SUPERVISOR_IMAGE]: 'silent-supervisor.tar',
  [COMMUNITY_SUPERVISOR_IMAGE]: 'community-supervisor.tar',
  [WORKLOAD_IMAGE]: 'workload.tar',
  [WORKLOAD_IMAGE_WITHOUT_IP]: 'workload-without-ip.tar',
};

/** Where the folder of `buildStandIns` has the supervisors. */
const SUPERVISOR = join('bin', 'supervisor');
const SILENT_SUPERVISOR = join('bin', `supervisor-${SILENT_LINE}`);

/** A folder with what the tests put into pods. */
export interface StandIns {
  /** The name of each image above and of the pause image, and its docker-archive. */
  readonly images: Readonly<Record<string, string>>;
  readonly supervisor: string;
  readonly silentSupervisor: string;
}

/**
 * Makes the stand-ins, once for each state of their sources.
 *
 * @throws Error when busybox, iproute2 or Go is missing
 */
export function buildStandIns(): StandIns {
  const { busybox, ip } = requirePrograms({ busybox: 'busybox-static', ip: 'iproute2' });
  if (librariesOf(busybox).length > 0) throw new Error(`${busybox} needs libraries, which no image has: install busybox-static`);
  const key = createHash('sha256').update(readFileSync(busybox)).update(readFileSync(ip));
  const programs = ['pause', 'supervisor'].flatMap((name) => readdirSync(join(SOURCES, name)).map((file) => join(name, file)));
  for (const file of ['go.mod', 'go.sum', 'archive.ts', 'stand-ins.ts', ...programs.toSorted()])
    key.update(readFileSync(join(SOURCES, file)));
  const folder = cached(`stand-ins-${key.digest('hex').slice(0, 16)}`, (beside) => {
    mkdirSync(join(beside, 'bin'), { recursive: true });
    build(join(beside, 'bin'), { module: SOURCES, packages: ['./pause', './supervisor'] });
    const ldflags = `-X main.line=${SILENT_LINE}`;
    build(beside, { module: SOURCES, packages: ['./supervisor'], ldflags, output: SILENT_SUPERVISOR });
    pack(beside, {
      name: PAUSE_IMAGE,
      programs: { pause: join(beside, 'bin', 'pause') },
      config: { Entrypoint: ['/pause'] },
    });
    packSupervisors(beside, busybox);
    packWorkloads(beside, busybox, ip);
  });
  return {
    images: Object.fromEntries(Object.entries(ARCHIVES).map(([image, archive]) => [image, join(folder, archive)])),
    supervisor: join(folder, SUPERVISOR),
    silentSupervisor: join(folder, SILENT_SUPERVISOR),
  };
}

function pack(folder: string, image: Image & { readonly name: keyof typeof ARCHIVES }): void {
  packImage(join(folder, ARCHIVES[image.name]), image);
}

function packSupervisors(folder: string, busybox: string): void {
  const config = { Entrypoint: ['/openshell-sandbox'] };
  pack(folder, {
    name: SUPERVISOR_IMAGE,
    programs: { 'openshell-sandbox': join(folder, SUPERVISOR) },
    config,
  });
  pack(folder, {
    name: SILENT_SUPERVISOR_IMAGE,
    programs: { 'openshell-sandbox': join(folder, SILENT_SUPERVISOR) },
    config,
  });
  pack(folder, {
    name: COMMUNITY_SUPERVISOR_IMAGE,
    programs: { 'bin/busybox': busybox, 'usr/local/bin/openshell-sandbox': join(folder, SUPERVISOR) },
    links: { 'bin/sh': 'busybox', 'bin/cp': 'busybox' },
    config: ENVIRONMENT,
  });
}

/** Lays the images out as distributions do: programs are below /usr, and there are account files and /run. */
function packWorkloads(folder: string, busybox: string, ip: string): void {
  const applets = execFileSync(busybox, ['--list'], { encoding: 'utf8' })
    .split('\n')
    // busybox's own `ip` knows no network namespaces.
    .filter((name) => !['', 'busybox', 'ip'].includes(name));
  const image = {
    programs: { 'usr/bin/busybox': busybox },
    links: {
      ...Object.fromEntries(['bin', 'sbin', 'lib', 'lib64'].map((name) => [name, `usr/${name}`])),
      'var/run': '../run',
      ...Object.fromEntries(applets.map((name) => [`usr/bin/${name}`, 'busybox'])),
    },
    texts: { 'etc/passwd': 'root:x:0:0:root:/root:/bin/sh\n', 'etc/group': 'root:x:0:\n' },
    folders: ['run', 'usr/lib', 'usr/lib64', 'usr/sbin', 'var/log'],
    config: { ...ENVIRONMENT, Cmd: ['sh'] },
  };
  pack(folder, { ...image, name: WORKLOAD_IMAGE_WITHOUT_IP });
  const libraries = Object.fromEntries(librariesOf(ip).map((file) => [file.replace(/^\/(usr\/)?/, 'usr/'), file]));
  pack(folder, {
    ...image,
    name: WORKLOAD_IMAGE,
    programs: { ...image.programs, 'usr/sbin/ip': ip, ...libraries },
  });
}

/** The files of shared libraries that a program needs, its loader among them. */
export function librariesOf(program: string): string[] {
  const { status, stdout } = spawnSync('ldd', [program], { encoding: 'utf8' });
  return status === 0 ? [...stdout.matchAll(/(\/\S+) \(0x/g)].map(([, file = '']) => file) : [];
}

/**
 * Puts the stand-in supervisor on this machine, whose /opt is the node's, for the method `host-path`.
 *
 * @returns removes what was put there
 * @throws Error when there is another supervisor
 */
export function installSupervisorOnNode(): () => void {
  const supervisor = readFileSync(buildStandIns().supervisor);
  if (existsSync(INSTALLED_BINARY) && !readFileSync(INSTALLED_BINARY).equals(supervisor))
    throw new Error(`${INSTALLED_BINARY} exists on this machine and is not the tests' own`);
  const firstMade = mkdirSync(SUPERVISOR_MOUNT_PATH, { recursive: true });
  writeFileSync(INSTALLED_BINARY, supervisor, { mode: 0o755 });
  return () => rmSync(firstMade ?? INSTALLED_BINARY, { recursive: true, force: true });
}
