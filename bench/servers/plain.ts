/** What one would write first: a copy of the pod is changed, and a library finds the difference. */

import jsonPatch, { type Operation } from 'fast-json-patch';
import { readConfig } from '../../src/config/config.ts';
import { decide } from '../../src/sideload/decide.ts';
import type { Pod } from '../../src/sideload/pod.ts';
import { UNKNOWN_CLUSTER } from '../../src/sideload/settings.ts';
import { httpsServer, listen } from './listen.ts';

const { sideload } = readConfig([], {});

const app = httpsServer();
app.post<{ Body: { request: { uid: string; object: Pod } } }>('/mutate', (request, reply) => {
  const { uid, object } = request.body.request;
  const changed = structuredClone(object);
  const outcome = decide(object, sideload, UNKNOWN_CLUSTER);
  if (outcome.verdict === 'inject') jsonPatch.applyPatch(changed, outcome.operations as Operation[]);
  const patch = Buffer.from(JSON.stringify(jsonPatch.compare(object, changed))).toString('base64');
  const response = { uid, allowed: true, patchType: 'JSONPatch', patch };
  reply.send({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response });
});
await listen(app);
