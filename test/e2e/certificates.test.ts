/**
 * Self-managed certificates: replicas that share a CA through a real kube-apiserver, with the rights of manifests/base.
 *
 * A probe shakes hands with every replica all the time, trusting what caBundle says, as the API server would. What it counts
 * as failed is an admission that would have been lost.
 */

import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type TLSSocket } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { readBundle, valid } from '../../src/tls/bundle.ts';
import { makeAuthority } from '../../src/tls/issue.ts';
import { type ControlPlane, startControlPlane } from './cluster/control-plane.ts';
import { freePorts, type Process, start, waitFor } from './cluster/process.ts';
import { kubeconfigOf, linesOf } from './webhook.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const BASE = fileURLToPath(new URL('../../manifests/base', import.meta.url));
const SERVICE = 'openshell-sideload.openshell-system.svc';
const NAMESPACE = ['-n', 'openshell-system'];
const SECRET = ['secret', 'openshell-sideload-ca', ...NAMESPACE];
const CONFIGURATION = ['mutatingwebhookconfiguration', 'openshell-sideload'];
/** Lives of seconds; a CA is replaced after two thirds of its life. */
const LIVES = ['--serving-cert-lifetime=12s', '--ca-settle-time=3s'];
/** No replica serves by a new CA before API servers had the settle time to learn of it: a client that was slower says nothing of that. */
const FRESH_MS = 2_500;

const dir = mkdtempSync(join(tmpdir(), 'sideload-certificates-'));
let cluster: ControlPlane;

const kubectl = (...args: string[]): Promise<string> => cluster.run(args);

interface Entry {
  readonly name: string;
  readonly clientConfig: { readonly caBundle?: string };
}

/** caBundle of every entry, in PEM. */
async function bundles(): Promise<string[]> {
  const { webhooks } = JSON.parse(await kubectl('get', ...CONFIGURATION, '-o', 'json')) as { webhooks: Entry[] };
  return webhooks.map(({ clientConfig }) => Buffer.from(clientConfig.caBundle ?? '', 'base64').toString());
}

const authorities = async (): Promise<number[]> =>
  (await bundles()).map((bundle) => valid(readBundle(bundle).certificates, new Date()).length);
const setBundle = (entry: number, pem: string): Promise<string> =>
  kubectl(
    'patch',
    ...CONFIGURATION,
    '--type=json',
    '-p',
    JSON.stringify([{ op: 'add', path: `/webhooks/${entry}/clientConfig/caBundle`, value: Buffer.from(pem).toString('base64') }]),
  );

const ACCOUNT = 'openshell-sideload';

/** A replica of the webhook, as a process of this machine with a service account's token. */
interface Replica extends Process {
  readonly port: number;
  readonly ready: () => Promise<string>;
  readonly log: () => Record<string, unknown>[];
  readonly logs: (text: string) => boolean;
}

let replicas: Replica[] = [];

async function startReplica(flags: readonly string[] = [], account = ACCOUNT): Promise<Replica> {
  writeFileSync(join(dir, `${account}.kubeconfig`), await kubeconfigOf(cluster, account));
  const [port = 0, adminPort = 0] = await freePorts(2);
  const logFile = join(dir, `replica-${port}.log`);
  const ports = [`--port=${port}`, `--admin-port=${adminPort}`, '--bind-address=127.0.0.1', '--shutdown-delay=0'];
  const webhook = start('replica', process.execPath, [MAIN, '--certificates=self-managed', ...ports, ...flags], logFile, {
    ...process.env,
    KUBECONFIG: join(dir, `${account}.kubeconfig`),
  });
  const ready = (): Promise<string> =>
    fetch(`http://127.0.0.1:${adminPort}/readyz?verbose`).then(
      (response) => response.text(),
      () => 'not listening',
    );
  const text = (): string => readFileSync(logFile, 'utf8');
  const log = (): Record<string, unknown>[] => linesOf(logFile);
  const replica = { ...webhook, port, ready, log, logs: (part: string) => text().includes(part) };
  replicas.push(replica);
  return replica;
}

