/**
 * docs/quickstart.md and docs/tool-authors.md against a real API server, its controllers and the webhook: the pages' commands
 * are run and print what the pages say, the code that they show is that of examples/tool-authors, and it does what they say.
 */

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { constants, goName } from '../../docs/reference/constants.ts';
import type { Pod } from '../../src/sideload/pod.ts';
import { sandbox } from '../pods.ts';
import { isSideloaded } from '../sideloaded.ts';
import { findBinaries, findControllers } from './cluster/binaries.ts';
import { cached } from './cluster/cache.ts';
import { type ControlPlane, openControlPlane } from './cluster/control-plane.ts';
import { startControllerManager } from './cluster/controllers.ts';
import { requirePrograms } from './cluster/debian.ts';
import { build } from './cluster/go-build.ts';
import { freePorts, type Process, WAIT_FLAG, waitFor } from './cluster/process.ts';
import { startWebhook, writeOverlay } from './webhook.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const EXAMPLES = join(ROOT, 'examples/tool-authors');
/** Named in full: knip then sees that it is used. */
const TYPESCRIPT = fileURLToPath(new URL('../../examples/tool-authors/typescript/create-sandbox.ts', import.meta.url));
const dir = mkdtempSync(join(tmpdir(), 'sideload-tool-authors-'));
let cluster: ControlPlane;
let controllers: Process;
let webhook: Process;
let ports: { port: number; adminPort: number };
/** What a reader has: access to the cluster, kubectl, Node.js, the Python packages and the command of this checkout. */
let env: NodeJS.ProcessEnv;

/** A namespace that opted in and takes pods, whether or not it was there before. */
async function openNamespace(name: string): Promise<void> {
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels: { 'openshell.ai/sideload': 'enabled' } } };
  await cluster.run(['apply', '-f', '-'], JSON.stringify(namespace));
  await cluster.run(['wait', '--for=create', 'serviceaccount/default', '-n', name, WAIT_FLAG]);
}

/**
 * The folder with the packages of requirements.txt, in the cache. Not a virtual environment: that does not survive being
 * moved, as what is made for the cache is.
 */
function pythonPackages(): string {
  if (spawnSync('python3', ['-m', 'pip', '--version']).status !== 0) requirePrograms({ python3: 'python3', pip3: 'python3-pip' });
  const requirements = join(EXAMPLES, 'python/requirements.txt');
  const version = spawnSync('python3', ['--version'], { encoding: 'utf8' }).stdout;
  const key = createHash('sha256').update(version).update(readFileSync(requirements)).digest('hex').slice(0, 16);
  return cached(`python-${key}`, (folder) => {
    const { status, stderr } = spawnSync('python3', ['-m', 'pip', 'install', '--no-deps', '-r', requirements, '--target', folder], {
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`pip: ${stderr}`);
  });
}

/** Puts the command `openshell-sideload` of this checkout into a folder. */
function installCommand(folder: string): string {
  mkdirSync(folder);
  const script = `#!/bin/sh\nexec '${process.execPath}' '${join(ROOT, 'src/main.ts')}' "$@"\n`;
  writeFileSync(join(folder, 'openshell-sideload'), script, { mode: 0o755 });
  return folder;
}

beforeAll(async () => {
  cluster = await openControlPlane(join(dir, 'cluster'));
  controllers = startControllerManager(findControllers().controllerManager, cluster, dir);
  const [port = 0, adminPort = 0] = await freePorts(2);
  ports = { port, adminPort };
  webhook = await startWebhook(dir, ports);
  env = {
    ...process.env,
    KUBECONFIG: cluster.kubeconfig,
    PATH: [installCommand(join(dir, 'bin')), dirname(findBinaries().kubectl), dirname(process.execPath), process.env.PATH].join(delimiter),
    PYTHONPATH: pythonPackages(),
    // Every call by Python says that the test's API server is not verified.
    PYTHONWARNINGS: 'ignore',
  };
  await openNamespace('elsewhere');
  await cluster.run(['apply', '-k', writeOverlay(dir, port)]);
  const probe = JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    ...sandbox(),
    metadata: { ...sandbox().metadata, namespace: 'elsewhere' },
  });
  const isInForce = async (): Promise<boolean> =>
    isSideloaded(JSON.parse(await cluster.run(['create', '--dry-run=server', '-o', 'json', '-f', '-'], probe)));
  await waitFor('the API server calls the webhook', isInForce, [webhook, controllers]);
});

afterAll(async () => {
  await webhook?.stop();
  await controllers?.stop();
  await cluster?.stop();
});

// ---- the pages -----------------------------------------------------------------------------------------------------------

interface Block {
  readonly language: string;
  readonly text: string;
  /** The line above it. */
  readonly above: string;
}

const SHOWN_FILES = [
  'pod.yaml',
  'deployment.yaml',
  'sandbox-template.yaml',
  'go/main.go',
  'python/create_sandbox.py',
  'typescript/create-sandbox.ts',
];

