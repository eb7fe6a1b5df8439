/** `openshell-sideload explain` and `version` against a real API server, with the webhook's Deployment installed. */

import { spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Pod } from '../../src/sideload/pod.ts';
import { sandbox } from '../pods.ts';
import { type ControlPlane, openControlPlane } from './cluster/control-plane.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const dir = mkdtempSync(join(tmpdir(), 'sideload-explain-'));
let cluster: ControlPlane;

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly lines: string[];
  readonly stderr: string;
}

function run(args: readonly string[], env: Record<string, string> = { KUBECONFIG: cluster.kubeconfig }): Ended {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], {
    env: { PATH: process.env.PATH ?? '', ...env },
    encoding: 'utf8',
  });
  return { code: status, stdout, lines: stdout.trimEnd().split('\n'), stderr };
}

const explain = (args: readonly string[], env?: Record<string, string>): Ended => run(['explain', ...args], env);

async function create(namespace: string, pod: Pod): Promise<void> {
  const metadata = { ...pod.metadata, name: 'sandbox', namespace };
  await cluster.run(['create', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'Pod', ...pod, metadata }));
}

/** A Deployment with a pod, as its controllers make them, which do not run here; and one that is labelled where it does not count. */
async function createWorkloads(): Promise<void> {
  const template = { metadata: { labels: { app: 'web', 'openshell.ai/sandbox': 'true' } }, spec: sandbox().spec };
  const owner = (kind: string, apiVersion: string, name: string, uid: string) => ({ apiVersion, kind, name, uid, controller: true });

  async function apply(object: object): Promise<string> {
    return (await cluster.run(['create', '-f', '-', '-o', 'jsonpath={.metadata.uid}'], JSON.stringify(object))).trim();
  }

  const selector = { matchLabels: { app: 'web' } };
  const metadata = { name: 'web', namespace: 'agents' };
  const deployment = await apply({ apiVersion: 'apps/v1', kind: 'Deployment', metadata, spec: { selector, template } });
  // As the controllers make them, which do not run here.
  const set = await apply({
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: { name: 'web-1', namespace: 'agents', ownerReferences: [owner('Deployment', 'apps/v1', 'web', deployment)] },
    spec: { selector, template },
  });
  const ownerReferences = [owner('ReplicaSet', 'apps/v1', 'web-1', set)];
  await apply({
    apiVersion: 'v1',
    kind: 'Pod',
    ...template,
    metadata: { ...template.metadata, name: 'web-1-a', namespace: 'agents', ownerReferences },
  });
  const misplaced = { metadata: { labels: { app: 'web' } }, spec: template.spec };
  await apply({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'misplaced', namespace: 'agents', labels: { 'openshell.ai/sandbox': 'true' } },
    spec: { selector, template: misplaced },
  });
}

beforeAll(async () => {
  cluster = await openControlPlane(join(dir, 'cluster'));
  for (const namespace of ['agents', 'elsewhere', 'strict']) {
    await cluster.run(['create', 'namespace', namespace]);
    await cluster.run(['create', 'serviceaccount', 'default', '-n', namespace]);
    // Before the webhook is there, which does not run here: what is stored has no supervisor.
    await create(namespace, sandbox(namespace === 'strict' ? { annotations: { 'openshell.ai/policy': 'own' } } : {}));
  }
  await createWorkloads();
  await cluster.run(['label', 'namespace', 'agents', 'strict', 'openshell.ai/sideload=enabled']);
  await cluster.run(['label', 'namespace', 'strict', 'openshell.ai/policy-mode=enforced']);
});

afterAll(() => cluster?.stop());

