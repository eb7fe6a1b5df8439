/** kubectl: run, debug, and changes of what is there. */

import { beforeAll, describe, expect, it } from 'vitest';
import { agent, sandbox } from '../../pods.ts';
import { method } from '../../refusals.ts';
import { isSideloaded } from '../../sideloaded.ts';
import type { KubectlResult } from '../cluster/control-plane.ts';
import {
  answersFor,
  cluster,
  containerOf,
  createAll,
  INSTALL,
  installerOf,
  kubectl,
  LABEL,
  NO_ENTRYPOINT,
  podsOf,
  readPod,
  SUPERVISOR,
  stored,
  workload,
} from './stage.ts';

describe('kubectl run', () => {
  const SANDBOX = `--labels=${LABEL}=true`;
  const runPod = (name: string, ...args: string[]): Promise<KubectlResult> =>
    cluster.kubectl([
      'run',
      name,
      '--image=registry.example/agent:1',
      '-n',
      'agents',
      '--annotations=openshell.ai/policy=agent-policy',
      ...args,
    ]);

  it('without a label stores a pod as it is', async () => {
    expect((await runPod('run-plain', '--command', '--', 'agent')).code).toBe(0);
    expect(containerOf(await readPod('run-plain'), 'run-plain').command).toEqual(['agent']);
  });

  it('with the label and --command stores a sandbox', async () => {
    expect((await runPod('run-command', SANDBOX, '--command', '--', 'agent', '-x')).code).toBe(0);
    const pod = await readPod('run-command');
    expect(containerOf(pod, 'run-command')).toMatchObject({ command: SUPERVISOR, args: ['--', 'agent', '-x'] });
    expect(isSideloaded(pod)).toBe(true);
  });

  it('with the label alone stores a sandbox that starts the supervisor’s shell, and warns', async () => {
    expect((await runPod('run-image', SANDBOX)).stderr).toContain('Warning: container "run-image" has no command');
    const { command, args } = containerOf(await readPod('run-image'), 'run-image');
    expect([command, args]).toEqual([SUPERVISOR, undefined]);
  });

  it('with the label and words that are no --command is refused: they are args', async () => {
    const { code, stderr } = await runPod('run-args', SANDBOX, '--', 'agent');
    expect([code, stderr]).toEqual([1, expect.stringContaining(NO_ENTRYPOINT.replace('"agent"', '"run-args"'))]);
  });

  it('with --overrides stores what they ask for', async () => {
    const overrides = {
      metadata: { annotations: { ...method('init-container'), 'openshell.ai/policy': 'agent-policy' } },
      spec: { hostUsers: false },
    };
    await runPod('run-overrides', SANDBOX, `--overrides=${JSON.stringify(overrides)}`, '--command', '--', 'agent');
    const pod = await readPod('run-overrides');
    expect(installerOf(pod)).toBeDefined();
    expect(pod.spec.hostUsers).toBe(false);
    expect(isSideloaded(pod)).toBe(true);
  });

  it('with --dry-run=server prints the sandbox and stores nothing', async () => {
    const { stdout } = await runPod('run-dry', SANDBOX, '--dry-run=server', '-o', 'json', '--command', '--', 'agent');
    expect(isSideloaded(JSON.parse(stdout))).toBe(true);
    expect((await cluster.kubectl(['get', 'pod', 'run-dry', '-n', 'agents'])).stderr).toContain('NotFound');
  });
});

