/** What `npm run build` makes, packed and installed into an empty folder: every command runs with the oldest Node.js that it asks for. */

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { sandbox } from '../pods.ts';
import { buildBundle, DIST } from './bundle.ts';
import { findBinaries } from './cluster/binaries.ts';
import { type ControlPlane, openControlPlane } from './cluster/control-plane.ts';
import { findKrew } from './cluster/krew.ts';
import { findOldestNode } from './cluster/oldest-node.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string; engines: { node: string } };
const dir = mkdtempSync(join(tmpdir(), 'sideload-package-'));
const installed = join(dir, 'installed');
const oldest = findOldestNode();
/** That Node.js, and neither the one of the machine nor the one that the scripts bring. */
const env = {
  ...process.env,
  PATH: [oldest.folder, ...(process.env.PATH ?? '').split(delimiter).filter((folder) => !folder.includes('node_modules'))].join(delimiter),
};
let packed: { filename: string; files: { path: string }[] };

const file = (path: string): string => readFileSync(join(installed, 'node_modules/openshell-sideload', path), 'utf8');
const run = (...args: string[]) =>
  spawnSync('npx', ['--no-install', 'openshell-sideload', ...args], { cwd: installed, env, encoding: 'utf8' });

beforeAll(() => {
  buildBundle();
  const printed = execFileSync('npm', ['pack', '--json', '--pack-destination', dir], { cwd: DIST, env, encoding: 'utf8' });
  // npm 11 lists the packages, a later one may name them.
  [packed] = Object.values(JSON.parse(printed.slice(printed.search(/^[[{]/m)))) as [typeof packed];
  mkdirSync(installed);
  writeFileSync(join(installed, 'package.json'), '{"private": true}');
  // With engine-strict it fails if the package asks for a newer Node.js; offline, if it asks for any other package.
  const install = ['install', '--engine-strict', '--offline', '--no-audit', '--no-fund', join(dir, packed.filename)];
  execFileSync('npm', install, { cwd: installed, env, stdio: 'pipe' });
});

afterAll(() => rmSync(dir, { recursive: true }));

describe('the package', () => {
  it('holds what runs, its documents, and no sources or tests', () => {
    const folders = new Set(packed.files.map(({ path }) => path.split('/')[0]));
    const documents = ['LICENSE', 'README.md', 'THIRD-PARTY-NOTICES.txt', 'sbom.cdx.json'];
    expect([...folders].sort()).toEqual([...documents, 'lib', 'manifests', 'package.json'].sort());
    expect(packed.files.filter(({ path }) => path.startsWith('lib/') && !/(\.js(\.map)?|\.d\.ts)$/.test(path))).toEqual([]);
  });

  it('needs no other package', () => {
    expect(readdirSync(join(installed, 'node_modules')).filter((name) => !name.startsWith('.'))).toEqual(['openshell-sideload']);
  });

  it('names every package that is in it, with its licence, in the notices and the bill of materials', () => {
    const { components } = JSON.parse(file('sbom.cdx.json')) as { components: { name: string; version: string; licenses: object[] }[] };
    const heads = file('THIRD-PARTY-NOTICES.txt')
      .split(`\n\n${'-'.repeat(80)}\n\n`)
      .map((notice) => notice.slice(0, notice.indexOf(' (')));
    expect(components.map(({ name, version }) => `${name} ${version}`).sort()).toEqual(heads.sort());
    // npm leaves yaml out of the packages that are not for development, because vitest takes it too.
    expect(heads).toEqual(expect.arrayContaining([expect.stringMatching(/^fastify /), expect.stringMatching(/^yaml /)]));
    expect(file('THIRD-PARTY-NOTICES.txt')).toMatch(/^fastify .* \(MIT\)\n[\s\S]*?^Copyright \(c\) .*Fastify/m);
  });

  it.each([
    { missing: 'manifests', source: 'src/cli/backstop.ts' },
    // Loaded by every command, before any of them.
    { missing: 'package.json', source: 'src/cli/main.ts' },
  ])('names the lines of $source in stack traces', ({ missing, source }) => {
    const file = join(installed, 'node_modules/openshell-sideload', missing);
    renameSync(file, `${file}.away`);
    const { status, stderr } = run('backstop');
    renameSync(`${file}.away`, file);
    expect(status, stderr).toBe(1);
    const [, line] = new RegExp(`${source.replaceAll('.', '\\.')}:(\\d+):\\d+\\)?$`, 'm').exec(stderr) ?? [];
    expect(readFileSync(join(ROOT, source), 'utf8').split('\n')[Number(line) - 1], stderr).toContain('readFileSync(');
  });

  it('asks for the Node.js with which it is tried here', () => {
    const [node = '', ...others] = manifest.engines.node.split('>=').slice(1);
    expect([execFileSync('node', ['--version'], { env, encoding: 'utf8' }).trim(), others]).toEqual([`v${oldest.version}`, []]);
    expect(oldest.version.startsWith(`${node}.`)).toBe(true);
  });

  it('tells its version', () => {
    expect(run('--version').stdout).toBe(`openshell-sideload ${manifest.version}\n`);
  });

  it('injects', () => {
    const { status, stdout, stderr } = run('inject', '-f', join(ROOT, 'examples/agent.yaml'));
    expect(status, stderr).toBe(0);
    expect(parseAllDocuments(stdout).at(-1)?.toJS().spec.containers[0].command[0]).toBe('/opt/openshell/bin/openshell-sandbox');
  });

  it('explains a manifest', () => {
    const { status, stdout, stderr } = run('explain', '-f', join(ROOT, 'examples/agent.yaml'));
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toContain('→ result');
  });

  it('prints the backstop, from the manifests that it holds', () => {
    const { status, stdout, stderr } = run('backstop');
    expect([status, stderr]).toEqual([0, '']);
    const kinds = parseAllDocuments(stdout).map((document) => document.toJS().kind);
    expect(new Set(kinds)).toEqual(new Set(['ValidatingAdmissionPolicy', 'ValidatingAdmissionPolicyBinding']));
    const manifests = packed.files.map(({ path }) => path).filter((path) => path.startsWith('manifests/'));
    expect(manifests.every((path) => path.startsWith('manifests/components/backstop/'))).toBe(true);
  });

  it('says what is wrong with the command line', () => {
    const { status, stderr } = run('inject');
    expect([status, stderr]).toEqual([2, expect.stringContaining('a file is missing: -f FILE')]);
  });
});

describe('the library', () => {
  const page = readFileSync(join(ROOT, 'docs/library.md'), 'utf8');
  const block = (language: string): string => new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'ms').exec(page)?.[1] ?? '';
  const tsc = (...files: string[]) => {
    // Nothing but the language, a console and the package: types that need more would be errors.
    const compilerOptions = {
      ...{ target: 'es2023', lib: ['es2023', 'dom'], module: 'nodenext', types: [], skipLibCheck: false },
      ...{ strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, verbatimModuleSyntax: true },
    };
    writeFileSync(join(installed, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
    return spawnSync(join(ROOT, 'node_modules/.bin/tsc'), { cwd: installed, env, encoding: 'utf8' });
  };
  const node = (...args: string[]) => spawnSync('node', args, { cwd: installed, env, encoding: 'utf8' });

  it('compiles and runs the program of its page', () => {
    writeFileSync(join(installed, 'program.mts'), block('ts'));
    expect(tsc('program.mts')).toMatchObject({ status: 0, stdout: '' });
    expect(node('program.mjs')).toMatchObject({ status: 0, stdout: block('text'), stderr: '' });
  });

  it('has types that find mistakes', () => {
    const program = [
      "import { decide, type Outcome, REFUSALS } from 'openshell-sideload';",
      '// @ts-expect-error: a label is a string',
      "decide({ metadata: { labels: { 'openshell.ai/sandbox': true } } });",
      '// @ts-expect-error: there is no such reason',
      "console.log(REFUSALS['no-reason']);",
      '// @ts-expect-error: a refusal has no operations',
      'export const operations = (outcome: Outcome) => outcome.operations;',
    ];
    writeFileSync(join(installed, 'mistakes.mts'), program.join('\n'));
    expect(tsc('mistakes.mts')).toMatchObject({ status: 0, stdout: '' });
  });

  it('loads neither server nor Kubernetes client, and nothing is to be had beside it', () => {
    const loaded = `
      import { readFileSync } from 'node:fs';
      import { registerHooks } from 'node:module';
      import { fileURLToPath } from 'node:url';
      const texts = [];
      registerHooks({ load: (url, context, next) => { if (url.startsWith('file:')) texts.push(readFileSync(fileURLToPath(url), 'utf8')); return next(url, context); } });
      await import('openshell-sideload');
      for (const word of ['openshell-supervisor-bin', 'fastify', 'KubeConfig']) console.log(word, texts.some((text) => text.includes(word)));
      await import('openshell-sideload/lib/main.js').catch(({ code }) => console.log(code));`;
    const { stdout } = node('--input-type=module', '--eval', loaded);
    expect(stdout).toBe('openshell-supervisor-bin true\nfastify false\nKubeConfig false\nERR_PACKAGE_PATH_NOT_EXPORTED\n');
  });
});

describe('with a real API server, the package', () => {
  let cluster: ControlPlane;
  beforeAll(async () => {
    cluster = await openControlPlane(join(dir, 'cluster'));
    await cluster.run(['create', 'namespace', 'agents']);
    // The controller that makes it does not run here.
    await cluster.run(['create', 'serviceaccount', 'default', '-n', 'agents']);
    await cluster.run(['create', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'Pod', ...sandbox() }));
  });
  afterAll(() => cluster?.stop());

  it('checks the cluster', () => {
    const { status, stdout, stderr } = run('check', '--pre', `--kubeconfig=${cluster.kubeconfig}`);
    expect([status, stderr], stdout).toEqual([0, '']);
    expect(stdout).toContain('✓ API server: v1.36');
  });

  it('explains a pod of the cluster', () => {
    const { status, stdout, stderr } = run(
      'explain',
      'pod',
      sandbox().metadata?.name ?? '',
      '-n',
      'agents',
      `--kubeconfig=${cluster.kubeconfig}`,
    );
    // It runs without its supervisor.
    expect([status, stderr], stdout).toEqual([1, '']);
    expect(stdout).toContain('✗ webhook    the MutatingWebhookConfiguration does not exist');
  });

  it('is a plugin that the real krew installs', () => {
    const [folder, root] = [join(dir, 'krew'), join(dir, 'krew-root')];
    const plugins = { ...env, KREW_ROOT: root, PATH: [join(root, 'bin'), env.PATH].join(delimiter), KUBECONFIG: cluster.kubeconfig };
    // The archive is made by the tree's own Node.js, as a release is.
    execFileSync(process.execPath, [join(ROOT, 'release/krew.ts'), folder]);
    const archive = join(folder, `kubectl-sideload-v${manifest.version}.tar.gz`);
    const install = ['install', `--manifest=${join(folder, 'sideload.yaml')}`, `--archive=${archive}`];
    execFileSync(findKrew(), install, { env: plugins, stdio: 'pipe' });
    const kubectl = (...args: string[]) => spawnSync(findBinaries().kubectl, args, { env: plugins, encoding: 'utf8' });
    expect(kubectl('sideload', 'version')).toMatchObject({ status: 0, stdout: expect.stringContaining(`client: ${manifest.version}\n`) });
    expect(kubectl('sideload', 'backstop')).toMatchObject({ status: 0, stdout: expect.stringContaining('ValidatingAdmissionPolicy') });
  });

  it('is a plugin of kubectl', () => {
    const plugins = { ...env, PATH: [join(installed, 'node_modules/.bin'), env.PATH].join(delimiter), KUBECONFIG: cluster.kubeconfig };
    const kubectl = (...args: string[]) => spawnSync(findBinaries().kubectl, args, { env: plugins, encoding: 'utf8' });
    expect(kubectl('plugin', 'list').stdout).toContain('kubectl-sideload');
    expect(kubectl('sideload', 'version', '--client')).toMatchObject({ status: 0, stdout: `client: ${manifest.version}\n` });
    expect(kubectl('sideload', 'help', 'inject').stdout).toContain('kubectl sideload inject FILE…');
    expect(kubectl('sideload', 'explain', 'pods', '-n', 'agents')).toMatchObject({
      status: 1,
      stdout: expect.stringContaining('NOT under a supervisor'),
    });
  });
});
