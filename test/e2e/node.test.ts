/**
 * The installation on a real node: the image of the Dockerfile, the manifests, pods that a kubelet runs, and what happens to
 * pod creations while the webhook is restarted, scaled, rotated, killed and removed.
 */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import { decide } from '../../src/sideload/decide.ts';
import type { Pod } from '../../src/sideload/pod.ts';
import { UNKNOWN_CLUSTER } from '../../src/sideload/settings.ts';
import { readBundle, valid } from '../../src/tls/bundle.ts';
import { CHART, NAMESPACE, RELEASE, runHelm } from './chart.ts';
import { type Cluster, startCluster } from './cluster/node.ts';
import { WAIT_FLAG, waitFor } from './cluster/process.ts';
import {
  buildStandIns,
  COMMUNITY_SUPERVISOR_IMAGE,
  installSupervisorOnNode,
  policyConfigMap,
  SUPERVISOR_IMAGE,
  WORKLOAD_IMAGE,
} from './images/stand-ins.ts';
import { printedIn, type Report, reportIn } from './images/supervisor-log.ts';
import { buildWebhookImage } from './images/webhook-image.ts';
import { type Stream, type StreamResult, startStream } from './stream.ts';

const BASE = fileURLToPath(new URL('../../manifests/base', import.meta.url));
const SYSTEM = ['-n', 'openshell-system'];
const DEPLOYMENT = ['deployment/openshell-sideload', ...SYSTEM];
const SECRET = ['secret', 'openshell-sideload-ca', ...SYSTEM];
const CONFIGURATION = ['mutatingwebhookconfiguration', 'openshell-sideload'];
const dir = mkdtempSync(join(tmpdir(), 'sideload-node-'));
const trusted = readConfig(['--allowed-sideload-methods=image-volume,init-container,host-path'], {}).sideload;
let cluster: Cluster;
let removeSupervisorFromNode = (): void => undefined;

const kubectl = (args: readonly string[], input?: string): Promise<string> => cluster.controlPlane.run(args, input);

/** What the user's program prints of itself, its arguments as it got them. */
const COMMAND = ['sh', '-c', 'for word in "$@"; do echo "arg:$word"; done; echo "user:$(id -u)"; sleep 3600', 'program'];
const ARGS = ['-x', '--', 'two words', '--workdir=/elsewhere'];
const POLICY = 'agent-policy';

interface Options {
  readonly annotations?: Record<string, string>;
  readonly label?: string;
  readonly securityContext?: object;
}

const template = ({ annotations = {}, label = 'true', securityContext }: Options = {}) => ({
  metadata: { labels: { app: 'agent', 'openshell.ai/sandbox': label }, annotations: { 'openshell.ai/policy': POLICY, ...annotations } },
  spec: {
    terminationGracePeriodSeconds: 0,
    ...(securityContext ? { securityContext } : {}),
    containers: [{ name: 'agent', image: WORKLOAD_IMAGE, imagePullPolicy: 'Never', command: COMMAND, args: ARGS }],
  },
});

const method = (value: string): Options => ({ annotations: { 'openshell.ai/sideload-method': value } });

async function rollout(): Promise<void> {
  await kubectl(['rollout', 'status', ...DEPLOYMENT, WAIT_FLAG]);
  // Those that go are gone too: what follows is about the new ones.
  await waitFor('the old replicas to end', async () => {
    const { items } = JSON.parse(await kubectl(['get', 'pods', ...SYSTEM, '-o', 'json']));
    return items.every(({ metadata }: Pod & { metadata: { deletionTimestamp?: string } }) => metadata.deletionTimestamp === undefined);
  });
}

/** Sets the webhook's options through its environment. */
async function configure(...settings: string[]): Promise<void> {
  await kubectl(['set', 'env', ...DEPLOYMENT, ...settings]);
  await rollout();
}

