/**
 * The webhook against a real kube-apiserver: what is stored, what is refused, and what kubectl prints.
 */

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { decide } from '../../src/sideload/decide.ts';
import type { Container, Pod } from '../../src/sideload/pod.ts';
import { UNKNOWN_CLUSTER } from '../../src/sideload/settings.ts';
import { listGoldens, readGolden } from '../goldens.ts';
import { agent, sandbox } from '../pods.ts';
import { ANY_METHOD, ENFORCED, method, REFUSED_PODS } from '../refusals.ts';
import { isSideloaded as hasSupervisor } from '../sideloaded.ts';
import { type ControlPlane, type KubectlResult, openControlPlane } from './cluster/control-plane.ts';
import { freePorts, type Process, waitFor } from './cluster/process.ts';
import { type OtherWebhook, serveOtherWebhook } from './other-webhook.ts';
import { readAdmissions, startWebhook, writeOverlay } from './webhook.ts';

const dir = mkdtempSync(join(tmpdir(), 'sideload-e2e-'));
const COMMUNITY = ['--supervisor-image-layout=community', '--supervisor-image=ghcr.io/nvidia/openshell-community/supervisor:1'];
let cluster: ControlPlane;
let webhook: Process;
let ports: { port: number; adminPort: number };
let flagsInUse: readonly string[] = [];

const kubectl = (args: readonly string[], input?: string): Promise<string> => cluster.run(args, input);

/** Runs the webhook with other flags, at the same address. */
async function withFlags(flags: readonly string[]): Promise<void> {
  if (isDeepStrictEqual(flags, flagsInUse) && !webhook.ended()) return;
  await webhook.stop();
  webhook = await startWebhook(dir, ports, flags);
  flagsInUse = flags;
}

let serial = 0;

/** Creates a pod through kubectl; the pod gets a name of its own. */
function create(pod: Pod, { namespace = 'agents', dryRun = false } = {}): Promise<KubectlResult> {
  serial++;
  const metadata = { ...pod.metadata, name: `pod-${serial}`, namespace };
  const input = JSON.stringify({ apiVersion: 'v1', kind: 'Pod', ...pod, metadata });
  return cluster.kubectl(['create', '--validate=ignore', '-o', 'json', '-f', '-', ...(dryRun ? ['--dry-run=server'] : [])], input);
}

/** Creates a pod and returns what the API server stored. */
async function stored(pod: Pod, options?: { namespace?: string; dryRun?: boolean }): Promise<Pod> {
  const { code, stdout, stderr } = await create(pod, options);
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Pod;
}

const containerOf = (pod: Pod, name = 'agent'): Container => pod.spec?.containers?.find((container) => container.name === name) ?? {};
const isSideloaded = (pod: Pod): boolean => hasSupervisor(pod, flagsInUse);
const admissions = (): Promise<Record<string, unknown>[]> => readAdmissions(dir);

beforeAll(async () => {
  cluster = await openControlPlane(join(dir, 'cluster'));
  const [port = 0, adminPort = 0] = await freePorts(2);
  ports = { port, adminPort };
  webhook = await startWebhook(dir, ports);
  for (const namespace of ['agents', 'elsewhere']) await kubectl(['create', 'namespace', namespace]);
  for (const namespace of ['agents', 'elsewhere', 'kube-system']) {
    // The controller that makes it does not run here.
    await kubectl(['create', 'serviceaccount', 'default', '-n', namespace]);
  }
  await kubectl(['create', 'serviceaccount', 'openshell-sandbox', '-n', 'agents']);
  // kube-system by mistake.
  await kubectl(['label', 'namespace', 'agents', 'kube-system', 'openshell.ai/sideload=enabled']);
  await kubectl(['apply', '--validate=strict', '-k', writeOverlay(dir, ports.port)]);
  await waitFor('the API server calls the webhook', async () => isSideloaded(await stored(sandbox(), { dryRun: true })), [webhook]);
});

afterAll(async () => {
  await webhook?.stop();
  await cluster?.stop();
});

