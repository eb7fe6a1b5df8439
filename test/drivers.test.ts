/**
 * Pods as other drivers make them: the goldens show that they are left unchanged; here a part is taken away or changed, each in
 * turn, and none of the results is waved through.
 */

import jsonPatch, { type Operation } from 'fast-json-patch';
import { describe, expect, it } from 'vitest';
import { readConfig } from '../src/config/config.ts';
import { decide } from '../src/sideload/decide.ts';
import type { Outcome } from '../src/sideload/outcome.ts';
import type { Pod } from '../src/sideload/pod.ts';
import { UNKNOWN_CLUSTER } from '../src/sideload/settings.ts';
import { readGolden } from './goldens.ts';
import { sandbox } from './pods.ts';
import { NO_LOOKUP } from './refusals.ts';

const IMAGE_VOLUME = 'openshell-driver-image-volume';
const INIT_CONTAINER = 'openshell-driver-init-container';
const SIDECAR = 'openshell-driver-sidecar';
const OPENSHIFT = 'openshift-driver';

/** The sandbox container is the first in all of them, the supervisor's mount has this index. */
const AGENT = '/spec/containers/0';
const MOUNTS: Record<string, number> = { [IMAGE_VOLUME]: 2, [INIT_CONTAINER]: 2, [SIDECAR]: 0, [OPENSHIFT]: 0 };
const VOLUMES: Record<string, number> = { [IMAGE_VOLUME]: 2, [INIT_CONTAINER]: 2, [SIDECAR]: 0, [OPENSHIFT]: 0 };

function outcomeOf(name: string, operations: readonly Operation[]): { outcome: Outcome; pod: Pod } {
  const { pod, flags } = readGolden(name);
  const changed = jsonPatch.applyPatch(structuredClone(pod), operations, true).newDocument;
  return { outcome: decide(changed, readConfig([...flags, ...NO_LOOKUP], {}).sideload, UNKNOWN_CLUSTER), pod: changed };
}

const remove = (path: string): Operation => ({ op: 'remove', path });
const replace = (path: string, value: unknown): Operation => ({ op: 'replace', path, value });
const mountOf = (name: string): string => `${AGENT}/volumeMounts/${MOUNTS[name]}`;
const volumeOf = (name: string): string => `/spec/volumes/${VOLUMES[name]}`;

describe('a pod of another driver from which a part was stripped is completed', () => {
  it.each([
    ...[IMAGE_VOLUME, INIT_CONTAINER].flatMap((driver) => [
      { driver, part: 'the volume', operations: [remove(volumeOf(driver))] },
      { driver, part: 'the mount', operations: [remove(mountOf(driver))] },
      { driver, part: 'volume and mount', operations: [remove(volumeOf(driver)), remove(mountOf(driver))] },
      { driver, part: 'the command', operations: [remove(`${AGENT}/command`)] },
    ]),
    ...[IMAGE_VOLUME, INIT_CONTAINER, OPENSHIFT].flatMap((driver) => [
      { driver, part: 'the readOnly flag', operations: [remove(`${mountOf(driver)}/readOnly`)] },
      { driver, part: 'runAsUser', operations: [remove(`${AGENT}/securityContext/runAsUser`)] },
      { driver, part: 'the security context', operations: [remove(`${AGENT}/securityContext`)] },
    ]),
    { driver: OPENSHIFT, part: 'the command', operations: [remove(`${AGENT}/command`)] },
    { driver: INIT_CONTAINER, part: 'the init container', operations: [remove('/spec/initContainers/0')] },
    { driver: OPENSHIFT, part: 'the init container', operations: [remove('/spec/initContainers')] },
  ])('$driver without $part', ({ driver, operations }) => {
    const { outcome, pod } = outcomeOf(driver, operations);
    if (outcome.verdict !== 'inject') throw new Error(JSON.stringify(outcome));
    expect(outcome.reason).toBe('converged');
    const { newDocument } = jsonPatch.applyPatch(pod, outcome.operations as Operation[], true);
    expect(decide(newDocument, readGolden(driver).config.sideload, UNKNOWN_CLUSTER)).toMatchObject({
      verdict: 'skip',
      reason: 'already-sideloaded',
    });
  });
});

