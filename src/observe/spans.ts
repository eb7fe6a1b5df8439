/**
 * Spans of reviews, exported with OTLP (http/protobuf) as OpenTelemetry's variables say: OTEL_EXPORTER_OTLP_…, OTEL_SERVICE_NAME,
 * OTEL_RESOURCE_ATTRIBUTES. This file loads OpenTelemetry: it is imported only where an endpoint is set.
 */

import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { DiagLogLevel, diag, ROOT_CONTEXT, type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import type { Logger } from 'pino';
import type { Outcome } from '../sideload/outcome.ts';
import { onceAMinute } from './once-a-minute.ts';
import type { TraceContext } from './trace-context.ts';

/** Spans that wait for the collector; more are dropped. */
const MOST_WAITING = 2048;
const EXPORT_TIMEOUT_MS = 10_000;
/** What the collector has not taken by then is dropped when the process ends. */
const FLUSH_MS = 2_000;

/** A review that is under way. */
export interface ReviewSpan {
  readonly traceId: string;
  /** Begins the span of an image lookup; the function that is returned ends it. */
  readonly lookUp: () => (source: string) => void;
  /** @param tryAgain whether the response asks the API server to call again */
  readonly end: (namespace: string, outcome: Outcome, tryAgain: boolean) => void;
}

export interface Spans {
  /** Begins the span of a review. The sender's decides whether it is sampled; without a sender's, it is. */
  readonly review: (parent: TraceContext | undefined) => ReviewSpan;
  /** Exports what waits, for two seconds at most. */
  readonly stop: () => Promise<void>;
}

/** Opens the export. It never throws afterwards: an unreachable collector is reported to the log, once a minute. */
export function openSpans(version: string, log: Logger): Spans {
  const report = onceAMinute((problem: string, count) => log.warn({ problem, count }, 'spans were not exported'));
  const ignore = (): void => undefined;
  const logger = { error: report, warn: report, info: ignore, debug: ignore, verbose: ignore };
  diag.setLogger(logger, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
  const own = resourceFromAttributes({
    'service.name': 'openshell-sideload',
    'service.version': version,
    'service.instance.id': hostname(),
  });
  const exporter = new OTLPTraceExporter({ timeoutMillis: EXPORT_TIMEOUT_MS });
  const provider = new TracerProvider({
    resource: own.merge(detectResources({ detectors: [envDetector] })),
    // No name of Kubernetes is longer.
    spanLimits: { attributeValueLengthLimit: 253 },
    spanProcessors: [new BatchSpanProcessor({ exporter, maxQueueSize: MOST_WAITING, exportTimeoutMillis: EXPORT_TIMEOUT_MS })],
  });
  const tracer = provider.getTracer('openshell-sideload', version);
  return {
    review: (parent) => {
      const sender = parent && { traceId: parent.traceId, spanId: parent.spanId, traceFlags: parent.flags, isRemote: true };
      const context = sender ? trace.setSpanContext(ROOT_CONTEXT, sender) : ROOT_CONTEXT;
      const span = tracer.startSpan('review', { kind: SpanKind.SERVER }, context);
      return {
        traceId: span.spanContext().traceId,
        lookUp: () => {
          const lookup = tracer.startSpan('image lookup', { kind: SpanKind.CLIENT }, trace.setSpan(ROOT_CONTEXT, span));
          return (source) => lookup.setAttribute('openshell.sideload.image.source', source).end();
        },
        end: (namespace, outcome, tryAgain) => end(span, namespace, outcome, tryAgain),
      };
    },
    stop: async () => {
      const stopped = provider.shutdown().catch((error: unknown) => report(String(error)));
      await Promise.race([stopped, sleep(FLUSH_MS, undefined, { ref: false })]);
    },
  };
}

function end(span: Span, namespace: string, outcome: Outcome, tryAgain: boolean): void {
  span.setAttributes({
    'k8s.namespace.name': namespace,
    'openshell.sideload.outcome': outcome.verdict,
    'openshell.sideload.reason': outcome.reason,
    ...(outcome.verdict === 'inject' ? { 'openshell.sideload.method': outcome.method } : {}),
  });
  if (tryAgain) span.setStatus({ code: SpanStatusCode.ERROR });
  span.end();
}