describe('a labelled pod in an opted-in namespace', () => {
  it('is stored with its supervisor when it is applied', async () => {
    const manifest = JSON.stringify({ apiVersion: 'v1', kind: 'Pod', ...sandbox() });
    expect(await kubectl(['apply', '-f', '-'], manifest)).toBe('pod/sandbox created\n');
    const pod = JSON.parse(await kubectl(['get', 'pod', 'sandbox', '-n', 'agents', '-o', 'json'])) as Pod;
    expect(pod.metadata?.annotations?.['openshell.ai/sideloaded']).toBe('image-volume');
    expect(pod.spec?.volumes).toContainEqual({
      name: 'openshell-supervisor-bin',
      image: { reference: 'ghcr.io/nvidia/openshell/supervisor:0.0.110', pullPolicy: 'IfNotPresent' },
    });
    expect(containerOf(pod)).toMatchObject({
      command: ['/opt/openshell/bin/openshell-sandbox', '--workdir', '/sandbox'],
      args: ['--', 'agent'],
      securityContext: { runAsUser: 0, capabilities: { add: ['SYS_ADMIN', 'NET_ADMIN', 'SYS_PTRACE', 'SYSLOG'] } },
    });
    expect(containerOf(pod).volumeMounts).toContainEqual({
      name: 'openshell-supervisor-bin',
      mountPath: '/opt/openshell/bin',
      readOnly: true,
    });
    // The README says so: the manifest's command is not the stored one, and nobody may change a pod's command.
    expect((await cluster.kubectl(['apply', '-f', '-'], manifest)).stderr).toContain('pod updates may not change fields other than');
  });

  it.each([
    {
      why: 'an init container, layout scratch',
      annotations: method('init-container'),
      flags: [],
      installs: ['/openshell-sandbox', 'copy-self', '/opt/openshell/bin/openshell-sandbox'],
      runs: '/opt/openshell/bin/openshell-sandbox',
    },
    {
      why: 'an init container, layout community',
      annotations: method('init-container'),
      flags: COMMUNITY,
      installs: ['cp', '/usr/local/bin/openshell-sandbox', '/opt/openshell/bin/'],
      runs: '/opt/openshell/bin/openshell-sandbox',
    },
    {
      why: 'an image volume, layout community',
      annotations: method('image-volume'),
      flags: COMMUNITY,
      installs: undefined,
      runs: '/opt/openshell/bin/usr/local/bin/openshell-sandbox',
    },
    {
      why: "the operator's init container",
      annotations: {},
      flags: ['--supervisor-sideload-method=init-container'],
      installs: ['/openshell-sandbox', 'copy-self', '/opt/openshell/bin/openshell-sandbox'],
      runs: '/opt/openshell/bin/openshell-sandbox',
    },
    {
      why: 'an image volume by annotation over the operator',
      annotations: method('image-volume'),
      flags: ['--supervisor-sideload-method=init-container'],
      installs: undefined,
      runs: '/opt/openshell/bin/openshell-sandbox',
    },
    {
      why: 'a host path where it is allowed',
      annotations: method('host-path'),
      flags: ANY_METHOD,
      installs: undefined,
      runs: '/opt/openshell/bin/openshell-sandbox',
    },
  ])('gets it by $why', async ({ annotations, flags, installs, runs }) => {
    await withFlags(flags);
    const pod = await stored(sandbox({ annotations }));
    expect(pod.spec?.initContainers?.[0]?.command).toEqual(installs);
    expect(containerOf(pod).command?.[0]).toBe(runs);
    expect(isSideloaded(pod)).toBe(true);
  });

  it('may not use a host path where it is not allowed', async () => {
    await withFlags([]);
    expect((await create(sandbox({ annotations: method('host-path') }))).stderr).toContain(
      'admission webhook "sandbox.sideload.openshell.ai" denied the request: sideload method host-path is not allowed here',
    );
  });

  it('is injected by the second entry when only OpenShell’s label is there', async () => {
    expect(isSideloaded(await stored(sandbox({ labels: { 'openshell.ai/managed-by': 'openshell' } })))).toBe(true);
    const typo = await create(sandbox({ labels: { 'openshell.ai/managed-by': 'openshell', 'openshell.ai/sandbox': 'yes' } }));
    expect(typo.stderr).toContain(
      'admission webhook "sandbox.sideload.openshell.ai" denied the request: label openshell.ai/sandbox is "yes"',
    );
  });

  it('of a Deployment is injected when its pod template becomes a pod', async () => {
    const template = { metadata: { labels: { app: 'agent', 'openshell.ai/sandbox': 'true' } }, spec: sandbox().spec };
    const deployment = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'agent' },
      spec: { selector: { matchLabels: { app: 'agent' } }, template },
    };
    const { spec } = JSON.parse(await kubectl(['create', '-n', 'agents', '-o', 'json', '-f', '-'], JSON.stringify(deployment)));
    expect(spec.template.spec.volumes, 'the template itself is not changed').toBeUndefined();
    // As the ReplicaSet controller creates it.
    const metadata = { ...spec.template.metadata, generateName: 'agent-5d8f-', namespace: 'agents' };
    const created = await kubectl(
      ['create', '-o', 'json', '-f', '-'],
      JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata, spec: spec.template.spec }),
    );
    expect(isSideloaded(JSON.parse(created))).toBe(true);
    expect((await admissions()).at(-1)).toMatchObject({ generateName: 'agent-5d8f-', reason: 'injected', dryRun: false });
  });

  it('is answered in a dry run and not stored', async () => {
    const pod = await stored(sandbox(), { dryRun: true });
    expect(isSideloaded(pod)).toBe(true);
    expect((await admissions()).at(-1)).toMatchObject({ name: pod.metadata?.name, dryRun: true });
    expect((await cluster.kubectl(['get', 'pod', '-n', 'agents', pod.metadata?.name ?? ''])).stderr).toContain('NotFound');
  });

  it('gets the warnings that kubectl prints', async () => {
    const { code, stderr } = await create(
      sandbox({ spec: { containers: [agent({ command: null, workingDir: '/' }), agent({ name: 'logs' })] } }),
    );
    expect([code, stderr.trim().split('\n')]).toEqual([
      0,
      [
        `Warning: container "agent" has no command: the image's ENTRYPOINT does not run, the supervisor starts its default shell; set command or OPENSHELL_MAIN_PROCESS_SPEC`,
        'Warning: the working directory of container "agent" is "/", which the supervisor would make writable: the program starts in "/sandbox"',
        'Warning: only container "agent" runs under the supervisor, not "logs"',
      ],
    ]);
  });
});

