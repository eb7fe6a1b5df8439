/**
 * `openshell-sideload check` against a real API server: what is broken is seen. There is no kubelet, so that the Deployment
 * has no pods; the API server calls a webhook that runs as a process of this machine. test/e2e/node.test.ts has the rest.
 */

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { makeAuthority } from '../../src/tls/issue.ts';
import { sandbox } from '../pods.ts';
import { type ControlPlane, startControlPlane } from './cluster/control-plane.ts';
import { freePorts, type Process, waitFor } from './cluster/process.ts';
import { kubeconfigOf, startWebhook, writeOverlay } from './webhook.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const BACKSTOP = ['stored', 'changed'].flatMap((name) => ['-f', `manifests/components/backstop/${name}.yaml`]);
const SYSTEM = ['-n', 'openshell-system'];
const dir = mkdtempSync(join(tmpdir(), 'sideload-check-'));
let cluster: ControlPlane;
let webhook: Process;
let overlay: string;
let ports: { port: number; adminPort: number };

const kubectl = (...args: string[]): Promise<string> => cluster.run(args);

interface Result {
  readonly group: string;
  readonly name: string;
  readonly status: string;
  readonly detail: string;
  readonly fix?: string;
}

interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(args: readonly string[], env: Record<string, string> = { KUBECONFIG: cluster.kubeconfig }): Run {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, 'check', ...args], {
    env: { PATH: process.env.PATH ?? '', ...env },
    encoding: 'utf8',
  });
  return { code: status, stdout, stderr };
}

/** The results by their names, and the exit code, which says the same as `ok`. */
function check(...args: string[]): { code: number | null; named: (name: string) => Result[]; signs: [string, string][] } {
  const { code, stdout, stderr } = run([...args, '-o', 'json']);
  expect(stderr).toBe('');
  const { ok, checks } = JSON.parse(stdout) as { ok: boolean; checks: Result[] };
  expect([ok, checks.some(({ status }) => status === 'failed')]).toEqual([code === 0, code === 1]);
  for (const { status, fix } of checks) if (status === 'failed') expect(fix).toBeTruthy();
  return {
    code,
    named: (name) => checks.filter((result) => result.name === name),
    signs: checks.map(({ name, status }) => [name, status]),
  };
}

/** Checks until something is seen: API servers learn of changes by watch. */
async function seen(name: string, detail: string, ...args: string[]): Promise<Result> {
  let found: Result | undefined;
  await waitFor(`${name}: ${detail}`, () => {
    found = check(...args)
      .named(name)
      .find((result) => result.detail.includes(detail));
    return found !== undefined;
  });
  return found as Result;
}

const SANDBOX = 'a pod with openshell.ai/sandbox=true';
const MANAGED = 'a pod with openshell.ai/managed-by=openshell';

const patchEntry = (...operations: object[]): Promise<string> =>
  kubectl('patch', 'mutatingwebhookconfiguration', 'openshell-sideload', '--type=json', '-p', JSON.stringify(operations));
const setBundle = (pem: string): Promise<string> =>
  patchEntry({ op: 'replace', path: '/webhooks/0/clientConfig/caBundle', value: Buffer.from(pem).toString('base64') });

/** Puts everything back as it was installed. */
async function repair(): Promise<void> {
  // Applying alone would leave what others added.
  await kubectl('delete', 'mutatingwebhookconfiguration', 'openshell-sideload', '--ignore-not-found');
  await kubectl('delete', 'deployment', 'openshell-sideload', ...SYSTEM, '--ignore-not-found');
  await kubectl('apply', '-k', overlay);
  await waitFor('sandboxes are stored under their supervisor', () => {
    const { named } = check();
    return [SANDBOX, MANAGED].every((name) => named(name)[0]?.status === 'ok');
  });
}

beforeAll(async () => {
  cluster = await startControlPlane(join(dir, 'cluster'));
});

afterAll(async () => {
  await webhook?.stop();
  await cluster?.stop();
});

