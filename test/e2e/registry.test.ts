/**
 * Pods that name only an image, on a real API server: what they run is read from real registries, with the credentials that the
 * webhook may read there.
 */

import { execFile } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Container, Pod } from '../../src/sideload/pod.ts';
import { type ControlPlane, type KubectlResult, startControlPlane } from './cluster/control-plane.ts';
import { freePorts, type Process, waitFor } from './cluster/process.ts';
import { startFaults } from './registry/faults.ts';
import { push } from './registry/push.ts';
import {
  IDENTITY_TOKEN,
  startOpenRegistry,
  startPasswordRegistry,
  startPushRegistry,
  startTokenRegistry,
  USER,
} from './registry/registries.ts';
import { kubeconfigOf, readAdmissions, startWebhook, writeOverlay } from './webhook.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const dir = mkdtempSync(join(tmpdir(), 'sideload-registry-'));
const mapFile = join(dir, 'map.yaml');
let cluster: ControlPlane;
let webhook: Process;
let flags: string[];
let open: Awaited<ReturnType<typeof startOpenRegistry>>;
let pushed: Awaited<ReturnType<typeof startPushRegistry>>;
let withPassword: Awaited<ReturnType<typeof startPasswordRegistry>>;
let withToken: Awaited<ReturnType<typeof startTokenRegistry>>;
let faults: Awaited<ReturnType<typeof startFaults>>;

const PROGRAM = { Entrypoint: ['/usr/bin/agent'], Cmd: ['--serve'], WorkingDir: '/srv', Env: ['PATH=/usr/bin:/bin'] };
const COMMAND = ['/opt/openshell/bin/openshell-sandbox', '--workdir', '/srv'];

/** Creates a pod that names an image; it has a policy. */
function create(image: string, { namespace = 'agents', container = {}, spec = {}, dryRun = false }: Parts = {}): Promise<KubectlResult> {
  const pod = {
    ...{ apiVersion: 'v1', kind: 'Pod' },
    metadata: {
      ...{ generateName: 'sandbox-', namespace, labels: { 'openshell.ai/sandbox': 'true' } },
      annotations: { 'openshell.ai/policy': 'agent-policy' },
    },
    spec: { containers: [{ name: 'agent', image, ...container }], ...spec },
  };
  const how = dryRun ? ['--dry-run=server'] : [];
  return cluster.kubectl(['create', ...how, '-o', 'json', '-f', '-'], JSON.stringify(pod));
}
interface Parts {
  readonly namespace?: string;
  readonly container?: Partial<Container>;
  readonly spec?: object;
  readonly dryRun?: boolean;
}

/** The sandbox container as it is stored. */
async function stored(...how: Parameters<typeof create>): Promise<Container> {
  const { code, stdout, stderr } = await create(...how);
  expect([code, stderr]).toEqual([0, '']);
  return (JSON.parse(stdout) as Pod).spec?.containers?.[0] ?? {};
}

async function refusal(...how: Parameters<typeof create>): Promise<string> {
  const { code, stderr } = await create(...how);
  expect(code, stderr).toBe(1);
  return stderr;
}

const dockerConfig = (...entries: readonly (readonly [host: string, auth: object])[]): string =>
  JSON.stringify({ auths: Object.fromEntries(entries) });
const password = (secret = USER.password) => ({ auth: Buffer.from(`${USER.name}:${secret}`).toString('base64') });

function pullSecret(namespace: string, name: string, type: 'dockerconfigjson' | 'dockercfg', text: string): Promise<string> {
  const data = { [`.${type}`]: Buffer.from(text).toString('base64') };
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace }, type: `kubernetes.io/${type}`, data };
  return cluster.run(['create', '-f', '-'], JSON.stringify(secret));
}

/** The command of docs/entrypoint.md. */
const bind = (namespace: string): Promise<string> =>
  cluster.run([
    ...['create', 'rolebinding', 'openshell-sideload-pull-secrets', '-n', namespace],
    ...['--clusterrole=openshell-sideload-pull-secrets', '--serviceaccount=openshell-system:openshell-sideload'],
  ]);

