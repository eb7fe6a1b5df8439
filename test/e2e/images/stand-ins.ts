import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { INSTALLED_BINARY, SUPERVISOR_MOUNT_PATH } from '../../../src/sideload/contract.ts';
import { cached } from '../cluster/cache.ts';
import { PAUSE_IMAGE } from '../cluster/containerd.ts';
import { requirePrograms } from '../cluster/debian.ts';
import { build } from '../cluster/go-build.ts';
import { packImage } from './archive.ts';

const SOURCES = fileURLToPath(new URL('./', import.meta.url));

/** The webhook's default image, layout `scratch`. */
export const SUPERVISOR_IMAGE = 'ghcr.io/nvidia/openshell/supervisor:latest';
/** An image of layout `community`. */
export const COMMUNITY_SUPERVISOR_IMAGE = 'ghcr.io/nvidia/openshell-community/supervisor:latest';
/** busybox, for what runs under the supervisor. */
export const WORKLOAD_IMAGE = 'local/workload:1';

const ENVIRONMENT = { Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'] };

/**
 * Makes the images of the tests, once for each state of their sources.
 *
 * @returns docker-archives with the images named above and the pause image
 * @throws Error when busybox or Go is missing
 */
export function buildStandIns(): string[] {
  const { busybox } = requirePrograms({ busybox: 'busybox-static' });
  if (spawnSync('ldd', [busybox]).status === 0) throw new Error(`${busybox} needs libraries, which no image has: install busybox-static`);
  const key = createHash('sha256').update(readFileSync(busybox));
  for (const file of ['go.mod', 'pause/main.go', 'supervisor/main.go', 'archive.ts', 'stand-ins.ts'])
    key.update(readFileSync(join(SOURCES, file)));
  const folder = cached(`stand-ins-${key.digest('hex').slice(0, 16)}`, (beside) => {
    mkdirSync(join(beside, 'bin'), { recursive: true });
    build(join(beside, 'bin'), { module: SOURCES, packages: ['./pause', './supervisor'] });
    const supervisor = join(beside, 'bin', 'supervisor');
    const applets = execFileSync(busybox, ['--list'], { encoding: 'utf8' }).split('\n');
    const linksTo = (names: readonly string[]): Record<string, string> =>
      Object.fromEntries(names.map((name) => [`bin/${name}`, 'busybox']));
    packImage(join(beside, 'pause.tar'), {
      name: PAUSE_IMAGE,
      programs: { pause: join(beside, 'bin', 'pause') },
      config: { Entrypoint: ['/pause'] },
    });
    packImage(join(beside, 'supervisor.tar'), {
      name: SUPERVISOR_IMAGE,
      programs: { 'openshell-sandbox': supervisor },
      config: { Entrypoint: ['/openshell-sandbox'] },
    });
    packImage(join(beside, 'community-supervisor.tar'), {
      name: COMMUNITY_SUPERVISOR_IMAGE,
      programs: { 'bin/busybox': busybox, 'usr/local/bin/openshell-sandbox': supervisor },
      links: linksTo(['sh', 'cp']),
      config: ENVIRONMENT,
    });
    packImage(join(beside, 'workload.tar'), {
      name: WORKLOAD_IMAGE,
      programs: { 'bin/busybox': busybox },
      links: linksTo(applets.filter((name) => name !== '' && name !== 'busybox')),
      config: { ...ENVIRONMENT, Cmd: ['sh'] },
    });
  });
  return readdirSync(folder)
    .filter((name) => name.endsWith('.tar'))
    .map((name) => join(folder, name));
}

/**
 * Puts the stand-in supervisor on this machine, whose /opt is the node's, for the method `host-path`.
 *
 * @returns removes what was put there
 * @throws Error when there is another supervisor
 */
export function installSupervisorOnNode(): () => void {
  const supervisor = readFileSync(join(dirname(buildStandIns()[0] ?? ''), 'bin', 'supervisor'));
  if (existsSync(INSTALLED_BINARY) && !readFileSync(INSTALLED_BINARY).equals(supervisor))
    throw new Error(`${INSTALLED_BINARY} exists on this machine and is not the tests' own`);
  const firstMade = mkdirSync(SUPERVISOR_MOUNT_PATH, { recursive: true });
  writeFileSync(INSTALLED_BINARY, supervisor, { mode: 0o755 });
  return () => rmSync(firstMade ?? INSTALLED_BINARY, { recursive: true, force: true });
}