describe('before the installation', () => {
  it('an empty cluster can take it, once it has a node', async () => {
    expect(check('--pre').named('nodes')).toMatchObject([
      { status: 'warning', detail: expect.stringContaining('schedulable Linux nodes: 0;') },
    ]);
    await cluster.run(['create', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'node' } }));
    expect(check('--pre').named('nodes')).toMatchObject([
      { status: 'warning', fix: expect.stringContaining('--supervisor-sideload-method=auto') },
    ]);
    const nodeInfo = { kubeletVersion: 'v1.36.3', containerRuntimeVersion: 'containerd://2.2.9', operatingSystem: 'linux' };
    await kubectl('patch', 'node', 'node', '--subresource=status', '--type=merge', '-p', JSON.stringify({ status: { nodeInfo } }));
    const { code, signs, named } = check('--pre');
    expect([code, signs]).toEqual([
      0,
      [
        ['API server', 'ok'],
        ['admission API', 'ok'],
        ['image volumes', 'ok'],
        ['nodes', 'ok'],
        ['supervisor image', 'ok'],
        ['what is there', 'ok'],
        ['your permissions', 'ok'],
        ['permissions that you grant', 'ok'],
      ],
    ]);
    expect(named('what is there')[0]?.detail).toBe('nothing is installed yet');
  });

  it('without it, everything that needs it is skipped', () => {
    const { code, signs, named } = check();
    expect(code).toBe(1);
    expect(signs.filter(([, sign]) => sign === 'failed').map(([name]) => name)).toEqual(['Deployment', 'webhook configuration']);
    expect(named('permissions of the webhook')).toMatchObject([{ status: 'skipped', detail: 'needs: Deployment' }]);
    expect(named('opted in')).toMatchObject([{ status: 'warning', detail: 'none has opted in: no pod becomes a sandbox' }]);
  });

  it('somebody without rights is told which are missing', async () => {
    await kubectl('create', 'namespace', 'openshell-system');
    await kubectl('create', 'serviceaccount', 'nobody', ...SYSTEM);
    const file = join(dir, 'nobody');
    writeFileSync(file, await kubeconfigOf(cluster, 'nobody'));
    const { code, named } = check('--pre', `--kubeconfig=${file}`);
    expect(code).toBe(1);
    expect(named('image volumes')).toMatchObject([{ status: 'ok', detail: expect.stringContaining('concluded from its version') }]);
    expect(named('nodes')).toMatchObject([
      {
        status: 'failed',
        detail: expect.stringContaining('cannot list resource "nodes"'),
        fix: expect.stringContaining('kubectl auth can-i'),
      },
    ]);
    expect(named('your permissions')[0]?.detail).toContain('create clusterroles.rbac.authorization.k8s.io');
    expect(named('permissions that you grant')).toMatchObject([
      {
        status: 'failed',
        detail: expect.stringContaining('create secrets/openshell-sideload-ca -n openshell-system'),
        fix: expect.stringContaining('escalate'),
      },
    ]);
    const without = check(`--kubeconfig=${file}`);
    expect(without.named('Deployment')).toMatchObject([
      { status: 'failed', detail: expect.stringContaining('cannot list resource "deployments"') },
    ]);
    expect(without.named('opted in')).toMatchObject([
      { status: 'failed', detail: expect.stringContaining('cannot list resource "namespaces"') },
    ]);
  });

  it('anyone who may escalate need not have what the roles give', async () => {
    await kubectl('create', 'clusterrole', 'escalate', '--verb=escalate,bind', '--resource=roles,clusterroles');
    await kubectl('create', 'clusterrolebinding', 'escalate', '--clusterrole=escalate', '--serviceaccount=openshell-system:nobody');
    await seen('permissions that you grant', 'but you hold escalate and bind', '--pre', `--kubeconfig=${join(dir, 'nobody')}`);
  });
});