/** Runs a Deployment of one pod until it is ready, and returns that pod and what its container printed. */
async function run(name: string, options: Options): Promise<{ pod: Pod; report: Report | undefined; printed: string[] }> {
  const selector = { app: name };
  const pods = template(options);
  pods.metadata.labels.app = name;
  const deployment = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace: 'agents' },
    spec: { selector: { matchLabels: selector }, template: pods },
  };
  await kubectl(['create', '-f', '-'], JSON.stringify(deployment));
  await kubectl(['rollout', 'status', `deployment/${name}`, '-n', 'agents', WAIT_FLAG]);
  const { items } = JSON.parse(await kubectl(['get', 'pods', '-n', 'agents', '-l', `app=${name}`, '-o', 'json']));
  let log = '';
  // The container is ready before its program has printed.
  await waitFor('all that the program prints', async () => {
    log = await kubectl(['logs', items[0].metadata.name, '-n', 'agents', '-c', 'agent']);
    return /^user:\d+$/m.test(log);
  });
  await kubectl(['delete', 'deployment', name, '-n', 'agents']);
  return { pod: items[0], report: reportIn(log), printed: printedIn(log) };
}

beforeAll(async () => {
  const images = [...Object.values(buildStandIns().images), buildWebhookImage()];
  cluster = await startCluster(dir, images);
  removeSupervisorFromNode = installSupervisorOnNode();
  await kubectl(['create', 'namespace', 'agents']);
  await kubectl(['label', 'namespace', 'agents', 'openshell.ai/sideload=enabled']);
  await kubectl(['create', '-f', '-'], policyConfigMap(POLICY, 'agents'));
});

afterAll(async () => {
  await cluster?.stop();
  removeSupervisorFromNode();
});

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

/** What `openshell-sideload check` says: its exit code, and the sign of each line. */
function check(...args: string[]): { code: number | null; signs: string[]; stdout: string } {
  const kubeconfig = `--kubeconfig=${cluster.controlPlane.kubeconfig}`;
  const { status, stdout } = spawnSync(process.execPath, [MAIN, 'check', kubeconfig, ...args], { encoding: 'utf8' });
  return { code: status, signs: [...stdout.matchAll(/^ {2}(\S) /gm)].map(([, sign = '']) => sign), stdout };
}

describe('openshell-sideload check --pre', () => {
  it('finds that the cluster supports it', () => {
    const { code, signs, stdout } = check('--pre');
    expect([code, signs], stdout).toEqual([0, Array(8).fill('✓')]);
  });
});

describe('the installation', () => {
  it('serves on an empty cluster', async () => {
    const started = Date.now();
    await kubectl(['apply', '--validate=strict', '-k', BASE]);
    await kubectl(['rollout', 'status', ...DEPLOYMENT, WAIT_FLAG]);
    process.stderr.write(`from apply to two ready replicas: ${((Date.now() - started) / 1000).toFixed(1)} s\n`);
    const { items } = JSON.parse(await kubectl(['get', 'pods', ...SYSTEM, '-o', 'json']));
    expect(items).toHaveLength(2);
    for (const { spec } of items) expect(spec.priorityClassName).toBe('system-cluster-critical');
    expect((await cluster.controlPlane.kubectl(['diff', '-k', BASE])).stdout).toBe('');
  });

  it('has replicas that restart by themselves without ever having failed', async () => {
    expect(await restarts()).toEqual([0, 0]);
  });
});

describe('openshell-sideload check', () => {
  it('finds everything fine, through the kubelet too', () => {
    const { code, signs, stdout } = check();
    // The backstop is not installed.
    expect([code, signs.filter((sign) => sign !== '✓')], stdout).toEqual([0, ['-']]);
    for (const name of ['readiness', 'served certificate'])
      expect(stdout.match(new RegExp(`✓ ${name}: openshell-sideload-`, 'g')), stdout).toHaveLength(2);
  });

  it('says the same to programs', () => {
    const { code, stdout } = check('-o', 'json');
    const { ok, checks } = JSON.parse(stdout) as { ok: boolean; checks: { name: string; status: string }[] };
    expect([code, ok]).toEqual([0, true]);
    expect(checks.filter(({ status }) => status !== 'ok').map(({ name, status }) => [name, status])).toEqual([['backstop', 'skipped']]);
  });
});

describe('a cluster that starts with the webhook configuration in place and nobody to answer', () => {
  it('gets its replicas, and refuses sandboxes until they are there', async () => {
    // Its own namespace by mistake.
    await kubectl(['label', 'namespace', 'openshell-system', 'openshell.ai/sideload=enabled']);
    await kubectl(['scale', ...DEPLOYMENT, '--replicas=0']);
    await rollout();
    await waitFor('a refusal', async () => (await plainPod()).metadata?.annotations?.['openshell.ai/sideloaded'] === 'refused');
    await kubectl(['scale', ...DEPLOYMENT, '--replicas=2']);
    await rollout();
    expect((await plainPod()).metadata?.annotations?.['openshell.ai/sideloaded']).toBe('image-volume');
  });
});

