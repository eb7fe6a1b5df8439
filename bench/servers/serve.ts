import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import Fastify from 'fastify';
import type { Pod } from '../../src/sideload/pod.ts';

/** Serves a webhook by Fastify over HTTPS with the product's limits; `node FILE PORT TLS-DIR` is how a benchmark starts it. */
export async function serve(respond: (request: { uid: string; object: Pod }) => object): Promise<void> {
  const [, , port, dir = ''] = process.argv;
  const https = { cert: readFileSync(join(dir, 'tls.crt')), key: readFileSync(join(dir, 'tls.key')), minVersion: 'TLSv1.3' as const };
  const app = Fastify({ logger: false, https, bodyLimit: 8 * 1024 * 1024, keepAliveTimeout: 100_000 });
  app.post<{ Body: { request: { uid: string; object: Pod } } }>('/mutate', (request, reply) => {
    reply.send({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: respond(request.body.request) });
  });
  process.on('SIGTERM', () => process.exit(0));
  await app.listen({ port: Number(port), host: '127.0.0.1' });
}