describe('an API server that is not there', () => {
  it('is a failed check, and the others are skipped', () => {
    const config = JSON.parse(readFileSync(cluster.kubeconfig, 'utf8'));
    config.clusters[0].cluster.server = 'https://127.0.0.1:1';
    writeFileSync(join(dir, 'away'), JSON.stringify(config));
    const { stdout } = run([`--kubeconfig=${join(dir, 'away')}`]);
    // One message with its fix, and one line for all that waits for it.
    expect(stdout.split('\n')).toEqual([
      'cluster',
      expect.stringContaining('✗ API server: '),
      expect.stringContaining('--kubeconfig=FILE'),
      expect.stringContaining('kubectl get --raw'),
      expect.stringContaining('- skipped without API server: admission API, image volumes, '),
      expect.stringMatching(/^0 passed, 0 warnings, 1 failed, \d+ skipped$/),
      '',
    ]);
    const { code, named, signs } = check(`--kubeconfig=${join(dir, 'away')}`);
    expect(code).toBe(1);
    expect(named('API server')).toMatchObject([
      { detail: expect.stringContaining('https://127.0.0.1:1'), fix: expect.stringContaining('--kubeconfig') },
    ]);
    expect(signs.slice(1).every(([, sign]) => sign === 'skipped')).toBe(true);
  });

  it('is waited for by --wait', async () => {
    const config = JSON.parse(readFileSync(cluster.kubeconfig, 'utf8'));
    const { hostname, port } = new URL(config.clusters[0].cluster.server);
    const refused: (() => void)[] = [];
    let isUp = false;
    // Closes connections until it is up, then leads to the API server.
    const between = createServer((socket) => {
      socket.on('error', () => undefined);
      if (isUp) {
        const upstream = connect(Number(port), hostname).on('error', () => socket.destroy());
        socket.pipe(upstream).pipe(socket);
        return;
      }
      socket.destroy();
      for (const tell of refused.splice(0)) tell();
    }).listen(0, '127.0.0.1');
    await once(between, 'listening');
    config.clusters[0].cluster.server = `https://${hostname}:${(between.address() as AddressInfo).port}`;
    writeFileSync(join(dir, 'later'), JSON.stringify(config));
    const child = spawn(process.execPath, [MAIN, 'check', '--pre', '--wait=5m', '-o', 'json', `--kubeconfig=${join(dir, 'later')}`]);
    let stdout = '';
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
    });
    await new Promise<void>((resolve) => refused.push(resolve));
    isUp = true;
    const [code] = await once(child, 'close');
    between.close();
    expect([code, (JSON.parse(stdout) as { ok: boolean }).ok]).toEqual([0, true]);
    expect(run([`--kubeconfig=${join(dir, 'away')}`, '--wait=1s']).code).toBe(1);
  });

  it('or a file that cannot be used is a mistake of the command line', () => {
    for (const args of [['--kubeconfig=/nowhere'], ['--context=other'], ['-o', 'yaml'], ['--wait=soon'], ['--pre', '--namespace=agents']])
      expect(run(args)).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('1 problem') });
  });
});

