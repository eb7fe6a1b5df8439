/**
 * Events on the owners of pods, on a real API server, with the permissions of manifests/components/owner-events. The controllers
 * do not run: the test creates the ReplicaSet and its pods as they do.
 */

import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TELL_AGAIN_MS } from '../../src/cluster/told-owners.ts';
import type { Pod } from '../../src/sideload/pod.ts';
import { sandbox } from '../pods.ts';
import { type ControlPlane, type KubectlResult, openControlPlane } from './cluster/control-plane.ts';
import { freePorts, type Process, waitFor } from './cluster/process.ts';
import { kubeconfigOf, readLog, startWebhook, writeOverlay } from './webhook.ts';

const dir = mkdtempSync(join(tmpdir(), 'sideload-events-'));
const RBAC = 'manifests/components/owner-events/rbac.yaml';
const TYPO = sandbox({ labels: { 'openshell.ai/sandbox': 'yes' } });
let cluster: ControlPlane;
let webhook: Process;
let ports: { port: number; adminPort: number };

interface Event {
  readonly metadata: { readonly name: string };
  readonly regarding: { readonly kind: string; readonly name: string; readonly uid: string };
  readonly reason: string;
}

const kubectl = (...args: string[]): Promise<string> => cluster.run(args);
const events = async (): Promise<Event[]> =>
  JSON.parse(await kubectl('get', 'events.v1.events.k8s.io', '-n', 'agents', '-o', 'json')).items;
const reasonsOf = async (owner: { name: string }): Promise<string[]> =>
  (await events()).filter(({ regarding }) => regarding.name === owner.name).map(({ reason }) => reason);

/** Results of Events, from the metrics. */
async function results(): Promise<Record<string, number>> {
  const text = await (await fetch(`http://127.0.0.1:${ports.adminPort}/metrics`)).text();
  const found = text.matchAll(/^openshell_sideload_owner_events_total\{result="(\w+)"\} (\d+)$/gm);
  return Object.fromEntries([...found].map(([, result = '', count]) => [result, Number(count)]));
}

interface Owner {
  readonly name: string;
  readonly uid: string;
}

async function replicaSet(name: string): Promise<Owner> {
  const labels = { app: name, 'openshell.ai/sandbox': 'true' };
  const spec = { replicas: 0, selector: { matchLabels: { app: name } }, template: { metadata: { labels }, spec: sandbox().spec } };
  const object = { apiVersion: 'apps/v1', kind: 'ReplicaSet', metadata: { name, namespace: 'agents' }, spec };
  const { metadata } = JSON.parse(await cluster.run(['create', '-o', 'json', '-f', '-'], JSON.stringify(object)));
  return { name, uid: metadata.uid };
}

/** Creates a pod as the ReplicaSet controller does. */
function createFor(owner: Owner | undefined, pod: Pod, ...options: string[]): Promise<KubectlResult> {
  const reference = { apiVersion: 'apps/v1', kind: 'ReplicaSet', ...owner, controller: true, blockOwnerDeletion: true };
  const ownerReferences = owner && [reference];
  const metadata = { ...pod.metadata, name: undefined, generateName: `${owner?.name ?? 'bare'}-`, namespace: 'agents', ownerReferences };
  return cluster.kubectl(['create', '-f', '-', ...options], JSON.stringify({ apiVersion: 'v1', kind: 'Pod', ...pod, metadata }));
}

const withHook = (): Pod => {
  const { metadata, spec } = sandbox();
  const containers = spec?.containers?.map((each) => ({ ...each, readinessProbe: { exec: { command: ['true'] } } })) ?? [];
  return { metadata, spec: { ...spec, containers } };
};

async function restart(): Promise<void> {
  await webhook?.stop();
  const env = { ...process.env, KUBECONFIG: join(dir, 'kubeconfig') };
  webhook = await startWebhook(dir, ports, ['--preflight=off', '--owner-events=true'], env);
}

beforeAll(async () => {
  cluster = await openControlPlane(join(dir, 'cluster'));
  const [port = 0, adminPort = 0] = await freePorts(2);
  ports = { port, adminPort };
  for (const namespace of ['agents', 'openshell-system']) await kubectl('create', 'namespace', namespace);
  await kubectl('create', 'serviceaccount', 'default', '-n', 'agents');
  await kubectl('create', 'serviceaccount', 'openshell-sideload', '-n', 'openshell-system');
  await kubectl('label', 'namespace', 'agents', 'openshell.ai/sideload=enabled');
  writeFileSync(join(dir, 'kubeconfig'), await kubeconfigOf(cluster));
  await restart();
  await kubectl('apply', '-k', writeOverlay(dir, ports.port));
  await waitFor('the API server calls the webhook', async () =>
    (await createFor(undefined, TYPO, '--dry-run=server')).stderr.includes('denied the request'),
  );
});

