import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** Where root's programs lie, whether or not the user's PATH names it. */
const PATH = `${process.env.PATH ?? ''}:/usr/local/sbin:/usr/sbin:/sbin`;

/** The environment for programs that only root's PATH has. */
export const ROOT_ENVIRONMENT: NodeJS.ProcessEnv = { ...process.env, PATH };

function find(program: string): string | undefined {
  return PATH.split(':')
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, program))
    .find((file) => existsSync(file));
}

/** Installs Debian packages, in the version of the distribution. Only root can. */
export function installPackages(names: readonly string[]): void {
  process.stderr.write(`apt-get install ${names.join(' ')}\n`);
  const aptGet = (...args: string[]): void => {
    execFileSync('apt-get', ['-qq', ...args], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    });
  };
  aptGet('update');
  aptGet('install', '-y', '--no-install-recommends', ...names);
}

/**
 * Sees to it that programs are there: those that are missing are installed with apt-get, in the version of the distribution.
 *
 * @param packages the Debian package of each program
 * @returns the path of each program
 * @throws Error when not root, or when one is missing and apt-get cannot install it
 */
export function requirePrograms<Program extends string>(packages: Readonly<Record<Program, string>>): Record<Program, string> {
  const programs = Object.keys(packages) as Program[];
  if (process.getuid?.() !== 0) throw new Error(`${programs.join(', ')}: only root can use them here`);
  const missing = programs.filter((program) => find(program) === undefined);
  if (missing.length > 0) {
    const names = missing.map((program) => packages[program]);
    if (spawnSync('apt-get', ['--version']).error)
      throw new Error(`${missing.join(', ')} not found, and no apt-get to install ${names.join(', ')}`);
    installPackages(names);
  }
  return Object.fromEntries(
    programs.map((program) => {
      const path = find(program);
      if (path === undefined) throw new Error(`${packages[program]} is installed and has no ${program}`);
      return [program, path];
    }),
  ) as Record<Program, string>;
}
