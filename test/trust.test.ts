import { beforeAll, describe, expect, it } from 'vitest';
import { type Bundle, type Certificate, readBundle } from '../src/tls/bundle.ts';
import { issueServing, makeAuthority } from '../src/tls/issue.ts';
import { namesOfService } from '../src/tls/names.ts';
import type { CertificatePair } from '../src/tls/pair.ts';
import {
  type Authority,
  formatTrust,
  NewerTrustError,
  nextStep,
  type Observed,
  parseTrust,
  type Step,
  type Trust,
  type TrustPolicy,
} from '../src/tls/trust.ts';

const HOUR = 3_600_000;
const policy: TrustPolicy = { caLifetime: 300 * HOUR, servingLifetime: 24 * HOUR, settleTime: 60_000 };
const now = new Date('2026-06-01T00:00:00Z');
const at = (milliseconds: number): Date => new Date(now.getTime() + milliseconds);
const iso = (milliseconds: number): string => at(milliseconds).toISOString();
const settled = at(-HOUR);

let [a, b, c, old]: CertificatePair[] = [];
beforeAll(async () => {
  const fresh = at(300 * HOUR);
  [a, b, c] = await Promise.all(['a', 'b', 'c'].map((name) => makeAuthority(name, now, fresh)));
  // In its last third.
  old = await makeAuthority('old', now, at(99 * HOUR));
});

const certificate = (pair: CertificatePair | undefined): Certificate => {
  const [found] = readBundle(pair?.cert ?? '').certificates;
  return found as Certificate;
};
const ca = (pair: CertificatePair | undefined, trustedSince?: Date): Authority => ({
  certificate: certificate(pair),
  key: pair?.key ?? '',
  ...(trustedSince ? { trustedSince } : {}),
});
/** As it is stored. */
const stored = (pair: CertificatePair | undefined, trustedSince?: string) => ({ ...pair, ...(trustedSince ? { trustedSince } : {}) });
const pem = (...pairs: (CertificatePair | undefined)[]): string => pairs.map((pair) => certificate(pair).pem).join('');
const see = (trust: Trust | undefined, bundles: string[], rotationRequested = false): Observed => ({
  trust,
  bundles: bundles.map((text): Bundle => readBundle(text)),
  rotationRequested,
});
const step = (observed: Observed, moment = now): Step => nextStep(observed, moment, policy);

