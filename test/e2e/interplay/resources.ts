/** Sizes of containers: LimitRange, class of service, ResourceQuota. */

import { beforeAll, describe, expect, it } from 'vitest';
import type { Pod } from '../../../src/sideload/pod.ts';
import { agent, sandbox } from '../../pods.ts';
import { method } from '../../refusals.ts';
import { isSideloaded } from '../../sideloaded.ts';
import { waitFor } from '../cluster/process.ts';
import { containerOf, controllers, create, INSTALL, installerOf, kubectl, LEFT_ALONE, openNamespace, refusal, stored } from './stage.ts';

/** The request and limit of one container, of a size that every limit below admits. */
const SIZED = { requests: { cpu: '200m', memory: '64Mi' }, limits: { cpu: '200m', memory: '64Mi' } };

/** A sandbox by install container, whose own container has these resources. */
const sized = (resources: object | undefined, labels?: Record<string, string>): Pod =>
  sandbox({
    ...(labels ? { labels } : {}),
    annotations: method('init-container'),
    spec: { containers: [agent(resources ? { resources } : {})] },
  });

describe('a LimitRange', () => {
  const limitRange = (limits: object) => ({ apiVersion: 'v1', kind: 'LimitRange', spec: { limits: [limits] } });
  const DEFAULTS = {
    type: 'Container',
    defaultRequest: { cpu: '100m', memory: '32Mi' },
    default: { cpu: '200m', memory: '64Mi' },
    min: { cpu: '50m', memory: '16Mi' },
    max: { cpu: '400m', memory: '128Mi' },
    maxLimitRequestRatio: { cpu: '2' },
  };

  it.each([
    {
      namespace: 'limits-defaults',
      why: 'defaults, within the limits of each container',
      limits: DEFAULTS,
      resources: undefined,
      gets: { requests: DEFAULTS.defaultRequest, limits: DEFAULTS.default },
      qosClass: 'Burstable',
    },
    {
      namespace: 'limits-own',
      why: "its container's own size, whatever the defaults",
      limits: DEFAULTS,
      resources: SIZED,
      gets: SIZED,
      qosClass: 'Guaranteed',
    },
    {
      namespace: 'limits-min',
      why: 'a minimum, which is a default request too',
      limits: { type: 'Container', min: { cpu: '100m' } },
      resources: undefined,
      gets: { requests: { cpu: '100m' } },
      qosClass: 'Burstable',
    },
    {
      namespace: 'limits-pod',
      why: 'room for one container in the whole pod',
      limits: { type: 'Pod', max: SIZED.limits },
      resources: SIZED,
      gets: SIZED,
      qosClass: 'Guaranteed',
    },
  ])('gives the install container $why', async ({ namespace, limits, resources, gets, qosClass }) => {
    await openNamespace(namespace, { objects: [limitRange(limits)] });
    const pod = await stored(sized(resources), namespace);
    expect(containerOf(pod).resources).toEqual(gets);
    expect(installerOf(pod)?.resources).toEqual(gets);
    expect(pod.status.qosClass).toBe(qosClass);
    expect((await stored(sized(resources, LEFT_ALONE), namespace)).status.qosClass, 'without a supervisor').toBe(qosClass);
    expect(isSideloaded(pod)).toBe(true);
  });

  it.each([
    {
      namespace: 'limits-too-small',
      why: 'a container below the minimum',
      limits: { type: 'Container', min: { cpu: '300m' } },
      resources: SIZED,
      says: 'pods "POD" is forbidden: minimum cpu usage per Container is 300m, but request is 200m',
    },
    {
      namespace: 'limits-too-big',
      why: 'a container above the maximum',
      limits: { type: 'Container', max: { memory: '32Mi' } },
      resources: SIZED,
      says: 'pods "POD" is forbidden: maximum memory usage per Container is 32Mi, but limit is 64Mi',
    },
    {
      namespace: 'limits-no-size',
      why: 'a pod without a size where pods have a minimum',
      limits: { type: 'Pod', min: { cpu: '100m' } },
      resources: undefined,
      says: 'pods "POD" is forbidden: minimum cpu usage per Pod is 100m.  No request is specified',
    },
  ])('has $why refused in its own words, with a supervisor or without', async ({ namespace, limits, resources, says }) => {
    await openNamespace(namespace, { objects: [limitRange(limits)] });
    const alone = await refusal(sized(resources, LEFT_ALONE), namespace);
    expect(alone).toContain(says);
    // With a supervisor the same is said once for each container that it holds for.
    expect(await refusal(sized(resources), namespace)).toContain(says.replace('pods "POD" is forbidden: ', ''));
  });
});

describe('the class of service', () => {
  it.each([
    { qosClass: 'BestEffort', why: 'no size', spec: {} },
    { qosClass: 'Guaranteed', why: 'limits that are the requests', spec: { containers: [agent({ resources: SIZED })] } },
    { qosClass: 'Burstable', why: 'requests alone', spec: { containers: [agent({ resources: { requests: SIZED.requests } })] } },
    { qosClass: 'Guaranteed', why: 'a size for the whole pod', spec: { resources: SIZED } },
  ])('of a pod with $why stays $qosClass', async ({ qosClass, spec }) => {
    const pod = await stored(sandbox({ annotations: method('init-container'), spec }));
    expect(installerOf(pod)?.resources).toEqual(containerOf(pod).resources);
    expect(pod.status.qosClass).toBe(qosClass);
    expect((await stored(sandbox({ labels: LEFT_ALONE, spec }))).status.qosClass, 'without a supervisor').toBe(qosClass);
  });
});

describe('a ResourceQuota', () => {
  const hard = { pods: '2', 'requests.cpu': '500m', 'requests.memory': '1Gi', 'limits.cpu': '1', 'limits.memory': '1Gi' };
  const one = { pods: '1', 'requests.cpu': '200m', 'requests.memory': '64Mi', 'limits.cpu': '200m', 'limits.memory': '64Mi' };

  beforeAll(async () => {
    await openNamespace('quota', { objects: [{ apiVersion: 'v1', kind: 'ResourceQuota', spec: { hard } }] });
    const isCounted = async (): Promise<boolean> => (await create(sized(SIZED, LEFT_ALONE), 'quota', ['--dry-run=server'])).code === 0;
    await waitFor('the quota to be counted', isCounted, [controllers]);
  });

  it('admits a sandbox whose containers have sizes, and counts no more than the one container', async () => {
    expect(isSideloaded(await stored(sized(SIZED), 'quota'))).toBe(true);
    expect(JSON.parse(await kubectl(['get', 'resourcequota', 'quota', '-n', 'quota', '-o', 'json'])).status.used).toEqual(one);
  });

  it('has a sandbox refused whose container has no size, in its own words', async () => {
    expect(await refusal(sized(undefined, LEFT_ALONE), 'quota')).toContain('failed quota: quota: must specify limits.cpu for: agent;');
    expect(await refusal(sized(undefined), 'quota')).toContain(`failed quota: quota: must specify limits.cpu for: agent,${INSTALL};`);
  });

  it('has a sandbox refused that exceeds it, in its own words', async () => {
    const tooBig = { requests: { ...SIZED.requests, cpu: '400m' }, limits: { ...SIZED.limits, cpu: '400m' } };
    expect(await refusal(sized(tooBig), 'quota')).toContain(
      'exceeded quota: quota, requested: requests.cpu=400m, used: requests.cpu=200m, limited: requests.cpu=500m',
    );
  });
});
