/**
 * The trust that all replicas share: which CA signs serving certificates, which CAs the API server is to trust, and what to
 * do next so that a CA is replaced without a moment at which one side trusts less than the other side serves.
 *
 * There is no leader. Every replica reads the CA Secret and the webhook configuration, works out the same next step, and
 * writes it under the resourceVersion it read; the one that loses such a race reads again. A rotation takes four steps:
 * a new CA is staged and caBundle gets it beside the old one; a settle time passes, because API servers learn caBundle by
 * watch; the new CA becomes the one that signs; one serving certificate's lifetime later the old one leaves caBundle.
 */

import { X509Certificate } from 'node:crypto';
import { ExpectedError } from '../observe/expected-error.ts';
import { type CertificatePair, readPair } from './pair.ts';

/** A CA with its key. */
export interface Authority extends CertificatePair {
  /** When every entry of the webhook configuration was first seen to trust it, in ISO 8601. */
  readonly trustedSince?: string;
}

/** A CA that signs nothing any more, trusted until the last certificate that it signed has expired. */
interface RetiringAuthority {
  readonly cert: string;
  /** ISO 8601. */
  readonly until: string;
}

/** What the CA Secret holds. */
export interface Trust {
  /** Signs serving certificates. */
  readonly active: Authority;
  /** Becomes active once API servers trust it. */
  readonly next?: Authority;
  readonly retiring: readonly RetiringAuthority[];
}

/** Milliseconds. */
export interface TrustPolicy {
  readonly caLifetime: number;
  readonly servingLifetime: number;
  readonly settleTime: number;
}

/** What one replica sees. */
export interface Observed {
  /** undefined: there is no Secret, or what it holds cannot be used. */
  readonly trust: Trust | undefined;
  /** caBundle of every entry of the webhook configuration, in PEM; empty where there is no configuration. */
  readonly bundles: readonly string[];
  /** Whether somebody asks for a new CA. */
  readonly rotationRequested: boolean;
}

export type Step =
  /** Make a CA and store it as the active one, beside what is trusted already. */
  | { readonly do: 'found'; readonly retiring: readonly RetiringAuthority[] }
  /** Make a CA and store it as the next one. */
  | { readonly do: 'stage'; readonly trust: Trust }
  /** Store this. */
  | { readonly do: 'store'; readonly trust: Trust; readonly why: string }
  /** Write this caBundle (PEM) into every entry. */
  | { readonly do: 'publish'; readonly bundle: string }
  /** Nothing to do before this moment. */
  | { readonly do: 'wait'; readonly until: Date };

/** At most so many former and foreign CAs are kept in caBundle; foreign ones beyond that go at once. */
const MAX_RETIRING = 8;

/** Of what the Secret holds. */
const FORMAT = 1;

const LOOK_AGAIN_MS = 60 * 60 * 1000;

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** The certificates of a PEM bundle that can be read and have not expired, in one spelling; anything else in it is left out. */
export function certificatesOf(bundle: string, now: Date): string[] {
  return (bundle.match(PEM_CERTIFICATE) ?? []).flatMap((pem) => {
    try {
      const certificate = new X509Certificate(pem);
      return new Date(certificate.validTo) > now ? [certificate.toString()] : [];
    } catch {
      return [];
    }
  });
}

/** The Secret was written by a later version of the webhook, which keeps more or other things in it. */
export class NewerTrustError extends ExpectedError {
  override readonly name = 'NewerTrustError';
}

/** What is stored of a trust. */
export function formatTrust(trust: Trust): string {
  return JSON.stringify({ version: FORMAT, ...trust });
}

/**
 * Reads what is stored. A next CA that cannot be used is left out: another one is staged. Another replica's clock may be
 * ahead: a CA that is not valid yet is no damage, and what is trusted since a later moment is trusted since now.
 *
 * @throws Error that says what is wrong, without showing what is stored
 * @throws NewerTrustError when it must not be overwritten
 */
export function parseTrust(text: string, now: Date): Trust {
  const stored = JSON.parse(text) as (Partial<Trust> & { version?: number }) | null;
  if ((stored?.version ?? FORMAT) > FORMAT) throw new NewerTrustError(`it has format ${stored?.version}, this version knows ${FORMAT}`);
  if (!stored?.active || !Array.isArray(stored.retiring)) throw new ExpectedError('it does not hold an active CA');
  for (const { cert, until } of stored.retiring as RetiringAuthority[]) {
    if (typeof cert !== 'string' || Number.isNaN(Date.parse(until))) throw new ExpectedError('a retiring CA in it cannot be read');
  }
  const trust = { active: parseAuthority(stored.active, now), retiring: stored.retiring };
  try {
    return stored.next ? { ...trust, next: parseAuthority(stored.next, now) } : trust;
  } catch {
    return trust;
  }
}

function parseAuthority({ cert, key, trustedSince }: Authority, now: Date): Authority {
  const certificate = readPair({ cert, key });
  if (!certificate.ca) throw new ExpectedError('a certificate in it is not a CA');
  if (new Date(certificate.validTo) <= now) throw new ExpectedError(`its CA expired at ${new Date(certificate.validTo).toISOString()}`);
  if (trustedSince === undefined) return { cert, key };
  const since = Date.parse(trustedSince);
  if (Number.isNaN(since)) throw new ExpectedError('a date in it cannot be read');
  return { cert, key, trustedSince: new Date(Math.min(since, now.getTime())).toISOString() };
}