describe('a pod that is no business of the webhook', () => {
  const unlabelled = sandbox({ labels: { app: 'x' } });
  it.each([
    { why: 'in a namespace that did not opt in', pod: sandbox(), options: { namespace: 'elsewhere' } },
    {
      why: 'with a typo, in a namespace that did not opt in',
      pod: sandbox({ labels: { 'openshell.ai/sandbox': 'yes' } }),
      options: { namespace: 'elsewhere' },
    },
    { why: 'in kube-system, whatever its labels', pod: sandbox(), options: { namespace: 'kube-system' } },
    { why: 'labelled "false"', pod: sandbox({ labels: { 'openshell.ai/sandbox': 'false' } }), options: {} },
    {
      why: 'labelled "false" beside OpenShell’s label',
      pod: sandbox({ labels: { 'openshell.ai/sandbox': 'false', 'openshell.ai/managed-by': 'openshell' } }),
      options: {},
    },
    { why: 'without labels of ours', pod: unlabelled, options: {} },
    ...['supervisor', 'workload'].map((role) => ({
      why: `of OpenShell 0.1 or newer, its ${role}`,
      pod: sandbox({
        labels: { 'openshell.ai/managed-by': 'openshell', 'openshell.ai/sandbox-id': 'x', 'openshell.ai/boundary-role': role },
      }),
      options: {},
    })),
    {
      why: 'of OpenShell 0.1 or newer, by its component alone',
      pod: sandbox({ labels: { 'openshell.ai/managed-by': 'openshell', 'openshell.ai/component': 'supervisor' } }),
      options: {},
    },
  ])('$why is stored untouched, and the webhook is not called', async ({ pod, options }) => {
    const before = (await admissions()).length;
    const result = await stored(pod, options);
    expect(result.metadata?.annotations).toBeUndefined();
    expect(result.spec?.initContainers).toBeUndefined();
    expect(containerOf(result).command).toEqual(['agent']);
    expect(containerOf(result).securityContext).toBeUndefined();
    expect((await admissions()).length).toBe(before);
  });
});