function blocksOf(page: string): Block[] {
  const text = readFileSync(join(ROOT, 'docs', page), 'utf8');
  return [...text.matchAll(/^([^\n]*)\n+```(\w*)\n(.*?)^```$/gms)].map(([, above = '', language = '', body = '']) => ({
    above,
    language,
    text: body,
  }));
}

interface Command {
  readonly line: string;
  /** What it prints; `…` stands for what differs from run to run. */
  readonly prints: string;
}

function commandsOf(page: string): Command[] {
  return blocksOf(page)
    .filter(({ language }) => language === 'console')
    .flatMap(({ text }) => text.split(/^\$ /m).slice(1))
    .map((part) => ({ line: part.slice(0, part.indexOf('\n')), prints: part.slice(part.indexOf('\n') + 1).trimEnd() }));
}

/** Runs a command in the root of the checkout, and returns what it prints on both streams. */
function runLine(line: string): string {
  const { stdout, error } = spawnSync('sh', ['-c', `exec 2>&1; ${line}`], { cwd: ROOT, env, encoding: 'utf8' });
  if (error) throw error;
  return stdout.trimEnd();
}

const asPattern = (prints: string): RegExp =>
  new RegExp(`^${prints.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&').replaceAll('…', '.*')}$`, 's');

describe.each(['quickstart.md', 'tool-authors.md'])('docs/%s', (page) => {
  beforeAll(async () => {
    // The quickstart makes it itself.
    if (page === 'quickstart.md') return;
    await openNamespace('agents');
    // What the quickstart made of the same name.
    await cluster.run(['delete', 'configmap', 'agent-policy', '-n', 'agents', '--ignore-not-found']);
  });

  it('has commands that print what it says', () => {
    const commands = commandsOf(page);
    expect(commands.length).toBeGreaterThan(3);
    const others = commands.flatMap(({ line, prints }) => {
      const printed = runLine(line);
      return asPattern(prints).test(printed) ? [] : [`$ ${line}\n${printed}`];
    });
    expect(others).toEqual([]);
  });

  it('says of every other command who runs it, or that nobody does', () => {
    for (const { above } of blocksOf(page).filter(({ language }) => language === 'sh'))
      expect(above).toMatch(/^<!-- (Not run by our tests: .+|Run by `npm run e2e:(api|node)`.*) -->$/);
  });

  it('shows code only as it is in examples/tool-authors', () => {
    const files = new Set(SHOWN_FILES.map((file) => readFileSync(join(EXAMPLES, file), 'utf8')));
    for (const { language, text } of blocksOf(page).filter(({ language }) => !['sh', 'console'].includes(language)))
      expect(files.has(text), `${language}:\n${text}`).toBe(true);
  });
});

it('docs/tool-authors.md shows each of the examples', () => {
  const shown = blocksOf('tool-authors.md').map(({ text }) => text);
  for (const file of SHOWN_FILES) expect(shown.includes(readFileSync(join(EXAMPLES, file), 'utf8')), file).toBe(true);
});

// ---- the programs --------------------------------------------------------------------------------------------------------

interface Author {
  readonly language: string;
  readonly source: string;
  /** A program that starts, and what the source says without one. */
  readonly noCommand: readonly [string, string];
  /** What the source is run by, in a copy of the examples. */
  readonly command: (folder: string) => readonly [string, ...string[]];
}

const AUTHORS: readonly Author[] = [
  {
    language: 'YAML',
    source: 'pod.yaml',
    noCommand: ['[python, -m, agent]', '[]'],
    command: (folder) => ['kubectl', 'create', '-f', join(folder, 'pod.yaml'), '-o', 'jsonpath={.metadata.name}'],
  },
  {
    language: 'Go',
    source: 'go/main.go',
    noCommand: ['{"python", "-m", "agent"}', '{}'],
    command: (folder) => {
      build(folder, { module: join(folder, 'go'), packages: ['.'], output: 'create-sandbox' });
      return [join(folder, 'create-sandbox')];
    },
  },
  {
    language: 'Python',
    source: 'python/create_sandbox.py',
    noCommand: ['["python", "-m", "agent"]', '[]'],
    command: (folder) => ['python3', join(folder, 'python/create_sandbox.py')],
  },
  {
    language: 'TypeScript',
    source: relative(EXAMPLES, TYPESCRIPT),
    noCommand: ["['python', '-m', 'agent']", '[]'],
    command: (folder) => ['node', join(folder, 'typescript/create-sandbox.ts')],
  },
];