/** Runs the command line. Some registries are in this process, which has to go on. */
const command = (args: readonly string[], env: Record<string, string> = {}) =>
  new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
    const options = { env: { PATH: process.env.PATH ?? '', HOME: dir, ...env } };
    const child = execFile(process.execPath, [MAIN, ...args], options, (_error, stdout, stderr) =>
      resolve({ code: child.exitCode ?? -1, stdout, stderr }),
    );
  });

beforeAll(async () => {
  [open, pushed, faults] = await Promise.all([startOpenRegistry(dir), startPushRegistry(dir), startFaults()]);
  [withPassword, withToken] = await Promise.all([startPasswordRegistry(dir), startTokenRegistry(dir)]);
  for (const { host } of [open, pushed]) {
    await push(`http://${host}`, 'team/agent:1', { config: PROGRAM });
    await push(`http://${host}`, 'team/other:1', { config: { Cmd: ['other'] } });
  }
  writeFileSync(join(dir, 'registry-ca.crt'), withPassword.ca);
  writeFileSync(mapFile, '- {image: "registry.example/mapped:*", entrypoint: [/bin/mapped]}\n');
  flags = [
    ...['--missing-command=lookup', '--entrypoint=registry', `--entrypoint-map=${mapFile}`],
    `--registry-hosts=${withPassword.host}`,
    `--registry-plain-http=${[open, withToken, faults].map(({ host }) => host)},${withToken.tokenHost}`,
    `--registry-ca=${join(dir, 'registry-ca.crt')}`,
  ];
  cluster = await startControlPlane(join(dir, 'cluster'));
  await cluster.run(['apply', '-k', 'manifests/base']);
  writeFileSync(join(dir, 'kubeconfig'), await kubeconfigOf(cluster));
  for (const namespace of ['agents', 'bound', 'unbound']) {
    await cluster.run(['create', 'namespace', namespace]);
    await cluster.run(['create', 'serviceaccount', 'default', '-n', namespace]);
    await cluster.run(['label', 'namespace', namespace, 'openshell.ai/sideload=enabled']);
  }
  const [port = 0, adminPort = 0] = await freePorts(2);
  const env = { ...process.env, KUBECONFIG: join(dir, 'kubeconfig') };
  webhook = await startWebhook(dir, { port, adminPort }, ['--preflight=on', ...flags], env);
  await cluster.run(['apply', '-k', writeOverlay(dir, port)]);
  const isCalled = async (): Promise<boolean> =>
    (await create('x', { container: { command: ['x'] }, dryRun: true })).stdout.includes('openshell-sandbox');
  await waitFor('the API server calls the webhook', isCalled, [webhook]);
});

afterAll(async () => {
  await webhook?.stop();
  await cluster?.stop();
  for (const registry of [open, pushed, withPassword, withToken, faults]) await registry?.stop();
});