describe('a refusal, as kubectl prints it', () => {
  // What an API server 1.36 keeps cannot be shown here as dropped.
  const shown = REFUSED_PODS.filter(({ facts, image }) => facts === undefined && image === undefined).sort((a, b) =>
    (a.flags ?? []).join().localeCompare((b.flags ?? []).join()),
  );
  it.each(shown)('$reason: $why', async ({ pod, flags = [], says, reason }) => {
    await withFlags(flags);
    const { code, stdout, stderr } = await create(pod);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toContain('admission webhook "sandbox.sideload.openshell.ai" denied the request: ');
    expect(stderr).toContain(says);
    expect((await admissions()).at(-1)).toMatchObject({ outcome: 'refuse', reason });
  });
});

describe('a namespace that enforces the policy', () => {
  const strict = { namespace: 'strict' };
  beforeAll(async () => {
    await kubectl(['create', 'namespace', 'strict']);
    await kubectl(['create', 'serviceaccount', 'default', '-n', 'strict']);
    await kubectl(['label', 'namespace', 'strict', 'openshell.ai/sideload=enabled', 'openshell.ai/policy-mode=enforced']);
    const isEnforced = async (): Promise<boolean> =>
      (await create(sandbox(), { ...strict, dryRun: true })).stderr.includes('-enforced.sideload');
    await waitFor('the namespace to be enforced', isEnforced, [webhook]);
  });

  it('refuses every sandbox while the operator has no policy that can be enforced', async () => {
    await withFlags([]);
    expect((await create(sandbox(), strict)).stderr).toContain(
      'admission webhook "sandbox-enforced.sideload.openshell.ai" denied the request: this namespace enforces a policy, and the operator has none',
    );
  });

  it('gives every sandbox the operator’s policy, and lets no pod choose another', async () => {
    await withFlags(ENFORCED.slice(0, 1));
    const pod = await stored(sandbox(), strict);
    expect(containerOf(pod).env).toContainEqual({ name: 'OPENSHELL_POLICY_DATA', value: '/opt/openshell/policy/policy.yaml' });
    expect(pod.spec?.volumes).toContainEqual(expect.objectContaining({ name: 'openshell-policy', image: expect.anything() }));
    const chosen = sandbox({ annotations: { 'openshell.ai/policy': 'mine' } });
    expect((await create(chosen, strict)).stderr).toContain("the operator's policy is enforced here: remove the annotation");
    expect(isSideloaded(await stored(chosen)), 'elsewhere it may').toBe(true);
    const managed = await stored(sandbox({ labels: { 'openshell.ai/managed-by': 'openshell' } }), strict);
    expect(managed.spec?.volumes?.map(({ name }) => name)).toContain('openshell-policy');
  });
});

describe('every golden pod', () => {
  const goldens = listGoldens()
    .inputs.map(readGolden)
    .sort((a, b) => a.flags.join().localeCompare(b.flags.join()));
  it.each(goldens)('$name passes the validation of the API server and is stored under its supervisor', async ({ pod, flags, config }) => {
    await withFlags(flags);
    const expected = decide(pod, config.sideload, UNKNOWN_CLUSTER);
    const isLeft = expected.reason === 'two-pod-openshell';
    const result = await stored(pod, { dryRun: true });
    expect(isSideloaded(result)).toBe(!isLeft);
    expect(result.metadata?.annotations?.['openshell.ai/sideloaded']).toBe(expected.verdict === 'inject' ? expected.method : undefined);
  });
});

