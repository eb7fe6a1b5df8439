/** Whether certificates end too soon. */

import { X509Certificate } from 'node:crypto';
import { readBundle } from '../../tls/bundle.ts';
import { type Finding, failed, ok, warning } from './finding.ts';

const HOUR_MS = 60 * 60 * 1000;
const DAY_MS = 24 * HOUR_MS;

/** The remaining life below which a certificate should have been replaced. */
export interface Limit {
  /** A part of its life. */
  readonly part: number;
  /** Milliseconds; what is left may be more. */
  readonly atMost: number;
}

/** Self-managed certificates are replaced after two thirds of their life: later is late. */
export const SELF_MANAGED = { ca: { part: 1 / 3, atMost: Infinity }, serving: { part: 1 / 4, atMost: Infinity } } as const;
/** Who replaces these is not known: time enough for a person. */
export const OTHERS = { ca: { part: 1 / 3, atMost: 30 * DAY_MS }, serving: { part: 1 / 4, atMost: 7 * DAY_MS } } as const;

/** `364 d`, `16 h`, `40 min`. */
export function span(milliseconds: number): string {
  if (milliseconds >= 2 * DAY_MS) return `${Math.floor(milliseconds / DAY_MS)} d`;
  if (milliseconds >= HOUR_MS) return `${Math.floor(milliseconds / HOUR_MS)} h`;
  return `${Math.max(0, Math.floor(milliseconds / 60_000))} min`;
}

/** @param what begins the message: it names the certificate */
export function judgeValidity(
  what: string,
  { validFrom, validTo }: X509Certificate,
  now: Date,
  { part, atMost }: Limit,
  fix: string,
): Finding {
  const [start, end] = [Date.parse(validFrom), Date.parse(validTo)];
  const left = end - now.getTime();
  if (start > now.getTime()) return failed(`${what} is not valid before ${new Date(start).toISOString()}: clocks differ`, fix);
  if (left <= 0) return failed(`${what} expired at ${new Date(end).toISOString()}`, fix);
  const detail = `${what} is valid for ${span(left)} more, until ${new Date(end).toISOString()}`;
  return left < Math.min((end - start) * part, atMost) ? warning(`${detail}, and should have been replaced`, fix) : ok(detail);
}

/** Looks at the CA of a bundle that lives longest: the others are those that it replaces, or that replace it. */
export function judgeBundle(what: string, bundle: string, now: Date, limit: Limit, fix: string): Finding {
  const authorities = readBundle(bundle).certificates.map(({ pem }) => new X509Certificate(pem));
  const [last] = authorities.toSorted((a, b) => Date.parse(b.validTo) - Date.parse(a.validTo));
  const which = authorities.length === 1 ? 'its CA' : `the CA that lives longest of its ${authorities.length}`;
  if (last) return judgeValidity(`${what}: ${which}`, last, now, limit, fix);
  return failed(`${what}: ${bundle === '' ? 'it is empty' : 'it holds no certificate'}, the API server trusts no replica`, fix);
}
