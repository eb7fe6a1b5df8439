/** A webhook that lets every pod pass as it is: what calling any webhook takes. */

import { httpsServer, listen } from './listen.ts';

const app = httpsServer();
app.post<{ Body: { request: { uid: string } } }>('/mutate', (request, reply) => {
  const response = { uid: request.body.request.uid, allowed: true };
  reply.send({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response });
});
await listen(app);