describe('another webhook that adds a container', () => {
  let other: OtherWebhook;
  let where: '0' | '-' = '-';
  beforeAll(async () => {
    other = await serveOtherWebhook(dir, ({ spec }) =>
      spec?.containers?.some(({ name }) => name === 'mesh')
        ? []
        : [{ op: 'add', path: `/spec/containers/${where}`, value: { name: 'mesh', image: 'registry.example/mesh:1' } }],
    );
    const entry = {
      name: 'mesh.example.com',
      admissionReviewVersions: ['v1'],
      sideEffects: 'None',
      failurePolicy: 'Fail',
      clientConfig: other.clientConfig(),
      rules: [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods'] }],
      objectSelector: { matchLabels: { mesh: 'yes' } },
    };
    // After ours: the API server calls configurations in the order of their names.
    const configuration = {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'MutatingWebhookConfiguration',
      metadata: { name: 'zz-mesh' },
      webhooks: [entry],
    };
    await kubectl(['create', '-f', '-'], JSON.stringify(configuration));
    await withFlags([]);
    const labels = { mesh: 'yes' };
    await waitFor(
      'the other webhook is called',
      async () => (await stored(sandbox({ labels }), { dryRun: true })).spec?.containers?.length === 2,
      [webhook],
    );
  });
  afterAll(async () => {
    await kubectl(['delete', 'mutatingwebhookconfiguration', 'zz-mesh']);
    other.close();
  });

  it.each([
    { position: 'at the end', at: '-' as const },
    { position: 'before all others', at: '0' as const },
  ])('$position makes the API server call ours again, which leaves the pod as it is', async ({ at }) => {
    where = at;
    const pod = await stored(
      sandbox({ labels: { 'openshell.ai/sandbox': 'true', mesh: 'yes' }, spec: { containers: [agent({ name: 'main' })] } }),
    );
    expect(isSideloaded(pod)).toBe(true);
    expect(containerOf(pod, 'mesh').command).toBeUndefined();
    expect(containerOf(pod, 'mesh').securityContext).toBeUndefined();
    expect(pod.spec?.volumes?.filter((volume) => volume.name === 'openshell-supervisor-bin')).toHaveLength(1);
    expect((await admissions()).filter(({ name }) => name === pod.metadata?.name).map(({ reason }) => reason)).toEqual([
      'injected',
      'already-sideloaded',
    ]);
  });
});

describe('the overlays', () => {
  it('with a Secret of one’s own are valid, mount it, and leave no rights but those of the preflight', async () => {
    await kubectl(['apply', '--validate=strict', '--dry-run=server', '-k', 'manifests/overlays/existing-secret']);
    const rendered = await kubectl(['kustomize', 'manifests/overlays/existing-secret']);
    expect(rendered).toContain('secretName: openshell-sideload-tls');
    const roles = parseAllDocuments(rendered).map((document) => document.toJSON());
    const names = roles.filter(({ kind }) => /Role/.test(kind)).map(({ metadata }) => metadata.name);
    expect(names.toSorted()).toEqual([...Array(4).fill('openshell-sideload-preflight'), 'openshell-sideload-pull-secrets']);
    expect(roles.some(({ kind, roleRef }) => /RoleBinding/.test(kind) && roleRef.name === 'openshell-sideload-pull-secrets')).toBe(false);
  });

  it('with cert-manager are the same, and ask for a certificate and for caBundle', async () => {
    const rendered = await kubectl(['kustomize', 'manifests/overlays/cert-manager']);
    expect(rendered).toContain('cert-manager.io/inject-ca-from: openshell-system/openshell-sideload');
    const own = parseAllDocuments(await kubectl(['kustomize', 'manifests/overlays/existing-secret'])).map((document) => document.toJSON());
    const withIssuer = parseAllDocuments(rendered).map((document) => document.toJSON());
    const others = withIssuer.filter(({ apiVersion }) => apiVersion !== 'cert-manager.io/v1');
    for (const object of others) delete object.metadata.annotations;
    expect(others).toEqual(own);
    expect(withIssuer.length - others.length).toBe(4);
  });
});

describe('when the webhook is down', () => {
  beforeAll(() => webhook.stop());

  it('a sandbox is refused in an opted-in namespace', async () => {
    const { code, stderr } = await create(sandbox());
    expect([code, stderr]).toEqual([1, expect.stringContaining('failed calling webhook "sandbox.sideload.openshell.ai"')]);
  });

  it('everything else is admitted', async () => {
    expect(containerOf(await stored(sandbox(), { namespace: 'elsewhere' })).command).toEqual(['agent']);
    expect(containerOf(await stored(sandbox({ labels: {} }))).command).toEqual(['agent']);
  });
});