describe('kubectl debug', () => {
  const debug = (...args: string[]): Promise<string> => kubectl(['debug', 'debugged', '-n', 'agents', ...args]);
  const DEBUGGER = ['--image=registry.example/tools:1', '--container=tools'];
  const ALONE = '--share-processes=false';

  beforeAll(async () => {
    const { metadata, ...pod } = sandbox({ annotations: method('init-container') });
    await createAll({ apiVersion: 'v1', kind: 'Pod', ...pod, metadata: { ...metadata, name: 'debugged' } });
  });

  it('adds an ephemeral container outside the supervisor, and the webhook is not called', async () => {
    await debug(...DEBUGGER, '--target=agent', '--', 'sh');
    const pod = await readPod('debugged');
    expect(pod.spec.ephemeralContainers).toMatchObject([{ name: 'tools', command: ['sh'], targetContainerName: 'agent' }]);
    expect(isSideloaded(pod)).toBe(true);
    expect(await answersFor(pod), 'when it was created').toEqual(['injected', 'already-sideloaded']);
  });

  it('copies the pod without labels: not a sandbox any more, and stored with the supervisor that it had', async () => {
    await debug(...DEBUGGER, '--copy-to=copied', '--', 'sh');
    const pod = await readPod('copied');
    expect(pod.metadata.labels).toBeUndefined();
    expect(containerOf(pod)).toMatchObject({ command: SUPERVISOR, args: ['--', 'agent'] });
    expect(containerOf(pod, 'tools')).toMatchObject({ command: ['sh'] });
    expect(await answersFor(pod)).toEqual([]);
  });

  it('copies the pod with its labels: left unchanged, since it has its supervisor', async () => {
    await debug(...DEBUGGER, '--copy-to=copied-labels', '--keep-labels', ALONE, '--', 'sh');
    const pod = await readPod('copied-labels');
    expect(await answersFor(pod)).toEqual(['already-sideloaded']);
    expect(containerOf(pod)).toMatchObject({ command: SUPERVISOR, args: ['--', 'agent'] });
  });

  it('copies no pod with its labels into a shared PID namespace, in which the copy could replace the supervisor', async () => {
    await expect(debug(...DEBUGGER, '--copy-to=copied-shared', '--keep-labels', '--', 'sh')).rejects.toThrow(
      'container "tools" shares a PID namespace with the others (shareProcessNamespace)',
    );
  });

  it('copies the pod with its labels and another command: the supervisor starts that', async () => {
    await debug('--container=agent', '--copy-to=copied-command', '--keep-labels', '--', 'sh');
    const pod = await readPod('copied-command');
    expect(containerOf(pod)).toMatchObject({ command: SUPERVISOR, args: ['--', 'sh'] });
    expect(pod.spec.initContainers).toHaveLength(1);
    expect(isSideloaded(pod)).toBe(true);
  });

  it('copies the pod without labels and with another command: that runs with the supervisor’s rights, outside it', async () => {
    await debug('--container=agent', '--copy-to=copied-bare', '--', 'sh');
    const pod = await readPod('copied-bare');
    expect(containerOf(pod)).toMatchObject({ command: ['sh'], securityContext: { runAsUser: 0 } });
    expect(await answersFor(pod)).toEqual([]);
  });

  it('copies the pod with its labels and no init containers: the install container is added again', async () => {
    await debug(...DEBUGGER, '--copy-to=copied-init', '--keep-labels', '--keep-init-containers=false', ALONE, '--', 'sh');
    const pod = await readPod('copied-init');
    expect(pod.spec.initContainers?.map(({ name }) => name)).toEqual([INSTALL]);
    expect(isSideloaded(pod)).toBe(true);
    expect((await answersFor(pod))[0]).toBe('converged');
  });
});

describe('kubectl on what is there', () => {
  const manifest = JSON.stringify({ apiVersion: 'v1', kind: 'Pod', ...sandbox() });
  const onAgents = (...args: string[]): Promise<string> => kubectl([...args, '-n', 'agents']);
  const SPEC = ['-o', 'jsonpath={.spec}'];

  it('apply --server-side of a bare pod a second time is refused by the API server, replace --force stores a new sandbox', async () => {
    const apply = ['apply', '--server-side', '-f', '-'];
    await kubectl(apply, manifest);
    expect((await cluster.kubectl(apply, manifest)).stderr).toContain('pod updates may not change fields other than');
    const { uid } = (await readPod('sandbox')).metadata as { uid?: string };
    await kubectl(['replace', '--force', '-f', '-'], manifest);
    const pod = await readPod('sandbox');
    expect((pod.metadata as { uid?: string }).uid).not.toBe(uid);
    expect(isSideloaded(pod)).toBe(true);
  });

  it('annotate, label and set image on a sandbox change nothing of the supervisor, and the webhook is not called', async () => {
    await createAll({ apiVersion: 'v1', kind: 'Pod', ...sandbox(), metadata: { ...sandbox().metadata, name: 'changed' } });
    await onAgents('annotate', 'pod', 'changed', 'openshell.ai/sideload-method=init-container');
    await onAgents('label', 'pod', 'changed', `${LABEL}=false`, '--overwrite');
    await onAgents('set', 'image', 'pod/changed', 'agent=registry.example/agent:2');
    const pod = await readPod('changed');
    expect(containerOf(pod)).toMatchObject({ image: 'registry.example/agent:2', command: SUPERVISOR, args: ['--', 'agent'] });
    expect(await answersFor(pod), 'when it was created').toEqual(['injected']);
  });

  it('label makes no sandbox of a pod that is there', async () => {
    const { metadata } = await stored(sandbox({ labels: {} }));
    const name = metadata.name ?? '';
    const before = await onAgents('get', 'pod', name, ...SPEC);
    await onAgents('label', 'pod', name, `${LABEL}=true`);
    expect(await onAgents('get', 'pod', name, ...SPEC)).toBe(before);
  });

  it('apply, diff, rollout restart and set image work on a Deployment as without the webhook', async () => {
    const deployment = JSON.stringify(workload('Deployment', 'updated', agent()));
    await kubectl(['apply', '-f', '-'], deployment);
    const [first] = await podsOf('updated');
    expect(await kubectl(['apply', '-f', '-'], deployment)).toBe('deployment.apps/updated unchanged\n');
    expect(await cluster.kubectl(['diff', '-f', '-'], deployment)).toMatchObject({ code: 0, stdout: '' });
    await onAgents('rollout', 'restart', 'deployment/updated');
    const restarted = await podsOf('updated', ({ metadata }) => 'kubectl.kubernetes.io/restartedAt' in (metadata.annotations ?? {}));
    await onAgents('set', 'image', 'deployment/updated', 'agent=registry.example/agent:2');
    const renewed = await podsOf('updated', (pod) => containerOf(pod).image === 'registry.example/agent:2');
    expect([first ?? {}, ...restarted, ...renewed].map((pod) => isSideloaded(pod))).toEqual([true, true, true]);
  });
});
