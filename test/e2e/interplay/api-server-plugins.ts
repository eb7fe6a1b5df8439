/** The API server's own plugins, and fields that it fills in. */

import { describe, expect, it } from 'vitest';
import { sandbox } from '../../pods.ts';
import { method } from '../../refusals.ts';
import { isSideloaded } from '../../sideloaded.ts';
import { answersFor, containerOf, createAll, installerOf, kubectl, logLines, METHODS, type Stored, stored, TOKENLESS } from './stage.ts';

describe("the API server's own plugins", () => {
  it('keep what they wrote before this webhook: token, priority, runtime class, tolerations', async () => {
    const overhead = { podFixed: { cpu: '250m', memory: '64Mi' } };
    const scheduling = { nodeSelector: { sandboxed: 'yes' } };
    await createAll(
      { apiVersion: 'scheduling.k8s.io/v1', kind: 'PriorityClass', metadata: { name: 'agents' }, value: 1000 },
      { apiVersion: 'node.k8s.io/v1', kind: 'RuntimeClass', metadata: { name: 'sandboxed' }, handler: 'runsc', overhead, scheduling },
    );
    const classes: object = { priorityClassName: 'agents', runtimeClassName: 'sandboxed' };
    const pod = await stored(sandbox({ spec: classes }));
    const seconds = { effect: 'NoExecute', operator: 'Exists', tolerationSeconds: 300 };
    expect(pod.spec).toMatchObject({
      ...classes,
      priority: 1000,
      overhead: overhead.podFixed,
      nodeSelector: scheduling.nodeSelector,
      tolerations: [
        { ...seconds, key: 'node.kubernetes.io/not-ready' },
        { ...seconds, key: 'node.kubernetes.io/unreachable' },
      ],
    });
    const [token] = pod.spec.volumes ?? [];
    expect(token).toMatchObject({ name: expect.stringMatching(/^kube-api-access-/), projected: {} });
    expect(containerOf(pod).volumeMounts).toMatchObject([
      { name: token?.name, mountPath: '/var/run/secrets/kubernetes.io/serviceaccount' },
      { name: 'openshell-supervisor-bin', mountPath: '/opt/openshell/bin' },
    ]);
    expect(isSideloaded(pod)).toBe(true);
    expect(await answersFor(pod), 'none of them changed it again').toEqual(['injected']);
  });

  it('run again after this webhook: the install container gets the token, and this webhook is called again', async () => {
    const pod = await stored(sandbox({ annotations: method('init-container') }));
    expect(installerOf(pod)?.volumeMounts?.map(({ mountPath }) => mountPath)).toEqual([
      '/opt/openshell/bin',
      '/var/run/secrets/kubernetes.io/serviceaccount',
    ]);
    expect(isSideloaded(pod)).toBe(true);
    expect(await answersFor(pod)).toEqual(['injected', 'already-sideloaded']);
  });

  it('have nothing to add to a pod without a token', async () => {
    const pod = await stored(sandbox({ annotations: method('init-container'), spec: TOKENLESS }));
    expect(installerOf(pod)?.volumeMounts?.map(({ mountPath }) => mountPath)).toEqual(['/opt/openshell/bin']);
    expect(pod.spec.volumes?.map(({ name }) => name)).toEqual(['openshell-supervisor-bin']);
    expect(await answersFor(pod)).toEqual(['injected']);
  });
});

describe('a pod in a user namespace', () => {
  it.each(METHODS)('is stored with the capabilities that it needs there, by method %s', async (by) => {
    const pod = await stored(sandbox({ annotations: method(by), spec: { hostUsers: false } }));
    expect(pod.spec.hostUsers).toBe(false);
    expect(containerOf(pod).securityContext?.capabilities?.add).toEqual([
      ...['SYS_ADMIN', 'NET_ADMIN', 'SYS_PTRACE', 'SYSLOG'],
      ...['SETUID', 'SETGID', 'DAC_READ_SEARCH'],
    ]);
    expect(isSideloaded(pod)).toBe(true);
  });
});

it('a pod with generateName is stored under the name that it gets', async () => {
  const { metadata, spec } = sandbox();
  const { name, ...unnamed } = metadata ?? {};
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { ...unnamed, generateName: 'generated-' }, spec };
  const result = JSON.parse(await kubectl(['create', '-o', 'json', '-f', '-'], JSON.stringify(pod))) as Stored;
  expect(result.metadata.name).toMatch(/^generated-.{5}$/);
  expect(isSideloaded(result)).toBe(true);
  expect(await logLines()).toContainEqual(expect.objectContaining({ generateName: 'generated-', reason: 'injected' }));
});
