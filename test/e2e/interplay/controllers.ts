/** The controllers that make pods. */

import { beforeAll, describe, expect, it } from 'vitest';
import { agent } from '../../pods.ts';
import { isSideloaded } from '../../sideloaded.ts';
import { waitFor } from '../cluster/process.ts';
import { containerOf, controllers, createAll, kubectl, logLines, NO_ENTRYPOINT, podsOf, SUPERVISOR, workload } from './stage.ts';

describe('the pods of a controller', () => {
  const data = { metadata: { name: 'data' }, spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } } };

  beforeAll(async () => {
    // One for the DaemonSet; nothing runs there.
    await createAll({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'nowhere' } });
  });

  it.each([
    { kind: 'Deployment', maker: 'ReplicaSet', named: { generateName: expect.stringMatching(/^deployment-.*-$/) }, rest: {} },
    {
      kind: 'StatefulSet',
      maker: 'StatefulSet',
      named: { name: 'statefulset-0' },
      rest: { serviceName: 'statefulset', volumeClaimTemplates: [data] },
    },
    { kind: 'DaemonSet', maker: 'DaemonSet', named: { generateName: 'daemonset-' }, rest: {} },
    { kind: 'Job', maker: 'Job', named: { generateName: 'job-0-' }, rest: { completionMode: 'Indexed', completions: 1 } },
  ] as const)('$kind are stored under their supervisor', async ({ kind, maker, named, rest }) => {
    const name = kind.toLowerCase();
    const mounts = kind === 'StatefulSet' ? { volumeMounts: [{ name: 'data', mountPath: '/data' }] } : {};
    await createAll(workload(kind, name, agent(mounts), rest));
    const pods = await podsOf(name);
    expect(pods).toHaveLength(1);
    for (const pod of pods) {
      expect(pod.metadata.ownerReferences).toMatchObject([{ kind: maker }]);
      expect(containerOf(pod)).toMatchObject({ command: SUPERVISOR, args: ['--', 'agent'] });
      expect(isSideloaded(pod)).toBe(true);
    }
    expect(await logLines()).toContainEqual(expect.objectContaining({ ...named, reason: 'injected' }));
    // What only this controller adds.
    if (kind === 'StatefulSet')
      expect(pods[0]?.spec.volumes).toContainEqual({ name: 'data', persistentVolumeClaim: { claimName: 'data-statefulset-0' } });
    if (kind === 'Job') expect(containerOf(pods[0] ?? {}).env?.map((variable) => variable.name)).toContain('JOB_COMPLETION_INDEX');
  });

  it('CronJob are stored under their supervisor, by way of its Job', async () => {
    const job = workload('Job', 'cronjob', agent());
    const spec = { schedule: '0 0 1 1 *', jobTemplate: { spec: job.spec } };
    await createAll({ apiVersion: 'batch/v1', kind: 'CronJob', metadata: job.metadata, spec });
    await kubectl(['create', 'job', 'by-hand', '--from=cronjob/cronjob', '-n', 'agents']);
    expect((await podsOf('cronjob')).map((pod) => isSideloaded(pod))).toEqual([true]);
  });

  it.each([
    { kind: 'Deployment', maker: 'ReplicaSet', rest: {} },
    { kind: 'StatefulSet', maker: 'StatefulSet', rest: { serviceName: 'none' } },
    { kind: 'DaemonSet', maker: 'DaemonSet', rest: {} },
    { kind: 'Job', maker: 'Job', rest: {} },
  ] as const)('$kind that are refused are an event FailedCreate of the $maker, with our sentence', async ({ kind, maker, rest }) => {
    const name = `refused-${kind.toLowerCase()}`;
    await createAll(workload(kind, name, agent({ command: null, args: ['--port', '1'] }), rest));
    const messages = async (): Promise<string[]> => {
      const selector = `--field-selector=reason=FailedCreate,involvedObject.kind=${maker}`;
      const { items } = JSON.parse(await kubectl(['get', 'events', '-n', 'agents', selector, '-o', 'json']));
      const own = items.filter(({ involvedObject }: { involvedObject: { name: string } }) => involvedObject.name.startsWith(name));
      return own.map(({ message }: { message: string }) => message);
    };
    await waitFor(`an event of ${name}`, async () => (await messages()).length > 0, [controllers]);
    for (const message of await messages()) expect(message).toContain(NO_ENTRYPOINT);
    expect(await kubectl(['get', 'pods', '-n', 'agents', '-l', `app=${name}`, '-o', 'name'])).toBe('');
  });

  it('Deployment that are refused show in its condition ReplicaFailure too', async () => {
    const condition = `jsonpath={.status.conditions[?(@.type=="ReplicaFailure")].message}`;
    const read = (): Promise<string> => kubectl(['get', 'deployment', 'refused-deployment', '-n', 'agents', '-o', condition]);
    await waitFor('the condition', async () => (await read()) !== '', [controllers]);
    expect(await read()).toContain(NO_ENTRYPOINT);
  });
});