describe('a labelled Deployment reaches 1/1 under its supervisor', () => {
  const FLAT = '/opt/openshell/bin/openshell-sandbox';
  const scratch = [`OPENSHELL_SUPERVISOR_IMAGE=${SUPERVISOR_IMAGE}`, 'OPENSHELL_SUPERVISOR_IMAGE_LAYOUT=scratch'];
  const community = [`OPENSHELL_SUPERVISOR_IMAGE=${COMMUNITY_SUPERVISOR_IMAGE}`, 'OPENSHELL_SUPERVISOR_IMAGE_LAYOUT=community'];
  it.each([
    { name: 'image-volume', options: {}, settings: [], binary: FLAT },
    { name: 'init-container', options: method('init-container'), settings: [], binary: FLAT },
    { name: 'non-root', options: { securityContext: { runAsNonRoot: true, runAsUser: 4711 } }, settings: [], binary: FLAT, user: 4711 },
    {
      name: 'non-root-init-container',
      options: { ...method('init-container'), securityContext: { runAsNonRoot: true, runAsUser: 4711 } },
      settings: [],
      binary: FLAT,
      user: 4711,
    },
    {
      name: 'host-path',
      options: method('host-path'),
      settings: ['OPENSHELL_ALLOWED_SIDELOAD_METHODS=image-volume,init-container,host-path', ...scratch],
      binary: FLAT,
    },
    { name: 'community-image-volume', options: {}, settings: community, binary: '/opt/openshell/bin/usr/local/bin/openshell-sandbox' },
    { name: 'community-init-container', options: method('init-container'), settings: [], binary: FLAT },
  ])('$name', async ({ name, options, settings, binary, user = 1000 }) => {
    if (settings.length > 0) await configure(...settings);
    const { pod, report, printed } = await run(name, options);
    expect(report).toMatchObject({
      supervisor: binary,
      uid: 0,
      pid: 1,
      readOnly: true,
      workdir: '/sandbox',
      argv: [binary, '--workdir', '/sandbox', '--', ...COMMAND, ...ARGS],
    });
    // SYS_ADMIN 21, NET_ADMIN 12, SYS_PTRACE 19, SYSLOG 34 of linux/capability.h.
    const effective = BigInt(`0x${report?.capabilities}`);
    for (const bit of [21n, 12n, 19n, 34n]) expect((effective >> bit) & 1n, `capability ${bit}`).toBe(1n);
    expect(printed).toEqual([...ARGS.map((word) => `arg:${word}`), `user:${user}`]);
    const { status } = pod as Pod & { status: { containerStatuses: { ready: boolean; restartCount: number }[] } };
    expect(status.containerStatuses).toEqual([expect.objectContaining({ ready: true, restartCount: 0 })]);
  });
});

describe('start times', () => {
  it('are those of a plain pod with image volumes, and are printed', async () => {
    await configure(`OPENSHELL_SUPERVISOR_IMAGE=${SUPERVISOR_IMAGE}`, 'OPENSHELL_SUPERVISOR_IMAGE_LAYOUT=scratch');
    const kinds: Record<string, Options> = {
      plain: { label: 'false' },
      'image-volume': {},
      'init-container': method('init-container'),
      'host-path': method('host-path'),
    };
    const times: Record<string, number[]> = Object.fromEntries(Object.keys(kinds).map((kind) => [kind, []]));
    for (let round = 0; round < 5; round++) {
      for (const [kind, options] of Object.entries(kinds)) {
        const name = `time-${kind}-${round}`;
        const started = Date.now();
        await kubectl(
          ['create', '-n', 'agents', '-f', '-'],
          JSON.stringify({ apiVersion: 'v1', kind: 'Pod', ...template(options), metadata: { ...template(options).metadata, name } }),
        );
        await kubectl(['wait', '-n', 'agents', '--for=condition=Ready', `pod/${name}`, WAIT_FLAG]);
        times[kind]?.push(Date.now() - started);
        await kubectl(['delete', 'pod', name, '-n', 'agents', '--now', '--wait=false']);
      }
    }
    const median = (values: number[] = []): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
    const plain = median(times.plain);
    const rows = Object.entries(times).map(
      ([kind, values]) => `| ${kind} | ${(median(values) / 1000).toFixed(2)} | ${(median(values) / plain).toFixed(2)} |`,
    );
    process.stderr.write(
      `start times, create to Ready, median of 5, images on the node:\n| method | s | x plain |\n|---|---|---|\n${rows.join('\n')}\n`,
    );
    for (const values of Object.values(times)) expect(values).toHaveLength(5);
  });
});