describe('an installation', () => {
  beforeAll(async () => {
    const [port = 0, adminPort = 0] = await freePorts(2);
    ports = { port, adminPort };
    await kubectl('create', 'namespace', 'agents');
    // As the controller manager does.
    await kubectl('create', 'serviceaccount', 'default', '-n', 'agents');
    await kubectl('label', 'namespace', 'agents', 'openshell.ai/sideload=enabled');
    webhook = await startWebhook(dir, ports);
    overlay = writeOverlay(dir, port);
    await repair();
  });

  it('is fine, but for the pods that nobody runs', () => {
    const { code, signs, named } = check();
    expect([code, signs]).toEqual([
      1,
      [
        ['API server', 'ok'],
        ['admission API', 'ok'],
        ['image volumes', 'ok'],
        ['nodes', 'ok'],
        ['supervisor image', 'ok'],
        ['Deployment', 'ok'],
        ['replicas', 'failed'],
        ['readiness', 'failed'],
        ['permissions of the webhook', 'ok'],
        ['webhook configuration', 'ok'],
        ['entries', 'ok'],
        ['endpoints', 'ok'],
        ['backstop', 'skipped'],
        ['caBundle', 'ok'],
        ['caBundle', 'ok'],
        ['caBundle', 'ok'],
        ['caBundle', 'ok'],
        ['served certificate', 'ok'],
        ['opted in', 'ok'],
        ['policies', 'ok'],
        ['sandboxes', 'ok'],
        [SANDBOX, 'ok'],
        [MANAGED, 'ok'],
      ],
    ]);
    expect(named('replicas')[0]?.detail).toBe('0 of 2 ready: sandboxes are refused');
    expect(named(SANDBOX)[0]?.detail).toBe('namespace agents would store it under its supervisor, method image-volume');
  });

  it('is shown to people in groups, each failed check with its fix below', () => {
    const { code, stdout, stderr } = run([]);
    expect([code, stderr]).toEqual([1, '']);
    expect(stdout.split('\n').filter((line) => /^\S/.test(line))).toEqual([
      'cluster',
      'installation',
      'certificates',
      'namespaces',
      'end to end, as a dry run',
      '20 passed, 0 warnings, 2 failed, 1 skipped',
    ]);
    expect(stdout).toContain(
      '  ✗ replicas: 0 of 2 ready: sandboxes are refused\n      kubectl get pods -n openshell-system; https://github.com/openshell-sideload/openshell-sideload/blob/v0.1.0/docs/operations.md#when-it-is-down\n',
    );
  });

  it('lists the sandboxes that run without their supervisor, by their owners', async () => {
    await kubectl('create', 'namespace', 'late');
    await kubectl('create', 'serviceaccount', 'default', '-n', 'late');
    const owner = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web-1', uid: 'u-1', controller: true };
    const create = (name: string, more: object = {}) => {
      const pod = sandbox();
      const metadata = { ...pod.metadata, name, namespace: 'late', ...more };
      return cluster.run(['create', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'Pod', ...pod, metadata }));
    };
    // Before the namespace opts in, so that nobody puts a supervisor into them.
    await create('alone');
    for (const name of ['web-1-a', 'web-1-b']) await create(name, { ownerReferences: [owner] });
    await kubectl('label', 'namespace', 'late', 'openshell.ai/sideload=enabled');
    await create('guarded');
    const [agents, late] = check()
      .named('sandboxes')
      .toSorted((a, b) => a.detail.localeCompare(b.detail));
    expect(agents).toMatchObject({ status: 'ok', detail: 'agents: 0 sandboxes, all under their supervisor' });
    expect(late).toMatchObject({
      status: 'failed',
      detail: 'late: 3 sandboxes run without their supervisor: Pod alone, ReplicaSet web-1 (2)',
    });
    expect(late?.fix).toContain('openshell-sideload explain pods -n late says why');
    await kubectl('delete', 'pods', '--all', '-n', 'late', '--force', '--grace-period=0');
    await kubectl('delete', 'namespace', 'late', '--wait=false');
    await kubectl('label', 'namespace', 'late', 'openshell.ai/sideload-');
  });

  it('may be upgraded', () => {
    expect(check('--pre').named('what is there')[0]?.detail).toContain('an upgrade: openshell-system/openshell-sideload');
  });

  it('is looked for where the command line says', () => {
    expect(check('--webhook-namespace=elsewhere').named('Deployment')).toMatchObject([
      {
        status: 'failed',
        detail: 'namespace elsewhere has no Deployment of the webhook',
        fix: expect.stringContaining('--webhook-namespace'),
      },
    ]);
    expect(check('--namespace=nowhere').named(SANDBOX)).toMatchObject([
      { status: 'failed', detail: expect.stringContaining('"nowhere" not found') },
    ]);
  });

  it('leaves nothing behind', async () => {
    expect(JSON.parse(await kubectl('get', 'pods,podtemplates', '-A', '-o', 'json')).items).toEqual([]);
  });
});

