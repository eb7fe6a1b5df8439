/** An API server with the backstop, and what tests do with it. */

import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import jsonPatch, { type Operation } from 'fast-json-patch';
import { expect } from 'vitest';
import { stringify } from 'yaml';
import { backstopLiterals } from '../../../src/cli/backstop-literals.ts';
import { readConfig } from '../../../src/config/config.ts';
import { decide } from '../../../src/sideload/decide.ts';
import { trustedImages } from '../../../src/sideload/image.ts';
import type { Pod } from '../../../src/sideload/pod.ts';
import { UNKNOWN_CLUSTER } from '../../../src/sideload/settings.ts';
import { type Golden, listGoldens, readGolden } from '../../goldens.ts';
import { agent, IMAGE_VOLUME, LAUNCHED, sandbox } from '../../pods.ts';
import type { Release } from '../cluster/binaries.ts';
import { type ControlPlane, startControlPlane } from '../cluster/control-plane.ts';
import { waitFor } from '../cluster/process.ts';

export const COMPONENT = fileURLToPath(new URL('../../../manifests/components/backstop', import.meta.url));
export const dir = mkdtempSync(join(tmpdir(), 'sideload-backstop-'));
const connections = new Agent({ keepAlive: true, maxSockets: 8 });
export let cluster: ControlPlane;

export const kubectl = (...args: string[]): Promise<string> => cluster.run(args);

/** What the API server answers to a write. */
export interface Answer {
  readonly code: number;
  readonly message: string;
  /** The first word of a refusal by the backstop. */
  readonly reason: string | undefined;
  readonly object: Pod;
}

function send(method: 'POST' | 'PATCH', path: string, body: unknown): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = {
      authorization: 'Bearer admin-token',
      'content-type': method === 'POST' ? 'application/json' : 'application/strategic-merge-patch+json',
    };
    const { address: host, port, servingCertificate } = cluster;
    const ca = readFileSync(servingCertificate);
    const sent = request({ agent: connections, host, port, ca, method, path, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('error', reject).on('end', () => {
        const object = JSON.parse(text);
        const message: string = object.kind === 'Status' ? object.message : '';
        const [, reason] =
          /ValidatingAdmissionPolicy 'openshell-sideload-backstop(?:-changed)?' .*denied request: ([a-z-]+): /.exec(message) ?? [];
        resolve({ code: response.statusCode ?? 0, message, reason, object });
      });
    });
    sent.on('error', reject).end(JSON.stringify(body));
  });
}

export let serial = 0;

/** Creates a pod under a name of its own. */
export function create(pod: Pod, { dryRun = true, namespace = 'agents' } = {}): Promise<Answer> {
  serial++;
  const metadata = { ...pod.metadata, name: `pod-${serial}`, namespace };
  return send('POST', `/api/v1/namespaces/${namespace}/pods${dryRun ? '?dryRun=All' : ''}`, {
    ...pod,
    apiVersion: 'v1',
    kind: 'Pod',
    metadata,
  });
}

export const patch = (pod: Pod, change: object, subresource = ''): Promise<Answer> =>
  send('PATCH', `/api/v1/namespaces/${pod.metadata?.namespace}/pods/${pod.metadata?.name}${subresource}`, change);

/** Creates a pod, and fails where it is refused. */
export async function stored(pod: Pod, options: { dryRun?: boolean; namespace?: string } = {}): Promise<Pod> {
  const { message, object } = await create(pod, { dryRun: false, ...options });
  expect(message).toBe('');
  return object;
}

/** What the webhook makes of a pod. */
export function sideloaded({ pod, config }: Golden): Pod {
  const outcome = decide(pod, config.sideload, UNKNOWN_CLUSTER);
  return outcome.verdict === 'inject'
    ? jsonPatch.applyPatch(structuredClone(pod), outcome.operations as Operation[], true).newDocument
    : pod;
}

export const goldens = listGoldens().inputs.map(readGolden);
export const supervised = (): Pod => sandbox({ spec: { volumes: [IMAGE_VOLUME], containers: [agent(LAUNCHED)] } });

