/**
 * The OpenShift overlay under OpenShift's own SCC admission plugin, which runs behind two webhooks on a real kube-apiserver:
 * one that is called before ours, and again after it, and one that looks at the result. What an SCC is, and who may use
 * it, it asks the API server, as on OpenShift.
 */

import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Container, Pod } from '../../src/sideload/pod.ts';
import { CA_FILE } from '../../src/tls/local.ts';
import { listGoldens, readGolden } from '../goldens.ts';
import { agent, sandbox } from '../pods.ts';
import { method } from '../refusals.ts';
import { find, objectsOf } from './chart.ts';
import { type ControlPlane, openControlPlane } from './cluster/control-plane.ts';
import { freePorts, type Process, start, WAIT_FLAG, waitFor } from './cluster/process.ts';
import { DEFAULT_CONSTRAINTS, findSccAdmission } from './cluster/scc.ts';
import { registerHere, startWebhook } from './webhook.ts';

const MANIFESTS = fileURLToPath(new URL('../../manifests', import.meta.url));
const OURS = 'openshell-sideload-sandbox';
/** What OpenShift writes into every namespace. */
const RANGES = {
  'openshift.io/sa.scc.uid-range': '1000680000/10000',
  'openshift.io/sa.scc.supplemental-groups': '1000680000/10000',
  'openshift.io/sa.scc.mcs': 's0:c26,c5',
};
/** Creates pods, and may use no SCC but by the group of everybody: what counts is the pod's service account. */
const PLATFORM = 'system:serviceaccount:agents:platform';
const ADMIN = 'admin';

const dir = mkdtempSync(join(tmpdir(), 'sideload-openshift-'));
const processes: Process[] = [];
let cluster: ControlPlane;

const apply = (...objects: object[]): Promise<string> =>
  cluster.run(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }));

/** The pod as it would be stored, or why it is refused. */
async function create(pod: Pod, { account = 'sandbox', as = PLATFORM } = {}): Promise<Pod | string> {
  const metadata = { ...pod.metadata, generateName: 'sandbox-', name: undefined, namespace: 'agents' };
  const spec = { ...pod.spec, serviceAccountName: account, serviceAccount: undefined };
  const input = JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata, spec });
  const identity = as === ADMIN ? [] : [`--as=${as}`];
  const { code, stdout, stderr } = await cluster.kubectl(
    ['create', '--dry-run=server', '--validate=ignore', '-o', 'json', '-f', '-', ...identity],
    input,
  );
  return code === 0 ? (JSON.parse(stdout) as Pod) : stderr;
}

async function stored(...parts: Parameters<typeof create>): Promise<Pod> {
  const result = await create(...parts);
  if (typeof result === 'string') throw new Error(result);
  return result;
}

const constraintOf = ({ metadata }: Pod): string | undefined => metadata?.annotations?.['openshift.io/scc'];
const sandboxOf = ({ spec }: Pod): Container => spec?.containers?.find(({ name }) => name === 'agent') ?? {};
const uidOf = (pod: Pod): string | null | undefined => sandboxOf(pod).env?.find(({ name }) => name === 'OPENSHELL_SANDBOX_UID')?.value;
const isInjected = (pod: Pod): boolean => sandboxOf(pod).command?.[0] === '/opt/openshell/bin/openshell-sandbox';

/** Changes our SCC for the time of an action; the plugin learns of it by watch. */
async function withConstraint(patch: object, action: () => Promise<void>): Promise<void> {
  const before = JSON.parse(await cluster.run(['get', 'securitycontextconstraints', OURS, '-o', 'json']));
  await cluster.run(['patch', 'securitycontextconstraints', OURS, '--type=merge', '-p', JSON.stringify(patch)]);
  try {
    await action();
  } finally {
    const { resourceVersion: _, ...metadata } = before.metadata;
    await cluster.run(['replace', '-f', '-'], JSON.stringify({ ...before, metadata }));
    await waitFor(
      'the SCC as it was',
      async () => constraintOf(await stored(sandbox())) === OURS && uidOf(await stored(sandbox())) === '1000',
    );
  }
}

