/** The floor: what Fastify takes to parse a review and to answer a constant. */

import { httpsServer, listen } from './listen.ts';

const app = httpsServer();
app.post('/mutate', (_request, reply) => {
  reply.send({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: { uid: 'constant', allowed: true } });
});
await listen(app);
