import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cached, cachePath } from './cache.ts';

/** What is built from one Go module of the test tree. */
export interface GoPrograms {
  /** The folder with the go.mod that pins the versions. */
  readonly module: string;
  readonly packages: readonly string[];
  readonly ldflags?: string;
  /** The program's name, where it is not the last part of its only package. */
  readonly output?: string;
  /** Build tags of a program that is in part C. It is linked with libraries of this machine. */
  readonly cTags?: string;
}

/** Changes with every pinned version of these modules. */
function pinsOf(modules: readonly string[]): string {
  const hash = createHash('sha256').update(process.platform).update(process.arch);
  for (const module of modules) for (const file of ['go.mod', 'go.sum']) hash.update(readFileSync(join(module, file)));
  return hash.digest('hex').slice(0, 16);
}

/**
 * The folder of the cache with the programs of these modules, which are built when it is not there.
 *
 * @param name the folder's name; the pinned versions are added to it
 * @param notice what is built and for how long, for stderr
 * @throws Error when Go is not installed or a program cannot be built
 */
export function builtPrograms(name: string, notice: string, programs: readonly GoPrograms[]): string {
  return cached(`${name}-${pinsOf(programs.map(({ module }) => module))}`, (folder) => {
    process.stderr.write(`building ${notice}, once, into ${cachePath('')}\n`);
    mkdirSync(folder);
    for (const each of programs) build(folder, each);
  });
}

/**
 * Builds programs into a folder, static ones unless they are in part C.
 *
 * @throws Error when Go is not installed or a program cannot be built
 */
export function build(folder: string, { module, packages, ldflags = '', output, cTags }: GoPrograms): void {
  if (spawnSync('go', ['version']).error)
    throw new Error(
      'Go is not installed: install Go 1.21 or newer; for e2e:api alone, KUBEBUILDER_ASSETS may name a folder with etcd, kube-apiserver and kubectl',
    );
  const target = output === undefined ? `${folder}/` : join(folder, output);
  execFileSync('go', ['build', '-mod=readonly', `-tags=${cTags ?? ''}`, `-ldflags=-s -w ${ldflags}`, '-o', target, ...packages], {
    cwd: module,
    stdio: ['ignore', 'inherit', 'inherit'],
    // The compiler ends before its garbage matters: collecting it less often takes a tenth less CPU.
    env: { GOGC: '400', ...process.env, CGO_ENABLED: cTags === undefined ? '0' : '1' },
  });
}
