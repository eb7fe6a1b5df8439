import { describe, expect, it } from 'vitest';
import { openToldOwners, TELL_AGAIN_MS } from '../src/cluster/told-owners.ts';
import { inject, REFUSALS, type RefuseReason, refuse, skip, WARNINGS, type Warning } from '../src/sideload/outcome.ts';
import { ownerEventsFor, ownerOf } from '../src/sideload/owner-events.ts';

const OWNER = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'agent-5d8f', uid: '1b4e28ba-2fa1-11d2-883f-0016d3cca427' };
const ownedBy = (...ownerReferences: unknown[]): object => ({ metadata: { ownerReferences } });

describe('the owner of a pod', () => {
  it('is its controller, and nothing else of the reference', () => {
    const other = { ...OWNER, name: 'other', uid: 'other' };
    expect(ownerOf(ownedBy(other, { ...OWNER, controller: true, blockOwnerDeletion: true }))).toEqual(OWNER);
  });

  it.each([
    ['a bare pod', {}],
    ['a pod with an owner that is no controller', ownedBy(OWNER, { ...OWNER, controller: false })],
    ['a reference without uid', ownedBy({ ...OWNER, uid: undefined, controller: true })],
    ['a name that would be another path', ownedBy({ ...OWNER, name: '../pods', controller: true })],
    ['a uid of a megabyte', ownedBy({ ...OWNER, uid: 'a'.repeat(2 ** 20), controller: true })],
    ['a kind of a megabyte', ownedBy({ ...OWNER, kind: 'a'.repeat(2 ** 20), controller: true })],
    ['references of another type', { metadata: { ownerReferences: 'none' } }],
    ['a reference that is null', ownedBy(null)],
  ])('is not known: %s', (_what, pod) => {
    expect(ownerOf(pod)).toBeUndefined();
  });
});

describe('the Events of an outcome', () => {
  const warnings: Warning[] = [
    { code: 'hooks-outside', message: 'an exec probe runs outside the supervisor' },
    { code: 'ports-unreachable', message: 'nothing reaches port 80' },
  ];

  it('are one for a refusal', () => {
    expect(ownerEventsFor(refuse('unknown-label-value', 'label openshell.ai/sandbox is "yes"'))).toEqual([
      { reason: 'UnknownLabelValue', action: 'RefusePod', note: 'pod refused: label openshell.ai/sandbox is "yes"' },
    ]);
  });

  it('are one for each warning, of changed and of unchanged pods', () => {
    const expected = [
      { reason: 'HooksOutside', action: 'AdmitPod', note: 'pod admitted with a warning: an exec probe runs outside the supervisor' },
      { reason: 'PortsUnreachable', action: 'AdmitPod', note: 'pod admitted with a warning: nothing reaches port 80' },
    ];
    const rest = { method: 'image-volume', container: 'agent', operations: [], warnings, imageDigest: undefined } as const;
    expect(ownerEventsFor(inject('injected', rest))).toEqual(expected);
    expect(ownerEventsFor(skip('already-sideloaded', warnings))).toEqual(expected);
    expect(ownerEventsFor(skip('already-sideloaded'))).toEqual([]);
  });

  it.each([...Object.keys(REFUSALS), ...Object.keys(WARNINGS)])('have a reason that kubectl can select: %s', (code) => {
    const [event] = ownerEventsFor(refuse(code as RefuseReason, 'message'));
    expect(event?.reason).toMatch(/^[A-Z][A-Za-z]{1,127}$/);
  });

  it('have notes of 1,024 bytes at most, which end with a whole character', () => {
    const [event] = ownerEventsFor(refuse('missing-command', `x${'€'.repeat(1000)}`));
    expect(Buffer.byteLength(event?.note ?? '')).toBeLessThanOrEqual(1024);
    expect(event?.note).toMatch(/^pod refused: x€+$/);
  });
});

describe('owners that were told', () => {
  it('are told of a reason again after ten minutes', () => {
    let now = 0;
    const told = openToldOwners(() => now);
    const add = (uid = 'a', reason = 'Reason'): string => told.add('agents', uid, reason);
    expect([add(), add(), add('b'), add('a', 'Other')]).toEqual(['new', 'told', 'new', 'new']);
    now = TELL_AGAIN_MS - 1;
    expect(add()).toBe('told');
    now = TELL_AGAIN_MS;
    expect([add(), add()]).toEqual(['new', 'told']);
  });

  it('of one namespace take no room from others, and all together are bounded', () => {
    let now = 0;
    const told = openToldOwners(() => now);
    const fill = (namespace: string): number => {
      let count = 0;
      while (told.add(namespace, `uid-${count}`, 'Reason') === 'new') count++;
      return count;
    };
    expect([fill('hostile'), fill('hostile'), fill('agents')]).toEqual([128, 0, 128]);
    const others = Array.from({ length: 100 }, (_, index) => fill(`namespace-${index}`));
    expect(others.reduce((sum, count) => sum + count)).toBe(4096 - 2 * 128);
    now = TELL_AGAIN_MS;
    expect([fill('hostile'), fill('agents')]).toEqual([128, 128]);
  });
});
