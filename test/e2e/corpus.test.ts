/**
 * Public manifests against a real kube-apiserver: it takes every one as it stands, and labelled it either stores it under its
 * supervisor, with nothing else changed, or refuses it for the reason that the corpus says.
 */

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import type { Method } from '../../src/sideload/contract.ts';
import { decide } from '../../src/sideload/decide.ts';
import type { Pod } from '../../src/sideload/pod.ts';
import { UNKNOWN_CLUSTER } from '../../src/sideload/settings.ts';
import { labelled, nameOf, readCorpus, surroundings } from '../corpus.ts';
import { expectSideloaded } from '../invariants.ts';
import { sandbox } from '../pods.ts';
import { NO_LOOKUP } from '../refusals.ts';
import { type ControlPlane, openControlPlane } from './cluster/control-plane.ts';
import { freePorts, type Process, waitFor } from './cluster/process.ts';
import { readLog, startWebhook, writeOverlay } from './webhook.ts';

/** What the API server made of the pods of one kubectl, by the names of the pods, and what kubectl printed of the others. */
interface Answers {
  readonly stored: ReadonlyMap<string, Pod>;
  readonly stderr: string;
}

const dir = mkdtempSync(join(tmpdir(), 'sideload-corpus-'));
/** Pods of others bring no policy, and many a probe. */
const FLAGS = ['--policy=configmap:sandbox-policy', '--unreachable-probes=warn', ...NO_LOOKUP];
const settings = readConfig(FLAGS, {}).sideload;
const corpus = readCorpus().map((manifest, index) => ({ ...manifest, podName: `pod-${index}` }));
const cases = corpus.map((manifest) => [nameOf(manifest), manifest] as const);
let cluster: ControlPlane;
let webhook: Process;

/** Several objects for one kubectl: one after the other, so that it goes on after a refusal. */
const stream = (objects: readonly object[]): string => objects.map((object) => JSON.stringify(object)).join('\n');

/** Asks the API server, in a dry run, to create pods; leaves out of its answers what no two pods share. */
async function create(pods: readonly { podName: string; pod: Pod }[]): Promise<Answers> {
  const objects = pods.map(({ podName, pod }) => {
    const metadata = { ...pod.metadata, name: podName, namespace: 'corpus' };
    return { apiVersion: 'v1', kind: 'Pod', ...pod, metadata };
  });
  const args = ['create', '--dry-run=server', '--validate=strict', '-o', 'json', '-f', '-'];
  const { stdout, stderr } = await cluster.kubectl(args, stream(objects));
  const printed = stdout.split(/^(?=\{)/m).filter((text) => text !== '');
  const stored = printed.map((text): [string, Pod] => {
    // The ServiceAccount plugin gives its volume another name each time.
    const pod = JSON.parse(text.replaceAll(/kube-api-access-[a-z0-9]{5}\b/g, 'kube-api-access'));
    const { name, uid, creationTimestamp, ...metadata } = pod.metadata;
    return [name, { ...pod, metadata }];
  });
  return { stored: new Map(stored), stderr };
}

let asTheyStand: Answers;

beforeAll(async () => {
  cluster = await openControlPlane(join(dir, 'cluster'));
  const [port = 0, adminPort = 0] = await freePorts(2);
  webhook = await startWebhook(dir, { port, adminPort }, FLAGS);
  await cluster.run(['create', 'namespace', 'corpus']);
  await cluster.run(['label', 'namespace', 'corpus', 'openshell.ai/sideload=enabled']);
  await cluster.run(['create', '-f', '-'], stream(surroundings(corpus, ['corpus'])));
  await cluster.run(['apply', '--validate=strict', '-k', writeOverlay(dir, port)]);
  const probe = [{ podName: 'probe', pod: sandbox() }];
  const isCalled = async (): Promise<boolean> => {
    const pod = (await create(probe)).stored.get('probe');
    return pod?.metadata?.annotations?.['openshell.ai/sideloaded'] !== undefined;
  };
  await waitFor('the API server calls the webhook', isCalled, [webhook]);
  asTheyStand = await create(corpus);
});

afterAll(async () => {
  await webhook?.stop();
  await cluster?.stop();
});

describe('without the label, a pod of the corpus', () => {
  it.each(cases)('is taken as it stands: %s', (_, { podName }) => {
    const pod = asTheyStand.stored.get(podName);
    if (!pod) throw new Error(asTheyStand.stderr);
    expect(pod.metadata?.annotations?.['openshell.ai/sideloaded']).toBeUndefined();
  });
});

describe.each<Method>(['image-volume', 'init-container'])('labelled, with method %s, a pod of the corpus', (method) => {
  const pods = corpus.map(({ pod, podName }) => ({ podName: `${method}-${podName}`, pod: labelled(pod, method) }));
  let answers: Answers;
  let logged: Record<string, unknown>[];
  beforeAll(async () => {
    answers = await create(pods);
    logged = await readLog(dir);
  });

  it.each(cases)('is stored under its supervisor, or refused: %s', (_, { pod, podName, expected, expectedWithInitContainer }) => {
    const name = `${method}-${podName}`;
    const outcome = decide(labelled(pod, method), settings, UNKNOWN_CLUSTER);
    const stored = answers.stored.get(name);
    const [reason, ...again] = logged.filter((line) => line.name === name).map((line) => line.reason);
    expect(reason).toBe(method === 'init-container' ? (expectedWithInitContainer ?? expected) : expected);
    // The ServiceAccount plugin mounts its token into the install container too; then the API server calls the webhook again.
    expect(again.filter((later) => later !== 'already-sideloaded')).toEqual([]);
    if (outcome.verdict === 'refuse') {
      expect(stored).toBeUndefined();
      expect(answers.stderr).toContain(`denied the request: ${outcome.message}\n`);
      return;
    }
    if (outcome.verdict !== 'inject' || !stored) throw new Error(answers.stderr);
    const unlabelled = asTheyStand.stored.get(podName);
    if (!unlabelled) throw new Error('it is not taken as it stands');
    // With its status: the class of service stays, too.
    expectSideloaded(labelled(unlabelled, method), stored, outcome, settings);
  });

  it('is refused by only the webhook', () => {
    const refusals = answers.stderr.split('\n').filter((line) => line.startsWith('Error'));
    expect(refusals.filter((line) => !line.includes('admission webhook "sandbox.sideload.openshell.ai" denied the request'))).toEqual([]);
    expect(answers.stored.size + refusals.length).toBe(corpus.length);
  });
});