const isReady = async (replica: Replica): Promise<boolean> => (await replica.ready()).endsWith('\nok');
const allReady = (...some: Replica[]): Promise<void> =>
  waitFor('ready replicas', async () => (await Promise.all(some.map(isReady))).every(Boolean), some);

/** The certificate that a replica shows to a client that trusts the bundle; throws when the client does not trust it. */
async function handshake(port: number, ca: string): Promise<string> {
  const socket: TLSSocket = connect({ host: '127.0.0.1', port, ca: valid(readBundle(ca).certificates, new Date()), servername: SERVICE });
  try {
    await new Promise<void>((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
    return socket.getPeerCertificate().fingerprint256;
  } finally {
    socket.destroy();
  }
}

/** Shakes hands with the replicas until stopped; every entry's bundle has to be good for every replica. */
function probe(...some: Replica[]): { certificates: () => number; stop: () => Promise<{ failures: string[] }> } {
  let [stopped, handshakes, late] = [false, 0, 0];
  const failures: string[] = [];
  const seen = new Set<string>();
  const loop = (async () => {
    while (!stopped) {
      const asked = performance.now();
      for (const bundle of await bundles().catch(() => [])) {
        for (const { port } of some) {
          await handshake(port, bundle).then(
            (fingerprint) => seen.add(fingerprint),
            (error: Error) => {
              if (performance.now() - asked < FRESH_MS) failures.push(`${new Date().toISOString()} ${port}: ${error.message}`);
              else late++;
            },
          );
          handshakes++;
        }
      }
      await sleep(50);
    }
  })();
  return {
    certificates: () => seen.size,
    stop: async () => {
      stopped = true;
      await loop;
      process.stderr.write(
        `probe: ${handshakes} handshakes, ${seen.size} certificates, ${failures.length} failed, ${late} more too late to say anything\n`,
      );
      expect(handshakes).toBeGreaterThan(late);
      return { failures };
    },
  };
}

async function stopReplicas(): Promise<void> {
  await Promise.all(replicas.map((replica) => replica.stop()));
  replicas = [];
}

/** As before the first start. */
async function reset(): Promise<void> {
  await stopReplicas();
  await kubectl('delete', '--ignore-not-found', ...SECRET);
  await kubectl('delete', '--ignore-not-found', ...CONFIGURATION);
  await kubectl('apply', '-k', BASE);
}

beforeAll(async () => {
  cluster = await startControlPlane(join(dir, 'cluster'));
  await kubectl('apply', '--validate=strict', '-k', BASE);
});

afterAll(async () => {
  await stopReplicas();
  await cluster?.stop();
});

describe('a fresh installation', () => {
  afterEach(reset);

  it('gets one CA from replicas that start together, in every entry, and both are ready', async () => {
    const [one, two] = await Promise.all([startReplica(), startReplica()]);
    await allReady(one, two);
    expect(await authorities()).toEqual([1, 1, 1, 1]);
    for (const bundle of await bundles()) for (const { port } of [one, two]) await handshake(port, bundle);
    expect(await one.ready()).toMatch(/\[\+\] certificate: trusted by caBundle, valid until 20/);
  });

  it('is not ready before the webhook configuration is there, and is right after', async () => {
    await kubectl('delete', ...CONFIGURATION);
    const replica = await startReplica();
    await waitFor('the reason', async () =>
      (await replica.ready()).includes('[-] certificate: the webhook configuration is missing or has no entries'),
    );
    await kubectl('apply', '-k', BASE);
    await allReady(replica);
  });

  it('trusts nothing of before when the Secret and caBundle are taken away while no replica runs', async () => {
    await allReady(await startReplica());
    const [leaked = ''] = await bundles();
    await stopReplicas();
    await kubectl('delete', ...SECRET);
    const remove = [0, 1, 2, 3].map((entry) => ({ op: 'remove', path: `/webhooks/${entry}/clientConfig/caBundle` }));
    await kubectl('patch', ...CONFIGURATION, '--type=json', '-p', JSON.stringify(remove));
    await allReady(await startReplica());
    expect(await authorities()).toEqual([1, 1, 1, 1]);
    for (const bundle of await bundles()) expect(bundle).not.toBe(leaked);
  });

  it('keeps caBundle when the manifests are applied again, and kubectl sees no difference', async () => {
    await allReady(await startReplica());
    const before = await bundles();
    await kubectl('apply', '-k', BASE);
    expect(await bundles()).toEqual(before);
    expect(await cluster.kubectl(['diff', '-k', BASE])).toEqual({ code: 0, stdout: '', stderr: '' });
  });
});

describe('running replicas', () => {
  let one: Replica;
  let two: Replica;
  beforeAll(async () => {
    one = await startReplica(LIVES);
    two = await startReplica(LIVES);
    await allReady(one, two);
  });
  afterAll(reset);

  const settled = (count: number): Promise<void> =>
    waitFor(
      `${count} CA in every entry`,
      async () => (await authorities()).every((found) => found === count) && (await isReady(one)) && (await isReady(two)),
      [one, two],
    );

  it('renew their certificates unnoticed, and write nothing while nothing differs', async () => {
    const version = async (): Promise<string> =>
      (await kubectl('get', ...SECRET, '-o', 'jsonpath={.metadata.resourceVersion}')) +
      (await kubectl('get', ...CONFIGURATION, '-o', 'jsonpath={.metadata.resourceVersion}'));
    const before = await version();
    const probing = probe(one, two);
    await waitFor('three certificates of each replica', () => probing.certificates() >= 6, [one, two]);
    expect((await probing.stop()).failures).toEqual([]);
    expect(await version()).toBe(before);
  });

  it.each([0, 1, 2, 3])('heal entry %i when its caBundle is emptied', async (entry) => {
    await kubectl('patch', ...CONFIGURATION, '--type=json', '-p', `[{"op": "remove", "path": "/webhooks/${entry}/clientConfig/caBundle"}]`);
    await settled(1);
  });

  it('heal an entry whose caBundle is replaced by another CA, which goes after a serving lifetime', async () => {
    const now = new Date();
    const { cert } = await makeAuthority('somebody', now, new Date(now.getTime() + 3_600_000));
    await setBundle(1, cert);
    await waitFor('both CAs in every entry', async () => (await authorities()).every((count) => count === 2));
    await settled(1);
  });

  it('take over a new CA on request without a failed handshake', async () => {
    const probing = probe(one, two);
    const before = (await bundles())[0];
    await kubectl('annotate', ...SECRET, 'openshell.ai/rotate-ca=now');
    await waitFor('old and new CA in every entry', async () => (await authorities()).every((count) => count === 2));
    await settled(1);
    expect((await bundles())[0]).not.toBe(before);
    expect(await kubectl('get', ...SECRET, '-o', 'jsonpath={.metadata.annotations}')).not.toContain('rotate-ca');
    expect((await probing.stop()).failures).toEqual([]);
  });

  it.each([
    { why: 'deleted', damage: () => kubectl('delete', ...SECRET), says: 'the CA Secret is missing' },
    {
      why: 'emptied',
      damage: () => kubectl('patch', ...SECRET, '--type=json', '-p', '[{"op": "remove", "path": "/data"}]'),
      says: 'the CA Secret is damaged',
    },
    {
      why: 'overwritten',
      damage: () => kubectl('patch', ...SECRET, '-p', '{"stringData": {"trust.json": "{\\"active\\": {}}"}}'),
      says: 'the CA Secret is damaged',
    },
  ])('survive that the Secret is $why without a failed handshake', async ({ damage, says }) => {
    const probing = probe(one, two);
    const before = (await bundles())[0];
    await damage();
    await waitFor('a new CA beside the old one', async () => (await authorities()).every((count) => count === 2), [one, two]);
    expect(one.logs(says) || two.logs(says)).toBe(true);
    await settled(1);
    expect((await bundles())[0]).not.toBe(before);
    expect((await probing.stop()).failures).toEqual([]);
    for (const replica of [one, two]) expect(replica.log().some(({ level }) => level === 'fatal')).toBe(false);
  });

  it('do not write at the speed of another writer', async () => {
    const since = new Map([one, two].map((replica) => [replica, replica.log().length]));
    const news = (replica: Replica) => replica.log().slice(since.get(replica));
    const SUSPICION = /keeps changing: does another program write it/;
    const suspicious = (): Replica | undefined =>
      [one, two].find((replica) => news(replica).some(({ msg }) => SUSPICION.test(String(msg))));
    const remove = JSON.stringify([{ op: 'remove', path: '/webhooks/1/clientConfig/caBundle' }]);
    await waitFor('a replica that tells of the other writer', async () => {
      await cluster.kubectl(['patch', ...CONFIGURATION, '--type=json', '-p', remove]);
      return suspicious() !== undefined;
    });
    // It tells after four runs that wrote, between which it waits for 1, 2 and 4 seconds at least, however busy the machine is.
    const times = news(suspicious() ?? one)
      .filter(({ msg }) => msg === 'caBundle written')
      .map(({ time }) => Date.parse(String(time)));
    const pauses = times.slice(1).map((time, index) => time - (times[index] ?? 0));
    expect(Math.max(...pauses), 'milliseconds').toBeGreaterThan(3_900);
    await settled(1);
  });

  it('are not ready any more when they are cut off and the others have gone on', async () => {
    await kubectl('create', 'serviceaccount', 'cut-off', ...NAMESPACE);
    const subject = '--serviceaccount=openshell-system:cut-off';
    await kubectl('create', 'rolebinding', 'cut-off', '--role=openshell-sideload-certificates', subject, ...NAMESPACE);
    await kubectl('create', 'clusterrolebinding', 'cut-off', '--clusterrole=openshell-sideload-certificates', subject);
    const three = await startReplica(LIVES, 'cut-off');
    await allReady(three);
    await kubectl('delete', 'rolebinding', 'cut-off', ...NAMESPACE);
    await kubectl('annotate', ...SECRET, 'openshell.ai/rotate-ca=now');
    await waitFor('the replica that is cut off is not ready', async () => !(await isReady(three)));
    await settled(1);
    expect(await isReady(three)).toBe(false);
    await three.stop();
  });

  it('welcome a third one, and a restart of the first one, without a failed handshake of the others', async () => {
    const probing = probe(two);
    const three = await startReplica(LIVES);
    await allReady(three);
    await one.stop();
    one = await startReplica(LIVES);
    await allReady(one, two, three);
    expect((await probing.stop()).failures).toEqual([]);
    expect(await authorities()).toEqual([1, 1, 1, 1]);
    await three.stop();
  });
});

describe('while the API server is unavailable', () => {
  afterAll(reset);

  it('replicas go on, and heal what was broken once it is back', async () => {
    // No certificate outlives the last look at the shared trust, at most 30 s ago, by more than its lifetime.
    const LONGER = ['--serving-cert-lifetime=2m', '--ca-settle-time=3s'];
    const [one, two] = await Promise.all([startReplica(LONGER), startReplica(LONGER)]);
    await allReady(one, two);
    const [trusting = ''] = await bundles();
    await cluster.stopApiserver();
    try {
      await waitFor('both notice', async () => {
        for (const { port } of [one, two]) await handshake(port, trusting);
        return [one, two].every((replica) =>
          replica.logs('the CA Secret or caBundle cannot be read or written: the last known CA stays in use'),
        );
      });
      for (const replica of [one, two]) expect(await isReady(replica)).toBe(true);
    } finally {
      await cluster.startApiserver();
    }
    await kubectl('patch', ...CONFIGURATION, '--type=json', '-p', '[{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}]');
    await waitFor('caBundle is healed', async () => (await authorities()).every((count) => count === 1));
    await waitFor('both are back', () => [one, two].every((replica) => replica.logs('the API server is reachable again')));
  });
});

describe('a CA of seconds', () => {
  afterAll(reset);

  it('is replaced after two thirds of its life, again and again, without a failed handshake', async () => {
    const flags = ['--ca-lifetime=30s', '--serving-cert-lifetime=9s', '--ca-settle-time=3s'];
    const [one, two] = await Promise.all([startReplica(flags), startReplica(flags)]);
    await allReady(one, two);
    const seen = new Set<string>();
    const probing = probe(one, two);
    await waitFor('the third CA', async () => {
      for (const bundle of await bundles()) for (const pem of valid(readBundle(bundle).certificates, new Date())) seen.add(pem);
      return seen.size >= 3;
    }, [one, two]);
    expect((await probing.stop()).failures).toEqual([]);
  });
});

describe('each right of the service account is needed', () => {
  const role = ['role', 'openshell-sideload-certificates', ...NAMESPACE];
  const clusterRole = ['clusterrole', 'openshell-sideload-certificates'];
  const as = ['--as=system:serviceaccount:openshell-system:openshell-sideload'];
  const cases = [
    { of: role, verb: 'get', object: 'secret/openshell-sideload-ca', says: 'cannot read Secret openshell-system/openshell-sideload-ca' },
    {
      of: role,
      verb: 'create',
      object: 'secret/openshell-sideload-ca',
      says: 'cannot create Secret openshell-system/openshell-sideload-ca',
    },
    {
      of: role,
      verb: 'patch',
      object: 'secret/openshell-sideload-ca',
      says: 'cannot create Secret openshell-system/openshell-sideload-ca',
    },
    { of: role, verb: 'watch', object: 'secret/openshell-sideload-ca', says: 'cannot watch Secret openshell-system/openshell-sideload-ca' },
    {
      of: clusterRole,
      verb: 'get',
      object: 'mutatingwebhookconfiguration/openshell-sideload',
      says: 'cannot read MutatingWebhookConfiguration openshell-sideload',
    },
    {
      of: clusterRole,
      verb: 'patch',
      object: 'mutatingwebhookconfiguration/openshell-sideload',
      says: 'cannot write caBundle of MutatingWebhookConfiguration openshell-sideload',
    },
    {
      of: clusterRole,
      verb: 'watch',
      object: 'mutatingwebhookconfiguration/openshell-sideload',
      says: 'cannot watch MutatingWebhookConfiguration openshell-sideload',
    },
  ];
  afterEach(reset);

  it('and there are no others', async () => {
    const rules = [
      ...JSON.parse(await kubectl('get', ...role, '-o', 'json')).rules,
      ...JSON.parse(await kubectl('get', ...clusterRole, '-o', 'json')).rules,
    ];
    expect(rules.reduce((sum: number, { verbs }: { verbs: string[] }) => sum + verbs.length, 0)).toBe(cases.length);
    for (const { resourceNames } of rules) expect(resourceNames).toHaveLength(1);
  });

  it.each(cases)('$verb $object', async ({ of, verb, object, says }) => {
    const can = async (): Promise<string> => (await cluster.kubectl(['auth', 'can-i', verb, object, ...NAMESPACE, ...as])).stdout.trim();
    await waitFor('the right', async () => (await can()) === 'yes');
    const { rules } = JSON.parse(await kubectl('get', ...of, '-o', 'json'));
    const without = rules[0].verbs.filter((candidate: string) => candidate !== verb);
    await kubectl('patch', ...of, '--type=json', '-p', JSON.stringify([{ op: 'replace', path: '/rules/0/verbs', value: without }]));
    await waitFor('the right to be gone', async () => (await can()) === 'no');
    const replica = await startReplica();
    await waitFor(says, () => replica.logs(says), [replica]);
    // A watch only makes changes known sooner.
    if (verb === 'watch') await allReady(replica);
    else expect(await isReady(replica)).toBe(false);
  });
});