describe('a pod that only looks like one of another driver is refused', () => {
  const evil = 'registry.example/evil:1';
  it.each([
    { driver: IMAGE_VOLUME, what: 'an untrusted image', operations: [replace(`${volumeOf(IMAGE_VOLUME)}/image/reference`, evil)] },
    { driver: SIDECAR, what: 'an untrusted image', operations: [replace(`${volumeOf(SIDECAR)}/image/reference`, evil)] },
    ...[INIT_CONTAINER, OPENSHIFT].map((driver) => ({
      driver,
      what: 'an untrusted image',
      operations: [replace('/spec/initContainers/0/image', evil)],
    })),
  ])('$driver with $what: untrusted-supervisor', ({ driver, operations }) => {
    expect(outcomeOf(driver, operations).outcome).toMatchObject({ verdict: 'refuse', reason: 'untrusted-supervisor' });
  });

  it.each(
    [IMAGE_VOLUME, INIT_CONTAINER, SIDECAR].map((driver) => ({
      driver,
      operations: [replace(volumeOf(driver), { name: 'openshell-supervisor-bin', configMap: { name: 'x' } })],
    })),
  )('$driver with a config map for its volume: volume-name-taken', ({ driver, operations }) => {
    expect(outcomeOf(driver, operations).outcome).toMatchObject({ verdict: 'refuse', reason: 'volume-name-taken' });
  });

  it.each([INIT_CONTAINER, OPENSHIFT])('%s whose init container does something else: supervisor-volume-shared', (driver) => {
    const { outcome } = outcomeOf(driver, [replace('/spec/initContainers/0/command', ['sh', '-c', 'cp /evil /opt/openshell/bin/'])]);
    expect(outcome).toMatchObject({ verdict: 'refuse', reason: 'supervisor-volume-shared' });
  });

  it.each([
    ['its network supervisor', [remove('/spec/containers/1')]],
    ['its init container', [remove('/spec/initContainers/0')]],
    ['the ban on more privileges', [remove(`${AGENT}/securityContext/allowPrivilegeEscalation`)]],
  ])('the sidecar topology without %s: incomplete-sidecar-topology', (_what, operations) => {
    expect(outcomeOf(SIDECAR, operations).outcome).toMatchObject({ verdict: 'refuse', reason: 'incomplete-sidecar-topology' });
  });
});

describe('a pod that claims to have a supervisor is injected', () => {
  it.each([
    { why: 'by the marker annotation', pod: sandbox({ annotations: { 'openshell.ai/sideloaded': 'image-volume' } }) },
    {
      why: 'by the name of its container',
      pod: sandbox({ spec: { containers: [{ name: 'openshell-supervisor-network', command: ['x'] }] } }),
    },
    {
      why: 'by another program under the mount path',
      pod: sandbox({ spec: { containers: [{ name: 'agent', command: ['/opt/openshell/bin/other'] }] } }),
    },
    {
      why: "by the supervisor's path in its own image",
      pod: sandbox({ spec: { containers: [{ name: 'agent', command: ['/opt/openshell/bin/openshell-sandbox'] }] } }),
    },
  ])('$why', ({ pod }) => {
    const outcome = decide(pod, readConfig(['--missing-policy=warn', ...NO_LOOKUP], {}).sideload, UNKNOWN_CLUSTER);
    if (outcome.verdict !== 'inject') throw new Error(JSON.stringify(outcome));
    const { newDocument } = jsonPatch.applyPatch(structuredClone(pod), outcome.operations as Operation[], true);
    expect(newDocument.spec?.volumes?.map(({ name }) => name)).toEqual(['openshell-supervisor-bin']);
  });
});
