/** One measurement: pods are created on an API server that calls one webhook, or none. */

import type { Answer, ClusterAdmin } from '../../test/e2e/cluster/cluster-admin.ts';
import { waitFor } from '../../test/e2e/cluster/process.ts';
import { isSideloaded } from '../../test/sideloaded.ts';
import { difference, type Histogram, readHistogram } from '../histogram.ts';
import { pod } from '../reviews.ts';
import { runCreators } from './creators.ts';
import type { Cell, Setup } from './report.ts';

/** Connections are opened before anything counts. */
const WARM_UP_SECONDS = 0.5;
const CONFIGURATIONS = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations';
const PODS = '/api/v1/namespaces/agents/pods';

/** What the API server calls for new pods. */
interface Webhook {
  /** A MutatingWebhookConfiguration named openshell-sideload; undefined for no webhook. */
  readonly configuration: object | undefined;
  /** Seconds of CPU that it has taken. */
  readonly cpu: () => number;
  /** What it has measured of its own decisions. */
  readonly decisions: () => Promise<Histogram>;
}

export interface Bench {
  readonly admin: ClusterAdmin;
  readonly webhooks: Readonly<Record<Setup, Webhook>>;
}

let serial = 0;

/** Creates a pod that no other was before. */
function createPod({ admin }: Bench, query = ''): Promise<Answer> {
  return admin.send('POST', `${PODS}${query}`, JSON.stringify(pod(serial++))).catch((error) => ({ status: 0, body: String(error) }));
}

/** What is wrong with the answer to a creation; undefined where it is as it has to be. */
function flaw(setup: Setup, { status, body }: Answer): string | undefined {
  if (status !== 201) return `HTTP ${status}: ${body.slice(0, 300)}`;
  const has = isSideloaded(JSON.parse(body));
  return has === (setup === 'product') ? undefined : `the pod ${has ? 'has a' : 'is without its'} supervisor`;
}

/** What the API server has measured of its calls to mutating webhooks for new objects. */
async function callsOf({ admin }: Bench): Promise<Histogram> {
  const { status, body } = await admin.send('GET', '/metrics');
  if (status !== 200) throw new Error(`metrics of the API server: HTTP ${status}`);
  return readHistogram(body, 'apiserver_admission_webhook_admission_duration_seconds', { operation: 'CREATE', type: 'admit' });
}

/** Registers a webhook, or none, in place of the one before, and waits until the API server goes by it. */
async function register(bench: Bench, setup: Setup): Promise<void> {
  const { admin, webhooks } = bench;
  const { configuration } = webhooks[setup];
  await admin.send('DELETE', `${CONFIGURATIONS}/openshell-sideload`);
  if (configuration) {
    const { status, body } = await admin.send('POST', CONFIGURATIONS, JSON.stringify(configuration));
    if (status !== 201) throw new Error(`the webhook configuration of ${setup}: ${body}`);
  }
  await waitFor(`an API server that goes by the webhook configuration of ${setup}`, async () => {
    const before = await callsOf(bench);
    const answer = await createPod(bench, '?dryRun=All');
    const { count } = difference(await callsOf(bench), before);
    return flaw(setup, answer) === undefined && count > 0 === (configuration !== undefined);
  });
}

/** Pods without a node go at once. */
async function removePods({ admin }: Bench): Promise<void> {
  await admin.send('DELETE', `${PODS}?gracePeriodSeconds=0`);
  const { status, body } = await admin.send('GET', `${PODS}?limit=1`);
  if (status !== 200 || JSON.parse(body).items.length > 0) throw new Error(`pods are left: ${body.slice(0, 300)}`);
}

/**
 * Creates pods for some time, looks at each of them, and removes them.
 *
 * @throws Error when the API server takes the webhook's configuration, or the removal, not as it should. Pods that are not
 *   created, or not as they have to be, are counted; the first is told to stderr.
 */
export async function measure(bench: Bench, setup: Setup, creators: number, seconds: number): Promise<Cell> {
  await register(bench, setup);
  const { cpu, decisions } = bench.webhooks[setup];
  const create = (): Promise<Answer> => createPod(bench);
  const warm = await runCreators(create, creators, WARM_UP_SECONDS);

  const before = { calls: await callsOf(bench), decisions: await decisions(), cpu: cpu() };
  const { answers, seconds: elapsed, p50, p99 } = await runCreators(create, creators, seconds);
  const after = { calls: await callsOf(bench), decisions: await decisions(), cpu: cpu() };

  const flaws = [...warm.answers, ...answers].flatMap((answer) => flaw(setup, answer) ?? []);
  if (flaws[0] !== undefined) process.stderr.write(`${setup}, ${creators} creators: ${flaws[0]}\n`);
  await removePods(bench);
  return {
    pods: answers.length,
    podsPerSecond: answers.length / elapsed,
    p50,
    p99,
    calls: difference(after.calls, before.calls),
    decisions: difference(after.decisions, before.decisions),
    cpuMicroseconds: ((after.cpu - before.cpu) / answers.length) * 1e6,
    errors: flaws.length,
  };
}
