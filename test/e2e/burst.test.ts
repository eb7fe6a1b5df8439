/**
 * A burst of pods on a real API server, while the only replica is held to the CPU that its Deployment requests: none is lost,
 * and nothing is refused to keep the load down. It takes root, for a cgroup. How fast that goes is measured by `npm run bench:burst`.
 */

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Pod } from '../../src/sideload/pod.ts';
import { sandbox } from '../pods.ts';
import { isSideloaded } from '../sideloaded.ts';
import { type Cgroup, makeCgroup } from './cluster/cgroup.ts';
import { type ClusterAdmin, clusterAdmin } from './cluster/cluster-admin.ts';
import { type ControlPlane, openControlPlane } from './cluster/control-plane.ts';
import { freePorts, type Process, waitFor } from './cluster/process.ts';
import { startWebhook, writeOverlay } from './webhook.ts';

const PODS = 300;
/** Few enough for each to be answered long before the API server gives up, on a slow machine too. */
const CREATORS = 100;
/** manifests/base/deployment.yaml, requests. */
const MILLICORES = 100;
const COLLECTION = '/api/v1/namespaces/agents/pods';

const dir = mkdtempSync(join(tmpdir(), 'sideload-burst-'));
let cluster: ControlPlane;
let admin: ClusterAdmin;
let webhook: Process;
let cgroup: Cgroup;
let adminPort = 0;

const create = (name: string, query = '') => {
  const pod = sandbox();
  const body = JSON.stringify({ apiVersion: 'v1', kind: 'Pod', ...pod, metadata: { ...pod.metadata, name } });
  return admin.send('POST', `${COLLECTION}${query}`, body);
};

beforeAll(async () => {
  cgroup = makeCgroup('sideload-burst-test');
  cluster = await openControlPlane(join(dir, 'cluster'));
  admin = clusterAdmin(cluster);
  const [port = 0, other = 0] = await freePorts(2);
  adminPort = other;
  webhook = await startWebhook(dir, { port, adminPort });
  await cluster.run(['create', 'namespace', 'agents']);
  await cluster.run(['label', 'namespace', 'agents', 'openshell.ai/sideload=enabled']);
  // The controller that makes it does not run here.
  await cluster.run(['create', 'serviceaccount', 'default', '-n', 'agents']);
  await cluster.run(['apply', '-k', writeOverlay(dir, port)]);
  const isInForce = async (): Promise<boolean> => {
    const { status, body } = await create('probe', '?dryRun=All');
    return status === 201 && isSideloaded(JSON.parse(body));
  };
  await waitFor('the API server calls the webhook', isInForce, [webhook]);
});

afterAll(async () => {
  admin?.close();
  await webhook?.stop();
  await cluster?.stop();
  cgroup?.remove();
});

it('a burst loses no pod while the replica has a tenth of a core', async () => {
  cgroup.limitCpu(MILLICORES);
  cgroup.add(webhook.pid);
  const names = Array.from({ length: PODS }, (_, index) => `burst-${index}`);
  const left = names.values();
  const refused: string[] = [];
  const creator = async (): Promise<void> => {
    for (const name of left) {
      const { status, body } = await create(name);
      if (status !== 201) refused.push(`${status}: ${body}`);
    }
  };
  await Promise.all(Array.from({ length: CREATORS }, creator));

  expect(refused).toEqual([]);
  const { items } = JSON.parse((await admin.send('GET', COLLECTION)).body) as { items: Pod[] };
  expect(items.map(({ metadata }) => metadata?.name).sort()).toEqual(names.sort());
  expect(items.filter((pod) => !isSideloaded(pod))).toEqual([]);
  // The limit was one: there was work that had to wait for it.
  expect(cgroup.throttledSeconds()).toBeGreaterThan(0);
  // One review each, and no answer that asked for another try.
  const metrics = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
  expect(metrics).toMatch(new RegExp(`^openshell_sideload_admissions_total\\{outcome="inject",.*dry_run="false"\\} ${PODS}$`, 'm'));
  expect(metrics).not.toMatch(/^openshell_sideload_http_errors_total\{/m);
});
