/**
 * Helm 3 and 4 install, upgrade and uninstall the chart on a real API server, which calls the webhook through the release's
 * own Service.
 *
 * No kubelet runs here: a process of this machine stands where the Service leads to, started as the Deployment says. The pod of
 * `helm test` is created as a dry run, and its program runs as a process too.
 */

import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Container, Pod } from '../../src/sideload/pod.ts';
import { makeAuthority } from '../../src/tls/issue.ts';
import { CA_FILE } from '../../src/tls/local.ts';
import { sandbox } from '../pods.ts';
import { enforceAdmissions } from './admissions-enforcer.ts';
import { CHART, find, type KubernetesObject, NAMESPACE, objectsOf, RELEASE, runHelm } from './chart.ts';
import { type ControlPlane, startControlPlane } from './cluster/control-plane.ts';
import { findHelm, HELM_VERSIONS } from './cluster/helm.ts';
import { freePorts, type Process, start, waitFor } from './cluster/process.ts';
import { startStream } from './stream.ts';
import { kubeconfigOf, startWebhook } from './webhook.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
/** Without --reset-values the values of the release stay where none are given. */
const UPGRADE = ['upgrade', RELEASE, CHART, '--reset-values'];
const dir = mkdtempSync(join(tmpdir(), 'sideload-release-'));

/** The machine's own address: the API server calls no webhook at 127.0.0.1 through a Service. */
function ownAddress(): string {
  const addresses = Object.values(networkInterfaces()).flatMap((found) => found ?? []);
  const own = addresses.find(({ family, internal }) => family === 'IPv4' && !internal);
  if (!own) throw new Error('this machine has no address but 127.0.0.1');
  return own.address;
}

beforeAll(() => {
  for (const major of HELM_VERSIONS) findHelm(major);
});

