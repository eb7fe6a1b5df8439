import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import Fastify, { type FastifyInstance } from 'fastify';

/** A Fastify over HTTPS with the product's limits; `node FILE PORT TLS-DIR` is how the benchmark starts it. */
export function httpsServer(): FastifyInstance {
  const dir = process.argv[3] ?? '';
  const https = { cert: readFileSync(join(dir, 'tls.crt')), key: readFileSync(join(dir, 'tls.key')), minVersion: 'TLSv1.3' as const };
  return Fastify({ logger: false, https, bodyLimit: 8 * 1024 * 1024, keepAliveTimeout: 100_000 }) as unknown as FastifyInstance;
}

export async function listen(app: FastifyInstance): Promise<void> {
  process.on('SIGTERM', () => process.exit(0));
  await app.listen({ port: Number(process.argv[2]), host: '127.0.0.1' });
}
