/**
 * The trust that all replicas share: which CA signs serving certificates, which CAs the API server is to trust, and what to
 * do next so that a CA is replaced without a moment at which one side trusts less than the other side serves.
 *
 * There is no leader. Every replica reads the CA Secret and the webhook configuration, works out the same next step, and
 * writes it under the resourceVersion it read; the one that loses such a race reads again. A rotation takes four steps:
 * a new CA is staged and caBundle gets it beside the old one; a settle time passes, because API servers learn caBundle by
 * watch; the new CA becomes the one that signs; one serving certificate's lifetime later the old one leaves caBundle.
 */

import { ExpectedError } from '../observe/expected-error.ts';
import { type Bundle, type Certificate, certificateOf, readBundle, valid } from './bundle.ts';
import { type CertificatePair, readPair } from './pair.ts';

/** A CA with its key. */
export interface Authority {
  readonly certificate: Certificate;
  /** PEM. */
  readonly key: string;
  /** When every entry of the webhook configuration was first seen to trust it. */
  readonly trustedSince?: Date;
}

/** A CA that signs nothing any more, trusted until the last certificate that it signed has expired. */
interface RetiringAuthority {
  readonly certificate: Certificate;
  readonly until: Date;
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
  /** caBundle of every entry of the webhook configuration; empty where there is no configuration. */
  readonly bundles: readonly Bundle[];
  /** Whether a user asked for a new CA. */
  readonly rotationRequested: boolean;
}

export type Step =
  /** Make a CA and store it as the active one, beside what is trusted already. */
  | { readonly do: 'create'; readonly retiring: readonly RetiringAuthority[] }
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

/** The Secret was written by a later version of the webhook, which keeps more or other things in it. */
export class NewerTrustError extends ExpectedError {
  override readonly name = 'NewerTrustError';
}

/** As the CA Secret holds it: dates in ISO 8601, certificates and keys in PEM. */
interface Stored {
  readonly version?: number;
  readonly active: StoredAuthority;
  readonly next?: StoredAuthority;
  readonly retiring: readonly { readonly cert: string; readonly until: string }[];
}

interface StoredAuthority extends CertificatePair {
  readonly trustedSince?: string;
}

/** What is stored of a trust. */
export function formatTrust({ active, next, retiring }: Trust): string {
  const format = ({ certificate, key, trustedSince }: Authority): StoredAuthority => ({
    cert: certificate.pem,
    key,
    ...(trustedSince ? { trustedSince: trustedSince.toISOString() } : {}),
  });
  const stored: Stored = {
    version: FORMAT,
    active: format(active),
    ...(next ? { next: format(next) } : {}),
    retiring: retiring.map(({ certificate, until }) => ({ cert: certificate.pem, until: until.toISOString() })),
  };
  return JSON.stringify(stored);
}

/**
 * Reads what is stored. A next CA that cannot be used is left out: another one is staged. Another replica's clock may be
 * ahead: a CA that is not valid yet is no damage, and what is trusted since a later moment is trusted since now.
 *
 * @throws ExpectedError that says what is wrong, without showing what is stored
 * @throws NewerTrustError when it must not be overwritten
 */
export function parseTrust(text: string, now: Date): Trust {
  const stored = JSON.parse(text) as Partial<Stored> | null;
  if ((stored?.version ?? FORMAT) > FORMAT) throw new NewerTrustError(`it has format ${stored?.version}, this version knows ${FORMAT}`);
  if (!stored?.active || !Array.isArray(stored.retiring)) throw new ExpectedError('it does not hold an active CA');
  const retiring = (stored as Stored).retiring.flatMap(({ cert, until }): RetiringAuthority[] => {
    const end = new Date(until);
    if (typeof cert !== 'string' || Number.isNaN(end.getTime())) throw new ExpectedError('a retiring CA in it cannot be read');
    // What is no certificate adds no trust.
    return readBundle(cert).certificates.map((certificate) => ({ certificate, until: end }));
  });
  const trust = { active: parseAuthority(stored.active, now), retiring };
  try {
    return stored.next ? { ...trust, next: parseAuthority(stored.next, now) } : trust;
  } catch {
    return trust;
  }
}

function parseAuthority({ cert, key, trustedSince }: StoredAuthority, now: Date): Authority {
  const x509 = readPair({ cert, key });
  const certificate = certificateOf(x509);
  if (!x509.ca) throw new ExpectedError('a certificate in it is not a CA');
  if (certificate.notAfter <= now) throw new ExpectedError(`its CA expired at ${certificate.notAfter.toISOString()}`);
  if (trustedSince === undefined) return { certificate, key };
  const since = Date.parse(trustedSince);
  if (Number.isNaN(since)) throw new ExpectedError('a date in it cannot be read');
  return { certificate, key, trustedSince: new Date(Math.min(since, now.getTime())) };
}

/** The CAs that API servers are to trust at this moment, in PEM. */
function trusted({ active, next, retiring }: Trust, now: Date): string[] {
  const former = retiring.filter(({ until }) => until > now).map(({ certificate }) => certificate);
  return valid([active.certificate, ...(next ? [next.certificate] : []), ...former], now);
}

