/**
 * `openshell-sideload admission-policy | kubectl apply -f -` on a cluster without the webhook, and the way from the webhook to the
 * policies and back, under a stream of creations of which none is stored without its supervisor.
 */

import { execFile } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import type { Pod } from '../../src/sideload/pod.ts';
import { agent, sandbox } from '../pods.ts';
import { isSideloaded } from '../sideloaded.ts';
import { CHART, helm, NAMESPACE, runHelm } from './chart.ts';
import { type ControlPlane, startControlPlane } from './cluster/control-plane.ts';
import { freePorts, type Process, waitFor } from './cluster/process.ts';
import { type StreamResult, startStream } from './stream.ts';
import { registerHere, startWebhook, writeOverlay } from './webhook.ts';

const dir = mkdtempSync(join(tmpdir(), 'sideload-no-server-'));
const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const EXAMPLES = fileURLToPath(new URL('../../examples/agent.yaml', import.meta.url));
const COMPONENT = fileURLToPath(new URL('../../manifests/components/admission-policy', import.meta.url));
let cluster: ControlPlane;

const openshellSideload = async (...args: string[]): Promise<string> =>
  (await promisify(execFile)(process.execPath, [MAIN, ...args], { maxBuffer: 2 ** 23 })).stdout;
/** As the document says. */
const applyPolicies = async (): Promise<void> => {
  await cluster.run(['apply', '-f', '-'], await openshellSideload('admission-policy'));
};
const dryRun = (pod: Pod) =>
  cluster.kubectl(['create', '--dry-run=server', '-o', 'json', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'Pod', ...pod }));
const injects = async (): Promise<boolean> => {
  const { code, stdout } = await dryRun(sandbox());
  return code === 0 && isSideloaded(JSON.parse(stdout));
};

beforeAll(async () => {
  cluster = await startControlPlane(join(dir, 'cluster'));
  await cluster.run(['create', 'namespace', 'openshell-system']);
  await cluster.run(['create', 'namespace', 'agents']);
  // The controller that makes it does not run here.
  await cluster.run(['create', 'serviceaccount', 'default', '-n', 'agents']);
});

afterAll(() => cluster?.stop());

describe('the printed policies, applied by kubectl,', () => {
  beforeAll(async () => {
    await applyPolicies();
    await cluster.run(['label', 'namespace', 'agents', 'openshell.ai/sideload=enabled']);
    await waitFor('the policies are in force', injects);
  });

  it('inject the example', async () => {
    await cluster.run(['apply', '-f', EXAMPLES]);
    const pod = JSON.parse(await cluster.run(['get', 'pod', 'agent', '-n', 'agents', '-o', 'json']));
    expect(isSideloaded(pod)).toBe(true);
    expect(pod.metadata.annotations['openshell.ai/sideloaded']).toBe('image-volume');
  });

  it('are what explain takes for the webhook', async () => {
    const stdout = await openshellSideload('explain', 'pod', 'agent', '-n', 'agents', `--kubeconfig=${cluster.kubeconfig}`);
    expect(stdout).toContain('called by openshell-sideload-sandbox (MutatingAdmissionPolicy)');
    expect(stdout).toContain('already-sideloaded');
  });

  it('refuse with the reason code as first word', async () => {
    const [container] = sandbox().spec?.containers ?? [];
    const { code, stderr } = await dryRun({ ...sandbox(), spec: { containers: [{ ...container, command: null }] } });
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /ValidatingAdmissionPolicy 'openshell-sideload-backstop' with binding '\S+' denied request: missing-command: container agent/,
    );
  });

  it('warn, and store the pod', async () => {
    const [container] = sandbox().spec?.containers ?? [];
    const { code, stderr } = await dryRun({
      ...sandbox(),
      spec: { containers: [{ ...container, ports: [{ containerPort: 8080 }] }] },
    });
    expect(code).toBe(0);
    expect(stderr).toContain('ports-unreachable: nothing reaches 8080 of container agent');
  });

  it('leave other pods unchanged', async () => {
    const { code, stdout } = await dryRun({ ...sandbox({ labels: {} }) });
    expect(code).toBe(0);
    expect(isSideloaded(JSON.parse(stdout))).toBe(false);
  });

  it('are checked, with what the cluster does with a sandbox', async () => {
    const run = async (): Promise<{ checks: { name: string; status: string; detail: string }[] }> => {
      const args = [MAIN, 'check', '-o', 'json', `--kubeconfig=${cluster.kubeconfig}`];
      // It fails where a check does.
      const { stdout } = await promisify(execFile)(process.execPath, args).catch((error) => error);
      return JSON.parse(stdout);
    };
    const statusOf = ({ checks }: Awaited<ReturnType<typeof run>>, name: string) => checks.find((each) => each.name === name);
    const whole = await run();
    expect(whole.checks.filter(({ status }) => status === 'failed')).toEqual([]);
    for (const name of ['admission policies', 'a pod with openshell.ai/sandbox=true', 'a pod with openshell.ai/managed-by=openshell'])
      expect(statusOf(whole, name)).toMatchObject({ status: 'ok' });
    expect(whole.checks.map(({ name }) => name)).not.toContain('webhook configuration');
    await cluster.run(['delete', 'validatingadmissionpolicybinding', 'openshell-sideload-backstop-managed']);
    expect(statusOf(await run(), 'admission policies')).toMatchObject({ status: 'failed', detail: expect.stringContaining('is missing') });
    await applyPolicies();
  });

  it('are applied again without a change', async () => {
    expect(await cluster.run(['diff', '-f', '-'], await openshellSideload('admission-policy'))).toBe('');
    expect(await cluster.run(['diff', '-k', COMPONENT])).toBe('');
  });
});

