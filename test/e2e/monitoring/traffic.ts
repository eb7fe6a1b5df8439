import { request } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Pod } from '../../../src/sideload/pod.ts';
import { listGoldens, readGolden } from '../../goldens.ts';
import { sandbox } from '../../pods.ts';
import { method, REFUSED_PODS } from '../../refusals.ts';
import type { Installation } from './installation.ts';
import type { Replica } from './replica.ts';

/** Every pod that the tests know, so that each outcome and each warning comes. */
export function everyPod(): Pod[] {
  return [...listGoldens().inputs.map((name) => readGolden(name).pod), ...REFUSED_PODS.map(({ pod }) => pod)];
}

/**
 * Creates pods at a rate that comes and goes, most of them as good as a platform's, one in five any other that the tests know.
 * What the API server does not answer is left at that.
 *
 * @param seconds how long
 * @returns how many the API server answered
 */
export async function createPods({ create }: Installation, seconds: number): Promise<number> {
  const others = everyPod();
  const good = sandbox({ annotations: method('init-container') });
  const begin = Date.now();
  const pending: Promise<number>[] = [];
  for (let serial = 0; Date.now() - begin < seconds * 1000; serial++) {
    // In strides, as pods that are alike lie together.
    const other = serial % 5 === 0 ? others[((serial / 5) * 7) % others.length] : undefined;
    pending.push(
      create(other ?? good, serial % 7 === 0).then(
        () => 1,
        () => 0,
      ),
    );
    const wave = Math.sin((Date.now() - begin) / 20_000);
    await sleep(1000 / (12 + 6 * wave));
  }
  return (await Promise.all(pending)).reduce((sum, one) => sum + one, 0);
}

/** Sends a replica what is no admission review, as a scanner would; the HTTP status of its answer. */
export function postNonsense({ port }: Replica, type = 'application/json'): Promise<number> {
  const headers = { 'content-type': type };
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port, path: '/mutate', method: 'POST', headers, rejectUnauthorized: false }, (answer) => {
      answer.resume().on('end', () => resolve(answer.statusCode ?? 0));
    })
      .on('error', reject)
      .end('{}');
  });
}
