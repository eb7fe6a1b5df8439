/** Writes Events about owners of refused pods, and of pods with warnings, after the response was sent. */

import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Metrics } from '../observe/metrics.ts';
import { onceAMinute } from '../observe/once-a-minute.ts';
import type { Outcome } from '../sideload/outcome.ts';
import { type Owner, type OwnerEvent, ownerEventsFor, ownerOf } from '../sideload/owner-events.ts';
import type { Pod } from '../sideload/pod.ts';
import { isConfigMapName } from '../sideload/policy.ts';
import { type Connection, call, request, statusOf } from './client.ts';
import { openToldOwners, TELL_AGAIN_MS } from './told-owners.ts';

const REPORTING_CONTROLLER = 'openshell.ai/sideload';
/** Source: k8s.io/kubernetes, pkg/apis/core/validation/events.go, ReportingInstanceLengthLimit. */
const LONGEST_INSTANCE = 128;
/** Events that wait; more are dropped. */
const MOST_WAITING = 128;
/** What is left of the queue is dropped when the process ends. */
const FLUSH_MS = 2_000;

export interface OwnerEvents {
  /** Returns at once, and never throws. */
  readonly tell: (review: { readonly pod: Pod; readonly namespace: string; readonly dryRun: boolean }, outcome: Outcome) => void;
  /** Writes what waits, for two seconds at most. */
  readonly stop: () => Promise<void>;
}

interface Waiting {
  readonly namespace: string;
  readonly owner: Owner;
  readonly event: OwnerEvent;
}

export function openOwnerEvents(cluster: Connection, log: Logger, metrics: Metrics): OwnerEvents {
  const told = openToldOwners();
  const waiting: Waiting[] = [];
  let working: Promise<void> | undefined;
  const report = onceAMinute((problem: string, failures) =>
    log.warn({ problem, failures }, 'an Event on the owner of a pod was not written'),
  );

  const write = async ({ namespace, owner, event }: Waiting): Promise<void> => {
    const now = new Date();
    // metav1.MicroTime has six digits.
    const eventTime = now.toISOString().replace('Z', '000Z');
    const body = {
      metadata: { name: nameOf(owner, event, now.getTime()), namespace },
      ...{ eventTime, type: 'Warning', ...event, regarding: { ...owner, namespace } },
      ...{ reportingController: REPORTING_CONTROLLER, reportingInstance: hostname().slice(0, LONGEST_INSTANCE) || REPORTING_CONTROLLER },
    };
    try {
      await call(
        `create an Event in namespace ${namespace}`,
        request(cluster, 'POST', `/apis/events.k8s.io/v1/namespaces/${namespace}/events`, { body }),
      );
      metrics.ownerEvent('created');
    } catch (error) {
      if (statusOf(error) === 409) {
        metrics.ownerEvent('duplicate');
        return;
      }
      metrics.ownerEvent('failed');
      report(error instanceof Error ? error.message : String(error));
    }
  };
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) await write(next);
    working = undefined;
  };

  return {
    tell: ({ pod, namespace, dryRun }, outcome) => {
      if (dryRun || (outcome.verdict !== 'refuse' && !outcome.warnings?.length)) return;
      const owner = ownerOf(pod);
      // Anything else would be another path of the API.
      if (!owner || !isConfigMapName(namespace)) return;
      for (const event of ownerEventsFor(outcome)) {
        const isNew = told.add(namespace, owner.uid, event.reason);
        if (isNew === 'told') continue;
        if (isNew === 'full' || waiting.length >= MOST_WAITING) metrics.ownerEvent('dropped');
        else waiting.push({ namespace, owner, event });
      }
      if (waiting.length > 0) working ??= new Promise((resolve) => setImmediate(() => resolve(work())));
    },
    stop: async () => {
      await Promise.race([working, sleep(FLUSH_MS, undefined, { ref: false })]);
      waiting.length = 0;
    },
  };
}

/** Replicas give the same Event of the same ten minutes the same name: the API server takes the first. */
function nameOf({ name, uid }: Owner, { reason }: OwnerEvent, now: number): string {
  const hash = createHash('sha256')
    .update(`${uid}/${reason}/${Math.floor(now / TELL_AGAIN_MS)}`)
    .digest('hex');
  return `${name.slice(0, 230)}.${hash.slice(0, 16)}`;
}