describe('the way from the webhook to the policies and back', () => {
  let webhook: Process | undefined;
  let port: number;
  let adminPort: number;
  const objectsOf = (text: string): string[] =>
    parseAllDocuments(text).map((document) => {
      const { kind, metadata } = document.toJS();
      return `${kind}/${metadata.name}`;
    });
  const install = async (): Promise<void> => {
    webhook = await startWebhook(dir, { port, adminPort });
    await cluster.run(['apply', '--validate=strict', '-k', writeOverlay(dir, port)]);
  };
  const faults = ({ failures }: StreamResult): readonly object[] => failures.filter(({ unreachable }) => !unreachable);
  const reviews = async (): Promise<number> => {
    const text = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
    return [...text.matchAll(/^openshell_sideload_admissions_total\{.*\} (\d+)$/gm)].reduce((sum, [, count]) => sum + Number(count), 0);
  };
  /** How often the API server has asked the policy. */
  const injections = async (): Promise<number> => {
    const text = await cluster.run(['get', '--raw', '/metrics']);
    const counted = /^apiserver_mutating_admission_policy_check_total\{error_type="no_error",policy="openshell-sideload",.*\} (\d+)$/gm;
    return [...text.matchAll(counted)].reduce((sum, [, count]) => sum + Number(count), 0);
  };
  const isCalled = async (): Promise<boolean> => {
    const before = await reviews();
    await injects();
    return (await reviews()) > before;
  };

  beforeAll(async () => {
    [port = 0, adminPort = 0] = await freePorts(2);
    await cluster.run(['delete', ...objectsOf(await openshellSideload('admission-policy'))]);
    await install();
    await cluster.run(['apply', '-f', '-'], await openshellSideload('backstop'));
    await waitFor('the API server calls the webhook', isCalled);
  });

  afterAll(() => webhook?.stop());

  it('stores no sandbox without its supervisor, and refuses none', async () => {
    const stream = startStream(cluster, 'agents', 15, sandbox(), (pod) => {
      if (!isSideloaded(pod)) throw new Error('stored without its supervisor');
    });
    await stream.succeeds(20);

    // There: the webhook goes when the policies inject.
    const before = await injections();
    await applyPolicies();
    await waitFor('the policies inject', async () => (await injections()) > before);
    await stream.succeeds(20);
    await cluster.run(['delete', 'mutatingwebhookconfiguration', 'openshell-sideload']);
    await stream.succeeds(60);
    await webhook?.stop();
    webhook = undefined;
    await stream.succeeds(20);
    expect(faults(stream.take())).toEqual([]);

    // An API server that starts again knows its policies before it takes a pod.
    await cluster.stopApiserver();
    await cluster.startApiserver();
    const ready = Date.now();
    await stream.succeeds(20);
    const restarted = stream.take();
    // On a busy machine, it does not finish what it is asked while it starts.
    const failures = restarted.failures.filter(({ sent, message }) => sent >= ready || !message.startsWith('504: Timeout'));
    expect(faults({ ...restarted, failures })).toEqual([]);

    // Back: the policies go when the webhook is called.
    await install();
    await waitFor('the API server calls the webhook', isCalled);
    const policies = objectsOf(await openshellSideload('admission-policy'));
    await cluster.run(['delete', ...policies.filter((name) => /^Mutating|-warnings/.test(name))]);
    await cluster.run(['apply', '-f', '-'], await openshellSideload('backstop'));
    await stream.succeeds(60);
    const result = await stream.stop();
    expect(faults(result)).toEqual([]);
    expect(result.dryRuns).toBeGreaterThan(0);
  });
});