describe("a pod that names only an image runs the image's program", () => {
  it('by the digest that was read, from the registry of go-containerregistry', async () => {
    const digest = await push(`http://${open.host}`, 'team/agent:2', { config: PROGRAM });
    const container = await stored(`${open.host}/team/agent:2`);
    expect(container).toMatchObject({
      image: `${open.host}/team/agent:2@${digest}`,
      command: COMMAND,
      args: ['--', '/usr/bin/agent', '--serve'],
    });
    const line = (await readAdmissions(dir)).at(-1);
    expect(line).toMatchObject({ outcome: 'inject', reason: 'injected', imageDigest: digest });
    expect(JSON.stringify(line)).not.toContain('/usr/bin/agent');
  });

  it('with its args in place of CMD', async () => {
    const container = await stored(`${open.host}/team/agent:1`, { container: { args: ['--task', '$(TASK)'] } });
    expect(container.args).toEqual(['--', '/usr/bin/agent', '--task', '$(TASK)']);
  });

  it.each(['amd64', 'arm64'])('of an index with an attestation, on %s', async (architecture) => {
    const platforms = [{ config: PROGRAM }, { config: PROGRAM, architecture: 'arm64' }];
    const digest = await push(`http://${open.host}`, 'team/index:1', ...platforms);
    const container = await stored(`${open.host}/team/index:1`, { spec: { nodeSelector: { 'kubernetes.io/arch': architecture } } });
    expect([container.image, container.args]).toEqual([`${open.host}/team/index:1@${digest}`, ['--', '/usr/bin/agent', '--serve']]);
  });

  it('where platforms differ, only with a platform', async () => {
    await push(`http://${open.host}`, 'team/two:1', { config: { Cmd: ['one'] } }, { config: { Cmd: ['two'] }, architecture: 'arm64' });
    expect(await refusal(`${open.host}/team/two:1`)).toContain('does not run the same on "amd64", "arm64"');
    const container = await stored(`${open.host}/team/two:1`, { spec: { nodeSelector: { 'kubernetes.io/arch': 'arm64' } } });
    expect(container.args).toEqual(['--', 'two']);
  });

  it('whose ENV brings a policy needs none of its own', async () => {
    const Env = ['OPENSHELL_POLICY_RULES=/etc/p.rego', 'OPENSHELL_POLICY_DATA=/etc/p.yaml'];
    await push(`http://${open.host}`, 'team/policy:1', { config: { Cmd: ['x'], Env } });
    const pod = {
      ...{ apiVersion: 'v1', kind: 'Pod' },
      metadata: { name: 'own-policy', namespace: 'agents', labels: { 'openshell.ai/sandbox': 'true' } },
      spec: { containers: [{ name: 'agent', image: `${open.host}/team/policy:1` }] },
    };
    const { spec } = JSON.parse(await cluster.run(['create', '-o', 'json', '-f', '-'], JSON.stringify(pod))) as Pod;
    expect(spec?.containers?.[0]?.env).toContainEqual({ name: 'OPENSHELL_POLICY_DATA', value: '/etc/p.yaml' });
  });

  it('of the operator’s map, which is read again when it changes', async () => {
    const image = 'registry.example/mapped:1';
    expect((await stored(image)).args).toEqual(['--', '/bin/mapped']);
    writeFileSync(mapFile, '- {image: "registry.example/mapped:*", cmd: [changed]}\n');
    await waitFor('the map to be read again', async () => (await stored(image)).args?.[1] === 'changed', [webhook]);
  });
});