/** Applies a folder of manifests that takes in the component. */
export async function apply(name: string, resources: readonly string[] = []): Promise<void> {
  const folder = join(dir, name);
  mkdirSync(folder, { recursive: true });
  const paths = (targets: readonly string[]): string[] => targets.map((target) => relative(folder, target));
  writeFileSync(join(folder, 'kustomization.yaml'), stringify({ resources: paths(resources), components: paths([COMPONENT]) }));
  await kubectl('apply', '--validate=strict', '-k', folder);
}

/** Changes the operator's choices in the policy, and waits until a pod is judged by them. */
export async function setLiterals(literals: Readonly<Record<string, string>>, inForce: () => Promise<boolean>): Promise<void> {
  const policy = ['validatingadmissionpolicy', 'openshell-sideload-backstop'];
  const { spec } = JSON.parse(await kubectl('get', ...policy, '-o', 'json'));
  const names: string[] = spec.variables.map(({ name }: { name: string }) => name);
  const operations = Object.entries(literals).map(([name, value]) => ({
    op: 'replace',
    path: `/spec/variables/${names.indexOf(name)}/expression`,
    value,
  }));
  await kubectl('patch', ...policy, '--type=json', '-p', JSON.stringify(operations));
  await waitFor(`literals ${JSON.stringify(literals)}`, inForce);
}

/** The literals for a webhook with these flags, which may be given supervisors of any repository that one trusts by default. */
export function literalsOf(flags: readonly string[]): Record<string, string> {
  const { sideload, ...config } = readConfig(flags, {});
  const trusted = trustedImages([...sideload.trustedImages.keys(), ...readConfig([], {}).sideload.trustedImages.keys()]);
  return backstopLiterals({ ...config, sideload: { ...sideload, trustedImages: trusted } });
}

export const HOST_PATH = { name: 'openshell-supervisor-bin', hostPath: { path: '/opt/openshell/bin', type: 'Directory' } };
export const withHostPath = (): Pod => sandbox({ spec: { volumes: [HOST_PATH], containers: [agent(LAUNCHED)] } });
export const allowHostPath = (): Promise<void> =>
  setLiterals(
    { allowedSideloadMethods: '["image-volume","init-container","host-path"]' },
    async () => (await create(withHostPath())).code === 201,
  );

/** How often an API server may crash before that is a fault of its own. */
const CRASHES = 5;

/**
 * Changes policies on an older API server. Before 1.36 it compiles a policy into a map of all policies, and with the CEL of 1.30 to
 * 1.33 it reads that map while it judges pods, so now and then it ends (kubernetes/kubernetes#135757). A kubelet would start it
 * again, and so does this.
 */
export async function changePolicies(release: Release, change: () => Promise<void>): Promise<void> {
  for (let crashes = 0; ; crashes++) {
    try {
      return await change();
    } catch (error) {
      const answers = async (): Promise<boolean> => (await cluster.kubectl(['get', '--raw=/livez'])).code === 0;
      await waitFor('an answer or a crash', async () => cluster.apiserverCrash() !== undefined || (await answers()));
      if (crashes === CRASHES || !cluster.apiserverCrash()?.includes('concurrent map')) throw error;
      await cluster.startApiserver({ release });
    }
  }
}

/** Starts the API server, with nothing but the backstop in force. */
export async function setUp(): Promise<void> {
  cluster = await startControlPlane(join(dir, 'cluster'));
  for (const namespace of ['openshell-system', 'agents', 'elsewhere']) await kubectl('create', 'namespace', namespace);
  for (const namespace of ['agents', 'elsewhere']) {
    // The controller that makes it does not run here.
    await kubectl('create', 'serviceaccount', 'default', '-n', namespace);
  }
  await kubectl('create', 'serviceaccount', 'openshell-sandbox', '-n', 'agents');
  await kubectl('label', 'namespace', 'agents', 'openshell.ai/sideload=enabled');
  await apply('alone');
  await waitFor('the policy is in force', async () => (await create(sandbox())).reason === 'not-sideloaded');
}

export async function tearDown(): Promise<void> {
  connections.destroy();
  await cluster?.stop();
}