describe('explain pod', () => {
  it('says that the webhook is not installed', () => {
    const { code, lines } = explain(['pod', 'sandbox', '-n', 'agents']);
    expect([code, lines[0]]).toEqual([1, 'Pod agents/sandbox']);
    expect(lines).toContain('  ✗ webhook    the MutatingWebhookConfiguration does not exist');
    expect(lines.at(-1)).toBe('  → result     NOT under a supervisor: the webhook is not called, and the pod was stored unchanged');
  });

  it('says what would become of the pod, with the settings of the Deployment', async () => {
    await cluster.run(['apply', '-k', 'manifests/base']);
    await cluster.run([
      'set',
      'env',
      'deployment/openshell-sideload',
      '-n',
      'openshell-system',
      'OPENSHELL_SUPERVISOR_SIDELOAD_METHOD=auto',
    ]);
    const { code, lines, stderr } = explain(['pod', 'sandbox', '-n', 'agents']);
    expect([code, stderr]).toEqual([1, '']);
    expect(lines.map((line) => line.replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME'))).toEqual([
      'Pod agents/sandbox',
      '  ✓ namespace   agents carries openshell.ai/sideload=enabled',
      '  ✓ webhook     called by sandbox.sideload.openshell.ai',
      '  ✓ label       openshell.ai/sandbox: "true"',
      '  ✓ container   agent: its name',
      "  ✓ method      init-container: auto, the operator's (OPENSHELL_SUPERVISOR_SIDELOAD_METHOD)",
      '  ✓ supervisor  none yet',
      '  ✓ policy      files that OPENSHELL_POLICY_RULES and OPENSHELL_POLICY_DATA name',
      '  → result      NOT under a supervisor: created TIME, before the webhook was installed (TIME); recreate it',
      '  → recreated   injected: the supervisor was put into the pod',
    ]);
  });

  it('looks for no ConfigMap of a pod whose namespace enforces the policy', () => {
    const { lines } = explain(['pod', 'sandbox', '-n', 'strict']);
    expect(lines).toContain('  ✓ webhook     called by sandbox-enforced.sideload.openshell.ai');
    expect(lines.filter((line) => line.includes('policy files'))).toEqual([]);
    expect(lines.at(-1)).toContain('refused (policy-not-allowed, 403): this namespace enforces a policy');
  });

  it('says that the namespace did not opt in', () => {
    expect(explain(['pod', 'sandbox', '-n', 'elsewhere']).lines).toContain('  ✗ namespace  elsewhere has no label openshell.ai/sideload');
  });

  it.each([
    {
      why: 'there is no such pod',
      args: ['pod/nobody', '-n', 'agents'],
      says: 'cannot read Pod agents/nobody: pods "nobody" not found (404)',
    },
    { why: 'there is no such kind', args: ['deploi/web'], ends: 2, says: '"deploi": the API server has no such kind in namespaces' },
    { why: 'a kind is not in namespaces', args: ['node/a'], ends: 2, says: '"node": the API server has no such kind in namespaces' },
    {
      why: 'there are none',
      args: ['pods', '-l', 'app=none', '-n', 'agents'],
      says: 'nothing to explain: namespace agents has none with app=none',
    },
    { why: 'a name stands beside -A', args: ['pod/sandbox', '-A'], ends: 2, says: 'a name does not go together with -A or -l' },
    {
      why: 'there is no kubeconfig',
      args: ['pod/sandbox'],
      env: { HOME: '/nowhere' },
      ends: 2,
      says: 'there is no kubeconfig: set KUBECONFIG, write ~/.kube/config, or give --kubeconfig=FILE',
    },
  ])('ends with a message where $why', ({ args, env, says, ends = 1 }) => {
    const { code, stdout, stderr } = explain(args, env);
    expect(stderr).toContain(says);
    expect([code, stdout]).toEqual([ends, '']);
    expect(stderr.trimEnd().split('\n').length).toBeLessThanOrEqual(3);
  });
});

