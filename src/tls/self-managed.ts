/** Serving certificates that this replica signs itself, in memory, with the CA that all replicas share through a Secret. */

import { randomUUID, X509Certificate } from 'node:crypto';
import type { Logger } from 'pino';
import type { ReadinessCheck } from '../admin.ts';
import type { Metrics } from '../metrics.ts';
import { issueServing, makeAuthority } from './issue.ts';
import type { ServingNames } from './names.ts';
import type { CertificatePair } from './pair.ts';
import {
  type Authority,
  certificatesOf,
  formatTrust,
  NewerTrustError,
  nextStep,
  parseTrust,
  settledAt,
  type Trust,
  type TrustPolicy,
} from './trust.ts';

/** Somebody else wrote first: read again. */
export class ConflictError extends Error {
  override readonly name = 'ConflictError';
}

/** Where the shared trust lives; src/cluster/trust-store.ts keeps it in a Secret and a webhook configuration. */
export interface TrustStore {
  /** What the Secret holds; undefined where there is none. */
  readonly readSecret: () => Promise<StoredSecret | undefined>;
  /** @throws ConflictError when there is a Secret by now */
  readonly createSecret: (text: string) => Promise<void>;
  /** Stores the text; `answersRequest` takes back a request for rotation. @throws ConflictError when `version` is not the newest any more */
  readonly updateSecret: (text: string, version: string, answersRequest: boolean) => Promise<void>;
  /** caBundle (PEM) of every entry of the webhook configuration; undefined where there is none. */
  readonly readBundles: () => Promise<StoredBundles | undefined>;
  /** Writes caBundle into every entry. @throws ConflictError when `version` is not the newest any more */
  readonly writeBundles: (bundle: string, stored: StoredBundles) => Promise<void>;
  /** Calls back when either may have changed. Returns a function that ends it. */
  readonly watch: (onChange: () => void) => () => void;
}

interface StoredSecret {
  readonly version: string;
  readonly text: string;
  readonly rotationRequested: boolean;
}

export interface StoredBundles {
  readonly version: string;
  readonly entries: readonly { readonly name: string; readonly bundle: string }[];
}

/** A change that no watch told is seen this much later. */
const RESYNC_MS = 30_000;
/** After a failure, and after a run that wrote: 1 s, doubled up to the resync. */
const RETRY_MS = 1_000;
/** So many runs that wrote, one after the other, are no rotation: somebody else writes too. */
const SUSPICIOUS_WRITES = 4;
/** More than a rotation has; two replicas that race each other end long before. */
const MAX_STEPS = 20;

