/**
 * Pods of this webhook on a node, under a stand-in that behaves as the real supervisor (stand-in.test.ts). A pod that runs
 * under the real one runs here too. A pod that fails under the real one fails here too, or the webhook refuses or corrects it.
 */

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, startCluster } from './cluster/node.ts';
import { WAIT_FLAG, waitFor } from './cluster/process.ts';
import {
  buildStandIns,
  policyConfigMap,
  SILENT_SUPERVISOR_IMAGE,
  SUPERVISOR_IMAGE,
  WORKLOAD_IMAGE,
  WORKLOAD_IMAGE_WITHOUT_IP,
} from './images/stand-ins.ts';
import { printedIn, reportIn, squeezed } from './images/supervisor-log.ts';
import { buildWebhookImage } from './images/webhook-image.ts';
import { push, unpacked } from './registry/push.ts';
import { type Registry, startPlainPasswordRegistry, startPushRegistry, USER } from './registry/registries.ts';

const BASE = fileURLToPath(new URL('../../manifests/base', import.meta.url));
const EXAMPLE = fileURLToPath(new URL('../../examples/agent.yaml', import.meta.url));
const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const DEPLOYMENT = ['deployment/openshell-sideload', '-n', 'openshell-system'];
const NAMESPACE = 'agents';
/** The tests' ConfigMap. examples/agent.yaml has one of its own, whose rules fit 0.0.110 alone. */
const POLICY = 'test-policy';
const BINARY = '/opt/openshell/bin/openshell-sandbox';

const dir = mkdtempSync(join(tmpdir(), 'sideload-supervisor-'));
let cluster: Cluster;
const kubectl = (args: readonly string[], input?: string): Promise<string> => cluster.controlPlane.run(args, input);

interface Parts {
  readonly annotations?: Readonly<Record<string, string>>;
  /** Members of the pod's spec. */
  readonly spec?: object;
  /** Members of its sandbox container. */
  readonly container?: object;
}

/** A sandbox with a policy of its namespace. */
function sandbox(name: string, { annotations = { 'openshell.ai/policy': POLICY }, spec, container }: Parts = {}): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: NAMESPACE, labels: { 'openshell.ai/sandbox': 'true' }, annotations },
    spec: {
      restartPolicy: 'Never',
      containers: [{ name: 'agent', image: WORKLOAD_IMAGE, imagePullPolicy: 'Never', command: ['true'], ...container }],
      ...spec,
    },
  });
}

interface Status {
  readonly phase?: string;
  readonly podIP?: string;
  readonly containerStatuses?: readonly {
    readonly ready: boolean;
    readonly restartCount: number;
    readonly state: { readonly terminated?: { readonly exitCode: number } };
  }[];
}

const statusOf = async (name: string): Promise<Status> =>
  JSON.parse(await kubectl(['get', 'pod', name, '-n', NAMESPACE, '-o', 'json'])).status;
const logsOf = (name: string, ...more: string[]): Promise<string> => kubectl(['logs', name, '-n', NAMESPACE, '-c', 'agent', ...more]);
const shell = (text: string): string[] => ['sh', '-c', text];
let pods = 0;
const newName = (): string => `pod-${pods++}`;

/** Creates a pod that is admitted. */
async function create(parts: Parts): Promise<{ name: string; warnings: string }> {
  const name = newName();
  const { code, stderr } = await cluster.controlPlane.kubectl(['create', '-f', '-'], sandbox(name, parts));
  expect(code, stderr).toBe(0);
  return { name, warnings: stderr };
}

/** Runs a pod to its end. The container has ended, so that its log is complete. */
async function run(parts: Parts): Promise<{ code: number | undefined; log: string; warnings: string; restarts: number | undefined }> {
  const { name, warnings } = await create(parts);
  let status: Status = {};
  await waitFor(`the end of ${name}`, async () => {
    status = await statusOf(name);
    return status.phase === 'Succeeded' || status.phase === 'Failed';
  });
  const [container] = status.containerStatuses ?? [];
  const log = await logsOf(name);
  await kubectl(['delete', 'pod', name, '-n', NAMESPACE, '--now', '--wait=false']);
  return { code: container?.state.terminated?.exitCode, log, warnings, restarts: container?.restartCount };
}

