/** `openshell-sideload inject` as a function that the real kustomize calls, and the manifests as it reads them from a repository. */

import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import type { Pod } from '../../src/sideload/pod.ts';
import { sandbox } from '../pods.ts';
import { isSideloaded } from '../sideloaded.ts';
import { findKustomize } from './cluster/kustomize.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const main = join(root, 'src/main.ts');
const dir = mkdtempSync(join(tmpdir(), 'sideload-kustomize-'));
const kustomize = findKustomize();

afterAll(() => rmSync(dir, { recursive: true }));

beforeAll(() => {
  // What npm installs as a link to the package's program.
  mkdirSync(join(dir, 'bin'));
  const program = join(dir, 'bin', 'openshell-sideload');
  writeFileSync(program, `#!/bin/sh\nexec ${process.execPath} ${main} "$@"\n`);
  chmodSync(program, 0o755);
});

const FUNCTION = 'exec:\n  path: openshell-sideload\n  args: [inject, "-"]\n';

interface Built {
  readonly code: number | null;
  readonly objects: { kind: string; spec?: { template?: Pod }; data?: unknown }[];
  readonly stderr: string;
}

/** Builds a folder with a Deployment, and a function with this configuration. */
function build(labels: Record<string, string>, config: object = { data: {} }): Built {
  const folder = mkdtempSync(join(dir, 'folder-'));
  const write = (name: string, object: object): void => writeFileSync(join(folder, name), JSON.stringify(object));
  const template = { metadata: { labels: { app: 'web', ...labels } }, spec: sandbox().spec };
  write('kustomization.yaml', { resources: ['web.yaml', 'settings.yaml'], transformers: ['sideload.yaml'] });
  write('web.yaml', {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web' },
    spec: { selector: { matchLabels: { app: 'web' } }, template },
  });
  write('settings.yaml', { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'settings' }, data: { mode: '0o755' } });
  const metadata = { name: 'sideload', annotations: { 'config.kubernetes.io/function': FUNCTION } };
  write('sideload.yaml', { apiVersion: 'v1', kind: 'ConfigMap', metadata, ...config });
  const { status, stdout, stderr } = spawnSync(kustomize, ['build', '--enable-alpha-plugins', '--enable-exec', folder], {
    encoding: 'utf8',
    env: { ...process.env, PATH: [join(dir, 'bin'), process.env.PATH].join(delimiter) },
  });
  return { code: status, stderr, objects: parseAllDocuments(stdout).map((document) => document.toJS()) };
}

describe('inject, called by kustomize', () => {
  const labels = { 'openshell.ai/sandbox': 'true' };

  it('puts the supervisor into templates, and leaves other objects as they are', () => {
    const { code, objects, stderr } = build(labels);
    expect(code, stderr).toBe(0);
    const template = objects.find(({ kind }) => kind === 'Deployment')?.spec?.template as Pod;
    expect(isSideloaded(template)).toBe(true);
    expect(objects.find(({ kind }) => kind === 'ConfigMap')?.data).toEqual({ mode: '0o755' });
    expect(objects).toHaveLength(2);
  });

  it('takes settings from its ConfigMap', () => {
    const { objects } = build(labels, { data: { 'supervisor-sideload-method': 'init-container' } });
    const template = objects.find(({ kind }) => kind === 'Deployment')?.spec?.template;
    expect(template?.metadata?.annotations).toMatchObject({ 'openshell.ai/sideloaded': 'init-container' });
    expect(template?.spec?.initContainers).toHaveLength(1);
  });

  it.each([
    ['a pod that is refused', { 'openshell.ai/sandbox': 'ture' }, undefined, 'refused (unknown-label-value, 422)'],
    ['a setting that is not known', labels, { data: { 'supervisor-sideload-mehtod': 'auto' } }, 'did you mean supervisor-sideload-method?'],
    ['a value that is not allowed', labels, { data: { 'supervisor-sideload-method': 'copy' } }, '--supervisor-sideload-method "copy"'],
    ['a configuration of another kind', labels, { kind: 'Settings', apiVersion: 'example.com/v1' }, 'expected a ConfigMap'],
  ])('ends the build for %s', (_what, wrong, config, says) => {
    const { code, objects, stderr } = build(wrong, config);
    expect([code, objects]).toEqual([1, []]);
    expect(stderr).toContain(says);
  });
});

describe('manifests/base, as a remote base', () => {
  it('is read at a tag, as the README names it', () => {
    const [, folder = '', tag = ''] =
      /openshell-sideload\/openshell-sideload\/\/(\S+)\?ref=(v[\d.]+)'/.exec(readFileSync(join(root, 'README.md'), 'utf8')) ?? [];
    const repository = join(dir, 'repository');
    cpSync(join(root, 'manifests'), join(repository, 'manifests'), { recursive: true });
    const git = (...args: string[]) =>
      execFileSync('git', ['-c', 'user.name=test', '-c', 'user.email=test@example.com', ...args], { cwd: repository, stdio: 'pipe' });
    git('init', '--quiet');
    git('add', '.');
    git('commit', '--quiet', '--message=release');
    git('tag', tag);
    // What follows the tag is not what is installed.
    rmSync(join(repository, 'manifests'), { recursive: true });
    git('commit', '--quiet', '--all', '--message=later');
    const built = (base: string) => spawnSync(kustomize, ['build', base], { encoding: 'utf8' });
    const local = built(join(root, 'manifests/base'));
    expect(local.stdout).toContain('image: ghcr.io/openshell-sideload/openshell-sideload:');
    expect(built(`file://${repository}//${folder}?ref=${tag}`)).toMatchObject({ status: 0, stdout: local.stdout });
  });
});
