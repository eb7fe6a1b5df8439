import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Pod } from '../../src/sideload/pod.ts';
import type { ControlPlane } from './cluster/control-plane.ts';
import { waitFor } from './cluster/process.ts';

/** A creation that did not end with a stored, or storable, pod. */
interface Failure {
  /** Milliseconds since 1970 at which it was sent. */
  readonly sent: number;
  readonly message: string;
  /** Whether the API server itself did not answer: no admission was asked for then. */
  readonly unreachable: boolean;
}

export interface StreamResult {
  readonly created: number;
  readonly dryRuns: number;
  readonly failures: readonly Failure[];
}

/** A steady stream of pod creations. */
export interface Stream {
  /** Waits until so many more in a row have succeeded. */
  readonly succeeds: (count: number) => Promise<void>;
  /** What has happened since the last call. */
  readonly take: () => StreamResult;
  /** Stops it, waits for what is under way, and tells what has happened since the last take. */
  readonly stop: () => Promise<StreamResult>;
}

/** Pods for good, besides the dry runs: one in so many. */
const REAL_EVERY = 40;
/** Longer than any webhook may take: only a fault reaches it. */
const TIMEOUT_MS = 60_000;
/** kube-apiserver after its start, while it does not know yet which webhooks there are. */
const STARTING = 'not yet ready to handle request';

/**
 * Creates pods one after the other at a rate, most of them in a server-side dry run, as one client over kept-alive
 * connections.
 *
 * @param perSecond 50 at most
 * @param check looks at each answer; what it throws counts as a failure
 */
export function startStream(
  { kubeconfig }: ControlPlane,
  namespace: string,
  perSecond: number,
  pod: Pod,
  check: (created: Pod) => void,
): Stream {
  const { clusters, users } = JSON.parse(readFileSync(kubeconfig, 'utf8'));
  const collection = new URL(`/api/v1/namespaces/${namespace}/pods`, clusters[0].cluster.server);
  const agent = new Agent({ keepAlive: true, rejectUnauthorized: false });
  let [created, dryRuns, serial, inARow, stopped] = [0, 0, 0, 0, false];
  let failures: Failure[] = [];
  const pending = new Set<Promise<void>>();

  const create = (dryRun: boolean): Promise<void> => {
    const sent = Date.now();
    const fail = (message: string, unreachable: boolean): void => {
      inARow = 0;
      failures.push({ sent, message, unreachable });
    };
    const metadata = { ...pod.metadata, name: undefined, generateName: 'stream-' };
    return new Promise((resolve) => {
      const call = request(
        new URL(dryRun ? '?dryRun=All' : '', collection),
        {
          method: 'POST',
          agent,
          timeout: TIMEOUT_MS,
          headers: { authorization: `Bearer ${users[0].user.token}`, 'content-type': 'application/json' },
        },
        (answer) => {
          let body = '';
          answer.setEncoding('utf8').on('data', (chunk: string) => {
            body += chunk;
          });
          answer.on('end', () => {
            try {
              const result = JSON.parse(body);
              const { message } = result;
              if (answer.statusCode !== 201)
                fail(`${answer.statusCode}: ${message}`, answer.statusCode === 429 || (message?.includes(STARTING) ?? true));
              else {
                check(result as Pod);
                if (dryRun) dryRuns++;
                else created++;
                inARow++;
              }
            } catch (error) {
              fail(`${answer.statusCode}: ${error instanceof Error ? error.message : body}`, false);
            }
            resolve();
          });
          answer.on('error', (error) => {
            fail(error.message, true);
            resolve();
          });
        },
      );
      call.on('timeout', () => call.destroy(new Error('no answer')));
      call.on('error', (error) => {
        fail(error.message, true);
        resolve();
      });
      call.end(JSON.stringify({ apiVersion: 'v1', kind: 'Pod', ...pod, metadata }));
    });
  };

  const loop = (async () => {
    for (let next = Date.now(); !stopped; next += 1000 / perSecond) {
      await sleep(Math.max(0, next - Date.now()));
      const one = create(++serial % REAL_EVERY !== 0);
      pending.add(one);
      void one.finally(() => pending.delete(one));
    }
  })();
  const take = (): StreamResult => {
    const result = { created, dryRuns, failures };
    [created, dryRuns, failures] = [0, 0, []];
    return result;
  };
  const succeeds = async (count: number): Promise<void> => {
    inARow = 0;
    await waitFor(`${count} pods in a row`, () => inARow >= count);
  };
  return {
    succeeds,
    take,
    stop: async () => {
      stopped = true;
      await loop;
      await Promise.all(pending);
      agent.destroy();
      return take();
    },
  };
}
