/** What the cluster can do, asked again and again. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { Failures } from '../observe/failures.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { ReadinessCheck } from '../observe/readiness.ts';
import { type ClusterFacts, UNKNOWN_CLUSTER } from '../sideload/settings.ts';
import type { Connection } from './client.ts';
import { keepsByVersion, keepsImageVolumes, readServerVersion } from './image-volumes.ts';
import { followNodes } from './nodes.ts';

/** An upgraded API server, or one with other feature gates, is seen this much later. */
const ASK_MS = 60_000;
const RETRY_MS = 1_000;
/** Nodes change in batches; log once per batch. */
const REPORT_DELAY_MS = 1_000;

/** What is known of the cluster at this moment. */
export interface ClusterView {
  readonly facts: () => ClusterFacts;
  /** Ready after the first response of the API server: before, it is not known whether it keeps image volumes. */
  readonly readiness: () => ReadinessCheck;
  readonly stop: () => void;
}

/** The view of a process that has no cluster, or was told not to ask. */
export const NO_CLUSTER: ClusterView = {
  facts: () => UNKNOWN_CLUSTER,
  readiness: () => ({ name: 'cluster', ready: true, detail: 'not asked: assumed to keep image volumes' }),
  stop: () => undefined,
};

/**
 * Finds out what the cluster can do, and follows its changes until stopped. Never throws: what was last known stays while the
 * API server is unavailable.
 *
 * @param namespace the webhook's own
 */
export function followCluster(cluster: Connection, namespace: string, log: Logger, metrics: Metrics): ClusterView {
  let facts: ClusterFacts = { ...UNKNOWN_CLUSTER, imageVolumes: 'unknown' };
  const failures = new Failures(RETRY_MS, ASK_MS, 'no response from the API server yet');
  let byVersion = false;
  let report: NodeJS.Timeout | undefined;
  const ended = new AbortController();

  const change = (next: ClusterFacts): void => {
    facts = next;
    metrics.cluster(facts);
    report ??= setTimeout(() => {
      report = undefined;
      if (facts.imageVolumes === 'unknown') return;
      const { nodes, ...apiServer } = facts;
      log[facts.imageVolumes === 'kept' ? 'info' : 'warn']({ ...apiServer, ...nodes }, describe(facts, byVersion));
    }, REPORT_DELAY_MS).unref();
  };

  const ask = async (): Promise<void> => {
    const serverVersion = await readServerVersion(cluster);
    const kept = await keepsImageVolumes(cluster, namespace);
    if (kept === undefined && !byVersion)
      log.warn(
        { namespace },
        'the API server does not permit a dry run of a pod template: its version decides whether it keeps image volumes',
      );
    byVersion = kept === undefined;
    const imageVolumes = (kept ?? keepsByVersion(serverVersion)) ? 'kept' : 'dropped';
    if (imageVolumes !== facts.imageVolumes || serverVersion !== facts.serverVersion) change({ ...facts, imageVolumes, serverVersion });
  };

  const follow = async (): Promise<void> => {
    while (!ended.signal.aborted) {
      try {
        await ask();
        failures.end();
      } catch (error) {
        metrics.apiServerFailure();
        if (failures.add(error)) log.warn({ problem: failures.problem }, 'the preflight failed: the last known facts stay in use');
      }
      const wait = failures.inARow === 0 ? ASK_MS : failures.waitMs;
      await sleep(wait, undefined, { ref: false, signal: ended.signal }).catch(() => undefined);
    }
  };

  const stopNodes = followNodes(
    cluster,
    (nodes) => change({ ...facts, nodes }),
    (message) => {
      metrics.apiServerFailure();
      log.warn({ problem: message }, 'nodes cannot be followed');
    },
  );
  void follow();
  metrics.cluster(facts);

  return {
    facts: () => facts,
    readiness: () => {
      const ready = facts.imageVolumes !== 'unknown';
      const { problem } = failures;
      const detail = ready ? describe(facts, byVersion) : problem;
      return { name: 'cluster', ready, detail: ready && problem ? `${detail} (${problem})` : detail };
    },
    stop: () => {
      ended.abort();
      clearTimeout(report);
      stopNodes();
    },
  };
}

function describe({ imageVolumes, serverVersion, nodes }: ClusterFacts, byVersion: boolean): string {
  const does = imageVolumes === 'kept' ? 'keeps image volumes' : 'drops image volumes, pods that use them are refused';
  const server = `API server ${serverVersion} ${does}${byVersion ? ' (concluded from its version)' : ''}`;
  return nodes
    ? `${server}; ${nodes.mountingImages} of ${nodes.total} schedulable Linux nodes are known to mount them`
    : `${server}; nodes are not known`;
}
