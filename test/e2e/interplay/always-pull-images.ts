/** AlwaysPullImages. It restarts the API server, so that it comes last. */

import { beforeAll, describe, expect, it } from 'vitest';
import { sandbox } from '../../pods.ts';
import { method } from '../../refusals.ts';
import { isSideloaded } from '../../sideloaded.ts';
import { answersFor, cluster, containerOf, installerOf, METHODS, stored, TOKENLESS } from './stage.ts';

describe('AlwaysPullImages, where the API server has it on', () => {
  beforeAll(async () => {
    await cluster.stopApiserver();
    await cluster.startApiserver({ release: '1.36', flags: ['--enable-admission-plugins=AlwaysPullImages'] });
  });

  it.each(METHODS)('runs again after this webhook: the supervisor image is always pulled too, by method %s', async (by) => {
    const pod = await stored(sandbox({ annotations: method(by), spec: TOKENLESS }));
    const source = by === 'image-volume' ? pod.spec.volumes?.[0]?.image : installerOf(pod);
    expect(source).toMatchObject(by === 'image-volume' ? { pullPolicy: 'Always' } : { imagePullPolicy: 'Always' });
    expect(containerOf(pod)).toMatchObject({ imagePullPolicy: 'Always' });
    expect(isSideloaded(pod)).toBe(true);
    expect(await answersFor(pod)).toEqual(['injected', 'already-sideloaded']);
  });
});
