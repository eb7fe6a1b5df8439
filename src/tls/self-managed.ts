/** Serving certificates that this replica signs itself, in memory, with the CA that all replicas share through a Secret. */

import { X509Certificate } from 'node:crypto';
import { Failures } from '../observe/failures.ts';
import type { ReadinessCheck } from '../observe/readiness.ts';
import { issueServing } from './issue.ts';
import type { ServingNames } from './names.ts';
import type { CertificatePair } from './pair.ts';
import { converge, type Seen, type SharedTrustDeps } from './shared-trust.ts';
import { type Authority, certificatesOf, settledAt, type Trust } from './trust.ts';

/** A change that no watch told is seen this much later. */
const RESYNC_MS = 30_000;
/** After a failure, and after a run that wrote: 1 s, doubled up to the resync. */
const RETRY_MS = 1_000;
/** So many runs that wrote, one after the other, are no rotation: somebody else writes too. */
const SUSPICIOUS_WRITES = 4;

export interface SelfManagedDeps extends SharedTrustDeps {
  readonly names: ServingNames;
  /** A new certificate to serve. */
  readonly onPair: (pair: CertificatePair, notAfter: Date) => void;
}

export interface SelfManaged {
  /** Whether API servers trust what is served. */
  readonly readiness: () => ReadinessCheck;
  readonly stop: () => void;
}

interface Serving {
  /** The CA that signed it, as certificatesOf() spells it. */
  readonly ca: string;
  readonly renewAt: Date;
  readonly notAfter: Date;
}

/**
 * Keeps the shared trust and this replica's certificate in order until stopped. Never throws: while the API server is away
 * the last known CA goes on signing, and everything is tried again.
 */
export function manageCertificates({ names, onPair, ...shared }: SelfManagedDeps): SelfManaged {
  const { store, policy, log, metrics } = shared;
  let seen: Seen = { trust: undefined, bundles: [], at: 0 };
  let serving: Serving | undefined;
  const failures = new Failures(RETRY_MS, RESYNC_MS, 'the API server has not answered yet');
  let writes = 0;
  let quietUntil = 0;
  let stopped = false;
  let again = false;
  let running = false;
  let timer: NodeJS.Timeout | undefined;

  const isSettled = (authority: Authority, now: Date): boolean => (settledAt(authority, policy) ?? Infinity) <= now;
  const isTrusted = (ca: string, now: Date): boolean =>
    seen.bundles.length > 0 && seen.bundles.every((bundle) => certificatesOf(bundle, now).includes(ca));
  /** The CA that signs, as certificatesOf() spells it; undefined when it has expired. */
  const activeCa = (trust: Trust, now: Date): string | undefined => certificatesOf(trust.active.cert, now)[0];

  /**
   * Signs a new certificate when there is none, when the one that is served is in its last third, or when its CA is a former
   * one. A certificate of a former CA stays while API servers trust it and the new CA has not settled.
   *
   * No certificate outlives the last look at the shared trust by more than a serving lifetime: that long a CA is trusted
   * after it has been replaced, and a replica that is cut off does not learn that it was.
   */
  const renew = async (): Promise<void> => {
    const now = new Date();
    const { trust, at } = seen;
    const active = trust && activeCa(trust, now);
    if (!active) return;
    const caEnd = new Date(new X509Certificate(active).validTo).getTime();
    const notAfter = new Date(Math.min(at + policy.servingLifetime, caEnd));
    if (notAfter <= now) return;
    if (serving?.ca === active && (serving.renewAt > now || notAfter <= serving.notAfter)) return;
    if (serving && serving.ca !== active && serving.notAfter > now && isTrusted(serving.ca, now) && !isSettled(trust.active, now)) return;
    const pair = await issueServing(trust.active, names, now, notAfter);
    serving = { ca: active, notAfter, renewAt: new Date(now.getTime() + ((notAfter.getTime() - now.getTime()) * 2) / 3) };
    onPair(pair, notAfter);
    metrics.rotation('serving');
    metrics.authority(new Date(caEnd));
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
    if (writes === SUSPICIOUS_WRITES) log.warn('caBundle or the CA Secret is changed again and again: does something else write it?');
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
      if (failures.inARow > 0) log.info({ failures: failures.inARow }, 'the API server answers again');
      failures.end();
    } catch (error) {
      metrics.apiServerFailure();
      if (failures.add(error))
        log.warn({ problem: failures.problem }, 'the shared trust cannot be read or written: the last known CA stays in use');
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
    readiness: () => {
      const now = new Date();
      const { trust, bundles } = seen;
      const { problem } = failures;
      const fail = (detail: string): ReadinessCheck => ({ name: 'certificate', ready: false, detail });
      if (!serving) return fail(`none signed yet: ${problem || 'the CA is not known'}`);
      if (serving.notAfter <= now) return fail(`expired at ${serving.notAfter.toISOString()}: ${problem}`);
      if (bundles.length === 0) return fail('the webhook configuration is missing or has no entries');
      if (!isTrusted(serving.ca, now)) return fail('caBundle does not hold its CA yet');
      // Others serve certificates that API servers trust already: until they have learnt of this CA, the others answer.
      if (trust && trust.retiring.length > 0 && serving.ca === activeCa(trust, now) && !isSettled(trust.active, now)) {
        return fail('API servers may not have learnt of its CA yet');
      }
      return { name: 'certificate', ready: true, detail: `trusted by caBundle, valid until ${serving.notAfter.toISOString()}` };
    },
    stop: () => {
      stopped = true;
      clearTimeout(timer);
      unwatch();
    },
  };
}
