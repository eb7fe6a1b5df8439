/** What all subjects share: one control plane with controllers and the webhook, and what tests do with it. */

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Container, Pod } from '../../../src/sideload/pod.ts';
import { sandbox } from '../../pods.ts';
import { method } from '../../refusals.ts';
import { isSideloaded } from '../../sideloaded.ts';
import { findControllers } from '../cluster/binaries.ts';
import { type ControlPlane, type KubectlResult, startControlPlane } from '../cluster/control-plane.ts';
import { startControllerManager } from '../cluster/controllers.ts';
import { freePorts, type Process, WAIT_FLAG, waitFor } from '../cluster/process.ts';
import { readLog, startWebhook, writeOverlay } from '../webhook.ts';

/** What the API server adds to a pod. */
export interface Stored extends Pod {
  readonly metadata: NonNullable<Pod['metadata']> & { readonly ownerReferences?: readonly { readonly kind: string }[] };
  readonly spec: NonNullable<Pod['spec']> & { readonly ephemeralContainers?: readonly Container[] };
  readonly status: { readonly qosClass: string };
}

export const SUPERVISOR = ['/opt/openshell/bin/openshell-sandbox', '--workdir', '/sandbox'];
export const INSTALL = 'openshell-supervisor-install';
/** Members that the core does not read. */
export const TOKENLESS: object = { automountServiceAccountToken: false };
export const LABEL = 'openshell.ai/sandbox';
export const LEFT_ALONE = { [LABEL]: 'false' };
export const METHODS = ['image-volume', 'init-container'] as const;
export const NO_ENTRYPOINT =
  'admission webhook "sandbox.sideload.openshell.ai" denied the request: container "agent" has args but no command, and what its image runs is not looked up';

export const dir = mkdtempSync(join(tmpdir(), 'sideload-interplay-'));
export let cluster: ControlPlane;
export let controllers: Process;
export let webhook: Process;

export const kubectl = (args: readonly string[], input?: string): Promise<string> => cluster.run(args, input);
export const createAll = (...objects: object[]): Promise<string> =>
  kubectl(['create', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }));

/** Makes a namespace that opted in, with objects in it, and waits until it takes pods. */
export async function openNamespace(
  name: string,
  { labels = {}, objects = [] }: { labels?: object; objects?: object[] } = {},
): Promise<void> {
  const metadata = { name, labels: { 'openshell.ai/sideload': 'enabled', ...labels } };
  const inside = objects.map((object) => ({ ...object, metadata: { name, namespace: name } }));
  await createAll({ apiVersion: 'v1', kind: 'Namespace', metadata }, ...inside);
  await kubectl(['wait', '--for=create', 'serviceaccount/default', '-n', name, WAIT_FLAG]);
}

let serial = 0;

/** Creates a pod with a name of its own. */
export function create(pod: Pod, namespace = 'agents', args: readonly string[] = []): Promise<KubectlResult> {
  serial++;
  const metadata = { ...pod.metadata, name: `pod-${serial}`, namespace };
  return cluster.kubectl(['create', '-o', 'json', '-f', '-', ...args], JSON.stringify({ apiVersion: 'v1', kind: 'Pod', ...pod, metadata }));
}

/** Creates a pod and returns what the API server stored. */
export async function stored(pod: Pod, namespace?: string, args?: readonly string[]): Promise<Stored> {
  const { code, stdout, stderr } = await create(pod, namespace, args);
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Stored;
}

/** Why a pod is refused, in the API server's words, without its name. */
export async function refusal(pod: Pod, namespace?: string): Promise<string> {
  const { code, stderr } = await create(pod, namespace);
  expect(code).toBe(1);
  const said = stderr.split('\n').find((line) => !line.startsWith('Warning: ')) ?? '';
  return said.replaceAll(/pod-\d+/g, 'POD');
}

/** What is stored under a name. */
export const readPod = async (name: string): Promise<Stored> =>
  JSON.parse(await kubectl(['get', 'pod', name, '-n', 'agents', '-o', 'json'])) as Stored;

export const containerOf = (pod: Pod, name = 'agent'): Container =>
  pod.spec?.containers?.find((container) => container.name === name) ?? {};
export const installerOf = (pod: Pod): Container | undefined => pod.spec?.initContainers?.find(({ name }) => name === INSTALL);
export const logLines = (): Promise<Record<string, unknown>[]> => readLog(dir);
/** What the webhook answered each time that it was called for a pod. */
export const answersFor = async (pod: Pod): Promise<unknown[]> =>
  (await logLines()).filter(({ name }) => name === pod.metadata?.name).map(({ reason }) => reason);
/** A Deployment and its like, whose pods have the label app=NAME. */
export function workload(kind: 'Deployment' | 'StatefulSet' | 'DaemonSet' | 'Job', name: string, container: Container, rest: object = {}) {
  const template = {
    metadata: { labels: { app: name, [LABEL]: 'true' }, annotations: method('init-container') },
    spec: { containers: [container], ...(kind === 'Job' ? { restartPolicy: 'Never' } : {}) },
  };
  const selector = kind === 'Job' ? {} : { selector: { matchLabels: { app: name } } };
  const apiVersion = kind === 'Job' ? 'batch/v1' : 'apps/v1';
  return { apiVersion, kind, metadata: { name, namespace: 'agents' }, spec: { ...selector, template, ...rest } };
}

/** The pods of a workload, as soon as there are some that fit. */
export async function podsOf(name: string, fits: (pod: Stored) => boolean = () => true): Promise<Stored[]> {
  let pods: Stored[] = [];
  const areThere = async (): Promise<boolean> => {
    const { items } = JSON.parse(await kubectl(['get', 'pods', '-n', 'agents', '-l', `app=${name}`, '-o', 'json']));
    pods = items.filter(fits);
    return pods.length > 0;
  };
  await waitFor(`pods of ${name}`, areThere, [controllers]);
  return pods;
}

/** Starts them all; the API server then calls the webhook. */
export async function setUp(): Promise<void> {
  cluster = await startControlPlane(join(dir, 'cluster'));
  controllers = startControllerManager(findControllers().controllerManager, cluster, dir);
  const [port = 0, adminPort = 0] = await freePorts(2);
  webhook = await startWebhook(dir, { port, adminPort });
  await openNamespace('agents');
  await kubectl(['apply', '-k', writeOverlay(dir, port)]);
  const isInForce = async (): Promise<boolean> => isSideloaded(await stored(sandbox(), 'agents', ['--dry-run=server']));
  await waitFor('the API server calls the webhook', isInForce, [webhook, controllers]);
}

export async function tearDown(): Promise<void> {
  await webhook?.stop();
  await controllers?.stop();
  await cluster?.stop();
}