describe('under a steady stream of pod creations', () => {
  let stream: Stream;
  /** So many creations in a row succeed before something else happens: two seconds' worth. */
  const CALM = 40;
  /** Off while the webhook is removed: then pods come with and without. */
  let expectSupervisor = true;
  const results: [string, StreamResult][] = [];

  beforeAll(async () => {
    // Lives of seconds: certificates are renewed all the time.
    await configure('OPENSHELL_SERVING_CERT_LIFETIME=30s', 'OPENSHELL_CA_SETTLE_TIME=5s', 'OPENSHELL_CA_LIFETIME=2h');
    stream = startStream(cluster.controlPlane, 'agents', 20, template() as Pod, (created) => {
      const outcome = decide(created, trusted, UNKNOWN_CLUSTER);
      if (expectSupervisor && outcome.reason !== 'already-sideloaded') throw new Error(`stored without its supervisor: ${outcome.reason}`);
    });
  });
  afterAll(async () => {
    await stream?.stop();
    const rows = results.map(([what, { dryRuns, created, failures }]) => `| ${what} | ${dryRuns} | ${created} | ${failures.length} |`);
    process.stderr.write(`admissions under disturbance:\n| event | dry runs | pods | failed |\n|---|---|---|---|\n${rows.join('\n')}\n`);
  });

  /** Does something under the stream, and tells what failed meanwhile. */
  async function disturb(what: string, event: () => Promise<unknown>): Promise<StreamResult> {
    stream.take();
    await event();
    await stream.succeeds(CALM);
    const result = stream.take();
    results.push([what, result]);
    for (const { sent, message } of result.failures.slice(0, 10))
      process.stderr.write(`${what}: failed at ${new Date(sent).toISOString()}: ${message}\n`);
    // Pods of the stream are for the API server; the node need not run hundreds of them.
    await kubectl(['delete', 'pods', '-n', 'agents', '-l', 'app=agent', '--now', '--wait=false']);
    return result;
  }

  const authorities = async (): Promise<number[]> => {
    const { webhooks } = JSON.parse(await kubectl(['get', ...CONFIGURATION, '-o', 'json']));
    return webhooks.map(
      ({ clientConfig }: { clientConfig: { caBundle: string } }) =>
        valid(readBundle(Buffer.from(clientConfig.caBundle, 'base64').toString()).certificates, new Date()).length,
    );
  };
  const bundleHolds = (count: number): Promise<void> =>
    waitFor(`${count} CA in every entry`, async () => (await authorities()).every((found) => found === count));
  const scale = async (replicas: number): Promise<void> => {
    await kubectl(['scale', ...DEPLOYMENT, `--replicas=${replicas}`]);
    await rollout();
  };

  it.each<[string, () => Promise<unknown>]>([
    ['nothing but renewals, 30 s', () => sleep(30_000)],
    [
      'rolling restart',
      async () => {
        await kubectl(['rollout', 'restart', ...DEPLOYMENT]);
        await rollout();
      },
    ],
    ['scale 2 -> 3', () => scale(3)],
    ['scale 3 -> 1', () => scale(1)],
    ['scale 1 -> 2', () => scale(2)],
    [
      'the CA Secret is deleted',
      async () => {
        await kubectl(['delete', ...SECRET]);
        await bundleHolds(2);
        await bundleHolds(1);
      },
    ],
    [
      'a new CA on request',
      async () => {
        await kubectl(['annotate', ...SECRET, 'openshell.ai/rotate-ca=now']);
        await bundleHolds(2);
        await bundleHolds(1);
      },
    ],
  ])('no admission fails: %s', async (what, event) => {
    expect((await disturb(what, event)).failures).toEqual([]);
  });

  /** Every failure is one of calling the webhook. For how long they came is printed: that depends on the machine. */
  const failsForMoments = (what: string, failures: StreamResult['failures'], blow: number): void => {
    for (const { message } of failures) expect(message).toContain('failed calling webhook');
    const last = Math.max(blow, ...failures.map(({ sent }) => sent));
    process.stderr.write(`${what}: ${failures.length} failed, the last was sent ${last - blow} ms after the blow\n`);
  };

  it('creations succeed again by themselves when somebody empties caBundle', async () => {
    let blow = 0;
    const { failures } = await disturb('caBundle of both entries emptied', async () => {
      blow = Date.now();
      const remove = [0, 1, 2, 3].map((entry) => ({ op: 'remove', path: `/webhooks/${entry}/clientConfig/caBundle` }));
      await kubectl(['patch', ...CONFIGURATION, '--type=json', '-p', JSON.stringify(remove)]);
      await bundleHolds(1);
    });
    failsForMoments('caBundle emptied', failures, blow);
  });

  it('only what is in flight fails when kube-apiserver is killed and started again', async () => {
    const { failures } = await disturb('kube-apiserver killed and started', async () => {
      await cluster.controlPlane.stopApiserver();
      await sleep(3000);
      await cluster.controlPlane.startApiserver();
    });
    expect(failures.filter(({ unreachable }) => !unreachable)).toEqual([]);
  });

  it('creations succeed again by themselves when a replica is killed', async () => {
    let killed = 0;
    const { failures } = await disturb('a replica killed with SIGKILL', async () => {
      await rollout();
      killed = Date.now();
      killOneReplica();
      await waitFor('the replica to be started again', async () => (await restarts()).some((count) => count > 0));
      await rollout();
    });
    failsForMoments('a replica killed', failures, killed);
    expect(
      (await restarts()).filter((count) => count > 0),
      'one replica was killed',
    ).toHaveLength(1);
  });

  it('needs the memory that the manifests grant', async () => {
    const { items } = JSON.parse(await kubectl(['get', 'pods', ...SYSTEM, '-o', 'json']));
    for (const { metadata } of items) {
      const metrics = await kubectl(['get', '--raw', `/api/v1/namespaces/openshell-system/pods/${metadata.name}:8081/proxy/metrics`]);
      const value = (name: string): number => Number(new RegExp(`^${name} (.*)$`, 'm').exec(metrics)?.[1]);
      const megabytes = value('process_resident_memory_bytes') / 2 ** 20;
      process.stderr.write(
        `${metadata.name}: ${megabytes.toFixed(0)} MiB resident, ${value('process_cpu_seconds_total').toFixed(1)} s CPU\n`,
      );
      expect(megabytes, 'the request').toBeLessThan(160);
    }
  });

  const removals: [string, () => Promise<unknown>][] = [
    [
      'removal, the configuration first',
      async () => {
        await kubectl(['delete', ...CONFIGURATION]);
        await kubectl(['delete', '-k', BASE, '--ignore-not-found', WAIT_FLAG]);
      },
    ],
    ['removal by kubectl delete -k alone', () => kubectl(['delete', '-k', BASE, WAIT_FLAG])],
    ['removal with a grace period of 0', () => kubectl(['delete', '-k', BASE, WAIT_FLAG, '--grace-period=0', '--force'])],
  ];
  it.each(removals)('%s leaves nothing behind that holds pods up', async (what, remove) => {
    if ((await leftovers()) === '') {
      await kubectl(['apply', '-k', BASE]);
      await rollout();
      await waitFor(
        'a pod with its supervisor',
        async () => (await plainPod()).metadata?.annotations?.['openshell.ai/sideloaded'] === 'image-volume',
      );
    }
    expectSupervisor = false;
    const { failures } = await disturb(what, async () => {
      await remove();
      await waitFor(
        'a pod that nobody touches',
        async () => (await plainPod()).metadata?.annotations?.['openshell.ai/sideloaded'] === undefined,
      );
    });
    // With the configuration gone first, nobody is asked any more; otherwise nobody answers for a while.
    if (what.includes('first')) expect(failures).toEqual([]);
    for (const { message } of failures) expect(message).toContain('failed calling webhook');
    expect(await leftovers()).toBe('');
    const afterwards = await disturb(`${what}: afterwards`, () => stream.succeeds(CALM));
    expect(afterwards.failures).toEqual([]);
  });
});

