import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { arch } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cached } from '../cluster/cache.ts';
import { requirePrograms } from '../cluster/debian.ts';
import { packTree } from './archive.ts';

/** What takes the place of the Dockerfile's base. */
export const BASE_IMAGE = 'docker.io/library/node:24-bookworm-slim';
const NODE_PACKAGE = fileURLToPath(new URL(`../../../node_modules/node-linux-${arch()}/`, import.meta.url));
const NPM = '11.21.2';

/**
 * Makes a stand-in for the public image, for machines without a registry for images: Debian 12 with Node.js, its licence and npm
 * where the public image has them. Node.js is that of this project's node_modules.
 *
 * @returns a docker-archive in the cache
 * @throws Error when not root, or without access to a Debian mirror and an npm registry
 */
export function buildBaseImage(): string {
  const { debootstrap } = requirePrograms({ debootstrap: 'debootstrap' });
  const { version } = JSON.parse(readFileSync(join(NODE_PACKAGE, 'package.json'), 'utf8')) as { version: string };
  return cached(`base-image-node-${version}-licence-npm-${NPM}-bookworm.tar`, (file) => {
    process.stderr.write('making a stand-in for the base image: about a minute, once\n');
    const parts = `${file}.d`;
    const tree = join(parts, 'tree');
    try {
      mkdirSync(tree, { recursive: true });
      run(debootstrap, '--variant=minbase', 'bookworm', tree);
      for (const place of ['var/cache/apt', 'var/lib/apt/lists']) empty(join(tree, place));
      const local = (...names: string[]): string => join(tree, 'usr', 'local', ...names);
      copyFileSync(join(NODE_PACKAGE, 'bin', 'node'), local('bin', 'node'));
      copyFileSync(join(NODE_PACKAGE, 'LICENSE'), local('LICENSE'));
      run('npm', 'pack', '--loglevel=error', `--pack-destination=${parts}`, `npm@${NPM}`);
      mkdirSync(local('lib', 'node_modules', 'npm'), { recursive: true });
      run('tar', '-xf', join(parts, `npm-${NPM}.tgz`), '--strip-components=1', '-C', local('lib', 'node_modules', 'npm'));
      for (const name of ['npm', 'npx']) symlinkSync(`../lib/node_modules/npm/bin/${name}-cli.js`, local('bin', name));
      const Env = ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'];
      packTree(file, BASE_IMAGE, tree, { Env, Cmd: ['node'] });
    } finally {
      rmSync(parts, { recursive: true, force: true });
    }
  });
}

function run(command: string, ...args: string[]): void {
  execFileSync(command, args, { stdio: ['ignore', 'ignore', 'inherit'] });
}

function empty(folder: string): void {
  for (const name of existsSync(folder) ? readdirSync(folder) : []) rmSync(join(folder, name), { recursive: true });
}
