import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cached, cachePath } from '../cluster/cache.ts';
import { ROOT_ENVIRONMENT, requirePrograms } from '../cluster/debian.ts';
import { BASE_IMAGE, buildBaseImage } from './base-image.ts';

const PROJECT = fileURLToPath(new URL('../../../', import.meta.url));
const { version } = JSON.parse(readFileSync(join(PROJECT, 'package.json'), 'utf8')) as { version: string };

/** The name under which manifests/base finds the image on the node. */
const WEBHOOK_IMAGE = `ghcr.io/openshell-sideload/openshell-sideload:${version}`;
const CACHE_NAME = 'webhook-image-';

/**
 * Builds the project's Dockerfile, once for each state of what goes into it: with Docker where an engine answers, else with
 * Debian's buildah and a stand-in for the public base image.
 *
 * @returns a docker-archive in the cache
 * @throws Error when not root, when a program is missing and cannot be installed, or when the build fails
 */
export function buildWebhookImage(): string {
  const hasDocker = spawnSync('docker', ['info'], { stdio: 'ignore' }).status === 0;
  const base = hasDocker ? undefined : buildBaseImage();
  const key = createHash('sha256').update(base ?? 'docker');
  for (const file of contextFiles()) key.update(`${file}\0`).update(readFileSync(join(PROJECT, file)));
  const archive = cached(`${CACHE_NAME}${key.digest('hex').slice(0, 16)}.tar`, (file) => {
    if (base === undefined) buildWithDocker(file);
    else buildWithBuildah(file, base);
  });
  for (const name of readdirSync(dirname(archive)))
    if (name.startsWith(CACHE_NAME) && name !== basename(archive)) rmSync(join(dirname(archive), name), { recursive: true });
  return archive;
}

/** What the image is made of: the Dockerfile, and what .dockerignore lets through. */
function contextFiles(): string[] {
  const ignore = readFileSync(join(PROJECT, '.dockerignore'), 'utf8').split('\n');
  const entries = ignore.filter((line) => line.startsWith('!')).map((line) => line.slice(1));
  const filesIn = (entry: string): string[] =>
    statSync(join(PROJECT, entry)).isDirectory()
      ? readdirSync(join(PROJECT, entry)).flatMap((name) => filesIn(join(entry, name)))
      : [entry];
  return ['Dockerfile', '.dockerignore', ...entries.flatMap(filesIn)].sort();
}

function buildWithDocker(file: string): void {
  execFileSync('docker', ['build', '--quiet', '--tag', WEBHOOK_IMAGE, PROJECT], { stdio: ['ignore', 'ignore', 'inherit'] });
  execFileSync('docker', ['save', '--output', file, WEBHOOK_IMAGE]);
}

function buildWithBuildah(file: string, base: string): void {
  const { buildah } = requirePrograms({ buildah: 'buildah' });
  const storage = cachePath('buildah');
  const run = (...args: string[]): void => {
    execFileSync(buildah, [`--root=${storage}/root`, `--runroot=${storage}/run`, '--storage-driver=overlay', ...args], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...ROOT_ENVIRONMENT, BUILDAH_ISOLATION: 'chroot' },
    });
  };
  const npmrc = join(storage, 'npmrc');
  run('pull', '--quiet', `docker-archive:${base}`);
  run('bud', '--quiet', '--layers', '--pull-never', `--build-arg=BASE=${BASE_IMAGE}`, ...access(npmrc), `--tag=${WEBHOOK_IMAGE}`, PROJECT);
  run('push', '--quiet', WEBHOOK_IMAGE, `docker-archive:${file}:${WEBHOOK_IMAGE}`);
}

/**
 * What `npm ci` needs of this machine to reach its registry: the registry, the user's access to it, and the machine's CAs.
 * It is mounted while the image is built and is no part of it. buildah passes the variables of proxies by itself.
 */
function access(npmrc: string): string[] {
  const npm = (name: string): string =>
    execFileSync('npm', ['config', 'get', '--loglevel=error', name], { encoding: 'utf8', cwd: PROJECT }).trim();
  writeFileSync(npmrc, `registry=${npm('registry')}\ncafile=/etc/ssl/certs/ca-certificates.crt\n`);
  const mounts = { '/usr/local/etc/npmrc': npmrc, '/root/.npmrc': npm('userconfig'), '/etc/ssl/certs': '/etc/ssl/certs' };
  return Object.entries(mounts)
    .filter(([, source]) => existsSync(source))
    .map(([target, source]) => `--volume=${source}:${target}:ro`);
}