describe.each(HELM_VERSIONS)('Helm %i', (major) => {
  const home = join(dir, `helm-${major}`);
  let cluster: ControlPlane;
  let webhook: Process | undefined;

  const helm = (args: readonly string[], values?: object): Promise<string> =>
    runHelm(major, [...args, '-n', NAMESPACE], values, cluster.kubeconfig);
  const read = async (...object: string[]): Promise<KubernetesObject> => JSON.parse(await cluster.run(['get', ...object, '-o', 'json']));
  const configuration = (): Promise<KubernetesObject> => read('mutatingwebhookconfiguration', RELEASE);
  const deployment = (): Promise<KubernetesObject> => read('deployment', RELEASE, '-n', NAMESPACE);
  const apply = (object: object): Promise<string> => cluster.run(['apply', '-f', '-'], JSON.stringify(object));
  const hooks = async (): Promise<KubernetesObject[]> => objectsOf(await helm(['get', 'hooks', RELEASE]));

  const isInjected = ({ spec }: Pod): boolean => spec?.volumes?.some(({ name }) => name === 'openshell-supervisor-bin') ?? false;
  /** What becomes of a sandbox. */
  async function create(): Promise<Pod | undefined> {
    const pod = JSON.stringify({ apiVersion: 'v1', kind: 'Pod', ...sandbox() });
    const { code, stdout } = await cluster.kubectl(['create', '--dry-run=server', '-o', 'json', '-f', '-'], pod);
    return code === 0 ? JSON.parse(stdout) : undefined;
  }

  /** Starts a replica as the Deployment would, and makes it what the release's Service leads to. */
  async function startReplica(): Promise<Process> {
    const [port = 0, adminPort = 0] = await freePorts(2);
    const { spec } = (await deployment()).spec.template;
    const args = (spec.containers[0] as Container).args?.filter((arg) => !arg.startsWith('--port=')) ?? [];
    const kubeconfig = join(home, 'replica.kubeconfig');
    writeFileSync(kubeconfig, await kubeconfigOf(cluster));
    const here = [`--port=${port}`, `--admin-port=${adminPort}`, `--bind-address=${ownAddress()}`, '--shutdown-delay=0'];
    const command = [MAIN, ...args, '--certificates=self-managed', ...here];
    const env = { ...process.env, KUBECONFIG: kubeconfig, OPENSHELL_NAMESPACE: NAMESPACE };
    const replica = start('openshell-sideload', process.execPath, command, join(home, 'replica.log'), env);
    await apply({
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: RELEASE, namespace: NAMESPACE, labels: { 'kubernetes.io/service-name': RELEASE } },
      addressType: 'IPv4',
      endpoints: [{ addresses: [ownAddress()], conditions: { ready: true } }],
      ports: [{ name: 'https', port }],
    });
    return replica;
  }

  beforeAll(async () => {
    cluster = await startControlPlane(join(home, 'cluster'), ownAddress());
    await cluster.run(['create', 'namespace', 'agents']);
    for (const account of ['default', 'openshell-sandbox']) await cluster.run(['create', 'serviceaccount', account, '-n', 'agents']);
    await cluster.run(['label', 'namespace', 'agents', 'openshell.ai/sideload=enabled']);
    await helm(['install', RELEASE, CHART, '--create-namespace'], {});
    await cluster.run(['label', 'namespace', NAMESPACE, 'pod-security.kubernetes.io/enforce=restricted']);
    const replica = await startReplica();
    webhook = replica;
    await waitFor('the API server calls the webhook', async () => isInjected((await create()) ?? {}), [replica]);
  });

  afterAll(async () => {
    await webhook?.stop();
    await cluster?.stop();
  });

  it('says in its notes what to do next', async () => {
    const notes = await helm(['get', 'notes', RELEASE]);
    expect(notes).toContain('kubectl label namespace NAMESPACE openshell.ai/sideload=enabled');
    expect(notes).toContain('kubectl delete secret openshell-sideload-ca -n openshell-system');
  });

  it('makes pods that the Pod Security level restricted admits', async () => {
    const { metadata, spec } = (await deployment()).spec.template;
    // Its ResourceQuota has no status where no controller writes one.
    const webhookPod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { ...metadata, name: 'webhook' },
      spec: { ...spec, priorityClassName: undefined, priority: undefined },
    };
    const made = await hooks();
    await apply(find(made, 'ServiceAccount'));
    for (const pod of [find(made, 'Pod'), webhookPod])
      await cluster.run(['create', '--dry-run=server', '--validate=strict', '-n', NAMESPACE, '-f', '-'], JSON.stringify(pod));
  });

  it('upgrades without a refused sandbox, and leaves caBundle alone', async () => {
    const stream = startStream(cluster, 'agents', 20, sandbox(), (pod) => expect(isInjected(pod)).toBe(true));
    const before = await configuration();
    await helm(UPGRADE, { logLevel: 'debug', replicas: 3 });
    const { metadata, webhooks } = await configuration();
    // The API server counts every change of an entry.
    expect([metadata.generation, webhooks]).toEqual([before.metadata.generation, before.webhooks]);
    expect((await deployment()).spec).toMatchObject({
      replicas: 3,
      template: { spec: { containers: [{ args: ['--port=10250', '--log-level=debug'] }] } },
    });
    await helm(UPGRADE, { webhook: { timeoutSeconds: 7 } });
    const entries = before.webhooks.map((entry: object) => ({ ...entry, timeoutSeconds: 7 }));
    expect((await configuration()).webhooks).toEqual(entries);
    await helm(['rollback', RELEASE, '1']);
    expect((await configuration()).webhooks).toEqual(before.webhooks);
    const { created, dryRuns, failures } = await stream.stop();
    process.stderr.write(`two upgrades and a rollback: ${created + dryRuns} sandboxes, ${failures.length} failed\n`);
    expect(failures).toEqual([]);
    expect(created + dryRuns).toBeGreaterThan(10);
  });

  it('has a test whose program tells a webhook that answers from one that does not', async () => {
    const made = await hooks();
    for (const kind of ['ServiceAccount', 'ClusterRole', 'ClusterRoleBinding']) await apply(find(made, kind));
    const [container] = find(made, 'Pod').spec.containers as Container[];
    const kubeconfig = join(home, 'test.kubeconfig');
    writeFileSync(kubeconfig, await kubeconfigOf(cluster, `${RELEASE}-test`));
    const [, ...options] = container?.command ?? [];
    const program = (container?.args ?? []).map((arg) => arg.replaceAll('$$', '$'));
    const variables = Object.fromEntries((container?.env ?? []).map(({ name, value }) => [name, value]));
    const run = (): Promise<string> =>
      new Promise((resolve) => {
        execFile(
          process.execPath,
          [...options, ...program],
          { env: { ...process.env, ...variables, KUBECONFIG: kubeconfig } },
          (_, stdout, stderr) => resolve(stdout + stderr),
        );
      });

    // Here no name leads to a Service: the entries get a URL for the time being.
    const before = await configuration();
    const [port = 0, adminPort = 0] = await freePorts(2);
    const local = await startWebhook(home, { port, adminPort });
    const caBundle = readFileSync(join(home, 'tls', CA_FILE)).toString('base64');
    const pointTo = (clientConfigs: object[]): Promise<string> => {
      const patch = clientConfigs.map((value, entry) => ({ op: 'replace', path: `/webhooks/${entry}/clientConfig`, value }));
      return cluster.run(['patch', 'mutatingwebhookconfiguration', RELEASE, '--type=json', '-p', JSON.stringify(patch)]);
    };
    await pointTo(Array(2).fill({ url: `https://127.0.0.1:${port}/mutate`, caBundle }));
    expect(await run()).toBe(
      'sandbox.sideload.openshell.ai: the webhook is trusted and injects the supervisor\n' +
        'managed.sideload.openshell.ai: the webhook is trusted and injects the supervisor\n',
    );
    await local.stop();
    expect(await run()).toContain('ECONNREFUSED');
    await pointTo(before.webhooks.map(({ clientConfig }: { clientConfig: object }) => clientConfig));
    await waitFor('the API server calls the release again', async () => isInjected((await create()) ?? {}));
  });

  it('adds the backstop, and takes it away again', async () => {
    const policies = (): Promise<string> =>
      cluster.run(['get', 'validatingadmissionpolicies,validatingadmissionpolicybindings', '-o', 'name']);
    await helm(UPGRADE, { backstop: { enabled: true } });
    expect((await policies()).split('\n')).toContain('validatingadmissionpolicy.admissionregistration.k8s.io/openshell-sideload-backstop');
    await waitFor('a sandbox that the backstop admits', async () => isInjected((await create()) ?? {}));
    await helm(UPGRADE, {});
    expect(await policies()).not.toContain('backstop');
  });

  it('has caBundle written by somebody else only where that is asked for', async () => {
    const own = (await configuration()).webhooks[0].clientConfig.caBundle;
    const { cert } = await makeAuthority('somebody', new Date(), new Date(Date.now() + 3_600_000));
    const caBundle = Buffer.from(own, 'base64') + cert;
    const values = { certificates: { source: 'existingSecret', existingSecret: { name: 'tls', caBundle } } };
    // Helm 4 applies on the server, where a field has owners.
    if (major === 4) await expect(helm(UPGRADE, values)).rejects.toThrow(/conflicts with "openshell-sideload".*clientConfig\.caBundle/s);
    await helm(major === 4 ? [...UPGRADE, '--force-conflicts'] : UPGRADE, values);
    const { webhooks } = await configuration();
    expect(webhooks[0].clientConfig.caBundle).toBe(Buffer.from(caBundle).toString('base64'));
    await helm(UPGRADE, {});
    await waitFor('the webhook writes caBundle again', async () => isInjected((await create()) ?? {}));
  });

  it('makes objects that the API server takes with all values of the pods at once', async () => {
    const values = {
      commonLabels: { team: 'platform' },
      podLabels: { tier: 'admission' },
      podAnnotations: { 'example.com/scrape': 'no' },
      serviceAccount: { annotations: { 'example.com/role': 'none' } },
      hostNetwork: true,
      port: 8443,
      extraEnv: [{ name: 'ADDRESS', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } }],
      extraVolumes: [{ name: 'scratch', emptyDir: {} }],
      extraVolumeMounts: [{ name: 'scratch', mountPath: '/scratch' }],
      topologySpreadConstraints: [{ topologyKey: 'topology.kubernetes.io/zone', maxSkew: 2, whenUnsatisfiable: 'DoNotSchedule' }],
      affinity: { nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [] } },
      tolerations: [{ key: 'dedicated', operator: 'Exists' }],
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%', maxUnavailable: 0 } },
      revisionHistoryLimit: 3,
      startupProbe: { initialDelaySeconds: 1 },
      livenessProbe: { failureThreshold: 5 },
      readinessProbe: { periodSeconds: 3 },
      podDisruptionBudget: { minAvailable: '50%' },
      global: { imageRegistry: 'mirror.example:5000', imagePullSecrets: ['pull'] },
    };
    await helm(UPGRADE, values);
    const { template, ...spec } = (await deployment()).spec;
    expect(spec).toMatchObject({ revisionHistoryLimit: 3, strategy: values.strategy });
    expect(template.spec).toMatchObject({
      hostNetwork: true,
      dnsPolicy: 'ClusterFirstWithHostNet',
      imagePullSecrets: [{ name: 'pull' }],
      topologySpreadConstraints: [{ labelSelector: { matchLabels: { 'app.kubernetes.io/instance': RELEASE } } }],
      volumes: [{ name: 'scratch' }],
    });
    expect((await read('poddisruptionbudget', RELEASE, '-n', NAMESPACE)).spec).toMatchObject({ minAvailable: '50%' });
    await helm(UPGRADE, {});
    expect((await deployment()).spec.template.spec).not.toHaveProperty('hostNetwork');
    expect((await read('poddisruptionbudget', RELEASE, '-n', NAMESPACE)).spec).toMatchObject({ maxUnavailable: 1 });
  });

  it('upgrades on AKS, whose enforcer changes the selectors of webhooks', async () => {
    // Without the value, what AKS added is lost with Helm's word, or in its way.
    await helm(UPGRADE, {});
    expect(await enforceAdmissions(cluster, RELEASE)).toBe(true);
    if (major === 4)
      await expect(helm(UPGRADE, { logLevel: 'debug' })).rejects.toThrow(/conflicts with "admissionsenforcer".*\.namespaceSelector/s);

    await helm(major === 4 ? [...UPGRADE, '--force-conflicts'] : UPGRADE, { aks: { enabled: true } });
    const before = await configuration();
    expect(await enforceAdmissions(cluster, RELEASE)).toBe(false);
    await helm(UPGRADE, { aks: { enabled: true }, logLevel: 'debug' });
    expect((await configuration()).webhooks).toEqual(before.webhooks);
    expect(isInjected((await create()) ?? {})).toBe(true);
  });

  it('is uninstalled without a refused sandbox once its webhook configuration is gone, and leaves nothing but the CA', async () => {
    const kinds = new Set(objectsOf(await helm(['get', 'manifest', RELEASE])).map(({ kind }) => kind));
    expect(kinds.size).toBeGreaterThan(8);
    const stream = startStream(cluster, 'agents', 50, sandbox(), () => undefined);
    await cluster.run(['delete', 'mutatingwebhookconfiguration', RELEASE]);
    await waitFor('sandboxes are left unchanged', async () => {
      const pod = await create();
      return pod !== undefined && !isInjected(pod);
    });
    await helm(['uninstall', RELEASE]);
    const { created, dryRuns, failures } = await stream.stop();
    process.stderr.write(`uninstall: ${created + dryRuns} sandboxes, ${failures.length} failed\n`);
    expect(failures).toEqual([]);
    expect(await cluster.run(['get', [...kinds].join(), '-A', '-l', `app.kubernetes.io/instance=${RELEASE}`, '-o', 'name'])).toBe('');
    expect(await cluster.run(['get', 'secrets', '-n', NAMESPACE, '-o', 'name'])).toBe('secret/openshell-sideload-ca\n');
  });
});