/** The CAs that API servers are to trust at this moment. */
function trusted(trust: Trust, now: Date): string[] {
  const retiring = trust.retiring.filter(({ until }) => new Date(until) > now).map(({ cert }) => cert);
  return certificatesOf([trust.active.cert, trust.next?.cert ?? '', ...retiring].join('\n'), now);
}

function sameSet(one: readonly string[], other: readonly string[]): boolean {
  const set = new Set(one);
  return set.size === new Set(other).size && other.every((element) => set.has(element));
}

/** CAs of caBundle that the Secret knows nothing of: replicas may still serve certificates that they signed. */
function foreign(observed: Observed, now: Date, policy: TrustPolicy): RetiringAuthority[] {
  const { trust } = observed;
  const known = new Set(
    trust ? certificatesOf([trust.active.cert, trust.next?.cert ?? '', ...trust.retiring.map(({ cert }) => cert)].join('\n'), now) : [],
  );
  const found = new Set(observed.bundles.flatMap((bundle) => certificatesOf(bundle, now)));
  const until = new Date(now.getTime() + policy.servingLifetime).toISOString();
  return [...found].filter((cert) => !known.has(cert)).map((cert) => ({ cert, until }));
}

/** When a CA has signed long enough: at two thirds of its life. */
function rotationDue(authority: Authority, policy: TrustPolicy): Date {
  return new Date(Date.parse(new X509Certificate(authority.cert).validTo) - policy.caLifetime / 3);
}

/** Works out the next step. Replicas that see the same, with the same policy, come to the same one. */
export function nextStep(observed: Observed, now: Date, policy: TrustPolicy): Step {
  const { trust, bundles } = observed;
  const unknown = foreign(observed, now, policy);
  // caBundle is written with the active CA first: what is left out at the end is what signs least.
  if (!trust) return { do: 'found', retiring: unknown.slice(0, MAX_RETIRING) };

  const adopted = unknown.slice(0, Math.max(0, MAX_RETIRING - trust.retiring.length));
  const wanted = [...trusted(trust, now), ...adopted.map(({ cert }) => cert)];
  const holds = (bundle: string, cert: string): boolean => certificatesOf(bundle, now).includes(cert);
  const [nextCert] = certificatesOf(trust.next?.cert ?? '', now);
  if (trust.next?.trustedSince && nextCert && bundles.some((bundle) => !holds(bundle, nextCert))) {
    const { trustedSince: _, ...next } = trust.next;
    return { do: 'store', trust: { ...trust, next }, why: 'caBundle lost the next CA: it has to settle anew' };
  }
  // Text that is no certificate is broken too, though it adds no trust.
  const published =
    bundles.length > 0 &&
    bundles.every((bundle) => sameSet(certificatesOf(bundle, now), wanted) && bundle.replaceAll(PEM_CERTIFICATE, '').trim() === '');
  // Before anything that needs the Secret: caBundle is kept right although the Secret cannot be written.
  if (bundles.length > 0 && !published) return { do: 'publish', bundle: wanted.join('') };

  if (adopted.length > 0) {
    return {
      do: 'store',
      trust: { ...trust, retiring: [...trust.retiring, ...adopted] },
      why: 'caBundle has a CA that the Secret does not know: it stays trusted for a while',
    };
  }
  const due = rotationDue(trust.active, policy);
  const hasRoom = trust.retiring.length < MAX_RETIRING;
  if (!trust.next && hasRoom && (observed.rotationRequested || due <= now)) return { do: 'stage', trust };

  if (published && (!trust.active.trustedSince || (trust.next && !trust.next.trustedSince))) {
    const mark = (authority: Authority): Authority => ({ trustedSince: now.toISOString(), ...authority });
    return {
      do: 'store',
      trust: { ...trust, active: mark(trust.active), ...(trust.next ? { next: mark(trust.next) } : {}) },
      why: 'caBundle holds every CA',
    };
  }
  const promotion = trust.next && settledAt(trust.next, policy);
  if (trust.next && promotion && promotion <= now) {
    const retired = { cert: trust.active.cert, until: new Date(now.getTime() + policy.servingLifetime).toISOString() };
    return {
      do: 'store',
      trust: { active: trust.next, retiring: [...trust.retiring, retired] },
      why: 'the next CA is trusted everywhere: it signs from now on',
    };
  }
  // Out of caBundle first, out of the Secret afterwards: the other way round it would be taken for a foreign one.
  const gone = trust.retiring.filter(({ until }) => new Date(until) <= now);
  if (gone.length > 0 && published) {
    return {
      do: 'store',
      trust: { ...trust, retiring: trust.retiring.filter((authority) => !gone.includes(authority)) },
      why: 'certificates of a former CA have expired: it is trusted no more',
    };
  }
  const moments = [due, promotion, ...trust.retiring.map(({ until }) => new Date(until))].filter(
    (moment) => moment !== undefined && moment > now,
  );
  return { do: 'wait', until: new Date(Math.min(now.getTime() + LOOK_AGAIN_MS, ...moments.map(Number))) };
}

/** From when on API servers may be expected to trust what a CA signs: it has been in caBundle for the settle time. */
export function settledAt(authority: Authority, policy: TrustPolicy): Date | undefined {
  return authority.trustedSince === undefined ? undefined : new Date(Date.parse(authority.trustedSince) + policy.settleTime);
}