beforeAll(async () => {
  const { program, schema } = findSccAdmission();
  cluster = await openControlPlane(join(dir, 'cluster'));
  await cluster.run(['create', '-f', join(schema, '0000_03_config-operator_01_securitycontextconstraints.crd.yaml')]);
  await cluster.run(['wait', '--for=condition=Established', 'crd', 'securitycontextconstraints.security.openshift.io', WAIT_FLAG]);
  await cluster.run(['create', '-f', DEFAULT_CONSTRAINTS]);
  await cluster.run(['apply', '--validate=strict', '-k', join(MANIFESTS, 'overlays/openshift')]);
  await cluster.run(['create', 'namespace', 'agents']);
  await cluster.run(['label', 'namespace', 'agents', 'openshell.ai/sideload=enabled']);
  for (const namespace of ['agents', 'openshell-system'])
    await cluster.run(['annotate', 'namespace', namespace, ...Object.entries(RANGES).map(([key, value]) => `${key}=${value}`)]);
  for (const account of ['default', 'sandbox', 'platform']) await cluster.run(['create', 'serviceaccount', account, '-n', 'agents']);
  // As on OpenShift: everybody may use restricted-v2.
  const use = {
    apiGroups: ['security.openshift.io'],
    resources: ['securitycontextconstraints'],
    resourceNames: ['restricted-v2'],
    verbs: ['use'],
  };
  await apply({ apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', metadata: { name: 'restricted-v2' }, rules: [use] });
  await cluster.run(['create', 'clusterrolebinding', 'restricted-v2', '--clusterrole=restricted-v2', '--group=system:authenticated']);
  await cluster.run([
    'create',
    'rolebinding',
    'platform',
    '-n',
    'agents',
    '--clusterrole=system:aggregate-to-edit',
    '--serviceaccount=agents:platform',
  ]);
  // As docs/openshift.md says.
  await cluster.run(['create', 'rolebinding', 'sandbox', '-n', 'agents', `--clusterrole=${OURS}`, '--serviceaccount=agents:sandbox']);

  const [port = 0, adminPort = 0, sccPort = 0] = await freePorts(3);
  const webhook = await startWebhook(dir, { port, adminPort }, ['--preflight=off']);
  const tls = join(dir, 'tls');
  const scc = start(
    'scc',
    program,
    [
      `-kubeconfig=${cluster.kubeconfig}`,
      `-address=127.0.0.1:${sccPort}`,
      `-certificate=${join(tls, 'tls.crt')}`,
      `-key=${join(tls, 'tls.key')}`,
    ],
    join(dir, 'scc.log'),
  );
  processes.push(webhook, scc);

  const caBundle = readFileSync(join(tls, CA_FILE)).toString('base64');
  await registerHere(cluster, 'openshell-sideload', dir, port);
  const entry = (path: string): object => ({
    name: 'scc.security.openshift.io',
    admissionReviewVersions: ['v1'],
    clientConfig: { url: `https://127.0.0.1:${sccPort}/${path}`, caBundle },
    rules: [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods'] }],
    sideEffects: 'None',
    timeoutSeconds: 30,
  });
  const of = (kind: string) => ({ apiVersion: 'admissionregistration.k8s.io/v1', kind, metadata: { name: '0-scc' } });
  await apply(
    // Before ours, by its name; and again when ours has changed the pod.
    { ...of('MutatingWebhookConfiguration'), webhooks: [{ ...entry('mutate'), reinvocationPolicy: 'IfNeeded' }] },
    { ...of('ValidatingWebhookConfiguration'), webhooks: [entry('validate')] },
  );
  await waitFor(
    'both admissions',
    async () => {
      const result = await create(sandbox());
      return typeof result !== 'string' && isInjected(result) && constraintOf(result) !== undefined;
    },
    processes,
  );
});

afterAll(async () => {
  await Promise.all(processes.map((each) => each.stop()));
  await cluster?.stop();
});

describe('the SCC', () => {
  it('is stored as it is written', async () => {
    const { metadata: _, ...written } = find(
      objectsOf(readFileSync(join(MANIFESTS, 'components/openshift/scc.yaml'), 'utf8')),
      'SecurityContextConstraints',
    );
    const { metadata, ...found } = JSON.parse(await cluster.run(['get', 'securitycontextconstraints', OURS, '-o', 'json']));
    expect([metadata.name, found]).toEqual([OURS, { ...written, userNamespaceLevel: 'AllowHostLevel' }]);
  });
});

describe('a sandbox whose service account may use the SCC', () => {
  it.each(['image-volume', 'init-container'] as const)('is admitted under it by %s, as the user that the webhook gives it', async (by) => {
    const pod = await stored(sandbox({ annotations: method(by) }));
    expect([constraintOf(pod), isInjected(pod), uidOf(pod)]).toEqual([OURS, true, '1000']);
    expect(pod.spec?.securityContext).toMatchObject({
      seLinuxOptions: { type: 'container_engine_t', level: 's0:c26,c5' },
      seccompProfile: { type: 'RuntimeDefault' },
    });
    expect(sandboxOf(pod).securityContext).toMatchObject({
      runAsUser: 0,
      capabilities: { add: ['SYS_ADMIN', 'NET_ADMIN', 'SYS_PTRACE', 'SYSLOG'] },
    });
    expect(sandboxOf(pod).securityContext?.capabilities?.drop).toBeUndefined();
  });

  const goldens = listGoldens()
    .injected.map(readGolden)
    .filter(({ flags }) => flags.length === 0);
  it('is admitted whatever it asks for, unless that is more than the supervisor needs', async () => {
    const refused = new Map<string, string | undefined>();
    for (const { name, pod } of goldens) {
      const result = await create(pod);
      if (typeof result === 'string') refused.set(name, new RegExp(`provider ${OURS}: (.*?), provider`).exec(result)?.[1]);
      else expect([name, constraintOf(result)]).toEqual([name, OURS]);
    }
    expect(Object.fromEntries(refused)).toEqual({
      'capabilities-all': '.containers[0].capabilities.add: Invalid value: "ALL": capability may not be added',
      'capabilities-merged': '.containers[0].capabilities.add: Invalid value: "CAP_SYS_ADMIN": capability may not be added',
      // OpenShell's own init container asks for NET_RAW.
      'openshell-driver-sidecar': '.initContainers[0].capabilities.add: Invalid value: "NET_RAW": capability may not be added',
      privileged: '.containers[0].privileged: Invalid value: true: Privileged containers are not allowed',
    });
    expect(goldens.length).toBeGreaterThan(30);
  });

  it('shares the SCC with the other pods of its service account', async () => {
    const pod = await stored(sandbox({ labels: {} }));
    expect([constraintOf(pod), isInjected(pod)]).toEqual([OURS, false]);
  });

  it.each([
    {
      what: 'a privileged container',
      pod: { containers: [agent({ securityContext: { privileged: true } })] },
      says: 'Privileged containers are not allowed',
    },
    {
      what: 'another capability',
      pod: { containers: [agent({ securityContext: { capabilities: { add: ['BPF'] } } })] },
      says: 'capability may not be added',
    },
    {
      what: 'a host path',
      pod: { volumes: [{ name: 'host', hostPath: { path: '/' } }] },
      says: 'hostPath volumes are not allowed to be used',
    },
    { what: "the host's network", pod: { hostNetwork: true }, says: 'Host network is not allowed to be used' },
    { what: 'an SELinux type of its own', pod: { securityContext: { seLinuxOptions: { type: 'spc_t' } } }, says: 'seLinuxOptions' },
    { what: 'no seccomp profile', pod: { securityContext: { seccompProfile: { type: 'Unconfined' } } }, says: 'seccomp' },
  ])('is refused with $what', async ({ pod, says }) => {
    const result = await create(sandbox({ spec: pod as NonNullable<Pod['spec']> }));
    expect(result).toEqual(expect.stringContaining('unable to validate against any security context constraint'));
    expect(result).toContain(says);
  });
});

describe('a sandbox whose service account may not', () => {
  it('is refused: it starts neither under its supervisor nor without', async () => {
    const result = await create(sandbox(), { account: 'default' });
    expect(result).toEqual(expect.stringContaining('unable to validate against any security context constraint'));
  });

  it('while a pod that is no sandbox has what it always had', async () => {
    const pod = await stored(sandbox({ labels: {} }), { account: 'default' });
    expect([constraintOf(pod), isInjected(pod)]).toEqual(['restricted-v2', false]);
  });
});

describe('why the SCC has a priority', () => {
  it('without one restricted-v2 comes first: it writes its user and drop ALL, and an SELinux level without our type', async () => {
    await withConstraint({ priority: 0 }, async () => {
      await waitFor('the order', async () => typeof (await create(sandbox())) === 'string');
      expect(await create(sandbox())).toEqual(expect.stringContaining('seLinuxOptions'));
    });
  });

  it('without one and without an SELinux type, the sandboxed process becomes the user of the namespace', async () => {
    await withConstraint({ priority: 0, seLinuxContext: { type: 'MustRunAs', seLinuxOptions: null } }, async () => {
      await waitFor('the order', async () => {
        const result = await create(sandbox());
        return typeof result !== 'string' && uidOf(result) !== '1000';
      });
      const pod = await stored(sandbox());
      expect([constraintOf(pod), isInjected(pod), uidOf(pod)]).toEqual([OURS, true, '1000680000']);
      expect(sandboxOf(pod).securityContext).toMatchObject({
        runAsUser: 0,
        runAsNonRoot: false,
        allowPrivilegeEscalation: false,
        capabilities: { drop: ['ALL'], add: expect.arrayContaining(['SYS_ADMIN', 'KILL', 'CHOWN', 'SETPCAP', 'FOWNER']) },
      });
    });
  });
});

describe('a pod that a cluster administrator creates', () => {
  it('is tried with anyuid first, and can ask for the SCC of sandboxes', async () => {
    expect(constraintOf(await stored(sandbox({ labels: {} }), { as: ADMIN }))).toBe('anyuid');
    const asked = sandbox({ annotations: { 'openshift.io/required-scc': OURS } });
    expect(constraintOf(await stored(asked, { as: ADMIN }))).toBe(OURS);
    // anyuid wrote an SELinux context without our type before the webhook came.
    expect(constraintOf(await stored(sandbox(), { as: ADMIN }))).toBe('privileged');
  });
});

describe('the webhook itself', () => {
  async function podOf(kustomization: string): Promise<Pod> {
    const { template } = find(objectsOf(await cluster.run(['kustomize', join(MANIFESTS, kustomization)])), 'Deployment').spec;
    // No controller writes the status of the quota of that class here.
    return { ...template, spec: { ...template.spec, priorityClassName: undefined } };
  }

  it('is admitted by restricted-v2, and would not be as in manifests/base', async () => {
    const options = { account: 'default' };
    expect(constraintOf(await stored(await podOf('overlays/openshift'), options))).toBe('restricted-v2');
    expect(await create(await podOf('base'), options)).toEqual(expect.stringContaining('must be in the ranges: [1000680000, 1000689999]'));
  });
});
