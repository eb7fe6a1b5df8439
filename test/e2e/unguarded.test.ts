/**
 * The count of sandboxes without their supervisor, on a real API server, with the permissions of manifests/components/unguarded:
 * pods that were stored before their namespace opted in, or while the webhook was not called.
 */

import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sandbox } from '../pods.ts';
import { type ControlPlane, openControlPlane } from './cluster/control-plane.ts';
import { freePorts, type Process, waitFor } from './cluster/process.ts';
import { kubeconfigOf, readLog, startWebhook, writeOverlay } from './webhook.ts';

const dir = mkdtempSync(join(tmpdir(), 'sideload-unguarded-'));
const RBAC = 'manifests/components/unguarded/rbac.yaml';
const MANAGED = { labels: { 'openshell.ai/managed-by': 'openshell' } };
let cluster: ControlPlane;
let webhook: Process;
let ports: { port: number; adminPort: number };

const kubectl = (...args: string[]): Promise<string> => cluster.run(args);

async function create(namespace: string, name: string, pod = sandbox()): Promise<void> {
  const metadata = { ...pod.metadata, name, namespace };
  await cluster.run(['create', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'Pod', ...pod, metadata }));
}

/** The metric's value; undefined where it is absent. */
async function count(): Promise<number | undefined> {
  const text = await (await fetch(`http://127.0.0.1:${ports.adminPort}/metrics`)).text();
  const [, value] = /^openshell_sideload_unguarded_pods (\d+)$/m.exec(text) ?? [];
  return value === undefined ? undefined : Number(value);
}

const counts = (expected: number | undefined): Promise<void> =>
  waitFor(`${expected} unguarded pods`, async () => (await count()) === expected, [webhook]);

beforeAll(async () => {
  cluster = await openControlPlane(join(dir, 'cluster'));
  const [port = 0, adminPort = 0] = await freePorts(2);
  ports = { port, adminPort };
  for (const namespace of ['agents', 'elsewhere', 'openshell-system', 'kube-system']) {
    if (namespace !== 'kube-system') await kubectl('create', 'namespace', namespace);
    await kubectl('create', 'serviceaccount', 'default', '-n', namespace);
    // Nothing calls the webhook yet: what is stored has no supervisor.
    await create(namespace, 'early');
  }
  await create('agents', 'early-managed', sandbox(MANAGED));
  await create('agents', 'opted-out', sandbox({ labels: { 'openshell.ai/sandbox': 'false' } }));
  await create('agents', 'no-sandbox', { ...sandbox(), metadata: {} });
  await kubectl('label', 'namespace', 'agents', 'openshell-system', 'kube-system', 'openshell.ai/sideload=enabled');
  await kubectl('create', 'serviceaccount', 'openshell-sideload', '-n', 'openshell-system');
  writeFileSync(join(dir, 'kubeconfig'), await kubeconfigOf(cluster));
  const env = { ...process.env, KUBECONFIG: join(dir, 'kubeconfig') };
  webhook = await startWebhook(dir, ports, ['--preflight=off', '--count-unguarded=true'], env);
});

afterAll(async () => {
  await webhook?.stop();
  await cluster?.stop();
});

describe('without permission', () => {
  it('the metric is absent, and the log says why, once for pods and once for namespaces', async () => {
    const problems = async (): Promise<string[]> =>
      (await readLog(dir)).flatMap(({ problem }) => (typeof problem === 'string' ? problem : []));
    await waitFor('both problems', async () => (await problems()).length >= 2, [webhook]);
    const seen = await problems();
    expect(seen.filter((problem) => problem.startsWith('cannot list pods: pods is forbidden'))).toHaveLength(1);
    expect(seen.filter((problem) => problem.startsWith('cannot list namespaces: namespaces is forbidden'))).toHaveLength(1);
    expect(await count()).toBeUndefined();
  });
});

describe('with permission', () => {
  beforeAll(() => kubectl('apply', '-f', RBAC));

  it('it counts the labelled pods of namespaces that opted in, and are not excluded by name', async () => {
    await counts(2);
  });

  it('a sandbox that gets its supervisor does not count', async () => {
    await kubectl('apply', '-k', writeOverlay(dir, ports.port));
    await waitFor('the API server calls the webhook', async () => {
      const { kind, ...pod } = { kind: 'Pod', apiVersion: 'v1', ...sandbox() };
      const input = JSON.stringify({ ...pod, kind, metadata: { ...pod.metadata, name: 'late', namespace: 'agents' } });
      return (await cluster.run(['create', '--dry-run=server', '-o', 'json', '-f', '-'], input)).includes('openshell-sandbox');
    });
    await create('agents', 'late');
    // What is counted next is seen after it.
    await kubectl('delete', 'pod', 'early-managed', '-n', 'agents', '--grace-period=0', '--force');
    await counts(1);
  });

  it('it follows namespaces that opt in and out', async () => {
    await kubectl('label', 'namespace', 'elsewhere', 'openshell.ai/sideload=enabled');
    await counts(2);
    await kubectl('label', 'namespace', 'elsewhere', 'openshell.ai/sideload-');
    await counts(1);
  });

  it('a pod that has ended does not count', async () => {
    const status = JSON.stringify({ status: { phase: 'Succeeded' } });
    await kubectl('patch', 'pod', 'early', '-n', 'agents', '--subresource=status', '--type=merge', '-p', status);
    await counts(0);
  });

  it('pods of more than one page are counted', async () => {
    await kubectl('delete', 'mutatingwebhookconfiguration', 'openshell-sideload');
    const items = Array.from({ length: 120 }, (_, index) => ({
      ...{ apiVersion: 'v1', kind: 'Pod', ...sandbox() },
      metadata: { ...sandbox().metadata, name: `many-${index}`, namespace: 'agents' },
    }));
    // The API server forgets the entry a moment later.
    await waitFor('pods to be stored as they are', async () => {
      const input = JSON.stringify(items[0]);
      return !(await cluster.run(['create', '--dry-run=server', '-o', 'json', '-f', '-'], input)).includes('openshell-sandbox');
    });
    await cluster.run(['create', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
    await counts(120);
    await webhook.stop();
    const env = { ...process.env, KUBECONFIG: join(dir, 'kubeconfig') };
    webhook = await startWebhook(dir, ports, ['--preflight=off', '--count-unguarded=true'], env);
    await counts(120);
  });
});
