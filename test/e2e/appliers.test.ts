/**
 * Programs that apply the manifests again and again, as Argo CD and Flux do, beside the webhook, which writes caBundle, and
 * beside AKS, which writes selectors: on a real API server, with the names and the way to apply of each, and with the comparison
 * of Argo CD. The programs themselves are not run.
 */

import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { V1MutatingWebhook } from '@kubernetes/client-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { enforceAdmissions } from './admissions-enforcer.ts';
import { CHART, find, type KubernetesObject, objectsOf } from './chart.ts';
import { findArgoCdDiff, isOutOfSync } from './cluster/argo-cd-diff.ts';
import { type ControlPlane, openControlPlane } from './cluster/control-plane.ts';
import { gitopsDefinitions } from './cluster/gitops.ts';
import { freePorts, type Process, start, waitFor } from './cluster/process.ts';
import { writeKustomization } from './kustomization.ts';
import { kubeconfigOf } from './webhook.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const MANIFESTS = fileURLToPath(new URL('../../manifests', import.meta.url));
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const EXAMPLES = join(ROOT, 'examples/gitops');
const NAME = 'openshell-sideload';
const dir = mkdtempSync(join(tmpdir(), 'sideload-appliers-'));
let cluster: ControlPlane;
let webhook: Process | undefined;

/** manifests/base with components. */
const overlay = (name: string, ...components: string[]): string => writeKustomization(join(dir, name), 'base', components);

interface ManagedFields {
  readonly manager: string;
  readonly fieldsV1: object;
}

async function configuration() {
  const text = await cluster.run(['get', 'mutatingwebhookconfiguration', NAME, '-o', 'json', '--show-managed-fields']);
  const { metadata, webhooks } = JSON.parse(text);
  const managers = (field: string): string[] =>
    (metadata.managedFields as ManagedFields[])
      .filter(({ fieldsV1 }) => JSON.stringify(fieldsV1).includes(`"f:${field}"`))
      .map(({ manager }) => manager)
      .sort();
  return { generation: metadata.generation as number, webhooks, managers };
}

async function isWritten(): Promise<boolean> {
  const { webhooks } = await configuration();
  return webhooks.every(({ clientConfig }: V1MutatingWebhook) => clientConfig.caBundle !== undefined);
}

beforeAll(async () => {
  findArgoCdDiff();
  cluster = await openControlPlane(dir);
  await cluster.run(['apply', '--server-side', '-k', join(MANIFESTS, 'base')]);
  const definitions = gitopsDefinitions();
  // Too large for an annotation of client-side apply.
  await cluster.run(['apply', '--server-side', ...definitions.flatMap((file) => ['-f', file])]);
  await cluster.run(['wait', '--for=condition=Established', ...definitions.flatMap((file) => ['-f', file]), '--timeout=60s']);
  const [port = 0, adminPort = 0] = await freePorts(2);
  const kubeconfig = join(dir, 'webhook.kubeconfig');
  writeFileSync(kubeconfig, await kubeconfigOf(cluster));
  const flags = ['--certificates=self-managed', `--port=${port}`, `--admin-port=${adminPort}`, '--bind-address=127.0.0.1'];
  webhook = start(NAME, process.execPath, [MAIN, ...flags, '--shutdown-delay=0'], join(dir, 'webhook.log'), {
    ...process.env,
    KUBECONFIG: kubeconfig,
  });
  await waitFor('caBundle', isWritten, [webhook]);
});

afterAll(async () => {
  await webhook?.stop();
  await cluster?.stop();
});