describe('the constants of the contract', () => {
  const expected = Object.fromEntries(constants().map(({ name, value }) => [name, value]));

  it('are the same in Go', () => {
    const folder = join(dir, 'constants');
    cpSync(join(EXAMPLES, 'go'), folder, { recursive: true });
    const [, module = ''] = /^module (.*)$/m.exec(readFileSync(join(folder, 'go.mod'), 'utf8')) ?? [];
    const members = Object.keys(expected).map((name) => `"${name}": contract.${goName(name)},`);
    const program = `package main
      import ("encoding/json"; "os"; "${module}/contract")
      func main() { _ = json.NewEncoder(os.Stdout).Encode(map[string]any{${members.join('\n')}}) }`;
    mkdirSync(join(folder, 'print'));
    writeFileSync(join(folder, 'print/main.go'), program);
    build(dir, { module: folder, packages: ['./print'], output: 'print-constants' });
    expect(JSON.parse(spawnSync(join(dir, 'print-constants'), { encoding: 'utf8' }).stdout)).toEqual(expected);
  });

  it('are the same in Python', () => {
    const program =
      'import json, openshell_contract as c; print(json.dumps({name: getattr(c, name) for name in dir(c) if name.isupper()}))';
    const { stdout, stderr } = spawnSync('python3', ['-B', '-c', program], { cwd: join(EXAMPLES, 'python'), env, encoding: 'utf8' });
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual(expected);
  });
});

/** How a refusal begins: kubectl has words of its own. */
const refused = ({ language }: Author, status: string): string => (language === 'YAML' ? '' : `refused (${status}): `);

/** Runs a copy of the examples in which one word of a source is another. */
function run(
  { language, source, command }: Author,
  why: string,
  change?: readonly [string, string],
): { code: number | null; stdout: string; stderr: string } {
  const folder = join(dir, `${language}-${why}`);
  cpSync(EXAMPLES, folder, { recursive: true });
  // Where TypeScript looks for the client.
  cpSync(join(ROOT, 'package.json'), join(folder, 'package.json'));
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  if (change) {
    const text = readFileSync(join(folder, source), 'utf8');
    expect(text.split(change[0]), `${change[0]} in ${source}`).toHaveLength(2);
    writeFileSync(join(folder, source), text.replace(...change));
  }
  const [program, ...args] = command(folder);
  const { status, stdout, stderr, error } = spawnSync(program, args, { env, encoding: 'utf8' });
  rmSync(folder, { recursive: true });
  if (error) throw error;
  return { code: status, stdout: stdout.trim(), stderr: stderr.trim() };
}

describe.each(AUTHORS)('the sandbox of an author of $language', (author) => {
  beforeAll(() => openNamespace('agents'));

  it('is stored under its supervisor, and its name is printed', async () => {
    const { code, stdout, stderr } = run(author, 'as-it-is');
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^agent-\w+$/);
    const pod = JSON.parse(await cluster.run(['get', 'pod', stdout, '-n', 'agents', '-o', 'json'])) as Pod;
    expect(isSideloaded(pod)).toBe(true);
    expect(pod.spec?.containers?.[0]).toMatchObject({
      name: 'agent',
      image: 'registry.example/agent:1.0',
      args: ['--', 'python', '-m', 'agent'],
      env: expect.arrayContaining([{ name: 'OPENSHELL_POLICY_DATA', value: '/opt/openshell/policy/policy.yaml' }]),
    });
    const { projected } = pod.spec?.volumes?.find(({ name }) => name === 'openshell-policy') ?? {};
    expect(projected).toMatchObject({ sources: [{ configMap: { name: 'agent-policy' } }] });
  });

  it('is refused with a typo in the label: the message is printed, and the program ends with 1', () => {
    const { code, stdout, stderr } = run(author, 'mistyped', ['true', 'ture']);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toContain(
      `${refused(author, '422 Invalid')}admission webhook "sandbox.sideload.openshell.ai" denied the request: label openshell.ai/sandbox is "ture": set it to "true"`,
    );
  });

  it('gets the warnings printed', async () => {
    // The API server has one of its own then, so that there are two.
    const level = 'pod-security.kubernetes.io/warn';
    await cluster.run(['label', 'namespace', 'agents', `${level}=restricted`]);
    const probe = ['create', '--dry-run=server', '-f', join(EXAMPLES, 'pod.yaml')];
    await waitFor('a warning', async () => (await cluster.kubectl(probe)).stderr !== '');
    const { code, stdout, stderr } = run(author, 'warned', author.noCommand);
    await cluster.run(['label', 'namespace', 'agents', `${level}-`]);
    await waitFor('no warning', async () => (await cluster.kubectl(probe)).stderr === '');
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^agent-\w+$/)]);
    expect(stderr.split('\n').sort()).toEqual([
      expect.stringMatching(/^Warning: container "agent" has no command: the image's ENTRYPOINT does not run/),
      expect.stringMatching(/^Warning: would violate PodSecurity "restricted:latest": .*container "agent" must set securityContext/),
    ]);
  });
});

describe('where the webhook does not answer', () => {
  beforeAll(async () => {
    await openNamespace('agents');
    await webhook.stop();
  });
  afterAll(async () => {
    webhook = await startWebhook(dir, ports);
  });

  it.each(AUTHORS)('the sandbox of an author of $language is refused', (author) => {
    const { code, stdout, stderr } = run(author, 'unanswered');
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toContain(
      `${refused(author, '500 InternalError')}Internal error occurred: failed calling webhook "sandbox.sideload.openshell.ai"`,
    );
  });
});
