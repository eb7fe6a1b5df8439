/**
 * What API servers of several releases store, and what the webhook makes of it. docs/compatibility.md holds the table that
 * this makes; UPDATE_COMPATIBILITY=1 writes it instead of comparing it.
 */

import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Pod } from '../../src/sideload/pod.ts';
import { agent, IMAGE_VOLUME, LAUNCHED, sandbox } from '../pods.ts';
import { ANY_METHOD, method } from '../refusals.ts';
import { findApiserver, RELEASES } from './cluster/binaries.ts';
import { type Apiserver, type ControlPlane, type KubectlResult, startControlPlane } from './cluster/control-plane.ts';
import { freePorts, type Process, waitFor } from './cluster/process.ts';
import { kubeconfigOf, readAdmissions, startWebhook, writeOverlay } from './webhook.ts';

const COMPATIBILITY = new URL('../../docs/compatibility.md', import.meta.url);
const [BEGIN, END] = ['<!-- made by npm run e2e:versions -->\n', '<!-- end -->\n'];
/** In the order of an upgrade: they share one etcd. */
const GATE_ON: Apiserver = { release: '1.34', flags: ['--feature-gates=ImageVolume=true'] };
const GATE_OFF: Apiserver = { release: '1.35', flags: ['--feature-gates=ImageVolume=false'] };
const SERVERS: readonly Apiserver[] = [
  { release: '1.30' },
  { release: '1.34' },
  GATE_ON,
  GATE_OFF,
  { release: '1.35' },
  { release: '1.36' },
];

const nameOf = ({ release, flags }: Apiserver): string => [release, ...(flags ?? [])].join(' ');

const dir = mkdtempSync(join(tmpdir(), 'sideload-versions-'));
const kubeconfig = join(dir, 'kubeconfig');
let cluster: ControlPlane;
let webhook: Process | undefined;
let ports: { port: number; adminPort: number };
const rows: string[] = [];

const kubectl = (...args: string[]): Promise<string> => cluster.run(args);
const readyz = async (): Promise<string> => (await fetch(`http://127.0.0.1:${ports.adminPort}/readyz?verbose`)).text();

/** Creates a pod as a dry run. */
function create(pod: Pod, namespace: string): Promise<KubectlResult> {
  const metadata = { ...pod.metadata, generateName: 'sandbox-', name: undefined, namespace };
  const input = JSON.stringify({ apiVersion: 'v1', kind: 'Pod', ...pod, metadata });
  return cluster.kubectl(['create', '--validate=ignore', '--dry-run=server', '-o', 'json', '-f', '-'], input);
}

/** What the API server does to an image volume where nobody guards it. */
async function unguarded(): Promise<string> {
  const { stdout, stderr } = await create(
    sandbox({ labels: {}, spec: { volumes: [IMAGE_VOLUME], containers: [agent(LAUNCHED)] } }),
    'elsewhere',
  );
  expect(stderr).toBe('');
  const { volumes, containers } = (JSON.parse(stdout) as Pod).spec ?? {};
  const volume = volumes?.find(({ name }) => name === IMAGE_VOLUME.name);
  const mounted = containers?.[0]?.volumeMounts?.some(({ name }) => name === IMAGE_VOLUME.name);
  if (!volume) return mounted ? 'volume removed' : 'volume and mount removed';
  return volume.image ? 'kept' : `becomes \`${JSON.stringify(volume.emptyDir ? { emptyDir: volume.emptyDir } : volume)}\``;
}

const admissions = (): Promise<Record<string, unknown>[]> => readAdmissions(dir);

/** What becomes of a sandbox with this method: the method by which it is stored, or the reason why it is refused. */
async function verdict(annotations: Record<string, string>): Promise<string> {
  const before = (await admissions()).length;
  const { stdout } = await create(sandbox({ annotations }), 'agents');
  // The API server's own plugins mount a token into the init container, and it then calls the webhook once more.
  const { outcome, reason, method: by } = (await admissions())[before] ?? {};
  if (outcome === 'refuse') return `refused, \`${reason}\``;
  const { volumes, initContainers } = (JSON.parse(stdout) as Pod).spec ?? {};
  const volume = volumes?.find(({ name }) => name === 'openshell-supervisor-bin') ?? {};
  const stored = volume.image
    ? 'image-volume'
    : volume.hostPath
      ? 'host-path'
      : initContainers?.length === 1
        ? 'init-container'
        : 'nothing';
  expect(stored, 'what is stored is what the webhook says').toBe(by);
  return `stored, ${stored}`;
}