describe('explain KIND/NAME', () => {
  it.each(['deploy/web', 'deployment/web', 'deployments.apps/web', 'Deployment/web'])(
    '%s: the template, and the pods of its ReplicaSets',
    (target) => {
      const { code, lines } = explain([target, '-n', 'agents']);
      expect(lines.filter((line) => !line.startsWith('  ') && line !== '')).toEqual(['Deployment agents/web', 'Pod agents/web-1-a']);
      const [ofTemplate, ofPod] = lines.filter((line) => line.includes('→ result'));
      expect(ofTemplate).toMatch(/injected: the supervisor was put into the pod$/);
      expect(ofPod).toContain('NOT under a supervisor: created ');
      expect(code).toBe(1);
    },
  );

  it('takes several names, and a ReplicaSet', () => {
    expect(explain(['pods', 'sandbox', 'web-1-a', '-n', 'agents']).lines.filter((line) => line.startsWith('Pod'))).toEqual([
      'Pod agents/sandbox',
      'Pod agents/web-1-a',
    ]);
    expect(explain(['rs/web-1', '-n', 'agents']).lines).toContain('Pod agents/web-1-a');
  });

  it('says where the label of a workload does not count', () => {
    const { code, stdout } = explain(['deploy/misplaced', '-n', 'agents']);
    expect(stdout).toContain('✗ label');
    expect(stdout).toContain(
      'label openshell.ai/sandbox is at metadata.labels, which its pods do not get: move it to spec.template.metadata.labels',
    );
    expect(code).toBe(1);
  });

  it('explains all sandboxes, those of a namespace, and those that a selector matches', () => {
    const names = (...args: string[]): unknown[] => {
      const { stdout } = explain([...args, '-o', 'json']);
      return (JSON.parse(stdout) as { pods: { name: string }[] }).pods.map(({ name }) => name);
    };
    expect(names('pods', '-A').sort()).toEqual(['Pod agents/sandbox', 'Pod agents/web-1-a', 'Pod elsewhere/sandbox', 'Pod strict/sandbox']);
    expect(names('-A')).toHaveLength(4);
    expect(names('pods', '-n', 'elsewhere')).toEqual(['Pod elsewhere/sandbox']);
    expect(names('-l', 'app=web', '-n', 'agents')).toEqual(['Pod agents/web-1-a']);
    expect(names('deploy', '-A', '-l', 'openshell.ai/sandbox')).toEqual(['Deployment agents/misplaced']);
  });

  it('says of each object that has no pods that it has none', async () => {
    for (const name of ['none-a', 'none-b']) await cluster.run(['create', 'configmap', name, '-n', 'agents']);
    const { code, lines } = explain(['cm/none-a', 'cm/none-b', '-n', 'agents']);
    const none = '  ? pods  it has none, and no pod template that is known';
    expect([code, ...lines]).toEqual([0, 'ConfigMap agents/none-a', none, '', 'ConfigMap agents/none-b', none]);
  });

  it('is JSON for programs, with the same end', () => {
    const { code, stdout } = explain(['pod/web-1-a', '-n', 'agents', '-o', 'json']);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      ok: false,
      pods: [
        {
          name: 'Pod agents/web-1-a',
          ok: false,
          steps: expect.arrayContaining([expect.objectContaining({ name: 'result', fails: true })]),
        },
      ],
    });
  });
});

describe('version', () => {
  it('is that of the program, the webhook and the cluster', () => {
    const { code, lines } = run(['version']);
    expect([code, ...lines]).toEqual([
      0,
      expect.stringMatching(/^client: \d+\.\d+\.\d+$/),
      'webhook: ghcr.io/openshell-sideload/openshell-sideload:0.1.0 (openshell-system/openshell-sideload)',
      expect.stringMatching(/^Kubernetes: v1\.\d+\.\d+$/),
    ]);
    expect(run(['version', '--webhook-namespace=elsewhere']).lines[1]).toBe('webhook: not installed in namespace elsewhere');
    expect(JSON.parse(run(['version', '-o', 'json']).stdout)).toMatchObject({
      webhook: { deployment: 'openshell-system/openshell-sideload' },
    });
  });

  it('needs no cluster for its own', () => {
    expect(run(['version', '--client'], { HOME: '/nowhere' })).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^client: .*\n$/),
      stderr: '',
    });
    expect(run(['version'], { HOME: '/nowhere' })).toMatchObject({ code: 2, stderr: expect.stringContaining('there is no kubeconfig') });
  });
});
