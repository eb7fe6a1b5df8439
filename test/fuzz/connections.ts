/** The second part: connections that misbehave, while a bystander is served. */

import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { ATTACKS } from './attacks.ts';
import { startBystander } from './bystander.ts';
import { plainReview } from './cases.ts';
import type { Product } from './product.ts';
import { Random } from './random.ts';
import { openTls } from './raw.ts';
import { shapesAsAttacks } from './shapes.ts';
import { Tally } from './tally.ts';

/** New connections come one after the other: this is about what they do, not about how fast handshakes are. */
const PAUSE_MS = 4;
/** After so many, one more is made and waited for. So no more than these wait for their handshake where handshakes take longer than the pause. */
const PACE = 25;

export interface ConnectionsResult {
  /** Kinds of connections and how they ended. */
  readonly endings: Tally;
  /** Reviews of the bystander that were answered. */
  readonly served: number;
  /** What was not as it has to be. */
  readonly complaints: Tally;
  /** Open files of the webhook before and after. */
  readonly files: readonly [before: number, after: number];
}

const ADMIN_PATHS = ['/', '/healthz', '/readyz', '/readyz?verbose', '/readyz?verbose&verbose', '/readyz?__proto__[verbose]=1', '/metrics']
  .concat(['/metrics/', '//metrics', '/metrics?x=%', '/%', '/%00', '/../healthz', '/mutate', '/__proto__', `/${'a'.repeat(10_000)}`])
  .concat(['/debug/pprof', '/healthz%2f..']);

/** Plays all of it, the kinds mixed. */
export async function misuseConnections(product: Product, seed: string): Promise<ConnectionsResult> {
  const review = plainReview(0);
  const endings = new Tally();
  const complaints = new Tally();
  const openFiles = (): number => readdirSync(`/proc/${product.process.pid}/fd`).length;
  const before = openFiles();
  const bystander = await startBystander(product, review);

  const attacks = [...ATTACKS, ...shapesAsAttacks(review)].flatMap((attack) =>
    Array.from({ length: attack.count }, (_, index) => ({ ...attack, index })),
  );
  attacks.sort((one, other) => one.index / one.count - other.index / other.count);
  const running: Promise<void>[] = [];
  for (const { kind, run, fine, index } of attacks) {
    const ended = run(product, new Random(`${seed}/${kind}/${index}`), review).then(
      (ending) => ({ ending, isFine: fine(ending) }),
      (error) => ({ ending: String(error), isFine: false }),
    );
    running.push(
      ended.then(({ ending, isFine }) => {
        endings.add(`${kind}: ${ending}`);
        if (!isFine) complaints.add(`${kind}: ${ending}`);
      }),
    );
    await sleep(PAUSE_MS);
    if (running.length % PACE === 0) (await openTls(product)).destroy();
  }
  await Promise.all(running);

  for (const path of ADMIN_PATHS) {
    for (const method of ['GET', 'POST', 'DELETE']) {
      const body = method === 'POST' ? { body: '{' } : {};
      const answer = await fetch(`http://127.0.0.1:${product.adminPort}${path}`, { method, headers: { connection: 'close' }, ...body });
      await answer.bytes();
      endings.add(`admin port: ${answer.status}`);
      if (answer.status >= 500) complaints.add(`admin port: ${answer.status} for ${method} ${path}`);
    }
  }

  const { served, errors } = await bystander.stop();
  for (const error of errors) complaints.add(`bystander: ${error}`);
  if (served === 0) complaints.add('bystander: nobody was served');
  // Closing takes a moment on the other side, and much longer on a busy machine.
  for (let left = 600; left > 0 && openFiles() > before; left--) await sleep(100);
  const after = openFiles();
  if (after > before) complaints.add(`${after} open files after ${before}`);
  return { endings, served, complaints, files: [before, after] };
}
