/**
 * The webhook asks a real API server what the cluster can do, with the rights of manifests/base. The nodes are objects: their
 * kubelets are not needed for what they say of themselves.
 */

import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Pod } from '../../src/sideload/pod.ts';
import { sandbox } from '../pods.ts';
import { method } from '../refusals.ts';
import { type ControlPlane, type KubectlResult, startControlPlane } from './cluster/control-plane.ts';
import { freePorts, type Process, waitFor } from './cluster/process.ts';
import { kubeconfigOf, launchWebhook, readAdmissions, readLog, startWebhook, writeOverlay } from './webhook.ts';

const dir = mkdtempSync(join(tmpdir(), 'sideload-preflight-'));
const AUTO = ['--preflight=on', '--supervisor-sideload-method=auto'];
const NEW = { kubeletVersion: 'v1.36.3', containerRuntimeVersion: 'containerd://2.2.9', operatingSystem: 'linux' };
const OLD = { kubeletVersion: 'v1.34.4', containerRuntimeVersion: 'containerd://1.7.27', operatingSystem: 'linux' };
let cluster: ControlPlane;
let webhook: Process;
let ports: { port: number; adminPort: number };

const kubectl = (...args: string[]): Promise<string> => cluster.run(args);
const asAdmin = async (path: string): Promise<string> => (await fetch(`http://127.0.0.1:${ports.adminPort}${path}`)).text();
const logLines = (): Promise<Record<string, unknown>[]> => readLog(dir);

/** Starts the webhook again, as the service account of manifests/base. */
async function restart(): Promise<void> {
  await webhook?.stop();
  writeFileSync(join(dir, 'kubeconfig'), await kubeconfigOf(cluster));
  webhook = await startWebhook(dir, ports, AUTO, { ...process.env, KUBECONFIG: join(dir, 'kubeconfig') });
}

async function addNode(name: string, nodeInfo: object): Promise<void> {
  await cluster.run(['create', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'Node', metadata: { name } }));
  // As the kubelet of that node reports it.
  await kubectl('patch', 'node', name, '--subresource=status', '--type=merge', '-p', JSON.stringify({ status: { nodeInfo } }));
}

const says = (text: string): Promise<void> =>
  waitFor(`readiness says ${text}`, async () => (await asAdmin('/readyz?verbose')).includes(text), [webhook]);

function create(annotations: Record<string, string> = {}): Promise<KubectlResult> {
  const pod = sandbox({ annotations });
  const metadata = { ...pod.metadata, generateName: 'sandbox-', name: undefined, namespace: 'agents' };
  const input = JSON.stringify({ apiVersion: 'v1', kind: 'Pod', ...pod, metadata });
  return cluster.kubectl(['create', '--dry-run=server', '-o', 'json', '-f', '-'], input);
}

/** The method by which a pod that names none is injected. */
async function methodOfAuto(): Promise<string | undefined> {
  const { stdout, stderr } = await create();
  expect(stderr).toBe('');
  return (JSON.parse(stdout) as Pod).metadata?.annotations?.['openshell.ai/sideloaded'];
}

beforeAll(async () => {
  cluster = await startControlPlane(join(dir, 'cluster'));
  const [port = 0, adminPort = 0] = await freePorts(2);
  ports = { port, adminPort };
  for (const args of [
    ['namespace', 'agents'],
    ['serviceaccount', 'default', '-n', 'agents'],
  ])
    await kubectl('create', ...args);
  await kubectl('create', 'serviceaccount', 'openshell-sandbox', '-n', 'agents');
  await kubectl('label', 'namespace', 'agents', 'openshell.ai/sideload=enabled');
  await kubectl('apply', '-k', 'manifests/base');
  await restart();
  await kubectl('apply', '-k', writeOverlay(dir, ports.port));
  await waitFor('the API server calls the webhook', async () => (await create()).stdout.includes('openshell-sandbox'), [webhook]);
});

afterAll(async () => {
  await webhook?.stop();
  await cluster?.stop();
});

