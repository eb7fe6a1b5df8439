/** The certificate that a replica serves: when it is to be replaced, and whether API servers trust it. Pure. */

import type { ReadinessCheck } from '../observe/readiness.ts';
import type { Certificate } from './bundle.ts';
import type { Seen } from './shared-trust.ts';
import { type Authority, holds, settledAt, type TrustPolicy } from './trust.ts';

/** What is known of the certificate that is served. */
export interface Serving {
  /** The CA that signed it. */
  readonly ca: Certificate;
  readonly renewAt: Date;
  readonly notAfter: Date;
}

function isSettled(authority: Authority, now: Date, policy: TrustPolicy): boolean {
  return (settledAt(authority, policy) ?? Infinity) <= now;
}

/** Whether every entry of the webhook configuration trusts a CA. */
function isTrusted(ca: Certificate, { bundles }: Seen, now: Date): boolean {
  return ca.notAfter > now && bundles.length > 0 && bundles.every((bundle) => holds(bundle, ca));
}

/**
 * Says whether a new certificate is to be signed: there is none, the one that is served is in its last third, or its CA is a
 * former one. A certificate of a former CA stays while API servers trust it and the new CA has not settled.
 *
 * No certificate outlives the last look at the shared trust by more than a serving lifetime: that long a CA is trusted after it
 * has been replaced, and a replica that is cut off does not learn that it was.
 *
 * @returns the CA that signs, and the end of the new certificate; undefined where none is due
 */
export function renewalDue(
  serving: Serving | undefined,
  seen: Seen,
  policy: TrustPolicy,
  now: Date,
): { readonly active: Authority; readonly notAfter: Date } | undefined {
  const active = seen.trust?.active;
  if (!active) return undefined;
  const { certificate } = active;
  const notAfter = new Date(Math.min(seen.at + policy.servingLifetime, certificate.notAfter.getTime()));
  if (notAfter <= now) return undefined;
  if (serving?.ca.pem === certificate.pem) {
    if (serving.renewAt > now || notAfter <= serving.notAfter) return undefined;
  } else if (serving && serving.notAfter > now && isTrusted(serving.ca, seen, now) && !isSettled(active, now, policy)) return undefined;
  return { active, notAfter };
}

/** @param problem why the shared trust could not be read or written; empty where it could */
export function readinessOf(serving: Serving | undefined, seen: Seen, problem: string, policy: TrustPolicy, now: Date): ReadinessCheck {
  const fail = (detail: string): ReadinessCheck => ({ name: 'certificate', ready: false, detail });
  if (!serving) return fail(`none signed yet: ${problem || 'the CA is not known'}`);
  if (serving.notAfter <= now) return fail(`expired at ${serving.notAfter.toISOString()}: ${problem}`);
  if (seen.bundles.length === 0) return fail('the webhook configuration is missing or has no entries');
  if (!isTrusted(serving.ca, seen, now)) return fail('caBundle does not hold its CA yet');
  // Others serve certificates that API servers trust already: until they have learnt of this CA, the others answer.
  const { active, retiring } = seen.trust ?? {};
  if (active && retiring?.length && serving.ca.pem === active.certificate.pem && !isSettled(active, now, policy))
    return fail('API servers may not know its CA yet');
  return { name: 'certificate', ready: true, detail: `trusted by caBundle, valid until ${serving.notAfter.toISOString()}` };
}