afterAll(async () => {
  await webhook?.stop();
  await cluster?.stop();
});

describe('without permission', () => {
  it('an Event that cannot be written is counted and logged, and the pod is refused as before', async () => {
    const owner = await replicaSet('not-permitted');
    expect((await createFor(owner, TYPO)).stderr).toContain('label openshell.ai/sandbox is "yes"');
    await waitFor('the failure', async () => (await results()).failed === 1, [webhook]);
    const line = (await readLog(dir)).find(({ msg }) => msg === 'an Event on the owner of a pod was not written');
    expect(line?.problem).toMatch(/^cannot create an Event in namespace agents: events.events.k8s.io is forbidden: .*\(403\)$/);
    expect(await reasonsOf(owner)).toEqual([]);
  });
});

describe('with permission', () => {
  beforeAll(async () => {
    await kubectl('apply', '-f', RBAC);
    const account = '--as=system:serviceaccount:openshell-system:openshell-sideload';
    const can = ['auth', 'can-i', 'create', 'events.events.k8s.io', '-n', 'agents', account];
    await waitFor('the permission', async () => (await cluster.kubectl(can)).stdout.trim() === 'yes');
  });

  it('the owner of a refused pod gets an Event, which kubectl shows', async () => {
    const owner = await replicaSet('refused');
    await createFor(owner, TYPO);
    await waitFor('the Event', async () => (await reasonsOf(owner)).length > 0, [webhook]);
    const found = (await events()).find(({ regarding }) => regarding.name === 'refused');
    expect(found).toMatchObject({
      type: 'Warning',
      reason: 'UnknownLabelValue',
      action: 'RefusePod',
      note: expect.stringMatching(/^pod refused: label openshell\.ai\/sandbox is "yes"/),
      regarding: { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'refused', namespace: 'agents', uid: owner.uid },
      reportingController: 'openshell.ai/sideload',
      reportingInstance: expect.stringMatching(/./),
    });
    // As the author looks for it.
    const shown = await kubectl('get', 'events', '-n', 'agents', '--field-selector=reportingComponent=openshell.ai/sideload');
    expect(shown).toMatch(/Warning\s+UnknownLabelValue\s+replicaset\/refused\s+pod refused: label openshell\.ai\/sandbox is "yes"/);
    expect(await kubectl('describe', 'replicaset', 'refused', '-n', 'agents')).toMatch(/Warning\s+UnknownLabelValue/);
  });

  it('the owner of a pod with a warning gets one too, and the pod is stored', async () => {
    const owner = await replicaSet('warned');
    expect((await createFor(owner, withHook())).code).toBe(0);
    await waitFor('the Event', async () => (await reasonsOf(owner)).includes('HooksOutside'), [webhook]);
  });

  it('it is told once, however often its controller tries', async () => {
    const owner = await replicaSet('stubborn');
    const before = await results();
    for (let index = 0; index < 20; index++) await createFor(owner, TYPO);
    await createFor(owner, sandbox({ annotations: { 'openshell.ai/sideload-method': 'magic' } }));
    await waitFor('the second reason', async () => (await reasonsOf(owner)).includes('UnknownMethod'), [webhook]);
    expect((await reasonsOf(owner)).sort()).toEqual(['UnknownLabelValue', 'UnknownMethod']);
    expect((await results()).created).toBe((before.created ?? 0) + 2);
  });

  it('another replica writes no second one in the same ten minutes of the clock', async () => {
    const period = (): number => Math.floor(Date.now() / TELL_AGAIN_MS);
    const written = async (): Promise<number> => Object.values(await results()).reduce((sum, count) => sum + count, 0);
    // Again, if the ten minutes ended meanwhile.
    for (let round = 0; ; round++) {
      const begun = period();
      const owner = await replicaSet(`shared-${round}`);
      for (const expected of [{ created: 1 }, { duplicate: 1 }]) {
        // A process that remembers nothing, as another replica would.
        await restart();
        await createFor(owner, TYPO);
        await waitFor('its Event', async () => (await written()) === 1, [webhook]);
        if (period() === begun) expect(await results()).toEqual(expected);
      }
      if (period() !== begun) continue;
      expect(await reasonsOf(owner)).toEqual(['UnknownLabelValue']);
      return;
    }
  });

  it('nobody is told of a dry run, of a pod without owner, or of one that is as it should be', async () => {
    const [owner, last] = [await replicaSet('silent'), await replicaSet('last')];
    await createFor(owner, TYPO, '--dry-run=server');
    await createFor(undefined, TYPO);
    await createFor(owner, sandbox());
    // They are written in order.
    await createFor(last, TYPO);
    await waitFor('the Event of the last', async () => (await reasonsOf(last)).length > 0, [webhook]);
    expect(await reasonsOf(owner)).toEqual([]);
    expect((await events()).every(({ regarding }) => regarding.kind === 'ReplicaSet')).toBe(true);
  });
});