describe('a broken installation', () => {
  afterEach(repair);

  interface Break {
    readonly what: string;
    readonly does: () => Promise<unknown>;
    readonly name: string;
    readonly detail: string;
    readonly fix: string;
  }
  const service = { name: 'openshell-sideload', namespace: 'openshell-system', path: '/mutate' };
  const breaks: readonly Break[] = [
    {
      what: 'failurePolicy Ignore',
      does: () => patchEntry({ op: 'replace', path: '/webhooks/0/failurePolicy', value: 'Ignore' }),
      name: 'entries',
      detail: 'entry sandbox.sideload.openshell.ai: failurePolicy is Ignore',
      fix: 'kubectl apply -k manifests/base',
    },
    {
      what: 'an entry that is gone',
      does: () => patchEntry({ op: 'remove', path: '/webhooks/1' }),
      name: 'entries',
      detail: 'entry managed.sideload.openshell.ai is missing',
      fix: 'kubectl apply',
    },
    {
      what: 'what becomes of pods whose entry is gone',
      does: () => patchEntry({ op: 'remove', path: '/webhooks/1' }),
      name: MANAGED,
      detail: 'would store a sandbox that is not under its supervisor',
      fix: 'docs/security.md#backstop',
    },
    {
      what: 'an objectSelector that is narrower',
      does: () => patchEntry({ op: 'add', path: '/webhooks/0/objectSelector/matchLabels', value: { team: 'a' } }),
      name: 'entries',
      detail: 'objectSelector asks for team in (a) too',
      fix: 'kubectl apply',
    },
    {
      what: 'matchConditions',
      does: () => patchEntry({ op: 'add', path: '/webhooks/0/matchConditions', value: [{ name: 'friends', expression: 'false' }] }),
      name: 'entries',
      detail: 'matchConditions friends skip sandboxes',
      fix: 'kubectl apply',
    },
    {
      what: 'an empty caBundle',
      does: () => patchEntry({ op: 'remove', path: '/webhooks/0/clientConfig/caBundle' }),
      name: 'caBundle',
      detail: 'entry sandbox.sideload.openshell.ai: it is empty',
      fix: 'docs/operations.md#certificates',
    },
    {
      what: 'a foreign caBundle',
      does: async () => setBundle((await makeAuthority('foreign', new Date(), new Date(Date.now() + 3_600_000))).cert),
      name: 'served certificate',
      detail: 'caBundle of entry sandbox.sideload.openshell.ai does not trust what is served for 127.0.0.1: UNABLE_TO',
      fix: 'docs/operations.md#certificates',
    },
    {
      what: 'what becomes of pods with a foreign caBundle',
      does: async () => setBundle((await makeAuthority('foreign', new Date(), new Date(Date.now() + 3_600_000))).cert),
      name: SANDBOX,
      detail: 'failed calling webhook "sandbox.sideload.openshell.ai"',
      fix: '/docs/operations.md#when-it-is-down',
    },
    {
      what: 'a CA that has expired',
      does: async () => setBundle((await makeAuthority('old', new Date(Date.now() - 7_200_000), new Date(Date.now() - 3_600_000))).cert),
      name: 'caBundle',
      detail: 'entry sandbox.sideload.openshell.ai: its CA expired at',
      fix: 'docs/operations.md#certificates',
    },
    {
      what: 'a role that is gone',
      does: () => kubectl('delete', 'clusterrole', 'openshell-sideload-certificates'),
      name: 'permissions of the webhook',
      detail: 'patch mutatingwebhookconfigurations.admissionregistration.k8s.io/openshell-sideload',
      fix: 'docs/security.md#who-may-do-what',
    },
    {
      what: 'a Service with nobody behind it',
      does: () =>
        patchEntry(
          { op: 'remove', path: '/webhooks/0/clientConfig/url' },
          { op: 'add', path: '/webhooks/0/clientConfig/service', value: service },
        ),
      name: 'endpoints',
      detail: 'Service openshell-system/openshell-sideload has no ready endpoint',
      fix: '/docs/operations.md#when-it-is-down',
    },
    {
      what: 'settings that cannot be used',
      does: () => kubectl('set', 'env', 'deployment/openshell-sideload', ...SYSTEM, 'OPENSHELL_SANDBOX_UID=root'),
      name: 'Deployment',
      detail: '--sandbox-uid "root" (from OPENSHELL_SANDBOX_UID)',
      fix: 'docs/reference/options.md',
    },
  ];

  it.each(breaks)('$what is a failed check', async ({ does, name, detail, fix }) => {
    await does();
    expect(await seen(name, detail)).toMatchObject({ status: 'failed', fix: expect.stringContaining(fix) });
  });

  it('without its configuration everything that needs it is skipped, and --pre warns of a configuration without it', async () => {
    await kubectl('delete', 'mutatingwebhookconfiguration', 'openshell-sideload');
    const { code, named } = check();
    expect([code, named('webhook configuration')[0]?.status, named(SANDBOX)[0]?.status]).toEqual([1, 'failed', 'skipped']);
    await repair();
    await kubectl('delete', 'deployment', 'openshell-sideload', ...SYSTEM);
    expect(check('--pre').named('what is there')).toMatchObject([
      { status: 'warning', fix: 'kubectl delete mutatingwebhookconfiguration openshell-sideload' },
    ]);
  });

  it('with the webhook down sandboxes are refused', async () => {
    await webhook.stop();
    try {
      const { code, named } = check();
      expect(code).toBe(1);
      expect(named('served certificate')).toMatchObject([{ status: 'failed', detail: expect.stringContaining('ECONNREFUSED') }]);
      for (const name of [SANDBOX, MANAGED])
        expect(named(name)).toMatchObject([
          {
            status: 'failed',
            detail: expect.stringContaining('failed calling webhook'),
            fix: expect.stringContaining('/docs/operations.md#when-it-is-down'),
          },
        ]);
    } finally {
      webhook = await startWebhook(dir, ports);
    }
  });
});

