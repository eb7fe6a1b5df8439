import Fastify, { type FastifyInstance } from 'fastify';
import type { Metrics } from '../observe/metrics.ts';
import type { ReadinessCheck } from '../observe/readiness.ts';
import { NO_SCHEMAS } from './no-schemas.ts';
import { STATUS_HEADERS, type Status, statusPage } from './status-page.ts';

/**
 * Builds the admin server, plain HTTP for kubelet and Prometheus: /healthz (the process answers), /readyz (it should get
 * traffic; ?verbose lists why, as the API server's own does) and /metrics; and a page for people at /. It does not listen yet.
 *
 * @param checks asked at each request, as is `status`
 */
export function buildAdmin(
  metrics: Metrics,
  checks: () => readonly ReadinessCheck[],
  status: () => Promise<Omit<Status, 'readiness'>>,
): FastifyInstance {
  const app = Fastify({
    ...NO_SCHEMAS,
    logger: false,
    http: { requestTimeout: 10_000, headersTimeout: 10_000 },
    requestTimeout: 10_000,
    forceCloseConnections: true,
    bodyLimit: 1024,
  });
  app.get('/', async (_request, reply) => {
    const page = statusPage({ ...(await status()), readiness: checks() }, new Date());
    return reply.headers(STATUS_HEADERS).send(page);
  });
  app.get('/healthz', (_request, reply) => reply.type('text/plain').send('ok'));
  app.get<{ Querystring: { verbose?: string } }>('/readyz', (request, reply) => {
    const results = checks();
    const ready = results.every((check) => check.ready);
    reply.code(ready ? 200 : 503).type('text/plain');
    const lines = results.map((check) => `[${check.ready ? '+' : '-'}] ${check.name}: ${check.detail}`);
    const shown = ready && request.query.verbose === undefined ? [] : lines;
    return reply.send([...shown, ready ? 'ok' : 'not ready'].join('\n'));
  });
  app.get('/metrics', async (_request, reply) => {
    return reply.type(metrics.registry.contentType).send(await metrics.registry.metrics());
  });
  return app;
}
