import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { arch } from 'node:os';
import { dirname, join } from 'node:path';

/** An image of one layer. */
export interface Image {
  readonly name: string;
  /** Path in the image -> file of this machine; all of them are executable. */
  readonly programs: Readonly<Record<string, string>>;
  /** Path in the image -> where the symbolic link points to. */
  readonly links?: Readonly<Record<string, string>>;
  /** Path in the image -> text. */
  readonly texts?: Readonly<Record<string, string>>;
  /** Empty folders, besides /tmp. */
  readonly folders?: readonly string[];
  /** `config` of an OCI image configuration: Env, Entrypoint, … */
  readonly config?: object;
}

const tar = (...args: string[]): void => {
  execFileSync('tar', ['--sort=name', '--mtime=@0', '--numeric-owner', ...args], { stdio: ['ignore', 'ignore', 'inherit'] });
};

/** Writes a docker-archive with one image. `file.d` is used for its parts and removed. */
export function packImage(file: string, { name, programs, links = {}, texts = {}, folders = [], config = {} }: Image): void {
  const parts = `${file}.d`;
  const tree = join(parts, 'tree');
  // A pod's /tmp is everybody's, as in images of distributions.
  mkdirSync(join(tree, 'tmp'), { recursive: true });
  chmodSync(join(tree, 'tmp'), 0o1777);
  for (const [path, source] of Object.entries(programs)) {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    copyFileSync(source, join(tree, path));
    chmodSync(join(tree, path), 0o755);
  }
  for (const [path, target] of Object.entries(links)) {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    symlinkSync(target, join(tree, path));
  }
  for (const folder of folders) mkdirSync(join(tree, folder), { recursive: true });
  for (const [path, text] of Object.entries(texts)) {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    writeFileSync(join(tree, path), text);
  }
  packTree(file, name, tree, config);
  rmSync(parts, { recursive: true });
}

/** Writes a docker-archive with one image, whose only layer is a folder of this machine. `file.d` is used for its parts. */
export function packTree(file: string, name: string, tree: string, config: object): void {
  const parts = `${file}.d`;
  mkdirSync(parts, { recursive: true });
  const layer = join(parts, 'layer.tar');
  tar('-cf', layer, '-C', tree, '.');
  const digest = createHash('sha256').update(readFileSync(layer)).digest('hex');
  // Go's names of architectures, as the image specification asks for.
  const architecture = arch() === 'x64' ? 'amd64' : arch();
  const rootfs = { type: 'layers', diff_ids: [`sha256:${digest}`] };
  // buildah refuses an image whose history does not have an entry for each layer.
  const history = [{ created_by: name }];
  writeFileSync(join(parts, 'config.json'), JSON.stringify({ architecture, os: 'linux', config, rootfs, history }));
  writeFileSync(join(parts, 'manifest.json'), JSON.stringify([{ Config: 'config.json', RepoTags: [name], Layers: ['layer.tar'] }]));
  tar('-cf', `${file}.part`, '-C', parts, 'manifest.json', 'config.json', 'layer.tar');
  renameSync(`${file}.part`, file);
}