describe('namespaces', () => {
  const label = (...labels: string[]): Promise<string> => kubectl('label', 'namespace', '--overwrite', ...labels);
  const optedIn = (name: string): Result | undefined =>
    check()
      .named('opted in')
      .find(({ detail }) => detail.startsWith(`${name} `));

  it('that enforce a Pod Security level are a failed check', async () => {
    await label('agents', 'pod-security.kubernetes.io/enforce=restricted');
    try {
      const fix = expect.stringContaining('kubectl label namespace agents pod-security.kubernetes.io/enforce=privileged --overwrite');
      expect(optedIn('agents')).toMatchObject({ status: 'failed', fix });
      expect(await seen(SANDBOX, 'violates PodSecurity')).toMatchObject({ status: 'failed', fix });
      await label('agents', 'pod-security.kubernetes.io/enforce=privileged');
      expect(optedIn('agents')).toMatchObject({ status: 'ok' });
    } finally {
      await label('agents', 'pod-security.kubernetes.io/enforce-');
    }
  });

  it('that are excluded, or not opted in by a typo, are warned of', async () => {
    await label('kube-system', 'openshell.ai/sideload=enabled');
    await label('default', 'openshell.ai/sideload=true');
    try {
      expect(optedIn('kube-system')).toMatchObject({ status: 'warning', detail: 'kube-system opted in, and is excluded by its name' });
      expect(optedIn('default')).toMatchObject({
        status: 'warning',
        fix: 'kubectl label namespace default openshell.ai/sideload=enabled --overwrite',
      });
      expect(check().named(SANDBOX)).toMatchObject([{ status: 'ok', detail: expect.stringContaining('namespace agents') }]);
      await patchEntry({ op: 'add', path: '/webhooks/0/namespaceSelector/matchLabels/team', value: 'a' });
      expect(optedIn('agents')).toMatchObject({ status: 'warning', detail: expect.stringContaining('namespaceSelector excludes it') });
    } finally {
      await label('kube-system', 'openshell.ai/sideload-');
      await label('default', 'openshell.ai/sideload-');
      await repair();
    }
  });

  it('whose quota is used up refuse the pod with the API server’s sentence', async () => {
    await kubectl('create', 'quota', 'small', '-n', 'agents', '--hard=pods=0');
    // As the controller manager does.
    await kubectl(
      'patch',
      'quota',
      'small',
      '-n',
      'agents',
      '--subresource=status',
      '--type=merge',
      '-p',
      '{"status":{"hard":{"pods":"0"},"used":{"pods":"0"}}}',
    );
    try {
      expect(await seen(SANDBOX, 'exceeded quota: small')).toMatchObject({
        status: 'failed',
        fix: expect.stringContaining('#limits-and-quotas'),
      });
    } finally {
      await kubectl('delete', 'quota', 'small', '-n', 'agents');
    }
  });
});