describe('in a cluster whose nodes come and go', () => {
  it('auto takes an init container while there is no node', async () => {
    await says('API server v1.36.3 keeps image volumes; 0 of 0 schedulable Linux nodes are known to mount them');
    expect(await methodOfAuto()).toBe('init-container');
  });

  it('auto takes an image volume once every schedulable Linux node mounts them', async () => {
    await addNode('new', NEW);
    await addNode('windows', { ...OLD, operatingSystem: 'windows' });
    await says('1 of 1 schedulable Linux nodes');
    expect(await methodOfAuto()).toBe('image-volume');
  });

  it('auto goes back to an init container when a node comes that may not, and a pod that insists is warned', async () => {
    await addNode('old', OLD);
    await says('1 of 2 schedulable Linux nodes');
    expect(await methodOfAuto()).toBe('init-container');
    const { code, stderr } = await create(method('image-volume'));
    expect([code, stderr]).toEqual([
      0,
      'Warning: only 1 of 2 schedulable Linux nodes are known to mount image volumes: choose such nodes, or set annotation openshell.ai/sideload-method to init-container\n',
    ]);
    expect((await readAdmissions(dir)).at(-1)).toMatchObject({ reason: 'injected', warnings: ['nodes-without-image-volumes'] });
    expect((await create(method('init-container'))).stderr).toBe('');
  });

  it('has its state in the metrics', async () => {
    expect((await asAdmin('/metrics')).split('\n').filter((line) => /^openshell_sideload_(image_volumes|nodes)\{/.test(line))).toEqual([
      'openshell_sideload_image_volumes{state="kept"} 1',
      'openshell_sideload_image_volumes{state="dropped"} 0',
      'openshell_sideload_image_volumes{state="unknown"} 0',
      'openshell_sideload_image_volumes{state="assumed"} 0',
      'openshell_sideload_nodes{mounts_images="yes"} 1',
      'openshell_sideload_nodes{mounts_images="unknown"} 1',
    ]);
  });

  it('looks away from a node that is cordoned, upgraded or deleted', async () => {
    await kubectl('cordon', 'old');
    await says('1 of 1');
    await kubectl('uncordon', 'old');
    await says('1 of 2');
    await kubectl('patch', 'node', 'old', '--subresource=status', '--type=merge', '-p', JSON.stringify({ status: { nodeInfo: NEW } }));
    await says('2 of 2');
    await kubectl('patch', 'node', 'old', '--subresource=status', '--type=merge', '-p', JSON.stringify({ status: { nodeInfo: OLD } }));
    await says('1 of 2');
    await kubectl('delete', 'node', 'old');
    await says('1 of 1');
    expect(await methodOfAuto()).toBe('image-volume');
  });

  it('says so in the log once for each change', async () => {
    await waitFor('the last change is logged', async () => (await logLines()).some(({ total }) => total === 1));
    const states = (await logLines())
      .filter(({ msg }) => String(msg).startsWith('API server'))
      .map(({ imageVolumes, serverVersion, total, mountingImages }) => [imageVolumes, serverVersion, mountingImages, total].join());
    expect(states[0]).toMatch(/^kept,v1\.36\.3,/);
    expect(states.every((state, index) => index === 0 || state !== states[index - 1])).toBe(true);
  });

  it('goes on where it was when the API server was interrupted', async () => {
    await cluster.stopApiserver();
    expect((await fetch(`http://127.0.0.1:${ports.adminPort}/readyz`)).status).toBe(200);
    await cluster.startApiserver();
    await addNode('later', OLD);
    await says('1 of 2');
    await kubectl('delete', 'node', 'later');
    await says('1 of 1');
  });
});

describe('each right is needed', () => {
  const ROLE = ['role', 'openshell-sideload-preflight', '-n', 'openshell-system'];
  const CLUSTER_ROLE = ['clusterrole', 'openshell-sideload-preflight'];
  const as = ['--as=system:serviceaccount:openshell-system:openshell-sideload', '-n', 'openshell-system'];
  afterEach(() => kubectl('apply', '-k', 'manifests/base'));

  it('and there are no others', async () => {
    const rulesOf = async (object: string[]): Promise<unknown> => JSON.parse(await kubectl('get', ...object, '-o', 'json')).rules;
    expect([await rulesOf(ROLE), await rulesOf(CLUSTER_ROLE)]).toEqual([
      [{ apiGroups: [''], resources: ['podtemplates'], verbs: ['create'] }],
      [{ apiGroups: [''], resources: ['nodes'], verbs: ['list', 'watch'] }],
    ]);
  });

  it.each([
    {
      of: ROLE,
      verb: 'create',
      object: 'podtemplates',
      state: 'API server v1.36.3 keeps image volumes (concluded from its version); 1 of 1 schedulable Linux nodes are known to mount them',
      logs: 'the API server does not permit a dry run of a pod template: its version decides whether it keeps image volumes',
    },
    {
      of: CLUSTER_ROLE,
      verb: 'list',
      object: 'nodes',
      state: 'API server v1.36.3 keeps image volumes; nodes are not known',
      logs: 'nodes cannot be followed',
    },
    {
      of: CLUSTER_ROLE,
      verb: 'watch',
      object: 'nodes',
      state: '1 of 1 schedulable Linux nodes are known to mount them',
      logs: 'nodes cannot be followed',
    },
  ])('$verb $object', async ({ of, verb, object, state, logs }) => {
    const can = async (): Promise<string> => (await cluster.kubectl(['auth', 'can-i', verb, object, ...as])).stdout.trim();
    await waitFor('the right', async () => (await can()) === 'yes');
    const { rules } = JSON.parse(await kubectl('get', ...of, '-o', 'json'));
    const without = rules[0].verbs.filter((candidate: string) => candidate !== verb);
    const patch = without.length === 0 ? { op: 'remove', path: '/rules/0' } : { op: 'replace', path: '/rules/0/verbs', value: without };
    await kubectl('patch', ...of, '--type=json', '-p', JSON.stringify([patch]));
    await waitFor('the right to be gone', async () => (await can()) === 'no');
    await restart();
    await says(state);
    await waitFor(logs, async () => (await logLines()).some(({ level, msg }) => level === 'warn' && msg === logs));
  });
});

describe('before the API server has ever answered', () => {
  it('the webhook is not ready, and says why', async () => {
    await webhook.stop();
    const kubeconfig = await kubeconfigOf(cluster);
    const [nobody = 0] = await freePorts(1);
    writeFileSync(join(dir, 'kubeconfig'), kubeconfig.replaceAll(`:${cluster.port}`, `:${nobody}`));
    webhook = await launchWebhook(dir, ports, AUTO, { ...process.env, KUBECONFIG: join(dir, 'kubeconfig') });
    const readyz = (): Promise<string> => asAdmin('/readyz').catch(() => '');
    await waitFor('an answer', async () => (await readyz()) !== '', [webhook]);
    expect(await readyz()).toMatch(/^\[-\] cluster: /m);
    await waitFor('the reason', async () => /^\[-\] cluster: cannot read the API server's version: .*ECONNREFUSED/m.test(await readyz()), [
      webhook,
    ]);
  });
});
