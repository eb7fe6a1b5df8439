/** What one would write first: a copy of the pod is changed, and a library finds the difference. */

import jsonPatch, { type Operation } from 'fast-json-patch';
import { readConfig } from '../../src/config/config.ts';
import { decide } from '../../src/sideload/decide.ts';
import { UNKNOWN_CLUSTER } from '../../src/sideload/settings.ts';
import { serve } from './serve.ts';

const { sideload } = readConfig([], {});

await serve(({ uid, object }) => {
  const changed = structuredClone(object);
  const outcome = decide(object, sideload, UNKNOWN_CLUSTER);
  if (outcome.verdict === 'inject') jsonPatch.applyPatch(changed, outcome.operations as Operation[]);
  const patch = Buffer.from(JSON.stringify(jsonPatch.compare(object, changed))).toString('base64');
  return { uid, allowed: true, patchType: 'JSONPatch', patch };
});