describe('a private registry', () => {
  it('needs a pull secret that the webhook may read, and the message says how; the API server copies that of the ServiceAccount', async () => {
    await pullSecret('bound', 'mine', 'dockerconfigjson', dockerConfig([withPassword.host, password()]));
    await cluster.run(['patch', 'serviceaccount', 'default', '-n', 'bound', '-p', '{"imagePullSecrets": [{"name": "mine"}]}']);
    const image = `${withPassword.host}/team/agent:1`;
    const before = await refusal(image, { namespace: 'bound' });
    expect(before).toContain(`registry ${withPassword.host} refuses anonymous access (401)`);
    expect(before).toContain('bind ClusterRole openshell-sideload-pull-secrets in namespace bound: pull secret "mine" may not be read');
    await bind('bound');
    await waitFor('the pull secret to be read', async () => (await create(image, { namespace: 'bound', dryRun: true })).code === 0);
    const { stdout } = await create(image, { namespace: 'bound' });
    const { spec } = JSON.parse(stdout) as Pod;
    expect(spec?.imagePullSecrets).toEqual([{ name: 'mine' }]);
    expect(spec?.containers?.[0]).toMatchObject({ command: COMMAND, args: ['--', '/usr/bin/agent', '--serve'] });
  });

  it('does not let another namespace see what was read', async () => {
    expect(await refusal(`${withPassword.host}/team/agent:1`, { namespace: 'unbound' })).toContain('refuses anonymous access');
  });

  it('takes the entry with the longest path first, of a Secret of either type', async () => {
    const entries = [
      [withPassword.host, password('wrong')],
      [`${withPassword.host}/team`, password()],
    ] as const;
    await pullSecret('bound', 'paths', 'dockercfg', JSON.stringify(Object.fromEntries(entries)));
    const container = await stored(`${withPassword.host}/team/other:1`, {
      namespace: 'bound',
      spec: { imagePullSecrets: [{ name: 'paths' }] },
    });
    expect(container.args).toEqual(['--', 'other']);
  });

  it.each([
    { how: 'a password', auth: password(), line: 'GET repository:team/agent:pull' },
    { how: 'an identity token', auth: { identitytoken: IDENTITY_TOKEN }, line: 'POST repository:team/agent:pull' },
  ])('with token authentication takes $how', async ({ how, auth, line }) => {
    const name = how.replaceAll(' ', '-');
    await pullSecret('bound', name, 'dockerconfigjson', dockerConfig([withToken.host, auth]));
    const container = await stored(`${withToken.host}/team/agent:1`, { namespace: 'bound', spec: { imagePullSecrets: [{ name }] } });
    expect(container.args).toEqual(['--', '/usr/bin/agent', '--serve']);
    expect(withToken.issued).toContain(line);
  });

  it('that does not take the credentials is named, and they are not shown', async () => {
    await pullSecret('bound', 'wrong', 'dockerconfigjson', dockerConfig([withToken.host, password('a-wr0ng-one')]));
    const message = await refusal(`${withToken.host}/team/agent:1`, {
      namespace: 'bound',
      spec: { imagePullSecrets: [{ name: 'wrong' }] },
    });
    expect(message).toContain(`the authorization server ${withToken.tokenHost} refuses the credentials (401)`);
    expect(message).not.toContain('a-wr0ng-one');
    expect(JSON.stringify(await readAdmissions(dir))).not.toContain('a-wr0ng-one');
  });
});

describe('a registry that fails', () => {
  it.each([
    ['not-found', 'has no image'],
    ['forbidden', 'refuses anonymous access'],
    ['redirects-manifest', 'which is not followed'],
    ['redirects-blob', 'registry 127.0.0.1:1 would be asked by http://'],
    ['wrong-digest', 'has digest sha256:'],
    ['huge', 'sends more than 4194304 bytes'],
  ])('for good refuses the pod: %s', async (repository, says) => {
    const message = await refusal(`${faults.host}/${repository}:1`);
    expect(message).toContain('has no command');
    expect(message).toContain(says);
    expect((await readAdmissions(dir)).at(-1)).toMatchObject({ outcome: 'refuse', reason: 'entrypoint-unknown' });
  });

  it.each(['broken', 'limited', 'cut', 'slow', 'never-answers'])(
    'for the moment is asked again, and the pod is refused in the end: %s',
    async (repository) => {
      const { code, stderr } = await create(`${faults.host}/${repository}:1`);
      expect(code).toBe(1);
      // Not "context deadline exceeded", after which nobody knows why.
      expect(stderr).toContain('denied the request: container "agent" has no command: registry');
      const lines = (await readAdmissions(dir)).filter(
        ({ message }) => String(message).includes(`/${repository}:1`) || String(message).includes(faults.host),
      );
      expect(lines.length).toBeGreaterThan(0);
      for (const line of lines.slice(-1)) expect(line).toMatchObject({ outcome: 'refuse', reason: 'entrypoint-unavailable' });
    },
  );

  it('and is there again is asked by the API server itself: the pod is created', async () => {
    expect((await stored(`${faults.host}/recovers:1`)).args).toEqual(['--', 'recovered']);
    expect(faults.asked('recovers')).toBeGreaterThan(1);
  });

  it('never gets a pod of the image started with something else', async () => {
    const { items } = JSON.parse(await cluster.run(['get', 'pods', '-n', 'agents', '-o', 'json'])) as { items: Pod[] };
    const images = items.map(({ spec }) => spec?.containers?.[0]?.image ?? '');
    expect(images.filter((image) => image.includes(faults.host))).toEqual([expect.stringContaining('/recovers:1@sha256:')]);
  });
});