describe('the backstop', () => {
  const backstop = (): Result[] => check().named('backstop');

  it('is fine as it is shipped', async () => {
    await kubectl('apply', ...BACKSTOP);
    expect(backstop()).toMatchObject([
      { status: 'ok', detail: 'openshell-sideload-backstop is in force and trusts what the webhook trusts' },
    ]);
  });

  it('has to trust the repository of the supervisor image', async () => {
    await kubectl('set', 'env', 'deployment/openshell-sideload', ...SYSTEM, 'OPENSHELL_SUPERVISOR_IMAGE=registry.example/supervisor:1');
    try {
      expect(backstop()).toMatchObject([
        {
          status: 'failed',
          detail: expect.stringContaining('has another trustedSupervisorImages than the webhook'),
          fix: expect.stringContaining('openshell-sideload backstop OPTIONS | kubectl apply -f -'),
        },
      ]);
    } finally {
      await kubectl('set', 'env', 'deployment/openshell-sideload', ...SYSTEM, 'OPENSHELL_SUPERVISOR_IMAGE-');
    }
  });

  it('needs bindings that deny', async () => {
    const binding = ['validatingadmissionpolicybinding', 'openshell-sideload-backstop-managed'];
    await kubectl('patch', ...binding, '--type=merge', '-p', '{"spec":{"validationActions":["Audit"]}}');
    expect(backstop()).toMatchObject([
      { status: 'failed', detail: expect.stringContaining('covers pods with openshell.ai/managed-by in (openshell)') },
    ]);
    await kubectl('apply', ...BACKSTOP);
    await kubectl('delete', 'validatingadmissionpolicy', 'openshell-sideload-backstop-changed');
    expect(backstop()).toMatchObject([{ status: 'warning', detail: expect.stringContaining('sandboxes can be changed') }]);
    await kubectl('delete', ...BACKSTOP, '--ignore-not-found');
    expect(backstop()).toMatchObject([{ status: 'skipped' }]);
  });
});

describe('an API server that drops image volumes', () => {
  beforeAll(async () => {
    await cluster.stopApiserver();
    await cluster.startApiserver({ release: '1.34' });
  });

  it('does not go with the method image-volume', async () => {
    const dropped = {
      status: 'failed',
      detail: expect.stringContaining('drops them'),
      fix: expect.stringContaining('--supervisor-sideload-method=auto'),
    };
    expect(check('--pre').named('image volumes')).toMatchObject([dropped]);
    expect(check('--pre', '--supervisor-sideload-method=auto').named('image volumes')).toMatchObject([{ status: 'warning' }]);
    expect(check().named('image volumes')).toMatchObject([dropped]);
    await kubectl('set', 'env', 'deployment/openshell-sideload', ...SYSTEM, 'OPENSHELL_SUPERVISOR_SIDELOAD_METHOD=auto');
    expect(check().named('image volumes')).toMatchObject([{ status: 'warning' }]);
  });
});