/** Starts the webhook again, as the service account of manifests/base. */
async function restartWebhook(): Promise<void> {
  await webhook?.stop();
  writeFileSync(kubeconfig, await kubeconfigOf(cluster));
  const flags = ['--preflight=on', '--supervisor-sideload-method=auto', ...ANY_METHOD];
  webhook = await startWebhook(dir, ports, flags, { ...process.env, KUBECONFIG: kubeconfig });
}

beforeAll(async () => {
  for (const release of RELEASES) findApiserver(release);
  cluster = await startControlPlane(join(dir, 'cluster'), '127.0.0.1', SERVERS[0]);
  const [port = 0, adminPort = 0] = await freePorts(2);
  ports = { port, adminPort };
  for (const namespace of ['agents', 'elsewhere']) {
    await kubectl('create', 'namespace', namespace);
    for (const account of ['default', 'openshell-sandbox']) await kubectl('create', 'serviceaccount', account, '-n', namespace);
  }
  await kubectl('label', 'namespace', 'agents', 'openshell.ai/sideload=enabled');
  await kubectl('apply', '-k', 'manifests/base');
  await restartWebhook();
  await kubectl('apply', '-k', writeOverlay(dir, ports.port));
  await cluster.run(['create', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'node' } }));
});

afterAll(async () => {
  await webhook?.stop();
  await cluster?.stop();
});