/** kubectl's output for a pod that is refused. */
async function refusal(parts: Parts): Promise<string> {
  const { code, stderr } = await cluster.controlPlane.kubectl(['create', '-f', '-'], sandbox(newName(), parts));
  expect(code, stderr).toBe(1);
  expect(stderr).toContain('denied the request: ');
  return stderr;
}

/** Sets the webhook's options through its environment. */
async function configure(...settings: string[]): Promise<void> {
  await kubectl(['set', 'env', ...DEPLOYMENT, ...settings]);
  await kubectl(['rollout', 'status', ...DEPLOYMENT, WAIT_FLAG]);
  await waitFor('the old replicas to end', async () => {
    const { items } = JSON.parse(await kubectl(['get', 'pods', '-n', 'openshell-system', '-o', 'json']));
    return items.every(({ metadata }: { metadata: { deletionTimestamp?: string } }) => metadata.deletionTimestamp === undefined);
  });
}

beforeAll(async () => {
  cluster = await startCluster(dir, [...Object.values(buildStandIns().images), buildWebhookImage()]);
  await kubectl(['apply', '-k', BASE]);
  await kubectl(['rollout', 'status', ...DEPLOYMENT, WAIT_FLAG]);
  await kubectl(['create', 'namespace', NAMESPACE]);
  await kubectl(['label', 'namespace', NAMESPACE, 'openshell.ai/sideload=enabled']);
  await kubectl(['create', '-f', '-'], policyConfigMap(POLICY, NAMESPACE));
});
afterAll(() => cluster?.stop());

/** Prints the identity of a program and the limits that it runs into, one per line. */
const INSIDE = shell(`
grep -E '^(Uid|Gid|Groups|CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status | tr '\\t' ' '
for place in /sandbox /tmp /usr /etc /; do touch $place/file 2>/dev/null && echo "writes to $place"; done
for file in /var/run/secrets/kubernetes.io/serviceaccount/token /opt/openshell/policy/policy.yaml; do cat $file 2>&1; done
printf 'GET http://example.invalid/ HTTP/1.1\\r\\nHost: example.invalid\\r\\n\\r\\n' | nc 10.200.0.1 3128 | head -n 1 | tr -d '\\r'
true`);

const DEFAULT_UID = 1000;

const INIT_CONTAINER = { 'openshell.ai/policy': POLICY, 'openshell.ai/sideload-method': 'init-container' };
const RESTRICTED: Parts = {
  spec: { securityContext: { runAsNonRoot: true, runAsUser: 4711, fsGroup: 4712, seccompProfile: { type: 'RuntimeDefault' } } },
  container: { securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } } },
};
const dropping = (...drop: string[]): Parts => ({ container: { securityContext: { capabilities: { drop } } } });