function sameSet(one: readonly string[], other: readonly string[]): boolean {
  const set = new Set(one);
  return set.size === new Set(other).size && other.every((element) => set.has(element));
}

/** Foreign CAs: those of caBundle that the Secret does not have. Replicas may still serve certificates that they signed. */
function foreignAuthorities({ trust, bundles }: Observed, now: Date, { servingLifetime }: TrustPolicy): RetiringAuthority[] {
  const own = trust ? [trust.active, ...(trust.next ? [trust.next] : []), ...trust.retiring] : [];
  const known = new Set(own.map(({ certificate }) => certificate.pem));
  const found = new Map(bundles.flatMap(({ certificates }) => certificates).map((certificate) => [certificate.pem, certificate]));
  const until = new Date(now.getTime() + servingLifetime);
  return [...found.values()]
    .filter(({ pem, notAfter }) => !known.has(pem) && notAfter > now)
    .map((certificate) => ({ certificate, until }));
}

/** When a CA has signed long enough: at two thirds of its life. */
function rotationDue({ certificate }: Authority, policy: TrustPolicy): Date {
  return new Date(certificate.notAfter.getTime() - policy.caLifetime / 3);
}

/** Whether a CA is in this caBundle. */
export function holds({ certificates }: Bundle, { pem }: Certificate): boolean {
  return certificates.some((candidate) => candidate.pem === pem);
}

/** Works out the next step. Replicas that see the same, with the same policy, come to the same one. */
export function nextStep(observed: Observed, now: Date, policy: TrustPolicy): Step {
  const { trust, bundles } = observed;
  const foreign = foreignAuthorities(observed, now, policy);
  // caBundle is written with the active CA first: what is left out at the end is what signs least.
  if (!trust) return { do: 'create', retiring: foreign.slice(0, MAX_RETIRING) };

  const kept = foreign.slice(0, Math.max(0, MAX_RETIRING - trust.retiring.length));
  const wanted = [...trusted(trust, now), ...kept.map(({ certificate }) => certificate.pem)];
  const { next } = trust;
  if (next?.trustedSince && next.certificate.notAfter > now && !bundles.every((bundle) => holds(bundle, next.certificate))) {
    const { trustedSince: _, ...unsettled } = next;
    return { do: 'store', trust: { ...trust, next: unsettled }, why: 'caBundle lost the next CA: its settle time starts again' };
  }
  const published = bundles.length > 0 && bundles.every(({ certificates, broken }) => !broken && sameSet(valid(certificates, now), wanted));
  // Before anything that needs the Secret: caBundle is kept right although the Secret cannot be written.
  if (bundles.length > 0 && !published) return { do: 'publish', bundle: wanted.join('') };

  if (kept.length > 0) {
    return {
      do: 'store',
      trust: { ...trust, retiring: [...trust.retiring, ...kept] },
      why: 'caBundle has a foreign CA: it stays trusted for one serving lifetime',
    };
  }
  const due = rotationDue(trust.active, policy);
  const hasRoom = trust.retiring.length < MAX_RETIRING;
  if (!next && hasRoom && (observed.rotationRequested || due <= now)) return { do: 'stage', trust };

  if (published && (!trust.active.trustedSince || (next && !next.trustedSince))) {
    const mark = (authority: Authority): Authority => ({ trustedSince: now, ...authority });
    return {
      do: 'store',
      trust: { ...trust, active: mark(trust.active), ...(next ? { next: mark(next) } : {}) },
      why: 'caBundle holds every CA',
    };
  }
  const promotion = next && settledAt(next, policy);
  if (next && promotion && promotion <= now) {
    const retired = { certificate: trust.active.certificate, until: new Date(now.getTime() + policy.servingLifetime) };
    return {
      do: 'store',
      trust: { active: next, retiring: [...trust.retiring, retired] },
      why: 'the next CA is trusted everywhere and becomes the active one',
    };
  }
  // Out of caBundle first, out of the Secret afterwards: in the other order it would be taken for a foreign CA.
  const gone = trust.retiring.filter(({ until }) => until <= now);
  if (gone.length > 0 && published) {
    return {
      do: 'store',
      trust: { ...trust, retiring: trust.retiring.filter((authority) => !gone.includes(authority)) },
      why: 'certificates of a former CA have expired: it is no longer trusted',
    };
  }
  const moments = [due, promotion, ...trust.retiring.map(({ until }) => until)].filter((moment) => moment !== undefined && moment > now);
  return { do: 'wait', until: new Date(Math.min(now.getTime() + LOOK_AGAIN_MS, ...moments.map(Number))) };
}

/** From when on API servers may be expected to trust what a CA signs: it has been in caBundle for the settle time. */
export function settledAt({ trustedSince }: Authority, { settleTime }: TrustPolicy): Date | undefined {
  return trustedSince && new Date(trustedSince.getTime() + settleTime);
}
