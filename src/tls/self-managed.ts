/** Serving certificates that this replica signs itself, in memory, with the CA that all replicas share through a Secret. */

import { Failures } from '../observe/failures.ts';
import { issueServing } from './issue.ts';
import type { ServingNames } from './names.ts';
import type { CertificatePair } from './pair.ts';
import { readinessOf, renewalDue, type Serving } from './serving.ts';
import { converge, type Seen, type SharedTrustDeps } from './shared-trust.ts';
import { authoritiesOf } from './shown.ts';
import type { FollowedCertificates } from './source.ts';
import { settledAt } from './trust.ts';

/** A change that no watch told is seen this much later. */
const RESYNC_MS = 30_000;
/** After a failure, and after a run that wrote: 1 s, doubled up to the resync. */
const RETRY_MS = 1_000;
/** So many runs in a row that wrote are no rotation: another program writes too. */
const SUSPICIOUS_WRITES = 4;

export interface SelfManagedDeps extends SharedTrustDeps {
  readonly names: ServingNames;
  /** A new certificate to serve. */
  readonly onPair: (pair: CertificatePair, notAfter: Date) => void;
}

/**
 * Keeps the shared trust and this replica's certificate in order until stopped. Never throws: while the API server is unavailable
 * the last known CA goes on signing, and everything is tried again.
 */
export function manageCertificates({ names, onPair, ...shared }: SelfManagedDeps): FollowedCertificates {
  const { store, policy, log, metrics } = shared;
  let seen: Seen = { trust: undefined, bundles: [], at: 0 };
  let serving: Serving | undefined;
  const failures = new Failures(RETRY_MS, RESYNC_MS, 'no response from the API server yet');
  let writes = 0;
  let quietUntil = 0;
  let stopped = false;
  let again = false;
  let running = false;
  let timer: NodeJS.Timeout | undefined;

  const renew = async (): Promise<void> => {
    const now = new Date();
    const due = renewalDue(serving, seen, policy, now);
    if (!due) return;
    const { certificate, key } = due.active;
    const { notAfter } = due;
    const pair = await issueServing({ cert: certificate.pem, key }, names, now, notAfter);
    serving = { ca: certificate, notAfter, renewAt: new Date(now.getTime() + ((notAfter.getTime() - now.getTime()) * 2) / 3) };
    onPair(pair, notAfter);
    metrics.rotation('serving');
    metrics.authority(certificate.notAfter);
    log.info({ notAfter }, 'serving certificate signed');
  };

  const schedule = (milliseconds: number): void => {
    clearTimeout(timer);
    if (!stopped) timer = setTimeout(() => void run(), Math.max(milliseconds, 0)).unref();
  };

  /** Each run that writes makes the next one wait longer, so that two who disagree do not write at the speed of their watches. */
  const slowDown = (wrote: boolean): void => {
    writes = wrote ? writes + 1 : 0;
    quietUntil = wrote ? Date.now() + Math.min(RETRY_MS * 2 ** (writes - 1), RESYNC_MS) : 0;
    if (writes === SUSPICIOUS_WRITES) log.warn('caBundle or the CA Secret keeps changing: does another program write it?');
  };

  const run = async (): Promise<void> => {
    if (running) {
      again = true;
      return;
    }
    if (Date.now() < quietUntil) {
      schedule(quietUntil - Date.now());
      return;
    }
    running = true;
    again = false;
    const next = [Date.now() + RESYNC_MS];
    try {
      const { until, wrote } = await converge(shared, seen, (look) => {
        seen = look;
      });
      slowDown(wrote);
      next.push(until.getTime());
      if (failures.inARow > 0) log.info({ failures: failures.inARow }, 'the API server is reachable again');
      failures.end();
    } catch (error) {
      metrics.apiServerFailure();
      if (failures.add(error))
        log.warn({ problem: failures.problem }, 'the CA Secret or caBundle cannot be read or written: the last known CA stays in use');
      next.push(Date.now() + failures.waitMs);
    }
    try {
      await renew();
    } catch (error) {
      log.error({ err: error }, 'cannot sign a serving certificate: the last one stays in use');
    }
    running = false;
    const settled = seen.trust && settledAt(seen.trust.active, policy);
    next.push(...[serving?.renewAt, serving?.notAfter, settled].map(Number));
    // What is overdue could not be done: not before the next try.
    const now = Date.now();
    schedule(again ? 0 : Math.min(...next.filter((moment) => moment > now)) - now);
  };

  const unwatch = store.watch(() => void run());
  void run();
  return {
    readiness: () => readinessOf(serving, seen, failures.problem, policy, new Date()),
    authorities: () => authoritiesOf(seen.trust),
    stop: () => {
      stopped = true;
      clearTimeout(timer);
      unwatch();
    },
  };
}