describe('the Helm chart', () => {
  const helm = (...args: string[]): Promise<string> => runHelm(4, [...args, '-n', NAMESPACE], undefined, cluster.controlPlane.kubeconfig);

  it('installs the same: two ready replicas and a sandbox under its supervisor', async () => {
    await waitFor('the namespace is gone', async () => (await kubectl(['get', 'namespace', NAMESPACE, '--ignore-not-found'])) === '');
    const optional = ['--set', 'ownerEvents=true,countUnguarded=true'];
    await helm('install', RELEASE, CHART, '--create-namespace', '--wait', WAIT_FLAG, ...optional);
    // A kubelet that has just started pods is slow to reach them at times.
    const { code, stdout } = check('--wait=1m');
    expect(code, stdout).toBe(0);
    expect((await plainPod()).metadata?.annotations?.['openshell.ai/sideloaded']).toBe('image-volume');
  });

  it('tells the ReplicaSet of a Deployment whose pods are refused', async () => {
    const pods = template({ label: 'yes' });
    pods.metadata.labels.app = 'refused';
    const spec = { replicas: 3, selector: { matchLabels: { app: 'refused' } }, template: pods };
    const deployment = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'refused', namespace: 'agents' }, spec };
    await kubectl(['create', '-f', '-'], JSON.stringify(deployment));
    const selector = ['--field-selector=reportingComponent=openshell.ai/sideload', '--no-headers'];
    let shown = '';
    await waitFor('the Event', async () => {
      shown = await kubectl(['get', 'events', '-n', 'agents', ...selector]);
      return shown !== '';
    });
    expect(shown).toMatch(
      /^\S+\s+Warning\s+UnknownLabelValue\s+replicaset\/refused-\w+\s+pod refused: label openshell\.ai\/sandbox is "yes"/,
    );
    await kubectl(['delete', 'deployment', 'refused', '-n', 'agents']);
  });

  it('counts the sandboxes that run without their supervisor: none', async () => {
    const name = JSON.parse(await kubectl(['get', 'pods', ...SYSTEM, '-o', 'json'])).items[0].metadata.name;
    const metrics = (): Promise<string> => kubectl(['get', '--raw', `/api/v1/namespaces/${NAMESPACE}/pods/${name}:8081/proxy/metrics`]);
    await waitFor('the count', async () => /^openshell_sideload_unguarded_pods 0$/m.test(await metrics()));
  });

  it('uninstalled, pods are stored as they are', async () => {
    await kubectl(['delete', 'mutatingwebhookconfiguration', RELEASE]);
    await helm('uninstall', RELEASE, '--wait', WAIT_FLAG);
    expect((await plainPod()).metadata?.annotations?.['openshell.ai/sideloaded']).toBeUndefined();
  });
});

