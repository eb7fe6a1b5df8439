import { describe, expect, it } from 'vitest';
import type { Bundle, Certificate } from '../src/tls/bundle.ts';
import { readinessOf, renewalDue, type Serving } from '../src/tls/serving.ts';
import type { Seen } from '../src/tls/shared-trust.ts';
import type { Authority, Trust, TrustPolicy } from '../src/tls/trust.ts';

const HOUR = 3_600_000;
const policy: TrustPolicy = { caLifetime: 300 * HOUR, servingLifetime: 24 * HOUR, settleTime: HOUR };
const now = new Date('2026-06-01T00:00:00Z');
const at = (hours: number): Date => new Date(now.getTime() + hours * HOUR);

const certificate = (pem: string, end = 200): Certificate => ({ pem, notAfter: at(end) });
const authority = (ca: Certificate, since?: number): Authority => ({
  certificate: ca,
  key: '',
  ...(since === undefined ? {} : { trustedSince: at(since) }),
});
const [A, B] = [certificate('a'), certificate('b')];
const bundle = (...certificates: Certificate[]): Bundle => ({ certificates, broken: false });
const see = (trust: Trust | undefined, bundles: Bundle[], looked = 0): Seen => ({ trust, bundles, at: at(looked).getTime() });
const signedBy = (ca: Certificate, { renewAt = 8, notAfter = 16 } = {}): Serving => ({ ca, renewAt: at(renewAt), notAfter: at(notAfter) });
const own: Trust = { active: authority(A, -10), retiring: [] };
/** B signs, A signed before. */
const replaced = (since?: number): Trust => ({ active: authority(B, since), retiring: [{ certificate: A, until: at(20) }] });

describe('a serving certificate is signed', () => {
  it.each([
    { why: 'where there is none', serving: undefined, seen: see(own, [bundle(A)]), until: 24 },
    { why: 'in the last third of the one that is served', serving: signedBy(A, { renewAt: 0 }), seen: see(own, [bundle(A)]), until: 24 },
    { why: 'when its CA has settled in the place of another', serving: signedBy(A), seen: see(replaced(-2), [bundle(B, A)]), until: 24 },
    {
      why: 'when API servers trust the CA of the one that is served no more',
      serving: signedBy(A),
      seen: see(replaced(), [bundle(B)]),
      until: 24,
    },
    {
      why: 'when the one that is served has expired',
      serving: signedBy(A, { notAfter: 0 }),
      seen: see(replaced(), [bundle(B, A)]),
      until: 24,
    },
    {
      why: 'for no longer than its CA',
      serving: undefined,
      seen: see({ active: authority(certificate('c', 5)), retiring: [] }, []),
      until: 5,
    },
    { why: 'for a serving lifetime after the last look', serving: undefined, seen: see(own, [bundle(A)], -20), until: 4 },
  ])('$why', ({ serving, seen, until }) => {
    expect(renewalDue(serving, seen, policy, now)).toEqual({ active: seen.trust?.active, notAfter: at(until) });
  });

  it.each([
    { why: 'while no CA is known', serving: undefined, seen: see(undefined, []) },
    { why: 'in the first two thirds of the one that is served', serving: signedBy(A), seen: see(own, [bundle(A)]) },
    { why: 'when it would end no later', serving: signedBy(A, { renewAt: 0 }), seen: see(own, [bundle(A)], -8) },
    { why: 'when the last look is too long ago', serving: undefined, seen: see(own, [bundle(A)], -24) },
    { why: 'while a new CA settles and the former one is trusted', serving: signedBy(A), seen: see(replaced(0), [bundle(B, A)]) },
  ])('but not $why', ({ serving, seen }) => {
    expect(renewalDue(serving, seen, policy, now)).toBeUndefined();
  });
});

describe('a replica is ready', () => {
  it.each([
    { why: 'when every entry trusts its CA', serving: signedBy(A), seen: see(own, [bundle(A), bundle(A, B)]), ready: true },
    { why: 'not before it has signed one', serving: undefined, seen: see(own, [bundle(A)]), says: 'none signed yet: no answer' },
    { why: 'not with one that has expired', serving: signedBy(A, { notAfter: 0 }), seen: see(own, [bundle(A)]), says: 'expired at' },
    { why: 'not without a webhook configuration', serving: signedBy(A), seen: see(own, []), says: 'is missing or has no entries' },
    {
      why: 'not when one entry lacks its CA',
      serving: signedBy(A),
      seen: see(own, [bundle(A), bundle(B)]),
      says: 'does not hold its CA yet',
    },
    {
      why: 'not with a CA that has expired',
      serving: signedBy(certificate('c', -1)),
      seen: see(own, [bundle(certificate('c', -1))]),
      says: 'does not hold',
    },
    { why: 'not while its new CA settles', serving: signedBy(B), seen: see(replaced(0), [bundle(B, A)]), says: 'may not know its CA' },
    { why: 'while the new CA settles, with one of the former', serving: signedBy(A), seen: see(replaced(0), [bundle(B, A)]), ready: true },
  ])('$why', ({ serving, seen, ready = false, says = 'trusted by caBundle' }) => {
    expect(readinessOf(serving, seen, 'no answer', policy, now)).toEqual({
      name: 'certificate',
      ready,
      detail: expect.stringContaining(says),
    });
  });
});
