/** Another mutating webhook, called before or after this one. */

import { compare } from 'fast-json-patch';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Pod } from '../../../src/sideload/pod.ts';
import { agent, sandbox } from '../../pods.ts';
import { method } from '../../refusals.ts';
import { isSideloaded } from '../../sideloaded.ts';
import { waitFor } from '../cluster/process.ts';
import { type OtherWebhook, serveOtherWebhook } from '../other-webhook.ts';
import { INJECTORS, type MutableSpec, PROXY, WRAPPER } from './injectors.ts';
import {
  answersFor,
  containerOf,
  create,
  createAll,
  dir,
  INSTALL,
  installerOf,
  kubectl,
  LABEL,
  METHODS,
  refusal,
  type Stored,
  SUPERVISOR,
  stored,
  TOKENLESS,
  webhook,
} from './stage.ts';

describe('another mutating webhook', () => {
  let injectors: OtherWebhook;

  /** A sandbox that goes through an injector before or after ours. */
  const through = (injector: string, position: 'before' | 'after', parts: Parameters<typeof sandbox>[0] = {}): Pod =>
    sandbox({ ...parts, labels: { [LABEL]: 'true', [position]: injector } });

  beforeAll(async () => {
    injectors = await serveOtherWebhook(dir, (pod, path) => {
      const injected = structuredClone(pod) as { spec: MutableSpec };
      INJECTORS[path.slice(1)]?.(injected.spec);
      return compare(pod, injected);
    });
    // The API server calls configurations in the order of their names.
    const configurations = { before: 'aa-injectors', after: 'zz-injectors' };
    await createAll(
      ...Object.entries(configurations).map(([position, name]) => ({
        apiVersion: 'admissionregistration.k8s.io/v1',
        kind: 'MutatingWebhookConfiguration',
        metadata: { name },
        webhooks: Object.keys(INJECTORS).map((injector) => ({
          name: `${injector}.${position}.example`,
          admissionReviewVersions: ['v1'],
          sideEffects: 'None',
          failurePolicy: 'Fail',
          clientConfig: injectors.clientConfig(`/${injector}`),
          rules: [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods'] }],
          objectSelector: { matchLabels: { [position]: injector } },
        })),
      })),
    );
    for (const position of ['before', 'after'] as const) {
      const isCalled = async (): Promise<boolean> =>
        (await stored(through('native-sidecar', position), 'agents', ['--dry-run=server'])).spec.initContainers !== undefined;
      await waitFor(`the webhooks ${position} ours are called`, isCalled, [webhook]);
    }
  });

  afterAll(async () => {
    await kubectl(['delete', 'mutatingwebhookconfiguration', 'aa-injectors', 'zz-injectors']);
    injectors.close();
  });

  describe('that puts its container first, before this webhook,', () => {
    it.each([
      { why: 'by its name', annotations: undefined, name: 'agent' },
      { why: 'by the annotation', annotations: { 'openshell.ai/sandbox-container': 'main' }, name: 'main' },
    ])('leaves a sandbox container that is known $why under the supervisor', async ({ annotations, name }) => {
      const pod = await stored(
        through('proxy-first', 'before', { ...(annotations ? { annotations } : {}), spec: { containers: [agent({ name })] } }),
      );
      expect(pod.spec.containers?.map((container) => [container.name, container.command, container.args])).toEqual([
        ['proxy', undefined, ['serve']],
        [name, SUPERVISOR, ['--', 'agent']],
      ]);
      expect(isSideloaded(pod)).toBe(true);
    });

    it('leaves a sandbox container under the supervisor that it names as the default one', async () => {
      const annotations = { 'kubectl.kubernetes.io/default-container': 'main' };
      const pod = await stored(
        through('proxy-with-command-first', 'before', { annotations, spec: { containers: [agent({ name: 'main' })] } }),
      );
      expect(containerOf(pod, 'proxy').command).not.toEqual(SUPERVISOR);
      expect(containerOf(pod, 'main').command).toEqual(SUPERVISOR);
      expect(isSideloaded(pod)).toBe(true);
    });

    it('stands where a sandbox container was that is known only as the first: refused, as it has no command', async () => {
      const pod = through('proxy-first', 'before', { spec: { containers: [agent({ name: 'main' })] } });
      expect(await refusal(pod)).toContain('container "proxy" has args but no command');
    });

    it('stands where a sandbox container was that is known only as the first: with a command it is the sandbox, and a warning says so', async () => {
      const { code, stdout, stderr } = await create(
        through('proxy-with-command-first', 'before', {
          annotations: { 'openshell.ai/policy': 'agent-policy' },
          spec: { containers: [agent({ name: 'main' })] },
        }),
      );
      expect(code, stderr).toBe(0);
      expect(stderr).toContain('Warning: only container "proxy" runs under the supervisor, not "main"');
      const pod = JSON.parse(stdout) as Stored;
      expect(containerOf(pod, 'proxy').command).toEqual(SUPERVISOR);
      expect(containerOf(pod, 'main').command).toEqual(['agent']);
    });
  });

  describe.each(METHODS)('that puts a native sidecar first, beside method %s,', (by) => {
    const initContainers = by === 'init-container' ? ['proxy', INSTALL] : ['proxy'];
    it.each([
      { position: 'before', answers: ['injected'] },
      { position: 'after', answers: ['injected', 'already-sideloaded'] },
    ] as const)('$position this webhook, has it stored as it is, ahead of what we add', async ({ position, answers }) => {
      const parts = { annotations: method(by), spec: TOKENLESS };
      const { stdout, stderr } = await create(through('native-sidecar', position, parts));
      expect(stderr).toBe('Warning: only container "agent" runs under the supervisor, not "proxy"\n');
      const pod = JSON.parse(stdout) as Stored;
      expect(pod.spec.initContainers?.map(({ name }) => name)).toEqual(initContainers);
      expect(pod.spec.initContainers?.[0]).toMatchObject({ ...PROXY, args: ['serve'], restartPolicy: 'Always' });
      expect(pod.spec.initContainers?.[0]?.securityContext).toBeUndefined();
      expect(containerOf(pod)).toMatchObject({ command: SUPERVISOR, args: ['--', 'agent'] });
      expect(isSideloaded(pod)).toBe(true);
      expect(await answersFor(pod)).toEqual(answers);
    });
  });

  it.each(['before', 'after'] as const)(
    'that has probes ask its proxy, %s ours, has them refused: nothing reaches the program',
    async (position) => {
      const probed = agent({ readinessProbe: { httpGet: { port: 80 } } });
      expect(await refusal(through('probes', position, { spec: { containers: [probed] } }))).toContain('it always fails; use exec');
    },
  );

  describe('that adds a variable to every container', () => {
    it('after this webhook, has it stored in the sandbox container, and taken out of the install container', async () => {
      const pod = await stored(through('variable-everywhere', 'after', { annotations: method('init-container') }));
      expect(containerOf(pod).env).toContainEqual({ name: 'TRACE_ENDPOINT', value: 'http://trace:4317' });
      expect(installerOf(pod)?.env).toBeUndefined();
      expect(isSideloaded(pod)).toBe(true);
      expect(await answersFor(pod)).toEqual(['injected', 'converged']);
    });

    it.each(METHODS)('after this webhook, has a pod refused when the variable loads other code, by method %s', async (by) => {
      const preloaded = through('preload-everywhere', 'after', { annotations: method(by) });
      expect(await refusal(preloaded)).toContain('container "agent" sets "LD_PRELOAD", which loads code');
    });
  });

  describe('that starts programs through its own', () => {
    it.each(METHODS)('before this webhook, is under the supervisor with the program, by method %s', async (by) => {
      const pod = await stored(through('wrapper-everywhere', 'before', { annotations: method(by) }));
      expect(containerOf(pod)).toMatchObject({ command: SUPERVISOR, args: ['--', WRAPPER, 'agent'] });
      expect(isSideloaded(pod)).toBe(true);
    });

    it('after this webhook, is started by the supervisor in front, and the one behind it is gone', async () => {
      const pod = await stored(through('wrapper', 'after'));
      expect(containerOf(pod)).toMatchObject({ command: SUPERVISOR, args: ['--', WRAPPER, 'agent'] });
      expect(isSideloaded(pod)).toBe(true);
      expect(await answersFor(pod)).toEqual(['injected', 'converged']);
    });

    it('after this webhook, has a pod refused whose install container it wraps too', async () => {
      expect(await refusal(through('wrapper-everywhere', 'after', { annotations: method('init-container') }))).toContain(
        `init container "${INSTALL}" does more than copy the supervisor`,
      );
    });
  });
});