/** Pods that run, with the user of the program. The webhook keeps capabilities that the supervisor needs from being dropped. */
const RUNNING: readonly [string, number, Parts][] = [
  ['method image-volume', DEFAULT_UID, {}],
  ['method init-container', DEFAULT_UID, { annotations: INIT_CONTAINER }],
  ['seccomp RuntimeDefault', DEFAULT_UID, { spec: { securityContext: { seccompProfile: { type: 'RuntimeDefault' } } } }],
  ['no privilege escalation', DEFAULT_UID, { container: { securityContext: { allowPrivilegeEscalation: false } } }],
  ['drop NET_RAW', DEFAULT_UID, dropping('NET_RAW')],
  ['drop KILL', DEFAULT_UID, dropping('KILL')],
  ['drop SETPCAP', DEFAULT_UID, dropping('SETPCAP')],
  ['drop SETUID, SETGID', DEFAULT_UID, dropping('SETUID', 'SETGID')],
  ['drop CHOWN, FOWNER, DAC_OVERRIDE', DEFAULT_UID, dropping('CHOWN', 'FOWNER', 'DAC_OVERRIDE')],
  ['privileged', DEFAULT_UID, { container: { securityContext: { privileged: true } } }],
  ['restricted, method image-volume', 4711, RESTRICTED],
  ['restricted, method init-container', 4711, { ...RESTRICTED, annotations: INIT_CONTAINER }],
  ['hostUsers false, method image-volume', DEFAULT_UID, { spec: { hostUsers: false } }],
  ['hostUsers false, method init-container', DEFAULT_UID, { annotations: INIT_CONTAINER, spec: { hostUsers: false } }],
  ['shareProcessNamespace', DEFAULT_UID, { spec: { shareProcessNamespace: true } }],
];

