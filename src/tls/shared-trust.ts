/** The trust that all replicas share, read and written: performs the steps that trust.ts works out. */

import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { ExpectedError } from '../observe/expected-error.ts';
import type { Metrics } from '../observe/metrics.ts';
import { type Bundle, certificateOf, readBundle } from './bundle.ts';
import { makeAuthority } from './issue.ts';
import { readPair } from './pair.ts';
import { type Authority, formatTrust, NewerTrustError, nextStep, parseTrust, type Step, type Trust, type TrustPolicy } from './trust.ts';

/** Another writer was first: read again. */
export class ConflictError extends ExpectedError {
  override readonly name = 'ConflictError';
}

/** The objects that hold the shared trust. */
export interface TrustStoreNames {
  readonly namespace: string;
  readonly secret: string;
  readonly webhookConfiguration: string;
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

/** More than a rotation has; two replicas that race each other end long before. */
const MAX_STEPS = 20;

export interface SharedTrustDeps {
  readonly store: TrustStore;
  readonly policy: TrustPolicy;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** What a replica sees of the shared trust. */
export interface Seen {
  /** The last one that could be used; undefined before the first. */
  readonly trust: Trust | undefined;
  /** caBundle of every entry of the webhook configuration. */
  readonly bundles: readonly Bundle[];
  /** Milliseconds since 1970; 0 before the first look. */
  readonly at: number;
}

/**
 * Performs steps until there is nothing to do.
 *
 * @param onSeen called with each look at the shared trust, also with those before a failure
 * @param before what was seen last
 * @returns the moment of the next step, and whether anything was written
 * @throws Error when the API server does not answer or refuses, or replicas come to no agreement
 */
export async function converge(
  deps: SharedTrustDeps,
  before: Seen,
  onSeen: (seen: Seen) => void,
): Promise<{ until: Date; wrote: boolean }> {
  const { store, policy, log } = deps;
  let { trust } = before;
  let wrote = false;
  for (let i = 0; i < MAX_STEPS; i++) {
    const [secret, stored] = await Promise.all([store.readSecret(), store.readBundles()]);
    const now = new Date();
    const read = readTrust(secret, now);
    trust = read.trust ?? trust;
    const bundles = stored?.entries.map(({ bundle }) => readBundle(bundle)) ?? [];
    onSeen({ trust, bundles, at: now.getTime() });
    const step = nextStep({ trust: read.trust, bundles, rotationRequested: secret?.rotationRequested ?? false }, now, policy);
    if (step.do === 'wait') return { until: step.until, wrote };
    try {
      await perform(step, deps, secret, stored, read.problem, now);
      wrote = true;
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
      log.debug('another replica wrote first: reading again');
    }
  }
  throw new ExpectedError(`the CA did not settle after ${MAX_STEPS} steps: does another program write the Secret or caBundle?`);
}

/** @throws ConflictError when another replica wrote first */
async function perform(
  step: Exclude<Step, { do: 'wait' }>,
  { store, policy, log, metrics }: SharedTrustDeps,
  secret: StoredSecret | undefined,
  stored: StoredBundles | undefined,
  problem: string,
  now: Date,
): Promise<void> {
  const version = secret?.version ?? '';
  switch (step.do) {
    case 'create': {
      const text = formatTrust({ active: await newAuthority(now, policy), retiring: step.retiring });
      await (secret ? store.updateSecret(text, version, true) : store.createSecret(text));
      const fields = { trusted: step.retiring.length };
      const what = 'stored a new CA; the CAs in caBundle stay trusted';
      if (problem !== '') log.error({ ...fields, problem }, `the CA Secret is damaged: ${what}`);
      // On a fresh cluster there is none, and caBundle is empty.
      else log[step.retiring.length === 0 ? 'info' : 'warn'](fields, `the CA Secret is missing: ${what}`);
      metrics.rotation('ca');
      return;
    }
    case 'stage':
      await store.updateSecret(formatTrust({ ...step.trust, next: await newAuthority(now, policy) }), version, true);
      log.info('a new CA is staged: it joins the active one in caBundle');
      metrics.rotation('ca');
      return;
    case 'store':
      await store.updateSecret(formatTrust(step.trust), version, false);
      log.info(`trust stored: ${step.why}`);
      return;
    case 'publish':
      if (stored) await store.writeBundles(step.bundle, stored);
      log.info({ entries: stored?.entries.length }, 'caBundle written');
  }
}

async function newAuthority(now: Date, policy: TrustPolicy): Promise<Authority> {
  const pair = await makeAuthority(`openshell-sideload CA ${randomUUID()}`, now, new Date(now.getTime() + policy.caLifetime));
  return { certificate: certificateOf(readPair(pair)), key: pair.key };
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