/** How often the containers of the webhook were started again. */
async function restarts(): Promise<number[]> {
  const { items } = JSON.parse(await kubectl(['get', 'pods', ...SYSTEM, '-o', 'json']));
  return items.map(
    ({ status }: { status: { containerStatuses: { restartCount: number }[] } }) => status.containerStatuses[0]?.restartCount ?? 0,
  );
}

/** A labelled pod as the API server would store it now. */
async function plainPod(): Promise<Pod> {
  const pod = { apiVersion: 'v1', kind: 'Pod', ...template() };
  const { stdout } = await cluster.controlPlane.kubectl(
    ['create', '--dry-run=server', '-n', 'agents', '-o', 'json', '-f', '-'],
    JSON.stringify({ ...pod, metadata: { ...pod.metadata, name: 'plain' } }),
  );
  return stdout === '' ? { metadata: { annotations: { 'openshell.ai/sideloaded': 'refused' } } } : (JSON.parse(stdout) as Pod);
}

/** What of the installation is still there. */
async function leftovers(): Promise<string> {
  const kinds = 'namespace,clusterrole,clusterrolebinding,mutatingwebhookconfiguration';
  return kubectl(['get', kinds, '-l', 'app.kubernetes.io/name=openshell-sideload', '-o', 'name', '--ignore-not-found']);
}

/** Sends SIGKILL to one of the webhook's processes on this machine's node. */
function killOneReplica(): void {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const isWebhook = readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('/app/lib/main.js');
      if (isWebhook && readFileSync(`/proc/${pid}/environ`, 'utf8').includes('HOSTNAME=openshell-sideload-')) {
        process.kill(Number(pid), 'SIGKILL');
        return;
      }
    } catch {
      // It ended meanwhile.
    }
  }
  throw new Error('no replica runs on this machine');
}