describe('the next step', () => {
  it('founds a CA where there is none, beside what caBundle trusts already', () => {
    expect(step(see(undefined, ['', '']))).toEqual({ do: 'create', retiring: [] });
    expect(step(see(undefined, [pem(a), pem(a, b)]))).toEqual({
      do: 'create',
      retiring: [
        { certificate: certificate(a), until: at(24 * HOUR) },
        { certificate: certificate(b), until: at(24 * HOUR) },
      ],
    });
  });

  it('publishes the CA in every entry, also when only one lacks it', () => {
    const trust = { active: ca(a), retiring: [] };
    for (const bundles of [
      ['', ''],
      [pem(a), ''],
      [`${pem(a)}garbage`, pem(a)],
    ])
      expect(step(see(trust, bundles))).toEqual({ do: 'publish', bundle: pem(a) });
  });

  it('notes since when the CA is published, and then waits', () => {
    const trust = { active: ca(a), retiring: [] };
    expect(step(see(trust, [pem(a), pem(a)]))).toMatchObject({ do: 'store', trust: { active: ca(a, at(0)) } });
    expect(step(see({ ...trust, active: ca(a, settled) }, [pem(a), pem(a)]))).toMatchObject({ do: 'wait' });
  });

  it('waits where there is no webhook configuration', () => {
    expect(step(see({ active: ca(a), retiring: [] }, []))).toMatchObject({ do: 'wait' });
  });

  it('does not write when the same certificates stand in another order or spelling', () => {
    const trust = { active: ca(a, settled), retiring: [{ certificate: certificate(b), until: at(HOUR) }] };
    expect(step(see(trust, [`${pem(b)}\n\n${pem(a)}`, pem(a, b, a)]))).toMatchObject({ do: 'wait' });
  });

  it('stages a new CA when somebody asks, or after two thirds of a life', () => {
    const trust = { active: ca(a, settled), retiring: [] };
    expect(step(see(trust, [pem(a)], true))).toEqual({ do: 'stage', trust });
    const aged = { active: ca(old, settled), retiring: [] };
    expect(step(see(aged, [pem(old)]))).toEqual({ do: 'stage', trust: aged });
  });

  it('publishes the staged CA beside the active one, lets it settle, and only then lets it sign', () => {
    const staged: Trust = { active: ca(a, settled), next: ca(b), retiring: [] };
    expect(step(see(staged, [pem(a), pem(a)], true))).toEqual({ do: 'publish', bundle: pem(a, b) });
    expect(step(see(staged, [pem(a, b), pem(a, b)]))).toMatchObject({
      do: 'store',
      trust: { active: ca(a, settled), next: ca(b, at(0)) },
    });
    const trusted = { ...staged, next: ca(b, at(0)) };
    expect(step(see(trusted, [pem(a, b)]), at(59_999))).toEqual({ do: 'wait', until: at(60_000) });
    expect(step(see(trusted, [pem(a, b)]), at(60_000))).toMatchObject({
      do: 'store',
      trust: { active: ca(b, at(0)), retiring: [{ certificate: certificate(a), until: at(60_000 + 24 * HOUR) }] },
    });
  });

  it('lets the staged CA settle again when caBundle lost it', () => {
    const trusted: Trust = { active: ca(a, settled), next: ca(b, settled), retiring: [] };
    expect(step(see(trusted, [pem(a, b), pem(a)]))).toMatchObject({ do: 'store', trust: { next: ca(b) } });
    expect(step(see({ ...trusted, next: ca(b) }, [pem(a, b), pem(a)]))).toEqual({ do: 'publish', bundle: pem(a, b) });
  });

  it('keeps caBundle right before it writes the Secret, which may not be possible', () => {
    expect(step(see({ active: ca(old, settled), retiring: [] }, ['', pem(old)], true))).toEqual({ do: 'publish', bundle: pem(old) });
  });

  it('keeps a former CA for one serving lifetime, takes it out of caBundle, and only then forgets it', () => {
    const trust = { active: ca(b, settled), retiring: [{ certificate: certificate(a), until: at(HOUR) }] };
    expect(step(see(trust, [pem(b, a)]))).toMatchObject({ do: 'wait', until: at(HOUR) });
    expect(step(see(trust, [pem(b, a)]), at(HOUR))).toEqual({ do: 'publish', bundle: pem(b) });
    expect(step(see(trust, [pem(b)]), at(HOUR))).toMatchObject({ do: 'store', trust: { retiring: [] } });
  });

  it('keeps a CA that it does not know for one serving lifetime, and not more than eight of them', async () => {
    const trust = { active: ca(a, settled), retiring: [] };
    expect(step(see(trust, [pem(a, c), pem(a)]))).toEqual({ do: 'publish', bundle: pem(a, c) });
    expect(step(see(trust, [pem(a, c), pem(a, c)]))).toMatchObject({
      do: 'store',
      trust: { retiring: [{ certificate: certificate(c), until: at(24 * HOUR) }] },
    });
    const many = await Promise.all(Array.from({ length: 9 }, (_, i) => makeAuthority(`m${i}`, now, at(HOUR))));
    expect(step(see(trust, [pem(a, ...many)]))).toEqual({ do: 'publish', bundle: pem(a, ...many.slice(0, 8)) });
    expect(step(see(undefined, [pem(b, ...many)]))).toMatchObject({
      do: 'create',
      retiring: expect.arrayContaining([{ certificate: certificate(b), until: at(24 * HOUR) }]),
    });
  });

  it('ends: two replicas that each take every step they see come to rest', async () => {
    let trust: Trust | undefined;
    let bundles = ['', pem(c)];
    const taken: string[] = [];
    for (let moment = now.getTime(); moment < now.getTime() + 60 * HOUR; ) {
      const next = nextStep(see(trust, bundles, moment === now.getTime() + HOUR), new Date(moment), policy);
      taken.push(next.do);
      if (next.do === 'create') trust = { active: ca(a), retiring: next.retiring };
      else if (next.do === 'stage') trust = { ...next.trust, next: ca(b) };
      else if (next.do === 'store') trust = next.trust;
      else if (next.do === 'publish') bundles = bundles.map(() => next.bundle);
      else moment += HOUR / 2;
      expect(taken.length).toBeLessThan(200);
      // At every moment what signs is trusted, once it has been published for the first time.
      if (trust?.active.trustedSince) for (const bundle of bundles) expect(bundle).toContain(trust.active.certificate.pem);
    }
    expect(trust).toMatchObject({ active: { certificate: certificate(b) }, retiring: [] });
    expect(bundles).toEqual([pem(b), pem(b)]);
  });
});

describe('what the Secret holds', () => {
  it('is taken when it is whole', () => {
    const trust: Trust = { active: ca(a, settled), next: ca(b), retiring: [{ certificate: certificate(c), until: at(0) }] };
    expect(parseTrust(formatTrust(trust), now)).toEqual(trust);
  });

  it.each([
    { why: 'nothing', text: () => '', says: /JSON/ },
    { why: 'null', text: () => 'null', says: /active CA/ },
    { why: 'no retiring list', text: () => JSON.stringify({ active: a }), says: /active CA/ },
    {
      why: 'a key of another certificate',
      text: () => JSON.stringify({ active: { ...a, key: b?.key }, retiring: [] }),
      says: /does not belong/,
    },
    { why: 'no PEM', text: () => JSON.stringify({ active: { cert: 'x', key: 'y' }, retiring: [] }), says: /not PEM/ },
    { why: 'a bad date', text: () => JSON.stringify({ active: stored(a, 'soon'), retiring: [] }), says: /date/ },
    { why: 'a bad retiring CA', text: () => JSON.stringify({ active: a, retiring: [{}] }), says: /retiring/ },
  ])('is refused with $why', ({ text, says }) => {
    expect(() => parseTrust(text(), now)).toThrow(says);
  });

  it('is no damage where another clock is ahead, or the next CA cannot be used', () => {
    const before = at(-2 * HOUR);
    expect(parseTrust(JSON.stringify({ active: stored(a, iso(HOUR)), next: { ...b, key: a?.key }, retiring: [] }), before)).toEqual({
      active: ca(a, before),
      retiring: [],
    });
  });

  it('is not touched when a later version wrote it', () => {
    expect(() => parseTrust(JSON.stringify({ version: 2, authorities: [] }), now)).toThrow(NewerTrustError);
  });

  it('is refused with an expired CA, or a certificate that is none', async () => {
    expect(() => parseTrust(JSON.stringify({ active: old, retiring: [] }), at(100 * HOUR))).toThrow(/expired/);
    const leaf = await issueServing(a as CertificatePair, namesOfService('s', 'n'), now, at(HOUR));
    expect(() => parseTrust(JSON.stringify({ active: leaf, retiring: [] }), now)).toThrow(/not a CA/);
  });
});
