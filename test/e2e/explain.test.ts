/** `openshell-sideload explain pod` against a real API server, with the webhook's Deployment installed. */

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

function explain(
  args: readonly string[],
  env: Record<string, string> = { KUBECONFIG: cluster.kubeconfig },
): { code: number | null; lines: string[]; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'explain', ...args], {
    env: { PATH: process.env.PATH ?? '', ...env },
    encoding: 'utf8',
  });
  return { code: status, lines: stdout.trimEnd().split('\n'), stderr };
}

async function create(namespace: string, pod: Pod): Promise<void> {
  const metadata = { ...pod.metadata, name: 'sandbox', namespace };
  await cluster.run(['create', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'Pod', ...pod, metadata }));
}

beforeAll(async () => {
  cluster = await openControlPlane(join(dir, 'cluster'));
  for (const namespace of ['agents', 'elsewhere', 'strict']) {
    await cluster.run(['create', 'namespace', namespace]);
    await cluster.run(['create', 'serviceaccount', 'default', '-n', namespace]);
    // Before the webhook is there, which does not run here: what is stored has no supervisor.
    await create(namespace, sandbox(namespace === 'strict' ? { annotations: { 'openshell.ai/policy': 'own' } } : {}));
  }
  await cluster.run(['label', 'namespace', 'agents', 'strict', 'openshell.ai/sideload=enabled']);
  await cluster.run(['label', 'namespace', 'strict', 'openshell.ai/policy-mode=enforced']);
});

afterAll(() => cluster?.stop());

describe('explain pod', () => {
  it('says that the webhook is not installed', () => {
    const { code, lines } = explain(['pod', 'sandbox', '-n', 'agents']);
    expect([code, lines[0]]).toEqual([1, 'pod agents/sandbox']);
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
      'pod agents/sandbox',
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
      args: ['pod', 'nobody', '-n', 'agents'],
      says: 'cannot read pod agents/nobody: pods "nobody" not found (404)',
    },
    {
      why: 'the API server is unavailable',
      args: ['pod', 'sandbox'],
      env: { HOME: '/nowhere' },
      says: 'cannot read pod default/sandbox: ',
    },
  ])('ends with 1 and a sentence where $why', ({ args, env, says }) => {
    const { code, stderr } = explain(args, env);
    expect(stderr).toContain(`openshell-sideload: ${says}`);
    expect([code, stderr.trimEnd().split('\n').length]).toEqual([1, 1]);
  });
});