describe('a pod runs under its supervisor, confined', () => {
  it.concurrent.for(RUNNING)('%s', async ([, uid, parts], { expect }) => {
    const { code, log } = await run({ ...parts, container: { ...parts.container, command: INSIDE } });
    expect(code, log).toBe(0);
    const printed = printedIn(log);
    expect(printed.slice(0, 2)).toEqual([`Uid: ${uid} ${uid} ${uid} ${uid}`, expect.stringMatching(/^Gid: ([1-9]\d*) \1 \1 \1$/)]);
    // The supervisor keeps the groups that the runtime gave it.
    expect(printed[2]).toMatch(/^Groups: (.* )?0( |$)/);
    expect(printed.slice(3)).toEqual([
      'CapEff: 0000000000000000',
      'CapBnd: 0000000000000000',
      'NoNewPrivs: 1',
      'Seccomp: 2',
      'writes to /sandbox',
      'writes to /tmp',
      expect.stringMatching(/serviceaccount\/token': Permission denied$/),
      expect.stringMatching(/policy\.yaml': Permission denied$/),
      'HTTP/1.1 403 Forbidden',
    ]);
    expect(log).toMatch(/ DENIED \S+ -> GET http:\/\/example\.invalid\/ /);
    expect(reportIn(log)).toMatchObject({ supervisor: BINARY, uid: 0, workdir: '/sandbox', readOnly: true });
  });

  it.concurrent.for([0, 3, 7])('exit code %i', async (code, { expect }) => {
    expect((await run({ container: { command: shell(`exit ${code}`) } })).code).toBe(code);
  });

  it.concurrent('with volumes below its working folder', async ({ expect }) => {
    const { log } = await run({
      spec: {
        volumes: [
          { name: 'work', emptyDir: {} },
          { name: 'settings', configMap: { name: POLICY } },
        ],
      },
      container: {
        command: shell(
          'touch /sandbox/work/file && echo written; head -n 1 /sandbox/settings/policy.yaml; touch /sandbox/settings/file; true',
        ),
        volumeMounts: [
          { name: 'work', mountPath: '/sandbox/work' },
          { name: 'settings', mountPath: '/sandbox/settings', readOnly: true },
        ],
      },
    });
    expect(printedIn(log).toSorted()).toEqual([
      expect.stringMatching(/^# /),
      'touch: /sandbox/settings/file: Read-only file system',
      'written',
    ]);
  });

  it.concurrent('as examples/agent.yaml says, with an image that is there', async ({ expect }) => {
    await kubectl(['apply', '-f', '-'], readFileSync(EXAMPLE, 'utf8').replace('registry.example/agent:1.0', WORKLOAD_IMAGE));
    await waitFor('the program', async () =>
      (await cluster.controlPlane.kubectl(['logs', 'agent', '-n', NAMESPACE])).stdout.includes('the agent runs'),
    );
    expect(printedIn(await logsOf('agent'))).toEqual([expect.stringMatching(/^uid=1000\b/), 'the agent runs']);
    expect(await statusOf('agent')).toMatchObject({ phase: 'Running', containerStatuses: [{ restartCount: 0 }] });
    await kubectl(['delete', 'pod', 'agent', '-n', NAMESPACE, '--now', '--wait=false']);
  });

  it.concurrent('and again after it failed', async ({ expect }) => {
    const { code, restarts } = await run({
      spec: { restartPolicy: 'OnFailure', volumes: [{ name: 'work', emptyDir: {} }] },
      container: {
        command: shell('[ -e /sandbox/work/seen ] && exit 0; touch /sandbox/work/seen; exit 3'),
        volumeMounts: [{ name: 'work', mountPath: '/sandbox/work' }],
      },
    });
    expect([code, restarts]).toEqual([0, 1]);
  });

  it.concurrent('until SIGTERM, which reaches the program', async ({ expect }) => {
    const { name } = await create({
      container: { command: shell('trap "echo got it; exit 5" TERM; echo up; while :; do sleep 0.1; done') },
    });
    await waitFor('the program', async () => /^up$/m.test((await cluster.controlPlane.kubectl(['logs', name, '-n', NAMESPACE])).stdout));
    const log = logsOf(name, '--follow');
    await kubectl(['delete', 'pod', name, '-n', NAMESPACE, '--grace-period=60', '--wait=false']);
    expect(printedIn(await log)).toEqual(['up', 'got it']);
  });
});

/** Pods whose supervisor would fail, or whose program nothing would reach. */
const GATEWAY = [
  { name: 'OPENSHELL_SANDBOX_ID', value: 'sb-1' },
  { name: 'OPENSHELL_ENDPOINT', value: 'http://gateway:8080' },
];
const NO_POLICY = { annotations: {} };
const httpGet = { path: '/', port: 8080 };
const REFUSED: readonly [string, Parts, string][] = [
  ['no policy', NO_POLICY, 'has no policy: set annotation openshell.ai/policy'],
  [
    'one of two files of a policy',
    { ...NO_POLICY, container: { env: [{ name: 'OPENSHELL_POLICY_RULES', value: '/policy.rego' }] } },
    'has no policy: set annotation openshell.ai/policy',
  ],
  ['a gateway without a token', { ...NO_POLICY, container: { env: GATEWAY } }, 'lacks "OPENSHELL_SANDBOX_TOKEN_FILE"'],
  [
    'a gateway at https:// without TLS files',
    {
      ...NO_POLICY,
      container: {
        env: [
          { name: 'OPENSHELL_SANDBOX_ID', value: 'sb-1' },
          { name: 'OPENSHELL_ENDPOINT', value: 'https://gateway:8080' },
          { name: 'OPENSHELL_SANDBOX_TOKEN_FILE', value: '/token' },
        ],
      },
    },
    'lacks "OPENSHELL_TLS_CA", "OPENSHELL_TLS_CERT", "OPENSHELL_TLS_KEY"',
  ],
  ['an HTTP probe', { container: { livenessProbe: { httpGet } } }, '"livenessProbe" of container "agent" connects to the program'],
  ['a TCP probe', { container: { readinessProbe: { tcpSocket: { port: 8080 } } } }, '"readinessProbe" of container "agent" connects'],
  ["the node's network", { spec: { hostNetwork: true } }, 'hostNetwork'],
  [
    'a supervisor of its own with other options',
    {
      spec: { volumes: [{ name: 'openshell-supervisor-bin', image: { reference: SUPERVISOR_IMAGE } }] },
      container: {
        command: [BINARY, '--workdir', '/', '--policy-rules', '/tmp/policy.rego', '--', 'true'],
        volumeMounts: [{ name: 'openshell-supervisor-bin', mountPath: '/opt/openshell/bin', readOnly: true }],
      },
    },
    'gives its supervisor "--policy-rules"',
  ],
];

describe('a pod is refused', () => {
  it.concurrent.for(REFUSED)('%s', async ([, parts, message], { expect }) => {
    expect(await refusal(parts)).toContain(message);
  });
});

describe('a pod fails as its warning or the documentation says', () => {
  it.concurrent('with a read-only root file system', async ({ expect }) => {
    const { code, log, warnings } = await run({ container: { securityContext: { readOnlyRootFilesystem: true } } });
    expect(warnings).toContain('Warning: container "agent" has a read-only root file system');
    expect(code).toBe(1);
    expect(squeezed(log)).toContain(squeezed('mkdir /run/netns failed: Read-only file system'));
  });

  it.concurrent('with an image that has no ip', async ({ expect }) => {
    const { code, log } = await run({ container: { image: WORKLOAD_IMAGE_WITHOUT_IP } });
    expect(code).toBe(1);
    expect(squeezed(log)).toContain(squeezed('trusted ip helper not found; checked /usr/sbin/ip, /sbin/ip, /usr/bin/ip, /bin/ip'));
  });

  it.concurrent('with a ConfigMap that is missing: the pod waits', async ({ expect }) => {
    const { name } = await create({ annotations: { 'openshell.ai/policy': 'nosuch' } });
    await waitFor('the event', async () => {
      const events = await kubectl(['get', 'events', '-n', NAMESPACE, '--field-selector', `involvedObject.name=${name}`]);
      return /FailedMount.*configmap "nosuch" not found/.test(events);
    });
    expect((await statusOf(name)).phase).toBe('Pending');
    await kubectl(['delete', 'pod', name, '-n', NAMESPACE, '--now']);
  });

  it.concurrent.for<[string, Record<string, string>, string]>([
    ['bad YAML', { 'policy.yaml': 'a: [1' }, 'failed to parse YAML data:'],
    ['bad Rego', { 'policy.rego': 'package openshell.sandbox\n\nallow := {\n' }, 'error: expecting expression'],
    ['rules of another package', { 'policy.rego': 'package other\n' }, 'not a valid rule path'],
  ])('with %s in its policy', async ([, replaced, message], { expect }) => {
    const name = newName();
    await kubectl(['create', '-f', '-'], policyConfigMap(name, NAMESPACE, replaced));
    const { code, log } = await run({ annotations: { 'openshell.ai/policy': name } });
    expect(code).toBe(1);
    expect(squeezed(log)).toContain(squeezed(message));
  });
});

describe('the program', () => {
  it.concurrent('listens where nothing reaches it, and its exec probe runs outside its network', async ({ expect }) => {
    const { name, warnings } = await create({
      container: {
        command: shell('nc -l -p 8080 & wait'),
        ports: [{ containerPort: 8080 }],
        readinessProbe: { exec: { command: shell('ip -o -4 addr | grep -q " 10.200.0.1/24 "') }, periodSeconds: 1 },
      },
    });
    expect(warnings).toContain('nothing reaches the ports of container "agent" (8080)');
    await waitFor('the probe', async () => (await statusOf(name)).containerStatuses?.[0]?.ready === true);
    const { podIP } = await statusOf(name);
    const connect = shell(`nc -w 5 ${podIP} 8080 </dev/null`);
    const { code, stderr } = await cluster.controlPlane.kubectl(['exec', name, '-n', NAMESPACE, '-c', 'agent', '--', ...connect]);
    expect(code).not.toBe(0);
    expect(stderr).toContain('Connection refused');
    await kubectl(['delete', 'pod', name, '-n', NAMESPACE, '--now', '--wait=false']);
  });

  it.concurrent.for<[string, string, string[]]>([
    ['/', '/sandbox', ['/sandbox', '/tmp']],
    ['/usr', '/sandbox', ['/sandbox', '/tmp']],
    ['/app', '/app', ['/sandbox', '/tmp']],
  ])('with workingDir %s starts in %s and writes to %j alone', async ([workingDir, started, places], { expect }) => {
    const { code, log, warnings } = await run({
      container: {
        workingDir,
        command: shell('pwd; for place in /sandbox /tmp /open /app /usr /; do touch $place/file 2>/dev/null && echo $place; done; true'),
        // Everybody may write to this folder, but for Landlock.
        volumeMounts: [{ name: 'open', mountPath: '/open' }],
      },
      spec: { volumes: [{ name: 'open', emptyDir: {} }] },
    });
    expect(code, log).toBe(0);
    expect(printedIn(log)).toEqual([started, ...places]);
    expect(warnings.includes(`starts in "${started}"`)).toBe(workingDir !== started);
  });

  it.concurrent('keeps its variables but those of the proxy, and cannot switch off rules for single programs', async ({ expect }) => {
    const { log } = await run({
      container: {
        command: shell('echo "$HOME $USER $TERM $HTTPS_PROXY"; env | grep -E "^OPENSHELL_(SANDBOX_UID|SANDBOX_GID)=" || echo hidden'),
        env: [
          { name: 'HOME', value: '/root' },
          { name: 'USER', value: 'me' },
          { name: 'TERM', value: 'xterm' },
          { name: 'HTTPS_PROXY', value: 'http://elsewhere' },
          { name: 'OPENSHELL_NETWORK_BINARY_IDENTITY', value: 'relaxed' },
        ],
      },
    });
    expect(printedIn(log)).toEqual(['/root me xterm http://10.200.0.1:3128', 'hidden']);
    expect(log).toContain('require_binary_identity:true');
  });
});

describe('a pod that names only an image of a private registry', () => {
  let registry: Registry;
  let image: string;
  let digest: string;
  beforeAll(async () => {
    const [pushed, found] = await Promise.all([startPushRegistry(dir), startPlainPasswordRegistry(dir, cluster.hostAddress)]);
    registry = found;
    const { layer, config } = unpacked(buildStandIns().images[WORKLOAD_IMAGE] ?? '');
    const program = {
      Entrypoint: ['sh', '-c', 'pwd; echo "$0 $@"; exit 7', 'image'],
      Cmd: ['its', 'own', '$HOME'],
      WorkingDir: '/sandbox/work',
    };
    const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
    digest = await push(`http://${pushed.host}`, 'team/agent:1', { architecture, layer, config: { ...config, ...program } });
    await pushed.stop();
    image = `${registry.host}/team/agent:1`;
    // As an operator tells containerd of a registry without TLS.
    const folder = join(dir, 'node', 'registries', registry.host);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'hosts.toml'), `server = "http://${registry.host}"\n`);
    const server = [`--docker-server=${registry.host}`, `--docker-username=${USER.name}`, `--docker-password=${USER.password}`];
    await kubectl(['create', 'secret', 'docker-registry', 'registry', '-n', NAMESPACE, ...server]);
    await configure(`OPENSHELL_REGISTRY_PLAIN_HTTP=${registry.host}`);
  }, 240_000);
  afterAll(() => registry?.stop());

  const parts = (container: object = {}): Parts => ({
    spec: { imagePullSecrets: [{ name: 'registry' }] },
    container: { image, imagePullPolicy: 'IfNotPresent', command: undefined, ...container },
  });

  it('is refused while the webhook may not read its pull secret', async () => {
    expect(await refusal(parts())).toContain(`bind ClusterRole openshell-sideload-pull-secrets in namespace ${NAMESPACE}`);
  });

  it('runs the program of that image under the supervisor, pulled by the digest that was read', async () => {
    const account = '--serviceaccount=openshell-system:openshell-sideload';
    const role = '--clusterrole=openshell-sideload-pull-secrets';
    await kubectl(['create', 'rolebinding', 'openshell-sideload-pull-secrets', '-n', NAMESPACE, role, account]);
    const dryRun = ['create', '--dry-run=server', '-f', '-'];
    await waitFor(
      'the pull secret to be read',
      async () => (await cluster.controlPlane.kubectl(dryRun, sandbox('dry', parts()))).code === 0,
    );
    const { name } = await create(parts());
    await waitFor(`the end of ${name}`, async () => ['Succeeded', 'Failed'].includes((await statusOf(name)).phase ?? ''));
    const log = await logsOf(name);
    expect(reportIn(log)?.line, log).toBe('0.0.110');
    expect(printedIn(log)).toEqual(['/sandbox/work', 'image its own $HOME']);
    const { spec, status } = JSON.parse(await kubectl(['get', 'pod', name, '-n', NAMESPACE, '-o', 'json']));
    expect(spec.containers[0].image).toBe(`${image}@${digest}`);
    expect(status.containerStatuses[0].imageID).toContain(digest);
    expect(status.containerStatuses[0].state.terminated.exitCode).toBe(7);
    const events = await kubectl(['get', 'events', '-n', NAMESPACE, '--field-selector', `involvedObject.name=${name},reason=Pulled`]);
    expect(events).toContain(`Successfully pulled image "${image}@${digest}"`);
  });

  it('runs it with the args of the pod', async () => {
    const { code, log } = await run(parts({ args: ['other', '$(HOSTNAME)', '$$x'], env: [{ name: 'HOSTNAME', value: 'h' }] }));
    expect(code, log).toBe(7);
    expect(printedIn(log)).toEqual(['/sandbox/work', 'image other h $x']);
  });
});

describe('supervisor images', () => {
  it('of the 0.1 line are a configuration error', () => {
    const image = 'ghcr.io/nvidia/openshell/supervisor:0.1.0';
    const { status, stderr, stdout } = spawnSync(process.execPath, [MAIN, `--supervisor-image=${image}`], { encoding: 'utf8' });
    expect(status).not.toBe(0);
    expect(stderr + stdout).toContain('cannot be sideloaded');
  });

  it('of version 0.0.111 keep the program’s output to themselves, and replace HOME, USER and TERM', async () => {
    await configure(`OPENSHELL_SUPERVISOR_IMAGE=${SILENT_SUPERVISOR_IMAGE}`);
    const { code, log } = await run({
      container: { command: shell('echo seen; [ "$HOME $USER $TERM" = "/sandbox 1000 dumb" ] && exit 3') },
    });
    expect(code, log).toBe(3);
    expect(reportIn(log)?.line).toBe('0.0.111');
    expect(printedIn(log)).toEqual([]);
    await configure(`OPENSHELL_SUPERVISOR_IMAGE=${SUPERVISOR_IMAGE}`);
  }, 240_000);
});

describe('without the webhook, by admission policies alone,', () => {
  beforeAll(async () => {
    await kubectl(['delete', 'mutatingwebhookconfiguration', 'openshell-sideload']);
    await kubectl(['delete', '-k', BASE, '--ignore-not-found', '--wait=false']);
    const { stdout } = spawnSync(process.execPath, [MAIN, 'admission-policy'], { encoding: 'utf8' });
    await kubectl(['apply', '-f', '-'], stdout);
    // Until they are in force, nobody touches the pod, and then the backstop refuses it.
    const dryRun = ['create', '--dry-run=server', '-o', 'json', '-f', '-'];
    await waitFor('the policies to inject', async () => {
      const { code, stdout } = await cluster.controlPlane.kubectl(dryRun, sandbox('dry'));
      return code === 0 && stdout.includes('"openshell.ai/sideloaded"');
    });
  }, 240_000);

  it.for([
    ['image-volume', {}],
    ['init-container', { annotations: INIT_CONTAINER }],
  ] as [string, Parts][])('a pod runs under its supervisor, method %s', async ([, parts], { expect }) => {
    const { code, log } = await run({ ...parts, container: { command: shell('id -u; exit 3') } });
    expect(code, log).toBe(3);
    expect(printedIn(log)).toEqual([String(DEFAULT_UID)]);
    expect(reportIn(log)).toMatchObject({ supervisor: BINARY, uid: 0, workdir: '/sandbox', readOnly: true });
  });
});