describe('on AKS', () => {
  const apply = (folder: string, ...args: string[]) => cluster.kubectl(['apply', '--server-side', '-k', folder, ...args]);

  it('the manifests conflict with its enforcer if they lack its selectors', async () => {
    expect(await argoCdSeesDifference(join(MANIFESTS, 'base'))).toBe(false);
    expect(await enforceAdmissions(cluster, NAME)).toBe(true);
    expect(await argoCdSeesDifference(join(MANIFESTS, 'base'))).toBe(true);
    const { code, stderr } = await apply(join(MANIFESTS, 'base'));
    expect([code, stderr]).toEqual([1, expect.stringMatching(/conflicts with "admissionsenforcer"[\s\S]*\.namespaceSelector/)]);
  });

  it('and conflict no more once they have them: the enforcer has nothing to add', async () => {
    expect(await apply(overlay('aks', 'aks'), '--force-conflicts')).toMatchObject({ code: 0 });
    const before = await configuration();
    expect(await enforceAdmissions(cluster, NAME)).toBe(false);
    expect(await apply(join(dir, 'aks'))).toMatchObject({ code: 0 });
    expect(await argoCdSeesDifference(join(dir, 'aks'))).toBe(false);
    const after = await configuration();
    expect([after.generation, after.webhooks]).toEqual([before.generation, before.webhooks]);
  });

  it('and have none from the start', async () => {
    await cluster.run(['delete', 'mutatingwebhookconfiguration', NAME]);
    expect(await apply(join(dir, 'aks'))).toMatchObject({ code: 0 });
    expect(await enforceAdmissions(cluster, NAME)).toBe(false);
    expect(await apply(join(dir, 'aks'))).toMatchObject({ code: 0 });
    await waitFor('caBundle', isWritten, [webhook as Process]);
  });
});

/** What Argo CD says of the live webhook configuration, beside manifests/base with these components. */
async function argoCdSeesDifference(folder: string): Promise<boolean> {
  const config = find(objectsOf(await cluster.run(['kustomize', folder])), 'MutatingWebhookConfiguration');
  return isOutOfSync(config, JSON.parse(await cluster.run(['get', 'mutatingwebhookconfiguration', NAME, '-o', 'json'])));
}

describe('applying the manifests again', () => {
  it.each([
    { who: 'kubectl', args: ['--server-side', '--field-manager=kubectl'] },
    { who: 'Argo CD with ServerSideApply=true', args: ['--server-side', '--field-manager=argocd-controller', '--force-conflicts'] },
    { who: 'Flux', args: ['--server-side', '--field-manager=kustomize-controller', '--force-conflicts'] },
    { who: 'Argo CD, or kubectl without --server-side', args: ['--field-manager=argocd-controller'] },
  ])('changes nothing, and leaves caBundle to the webhook: $who', async ({ args }) => {
    const before = await configuration();
    await cluster.run(['apply', ...args, '-k', join(dir, 'aks')]);
    const after = await configuration();
    // The API server counts every change of an entry.
    expect([after.generation, after.webhooks]).toEqual([before.generation, before.webhooks]);
    expect(after.managers('caBundle')).toEqual([NAME]);
    expect(await argoCdSeesDifference(join(dir, 'aks'))).toBe(false);
  });
});

describe('examples/gitops', () => {
  it.each(['argo-cd.yaml', 'flux.yaml'])('%s has only members that its program knows', async (file) => {
    const example = join(EXAMPLES, file);
    for (const namespace of new Set(objectsOf(readFileSync(example, 'utf8')).map(({ metadata }) => metadata.namespace ?? '')))
      await cluster.run(['create', 'namespace', namespace]);
    await cluster.run(['create', '--validate=strict', '-f', example]);
  });

  it('names parts of this repository, and the ways to apply that are shown above', () => {
    const read = (file: string): KubernetesObject[] => objectsOf(readFileSync(join(EXAMPLES, file), 'utf8'));
    const { source, syncPolicy } = find(read('argo-cd.yaml'), 'Application').spec;
    expect(join(ROOT, source.path, '/')).toBe(join(CHART, '/'));
    expect(syncPolicy.syncOptions).toEqual(['CreateNamespace=true', 'ServerSideApply=true']);
    const { path, components } = find(read('flux.yaml'), 'Kustomization').spec;
    for (const folder of [path, ...components.map((component: string) => join(path, component))])
      expect(existsSync(join(ROOT, folder, 'kustomization.yaml')), folder).toBe(true);
  });
});
