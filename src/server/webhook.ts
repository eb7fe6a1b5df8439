import type { Server } from 'node:https';
import type { SecureContextOptions, TLSSocket } from 'node:tls';
import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import type { Metrics } from '../observe/metrics.ts';
import { onceAMinute } from '../observe/once-a-minute.ts';
import type { Spans } from '../observe/spans.ts';
import { readTraceparent } from '../observe/trace-context.ts';
import { Shares } from '../registry/shares.ts';
import { decide } from '../sideload/decide.ts';
import { LARGE_BYTES } from '../sideload/json-size.ts';
import { type Outcome, printable, REFUSALS, type Refuse, refuse, skip } from '../sideload/outcome.ts';
import { type ClusterFacts, enforcing, type SideloadSettings } from '../sideload/settings.ts';
import { BODY_LIMIT_BYTES, limitLargeBodies, parseBody, RequestError } from './bodies.ts';
import type { ImageReader } from './images.ts';
import { NO_SCHEMAS } from './no-schemas.ts';
import { openRetries, RETRY_AFTER_SECONDS } from './retries.ts';
import { type AdmissionRequest, decodeReview, encodeReview } from './review.ts';

/** The API server closes idle connections after 90 s (client-go's transport); the webhook must not close first. */
const KEEP_ALIVE_MS = 100_000;
/** A webhook call lasts 30 s at most (timeoutSeconds), 10 s as our manifests say. */
export const REQUEST_TIMEOUT_MS = 15_000;
const HANDSHAKE_TIMEOUT_MS = 10_000;
const CHECK_CONNECTIONS_MS = 5_000;
/** Of all reviews that wait for a lookup: a thousand ordinary pods. What is made of a body may take thirty times its size. */
const [WAITING_BYTES, WAITING_BYTES_OF_ONE] = [4 * 1024 * 1024, 3 * 1024 * 1024];

export interface WebhookDeps {
  readonly settings: SideloadSettings;
  readonly facts: () => ClusterFacts;
  /** Looks up what the image of a pod runs. */
  readonly readImage: ImageReader;
  /** Begins the span of a review, if spans are exported. */
  readonly startSpan?: Spans['review'] | undefined;
  /** Told of every outcome after its response was sent; returns at once. */
  readonly tellOwner?: ((review: AdmissionRequest, outcome: Outcome) => void) | undefined;
  readonly tls: SecureContextOptions;
  /** Whether clients need a certificate that one of `tls.ca` signed. */
  readonly requiresClients: boolean;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Whether the process is about to end: responses then ask for the connection to be closed. */
  readonly draining: () => boolean;
}

/**
 * Builds the webhook's HTTPS server; it does not listen yet.
 *
 * POST /mutate/enforced answers for namespaces that enforce the operator's policy: a review carries no namespace labels.
 *
 * | what arrives at POST /mutate                           | HTTP status                                                  |
 * |--------------------------------------------------------|--------------------------------------------------------------|
 * | a pod that is skipped, injected or refused             | 200 with an AdmissionReview (see encodeReview)               |
 * | bad JSON, no AdmissionReview, another version than v1  | 400 with a Status                                            |
 * | another content type than application/json             | 415 with a Status                                            |
 * | more than 8 MiB, or more values than any pod has       | 413 with a Status                                            |
 * | a large body while many others are under way           | 503 with a Status and Retry-After: the API server tries again |
 * | a pod whose image cannot be looked up at the moment    | 503 with a Status and Retry-After: the API server tries again; |
 * |                                                        | once there is no time for that, 200: the pod is refused      |
 * | a large body that comes too slowly                     | 408 with a Status                                            |
 * | a defect of the webhook                                | 500 with a Status, so that failurePolicy decides             |
 * | no client certificate of an API server, where required | 403 with a Status                                            |
 * | another path                                           | 404 with a Status                                            |
 */
