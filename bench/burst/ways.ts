/** The ways by which a burst reaches a replica. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CA_FILE } from '../../src/tls/local.ts';
import { clusterAdmin } from '../../test/e2e/cluster/cluster-admin.ts';
import { startControlPlane } from '../../test/e2e/cluster/control-plane.ts';
import { waitFor } from '../../test/e2e/cluster/process.ts';
import { writeOverlay } from '../../test/e2e/webhook.ts';
import { isSideloaded } from '../../test/sideloaded.ts';
import { checkAnswers } from '../answers.ts';
import { makeReviews, pod } from '../reviews.ts';
import { type Result, runBurst, TIMEOUT_MS } from './run.ts';
import { ownConnections, sharedConnections } from './transport.ts';

/** Sends a burst of so many, so many of them at once. */
export type Way = (count: number, atOnce: number) => Promise<Result>;

const WAYS = { own: ownConnections, shared: sharedConnections } as const;

/** Straight to the replica: over a connection for each review, or as API servers connect. Each answer is looked at. */
export function directly(kind: keyof typeof WAYS, dir: string, port: number): Way {
  const ca = readFileSync(join(dir, 'tls', CA_FILE));
  return async (count, atOnce) => {
    const reviews = makeReviews(count).map((review) => JSON.stringify(review));
    const send = WAYS[kind]({ port, ca });
    const answers = new Map<string, Awaited<ReturnType<typeof send>>>();
    const call = async (review: string): Promise<void> => {
      const answer = await send(review);
      if (answer.status !== 200) throw new Error(`HTTP ${answer.status}: ${answer.body}`);
      answers.set(review, answer);
    };
    const result = await runBurst(reviews, atOnce, call, TIMEOUT_MS);
    for (const [review, answer] of answers) checkAnswers('product', review, answer);
    return result;
  };
}

/** A real API server that calls whatever listens on a port. */
export interface ApiServer {
  /** As pods, which it stores; each is looked at. */
  readonly create: Way;
  /** Waits until it calls the webhook, which has to listen. */
  readonly callsWebhook: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

/** Starts it and registers the webhook as it ships, at an address of this machine. */
export async function startApiServer(dir: string, port: number): Promise<ApiServer> {
  const cluster = await startControlPlane(join(dir, 'cluster'));
  const admin = clusterAdmin(cluster);
  let serial = 0;
  const send = async (query: string): Promise<void> => {
    const { status, body } = await admin.send('POST', `/api/v1/namespaces/agents/pods${query}`, JSON.stringify(pod(serial++)));
    if (status !== 201) throw new Error(`HTTP ${status}: ${body}`);
    if (!isSideloaded(JSON.parse(body))) throw new Error('a pod was stored without its supervisor');
  };
  await cluster.run(['create', 'namespace', 'agents']);
  await cluster.run(['label', 'namespace', 'agents', 'openshell.ai/sideload=enabled']);
  // The controller that makes it does not run here.
  await cluster.run(['create', 'serviceaccount', 'default', '-n', 'agents']);
  await cluster.run(['apply', '-k', writeOverlay(dir, port)]);
  const isInForce = (): Promise<boolean> =>
    send('?dryRun=All').then(
      () => true,
      () => false,
    );
  return {
    // It gives up on a review by itself, and then there is no pod: one that is created is never late.
    create: (count, atOnce) => runBurst(Array(count).fill(''), atOnce, send, Number.POSITIVE_INFINITY),
    callsWebhook: () => waitFor('an API server that calls the webhook', isInForce),
    stop: async () => {
      admin.close();
      await cluster.stop();
    },
  };
}