describe.each(SERVERS.map((server) => [nameOf(server), server] as const))('kube-apiserver %s', (_name, server) => {
  let version: string;
  beforeAll(async () => {
    await cluster.stopApiserver();
    await cluster.startApiserver(server);
    version = JSON.parse(await kubectl('get', '--raw=/version')).gitVersion;
    expect(version).toContain(`v${server.release}.`);
    // Node and API server are of one release, as after an upgrade.
    const nodeInfo = { kubeletVersion: version, containerRuntimeVersion: 'containerd://2.1.9', operatingSystem: 'linux' };
    await kubectl('patch', 'node', 'node', '--subresource=status', '--type=merge', '-p', JSON.stringify({ status: { nodeInfo } }));
    await restartWebhook();
    await waitFor('the API server calls the webhook', async () => (await create(sandbox(), 'agents')).stdout.includes('openshell-sandbox'));
    await waitFor('the node is known', async () => (await readyz()).includes('of 1 schedulable'));
  });

  it('does to image volumes what the webhook finds out', async () => {
    const row = [
      `${version}${server.flags ? `, \`${server.flags.join(' ').replace('--feature-gates=', '')}\`` : ''}`,
      await unguarded(),
      await verdict(method('image-volume')),
      await verdict(method('init-container')),
      await verdict(method('host-path')),
      await verdict({}),
    ];
    expect(await readyz()).toContain(`API server ${version} ${row[1] === 'kept' ? 'keeps' : 'drops'} image volumes`);
    rows.push(`| ${row.join(' | ')} |`);
  });

  it('lets the holder of the webhook’s token change caBundle, and nothing else of its configuration', async () => {
    const token = (await kubectl('create', 'token', 'openshell-sideload', '-n', 'openshell-system')).trim();
    const configuration = ['mutatingwebhookconfiguration', 'openshell-sideload'];
    const before = JSON.parse(await kubectl('get', ...configuration, '-o', 'json'));
    const [entry] = before.webhooks;
    const attack = (operations: readonly object[]): Promise<KubectlResult> =>
      cluster.kubectl(['--token', token, 'patch', ...configuration, '--type=json', '-p', JSON.stringify(operations)]);
    const ca = { op: 'replace', path: '/webhooks/0/clientConfig/caBundle', value: entry.clientConfig.caBundle };
    const set = (path: string, value: unknown): object => ({ op: 'add', path, value });
    for (const operation of [
      set('/webhooks/0/rules', []),
      set('/webhooks/0/rules/0/operations', ['DELETE']),
      set('/webhooks/0/clientConfig/url', 'https://127.0.0.1:1/'),
      set('/webhooks/0/failurePolicy', 'Ignore'),
      set('/webhooks/0/matchPolicy', 'Exact'),
      set('/webhooks/0/namespaceSelector', { matchLabels: { none: 'x' } }),
      set('/webhooks/0/objectSelector', { matchLabels: { none: 'x' } }),
      set('/webhooks/0/sideEffects', 'NoneOnDryRun'),
      set('/webhooks/0/timeoutSeconds', 1),
      set('/webhooks/0/admissionReviewVersions', ['v1', 'v1beta1']),
      set('/webhooks/0/reinvocationPolicy', 'Never'),
      set('/webhooks/0/matchConditions', [{ name: 'never', expression: 'false' }]),
      set('/webhooks/0/name', 'other.sideload.openshell.ai'),
      set('/webhooks/-', { ...entry, name: 'more.sideload.openshell.ai' }),
      { op: 'remove', path: '/webhooks/1' },
      { op: 'move', from: '/webhooks/0', path: '/webhooks/1' },
      set('/metadata/labels/x', 'y'),
      set('/metadata/annotations', { 'cert-manager.io/inject-ca-from': 'agents/evil' }),
      set('/metadata/finalizers', ['example.com/keep']),
      set('/metadata/ownerReferences', [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'gone', uid: '0-0' }]),
    ]) {
      const { code, stderr } = await attack([operation, ca]);
      expect([code, stderr], JSON.stringify(operation)).toEqual([1, expect.stringContaining('openshell-sideload-token')]);
      expect(stderr).toContain("the webhook's token may change caBundle only");
    }
    const bundle = Buffer.from(`${Buffer.from(entry.clientConfig.caBundle, 'base64')}\n`).toString('base64');
    expect(await attack([{ ...ca, value: bundle }])).toMatchObject({ code: 0 });
    expect(await attack([ca])).toMatchObject({ code: 0 });
    const { metadata, webhooks } = JSON.parse(await kubectl('get', ...configuration, '-o', 'json'));
    expect([metadata.labels, webhooks]).toEqual([before.metadata.labels, before.webhooks]);
    // RBAC lets it do nothing to others.
    const removal = await cluster.kubectl(['--token', token, 'delete', ...configuration]);
    expect(removal.stderr).toContain('cannot delete resource');
    // An administrator may.
    await kubectl('label', ...configuration, 'x=y');
    await kubectl('label', ...configuration, 'x-');
  });

  it('tells kubectl what to do where it drops them', async () => {
    const { code, stderr } = await create(sandbox({ annotations: method('image-volume') }), 'agents');
    if (rows.at(-1)?.includes('| kept |')) expect([code, stderr]).toEqual([0, expect.not.stringContaining('denied')]);
    else
      expect(stderr).toContain(
        `API server ${version} drops image volumes (feature gate ImageVolume is off), so the supervisor would be missing: set annotation openshell.ai/sideload-method to init-container`,
      );
  });
});

describe('an upgrade under a running webhook', () => {
  it('is noticed, and auto follows it', async () => {
    await cluster.stopApiserver();
    await cluster.startApiserver(GATE_OFF);
    await waitFor('the webhook notices', async () => (await readyz()).includes('drops image volumes'));
    expect(await verdict({})).toBe('stored, init-container');
    await cluster.stopApiserver();
    await cluster.startApiserver({ release: '1.36' });
    await waitFor('the webhook notices', async () => (await readyz()).includes('API server v1.36.3 keeps image volumes'));
    expect(await verdict({})).toBe('stored, image-volume');
  });
});

describe('docs/compatibility.md', () => {
  it('shows what was seen', () => {
    const text = readFileSync(COMPATIBILITY, 'utf8');
    const [before = '', rest = ''] = text.split(BEGIN);
    const [table = '', after = ''] = rest.split(END);
    const [head, rule] = table.split('\n');
    const seen = `${[head, rule, ...rows].join('\n')}\n`;
    expect(rows).toHaveLength(SERVERS.length);
    if (process.env.UPDATE_COMPATIBILITY === '1') writeFileSync(COMPATIBILITY, `${before}${BEGIN}${seen}${END}${after}`);
    else expect(table).toBe(seen);
  });
});