export function buildWebhook(deps: WebhookDeps): FastifyInstance<Server> {
  const answerError = (reply: FastifyReply, code: number, message: string): void => {
    deps.metrics.httpError(code);
    reply.code(code).send(status(code, message));
  };
  const app = Fastify({
    ...NO_SCHEMAS,
    logger: false,
    https: {
      ...deps.tls,
      requestCert: deps.requiresClients,
      // A client without a certificate, or with another one, gets its error below.
      rejectUnauthorized: false,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      connectionsCheckingInterval: CHECK_CONNECTIONS_MS,
      // Here too: what Fastify sets afterwards ends no body that is sent half.
      requestTimeout: REQUEST_TIMEOUT_MS,
    },
    bodyLimit: BODY_LIMIT_BYTES,
    keepAliveTimeout: KEEP_ALIVE_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    // A path that cannot be decoded.
    frameworkErrors: (error, _request, reply) => answerError(reply as unknown as FastifyReply, error.statusCode ?? 400, error.message),
  }) as unknown as FastifyInstance;
  app.removeAllContentTypeParsers();
  // The core reads fixed members and copies nothing by key: a member named __proto__ is a member like any other.
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => {
    try {
      done(null, parseBody(String(body)));
    } catch (error) {
      done(error as Error);
    }
  });
  if (deps.requiresClients) refuseStrangers(app, deps.log, (reply, message) => answerError(reply, 403, message));
  limitLargeBodies(app);

  const retries = openRetries();
  const waiting = new Shares(WAITING_BYTES, WAITING_BYTES_OF_ONE);
  const answerReview = (settings: SideloadSettings, request: FastifyRequest, reply: FastifyReply): void | Promise<void> => {
    const started = performance.now();
    const review = decodeReview(request.body);
    const sender = readTraceparent(request.headers.traceparent);
    const span = deps.startSpan?.(sender);
    const respond = (outcome: Outcome, lookupMs?: number): void => {
      const { timeout } = request.query as { timeout?: string };
      const callsAgain = isTemporary(outcome) && !retries.isLast(review.uid, started, timeout);
      const response = callsAgain ? undefined : encodeReview(review.uid, outcome);
      const milliseconds = performance.now() - started - (lookupMs ?? 0);
      deps.metrics.admission(outcome, review.dryRun, milliseconds / 1000);
      logAdmission(deps.log, review, outcome, milliseconds, lookupMs, span?.traceId ?? sender?.traceId);
      if (deps.draining()) reply.header('connection', 'close');
      if (callsAgain) {
        answerError(reply.header('retry-after', String(RETRY_AFTER_SECONDS)), 503, outcome.message);
        span?.end(review.namespace, outcome, true);
        return;
      }
      reply.header('content-type', 'application/json; charset=utf-8').send(response);
      span?.end(review.namespace, outcome, false);
      deps.tellOwner?.(review, outcome);
    };
    if (!review.createsPod) return respond(skip('not-a-pod-creation'));
    const outcome = decide(review.pod, settings, deps.facts());
    if (outcome.verdict !== 'refuse' || !outcome.needs) return respond(outcome);
    // Its pod stays in memory meanwhile.
    const bytes = Number(request.headers['content-length'] ?? LARGE_BYTES);
    if (!waiting.take(review.namespace, bytes))
      return respond(refuse('entrypoint-unavailable', 'too many pods wait for what their images run'));
    const asked = performance.now();
    const endLookup = span?.lookUp();
    return deps
      .readImage(review.pod, review.namespace, outcome.needs)
      .finally(() => waiting.give(review.namespace, bytes))
      .then((image) => {
        endLookup?.(image.from);
        respond(decide(review.pod, settings, deps.facts(), image), performance.now() - asked);
      });
  };
  const enforced = enforcing(deps.settings);
  app.post('/mutate', (request, reply) => answerReview(deps.settings, request, reply));
  app.post('/mutate/enforced', (request, reply) => answerReview(enforced, request, reply));

  app.setNotFoundHandler((request, reply) => {
    answerError(reply, 404, `no ${request.method} ${request.url.slice(0, 100)} here: the webhook is POST /mutate or POST /mutate/enforced`);
  });

  app.setErrorHandler((error: FastifyError, request, reply) => {
    if (error instanceof RequestError && error.statusCode !== 400) {
      // The rest of the body is not read.
      reply.header('connection', 'close');
      if (error.statusCode === 503) reply.header('retry-after', '1');
      answerError(reply, error.statusCode, error.message);
      return;
    }
    const code = error.statusCode ?? 500;
    if (code >= 500) deps.log.error({ err: error }, 'admission failed');
    else deps.log.warn({ code, remoteAddress: request.ip }, error.message);
    answerError(reply, code, code >= 500 ? 'internal error of openshell-sideload: see its log' : error.message);
  });
  return app as unknown as FastifyInstance<Server>;
}

