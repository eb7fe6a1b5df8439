/**
 * The component autoscaling with a real kube-controller-manager: there is no metrics-server here, as on many clusters, so what is
 * shown is that the autoscaler says so, keeps its bounds, and does no harm; and that nothing sets the number of replicas back.
 */

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findControllers } from './cluster/binaries.ts';
import { type ControlPlane, openControlPlane } from './cluster/control-plane.ts';
import { startControllerManager } from './cluster/controllers.ts';
import { type Process, start, waitFor } from './cluster/process.ts';
import { writeKustomization } from './kustomization.ts';

const _MANIFESTS = fileURLToPath(new URL('../../manifests', import.meta.url));
const SYSTEM = ['-n', 'openshell-system'];

const dir = mkdtempSync(join(tmpdir(), 'sideload-autoscaling-'));
let cluster: ControlPlane;
let controllers: Process;

const BASE = writeKustomization(join(dir, 'base'), 'base');
const AUTOSCALED = writeKustomization(join(dir, 'autoscaled'), 'base', ['autoscaling']);

const apply = (folder: string): Promise<string> => cluster.run(['apply', '--validate=strict', '-k', folder]);
const scale = (replicas: number): Promise<string> =>
  cluster.run(['scale', 'deployment/openshell-sideload', ...SYSTEM, `--replicas=${replicas}`]);
const read = async (kind: string) => JSON.parse(await cluster.run(['get', kind, 'openshell-sideload', ...SYSTEM, '-o', 'json']));
const replicas = async (): Promise<number> => (await read('deployment')).spec.replicas;
/** Waits until the autoscaler has seen so many replicas, and there still are as many. */
const isLeftAt = (count: number): Promise<void> =>
  waitFor(
    `an autoscaler that leaves ${count} replicas`,
    async () => (await read('horizontalpodautoscaler')).status.currentReplicas === count && (await replicas()) === count,
    [controllers],
  );

beforeAll(async () => {
  cluster = await openControlPlane(join(dir, 'cluster'));
  controllers = startControllerManager(findControllers().controllerManager, cluster, dir, (name, command, args, logFile) =>
    // Instead of 15 s.
    start(name, command, [...args, '--horizontal-pod-autoscaler-sync-period=1s'], logFile),
  );
});

afterAll(async () => {
  await controllers?.stop();
  await cluster?.stop();
});

describe('without metrics', () => {
  it('brings a fresh installation to its least number of replicas', async () => {
    await apply(AUTOSCALED);
    await isLeftAt(2);
  });

  it('says what is missing', async () => {
    const isTold = async (): Promise<boolean> =>
      (await read('horizontalpodautoscaler')).status.conditions.some(
        ({ type, status, reason }: Record<string, string>) =>
          type === 'ScalingActive' && status === 'False' && reason === 'FailedGetResourceMetric',
      );
    await waitFor('a condition about the metrics', isTold, [controllers]);
  });

  it('leaves more replicas as they are, also when the manifests are applied again', async () => {
    await scale(5);
    await isLeftAt(5);
    await apply(AUTOSCALED);
    expect(await replicas()).toBe(5);
    await isLeftAt(5);
  });

  it('never lets them be fewer, or more than its most', async () => {
    await scale(1);
    await isLeftAt(2);
    await scale(12);
    await isLeftAt(10);
  });
});

describe('an installation that had its number of replicas from manifests/base', () => {
  it('falls to one replica when kubectl takes the number away, until the autoscaler looks', async () => {
    await apply(BASE);
    expect(await replicas()).toBe(2);
    await controllers.stop();
    await apply(AUTOSCALED);
    expect(await replicas()).toBe(1);
  });

  it('keeps them when the number is taken from what was applied last', async () => {
    await apply(BASE);
    const applied = JSON.parse(await cluster.run(['apply', 'view-last-applied', 'deployment/openshell-sideload', ...SYSTEM, '-o', 'json']));
    delete applied.spec.replicas;
    await cluster.run(['apply', 'set-last-applied', '-f', '-'], JSON.stringify(applied));
    await apply(AUTOSCALED);
    expect(await replicas()).toBe(2);
  });
});