describe('the mode of one Helm release', () => {
  /** Beside what was applied before. */
  const RELEASE = 'switched';
  const NAME = `${RELEASE}-openshell-sideload`;
  let webhook: Process | undefined;
  let port: number;
  /** What Helm prints. The webhook's pods do not run here, so Helm does not wait for them. */
  const upgrade = async (mode: 'webhook' | 'policy', values: object = { backstop: { enabled: true } }) =>
    helm(
      4,
      ['upgrade', '--install', RELEASE, CHART, '-n', NAMESPACE, '--wait=hookOnly'],
      { mode, ...VALUES, ...values },
      cluster.kubeconfig,
    );
  /** The webhook reads the path as the container runtime does, the backstop refuses it. */
  const DOUBTFUL = sandbox({
    spec: {
      volumes: [{ name: 'data', emptyDir: {} }],
      containers: [agent({ volumeMounts: [{ name: 'data', mountPath: '/data//x' }] })],
    },
  });
  const VALUES = { certificates: { source: 'existingSecret', existingSecret: { name: 'tls' } }, missingCommand: 'shell' };
  const changed = async (...args: Parameters<typeof upgrade>): Promise<void> => {
    const { code, stderr } = await upgrade(...args);
    expect(code, stderr).toBe(0);
  };
  const reach = async (): Promise<void> => {
    await registerHere(cluster, NAME, dir, port);
    await waitFor('the webhook injects', injects);
  };

  beforeAll(async () => {
    const kinds = ['mutatingwebhookconfiguration', 'validatingadmissionpolicy', 'validatingadmissionpolicybinding'];
    await cluster.run(['delete', kinds.join(), '--all']);
    await cluster.run(['label', 'namespace', 'agents', 'openshell.ai/sideload=enabled', '--overwrite']);
    const [one = 0, other = 0] = await freePorts(2);
    port = one;
    webhook = await startWebhook(dir, { port, adminPort: other });
    await changed('webhook', {});
    await reach();
  });

  afterAll(() => webhook?.stop());

  it.each([
    { why: 'with none', values: {} },
    { why: 'with one that would come in the same step', values: { backstop: { enabled: true } } },
  ])('does not change without a backstop that is there: $why', async ({ values }) => {
    const { code, stderr } = await upgrade('policy', values);
    expect([code, stderr]).toEqual([1, expect.stringContaining('upgrade with backstop.enabled=true and the mode as it is')]);
    expect(await injects()).toBe(true);
  });

  it('changes there and back, and no sandbox is stored without its supervisor', async () => {
    // Helm does not take over an address that is not its own.
    await cluster.run(['delete', 'mutatingwebhookconfiguration', NAME]);
    await changed('webhook');
    await reach();
    await waitFor('the backstop is in force', async () => (await dryRun(DOUBTFUL)).stderr.includes(`'${NAME}-backstop'`));
    const unguarded = 'stored without its supervisor';
    const stream = startStream(cluster, 'agents', 15, sandbox(), (pod) => {
      if (!isSideloaded(pod)) throw new Error(unguarded);
    });
    await stream.succeeds(20);
    await changed('policy');
    await stream.succeeds(60);
    // The webhook comes back to a cluster whose policies are gone, and pods are refused until it is reached.
    const { code, stderr } = await upgrade('webhook', {});
    expect([code, stderr]).toEqual([1, expect.stringContaining('while the mode changes to webhook')]);
    await changed('webhook');
    await reach();
    await stream.succeeds(60);
    await runHelm(4, ['rollback', RELEASE, '-n', NAMESPACE, '--wait=hookOnly'], undefined, cluster.kubeconfig);
    await stream.succeeds(60);
    const { failures, created } = await stream.stop();
    expect(created).toBeGreaterThan(0);
    const messages = failures.filter(({ unreachable }) => !unreachable).map(({ message }) => message);
    process.stderr.write(`refused while the mode of a Helm release changed: ${messages.length}\n`);
    expect(messages.filter((message) => message.includes(unguarded))).toEqual([]);
    // Whoever refused them, it was a guard.
    expect(messages.filter((message) => !/denied request: not-sideloaded|failed calling webhook/.test(message))).toEqual([]);
  });
});