/** Whether the next try may have another outcome: an HTTP error, after which the API server tries again. */
function isTemporary(outcome: Outcome): outcome is Refuse {
  return outcome.verdict === 'refuse' && REFUSALS[outcome.reason].code === 503;
}

/** Refuses clients that are no API server, before a body is read. It logs once a minute. */
function refuseStrangers(app: FastifyInstance, log: Logger, answer: (reply: FastifyReply, message: string) => void): void {
  const report = onceAMinute((fields: { remoteAddress: string; problem: string }) =>
    log.warn(fields, 'refused a client without a client certificate of an API server (--require-client-cert)'),
  );
  app.addHook('onRequest', (request, reply, done) => {
    const socket = request.raw.socket as TLSSocket;
    if (socket.authorized) {
      done();
      return;
    }
    const problem = socket.getPeerX509Certificate() ? String(socket.authorizationError) : 'none was shown';
    report({ remoteAddress: request.ip, problem });
    reply.header('connection', 'close');
    answer(reply, `a client certificate of the API server is required (--require-client-cert): ${problem}`);
  });
}

/** One line per admission. It never holds the pod, its environment or its arguments. */
export function logAdmission(
  log: Logger,
  request: AdmissionRequest,
  outcome: Outcome,
  milliseconds: number,
  lookupMs?: number,
  traceId?: string,
): void {
  const { name, generateName } = request.pod.metadata ?? {};
  const inject = outcome.verdict === 'inject' ? outcome : undefined;
  // A member that is undefined is not written.
  const fields = {
    uid: cut(request.uid),
    namespace: cut(request.namespace),
    name: cut(name),
    generateName: name ? undefined : cut(generateName),
    outcome: outcome.verdict,
    reason: outcome.reason,
    dryRun: request.dryRun,
    durationMs: rounded(milliseconds),
    lookupMs: lookupMs === undefined ? undefined : rounded(lookupMs),
    traceId,
    message: outcome.verdict === 'refuse' ? outcome.message : undefined,
    method: inject?.method,
    imageDigest: inject?.imageDigest,
    container: cut(inject?.container, 63),
    warnings: outcome.verdict === 'refuse' ? undefined : outcome.warnings?.map(({ code }) => code),
  };
  if (outcome.verdict === 'refuse') log.warn(fields, 'pod refused');
  else log.info(fields, inject ? 'supervisor injected' : 'pod left unchanged');
}

const rounded = (milliseconds: number): number => Math.round(milliseconds * 1000) / 1000;

/** A name for the log: no name is longer (RFC 1123), but the API server looks at names after webhooks. */
function cut(name: string | null | undefined, length = 253): string | undefined {
  return name ? printable(name.slice(0, length)) : undefined;
}

const STATUS_REASONS: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  403: 'Forbidden',
  404: 'NotFound',
  408: 'Timeout',
  413: 'RequestEntityTooLarge',
  415: 'UnsupportedMediaType',
  503: 'ServiceUnavailable',
};

/**
 * A metav1.Status: client-go shows its message where a bare body would be swallowed.
 * Source of the reasons: k8s.io/apimachinery, pkg/apis/meta/v1/types.go, StatusReason.
 */
function status(code: number, message: string) {
  return { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason: STATUS_REASONS[code] ?? 'InternalError', message };
}
