import type { Server } from 'node:https';
import Fastify, { type FastifyError, type FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { type AdmissionRequest, decodeReview, encodeReview, MalformedReviewError } from './admission/review.ts';
import type { Metrics } from './metrics.ts';
import { decide } from './sideload/decide.ts';
import { type Outcome, skip } from './sideload/outcome.ts';
import type { ClusterFacts, SideloadSettings } from './sideload/settings.ts';
import type { CertificatePair } from './tls/pair.ts';

/** An object in etcd is at most 1.5 MiB by default; the API server takes request bodies up to 3 MiB and sends the object in JSON. */
const BODY_LIMIT_BYTES = 8 * 1024 * 1024;
/** The API server closes idle connections after 90 s (client-go's transport); whoever closes first must not be us. */
const KEEP_ALIVE_MS = 100_000;
/** A webhook call lasts 30 s at most (timeoutSeconds), 10 s as our manifests say. */
export const REQUEST_TIMEOUT_MS = 15_000;
const HANDSHAKE_TIMEOUT_MS = 10_000;
const CHECK_CONNECTIONS_MS = 5_000;

export interface ServerDeps {
  readonly settings: SideloadSettings;
  readonly facts: () => ClusterFacts;
  readonly tls: CertificatePair & { readonly minVersion: 'TLSv1.2' | 'TLSv1.3' };
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Whether the process is about to end: answers then ask for the connection to be closed. */
  readonly draining: () => boolean;
}

/**
 * Builds the webhook's HTTPS server; it does not listen yet.
 *
 * | what arrives at POST /mutate                           | HTTP status                                                  |
 * |--------------------------------------------------------|--------------------------------------------------------------|
 * | a pod that is skipped, injected or refused             | 200 with an AdmissionReview (see encodeReview)               |
 * | bad JSON, no AdmissionReview, another version than v1  | 400 with a Status                                            |
 * | another content type than application/json             | 415 with a Status                                            |
 * | more than 8 MiB                                        | 413 with a Status                                            |
 * | a bug of ours                                          | 500 with a Status, so that failurePolicy decides             |
 * | another path                                           | 404 with a Status                                            |
 */
export function buildServer(deps: ServerDeps): FastifyInstance<Server> {
  const app = Fastify({
    logger: false,
    https: {
      cert: deps.tls.cert,
      key: deps.tls.key,
      minVersion: deps.tls.minVersion,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      connectionsCheckingInterval: CHECK_CONNECTIONS_MS,
    },
    bodyLimit: BODY_LIMIT_BYTES,
    keepAliveTimeout: KEEP_ALIVE_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    // The core reads fixed members and copies nothing by key, so that a member named __proto__ is a member like any other.
    onProtoPoisoning: 'ignore',
    onConstructorPoisoning: 'ignore',
  });
  app.removeContentTypeParser('text/plain');

  app.post('/mutate', (request, reply) => {
    const started = performance.now();
    const review = decodeReview(request.body);
    const outcome = review.createsPod ? decide(review.pod, deps.settings, deps.facts()) : skip('not-a-pod-creation');
    const response = encodeReview(review.uid, outcome);
    const milliseconds = performance.now() - started;
    deps.metrics.admission(review, outcome, milliseconds / 1000);
    logAdmission(deps.log, review, outcome, milliseconds);
    if (deps.draining()) reply.header('connection', 'close');
    reply.send(response);
  });

  app.setNotFoundHandler((request, reply) => {
    deps.metrics.httpError(404);
    reply.code(404).send(status(404, `no ${request.method} ${request.url.slice(0, 100)} here: the webhook is POST /mutate`));
  });

  app.setErrorHandler((error: FastifyError, request, reply) => {
    const code = error instanceof MalformedReviewError ? 400 : (error.statusCode ?? 500);
    deps.metrics.httpError(code);
    if (code >= 500) deps.log.error({ err: error }, 'admission failed');
    else deps.log.warn({ code, remoteAddress: request.ip }, error.message);
    reply.code(code).send(status(code, code >= 500 ? 'internal error of openshell-sideload: see its log' : error.message));
  });
  return app as unknown as FastifyInstance<Server>;
}

/** One line per admission. It never holds the pod, its environment or its arguments. */
function logAdmission(log: Logger, request: AdmissionRequest, outcome: Outcome, milliseconds: number): void {
  const { name, generateName } = request.pod.metadata ?? {};
  const fields = {
    uid: request.uid,
    namespace: request.namespace,
    ...(name ? { name } : { generateName }),
    outcome: outcome.verdict,
    reason: outcome.reason,
    dryRun: request.dryRun,
    durationMs: Math.round(milliseconds * 1000) / 1000,
  };
  switch (outcome.verdict) {
    case 'skip':
      log.info(fields, 'pod left alone');
      return;
    case 'refuse':
      log.warn({ ...fields, message: outcome.message }, 'pod refused');
      return;
    case 'inject': {
      const { method, container, warnings } = outcome;
      log.info({ ...fields, method, container, warnings: warnings.map(({ code }) => code) }, 'supervisor injected');
    }
  }
}

/** A metav1.Status: client-go shows its message where a bare body would be swallowed. */
function status(code: number, message: string) {
  return { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason: code < 500 ? 'BadRequest' : 'InternalError', message };
}