export interface SelfManagedDeps {
  readonly store: TrustStore;
  readonly policy: TrustPolicy;
  readonly names: ServingNames;
  readonly log: Logger;
  readonly metrics: Metrics;
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
export function manageCertificates({ store, policy, names, log, metrics, onPair }: SelfManagedDeps): SelfManaged {
  let trust: Trust | undefined;
  let bundles: readonly string[] = [];
  let serving: Serving | undefined;
  /** When the API server was last asked with success: what is trusted may have changed since. */
  let lastRead = 0;
  let failures = 0;
  let problem = 'the API server has not answered yet';
  let writes = 0;
  let quietUntil = 0;
  let stopped = false;
  let again = false;
  let running = false;
  let timer: NodeJS.Timeout | undefined;

  const isSettled = (authority: Authority, now: Date): boolean => (settledAt(authority, policy) ?? Infinity) <= now;
  const isTrusted = (ca: string, now: Date): boolean =>
    bundles.length > 0 && bundles.every((bundle) => certificatesOf(bundle, now).includes(ca));

  /** Performs steps until there is nothing to do; returns the moment of the next one, and whether it wrote. */
  const converge = async (): Promise<{ until: Date; wrote: boolean }> => {
    let wrote = false;
    for (let i = 0; i < MAX_STEPS; i++) {
      const [secret, stored] = await Promise.all([store.readSecret(), store.readBundles()]);
      const now = new Date();
      const read = readTrust(secret, now);
      trust = read.trust ?? trust;
      bundles = stored?.entries.map(({ bundle }) => bundle) ?? [];
      lastRead = now.getTime();
      const step = nextStep({ trust: read.trust, bundles, rotationRequested: secret?.rotationRequested ?? false }, now, policy);
      if (step.do === 'wait') return { until: step.until, wrote };
      try {
        switch (step.do) {
          case 'found': {
            const text = formatTrust({ active: await newAuthority(now), retiring: step.retiring });
            await (secret ? store.updateSecret(text, secret.version, true) : store.createSecret(text));
            const fields = { trusted: step.retiring.length };
            const what = 'stored a new CA beside those that caBundle trusts';
            if (read.problem !== '') log.error({ ...fields, problem: read.problem }, `the CA Secret is damaged: ${what}`);
            // On a fresh cluster there is none, and caBundle is empty.
            else log[step.retiring.length === 0 ? 'info' : 'warn'](fields, `the CA Secret is missing: ${what}`);
            metrics.rotation('ca');
            break;
          }
          case 'stage':
            await store.updateSecret(formatTrust({ ...step.trust, next: await newAuthority(now) }), secret?.version ?? '', true);
            log.info('a new CA is staged: caBundle gets it beside the active one');
            metrics.rotation('ca');
            break;
          case 'store':
            await store.updateSecret(formatTrust(step.trust), secret?.version ?? '', false);
            log.info(`trust stored: ${step.why}`);
            break;
          case 'publish':
            if (stored) await store.writeBundles(step.bundle, stored);
            log.info({ entries: stored?.entries.length }, 'caBundle written');
        }
        wrote = true;
      } catch (error) {
        if (!(error instanceof ConflictError)) throw error;
        log.debug('another replica wrote first: reading again');
      }
    }
    throw new Error(`no agreement on the CA after ${MAX_STEPS} steps: does something else write the Secret or caBundle?`);
  };

  const newAuthority = (now: Date): Promise<CertificatePair> =>
    makeAuthority(`openshell-sideload CA ${randomUUID()}`, now, new Date(now.getTime() + policy.caLifetime));

  /**
   * Signs a new certificate when there is none, when the one that is served is in its last third, or when its CA is a former
   * one. A certificate of a former CA stays while API servers trust it and the new CA has not settled.
   *
   * No certificate outlives the last look at the shared trust by more than a serving lifetime: that long a CA is trusted
   * after it has been replaced, and a replica that is cut off does not learn that it was.
   */
  const renew = async (): Promise<void> => {
    const now = new Date();
    if (!trust) return;
    const [active = ''] = certificatesOf(trust.active.cert, now);
    if (active === '') return;
    const caEnd = new Date(new X509Certificate(active).validTo).getTime();
    const notAfter = new Date(Math.min(lastRead + policy.servingLifetime, caEnd));
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
      const { until, wrote } = await converge();
      slowDown(wrote);
      next.push(until.getTime());
      if (failures > 0) log.info({ failures }, 'the API server answers again');
      failures = 0;
      problem = '';
    } catch (error) {
      failures++;
      metrics.apiServerFailure();
      const message = error instanceof Error ? error.message : String(error);
      // Once for each cause, so that an outage does not fill the log.
      if (message !== problem) log.warn({ problem: message }, 'the shared trust cannot be read or written: the last known CA stays in use');
      problem = message;
      next.push(Date.now() + Math.min(RETRY_MS * 2 ** (failures - 1), RESYNC_MS));
    }
    try {
      await renew();
    } catch (error) {
      log.error({ err: error }, 'cannot sign a serving certificate: the last one stays in use');
    }
    running = false;
    const settled = trust && settledAt(trust.active, policy);
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
      const fail = (detail: string): ReadinessCheck => ({ name: 'certificate', ready: false, detail });
      if (!serving) return fail(`none signed yet: ${problem || 'the CA is not known'}`);
      if (serving.notAfter <= now) return fail(`expired at ${serving.notAfter.toISOString()}: ${problem}`);
      if (bundles.length === 0) return fail('the webhook configuration is missing or has no entries');
      if (!isTrusted(serving.ca, now)) return fail('caBundle does not hold its CA yet');
      // Others serve certificates that API servers trust already: until they have learnt of this CA, the others answer.
      if (trust && trust.retiring.length > 0 && serving.ca === certificatesOf(trust.active.cert, now)[0] && !isSettled(trust.active, now)) {
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

/** @throws NewerTrustError: what a later version wrote is neither used nor overwritten */
function readTrust(secret: StoredSecret | undefined, now: Date): { trust: Trust | undefined; problem: string } {
  if (!secret) return { trust: undefined, problem: '' };
  try {
    return { trust: parseTrust(secret.text, now), problem: '' };
  } catch (error) {
    if (error instanceof NewerTrustError) throw new NewerTrustError(`the CA Secret cannot be used: ${error.message}`);
    // Never the text itself: it holds private keys.
    return {
      trust: undefined,
      problem: error instanceof SyntaxError ? 'it is not JSON' : error instanceof Error ? error.message : 'unknown',
    };
  }
}