describe('as the user', () => {
  const manifest = (image: string): string => {
    const file = join(dir, `pod-${image.replaceAll(/\W/g, '-')}.yaml`);
    writeFileSync(
      file,
      `apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {openshell.ai/sandbox: "true"}, annotations: {openshell.ai/policy: p}}\nspec: {containers: [{name: agent, image: "${image}"}]}\n`,
    );
    return file;
  };

  it('inject says that the image is looked up at admission, and does so with --lookup', async () => {
    const file = manifest(`${open.host}/team/agent:1`);
    const without = await command(['inject', '-f', file, ...flags]);
    expect([without.code, without.stdout]).toEqual([1, '']);
    expect(without.stderr).toContain('looked up at admission');
    expect(without.stderr).toContain('--lookup does it now');
    const looked = await command(['inject', '-f', file, '--lookup', ...flags]);
    expect([looked.code, looked.stderr]).toEqual([0, `${file} Pod a: injected (method image-volume, container agent)\n`]);
    expect(looked.stdout).toMatch(/image: "?localhost:\d+\/team\/agent:1@sha256:[0-9a-f]{64}/);
    expect(looked.stdout).toContain('/usr/bin/agent');
  });

  it('explain shows who says so, the digest, the platform and the words', async () => {
    const { code, stdout } = await command(['explain', '-f', manifest(`${open.host}/team/index:1`), '--lookup', ...flags]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/✓ image +runs "\/usr\/bin\/agent --serve": sha256:[0-9a-f]{64} \(amd64, arm64\)/);
    expect((await command(['explain', '-f', manifest(`${open.host}/team/index:1`), ...flags])).stdout).toContain(
      'is looked up at admission (here: --lookup)',
    );
  });

  it('both take the credentials of docker login', async () => {
    writeFileSync(join(dir, 'config.json'), dockerConfig([withPassword.host, password()]));
    const args = ['explain', '-f', manifest(`${withPassword.host}/team/agent:1`), '--lookup', ...flags];
    expect((await command(args)).stdout).toContain('refuses anonymous access');
    expect((await command(args, { DOCKER_CONFIG: dir })).stdout).toContain('runs "/usr/bin/agent --serve"');
  });

  it.each([
    { what: 'an image that is there', image: () => `${open.host}/team/agent:1`, says: 'runs ["/usr/bin/agent","--serve"]: sha256:' },
    { what: '404', image: () => `${open.host}/team/gone:1`, says: 'has no image', fix: 'check registry, name and tag' },
    { what: '401', image: () => `${withPassword.host}/team/agent:1`, says: 'refuses anonymous access', fix: 'docker login' },
    { what: '403', image: () => `${faults.host}/forbidden:1`, says: '(403)', fix: 'docker login' },
    { what: '429', image: () => `${faults.host}/limited:1`, says: 'limits requests', fix: '--registry-mirrors' },
    {
      what: 'a registry that may not be asked',
      image: () => 'registry.example/agent:1',
      says: 'not in --registry-hosts',
      fix: 'has to list',
    },
    {
      what: 'a name that does not exist',
      image: () => 'registry.invalid/agent:1',
      options: ['--registry-hosts='],
      says: 'does not exist (DNS)',
      fix: 'check registry, name and tag',
    },
    {
      what: 'a certificate',
      image: () => `${withPassword.host}/team/agent:1`,
      options: ['--registry-ca='],
      says: 'cannot be asked',
      fix: '--registry-ca',
    },
  ])('check --image says what is wrong, and the fix: $what', async ({ image, options = [], says, fix = '' }) => {
    const names = options.map((option) => option.split('=')[0]);
    const own = flags.filter((flag) => !names.includes(flag.split('=')[0]));
    const { stdout } = await command(['check', '--image', image(), ...own, ...options], { KUBECONFIG: cluster.kubeconfig });
    const [, section = ''] = stdout.split('\nimage\n');
    expect(section, stdout).toContain(says);
    expect(section).toContain(fix);
  });
});
