import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { builtPrograms } from '../cluster/go-build.ts';
import { freePorts, start, waitFor } from '../cluster/process.ts';

const MODULE = fileURLToPath(new URL('./collector/', import.meta.url));

/** A span as OTLP's JSON has it. Source: opentelemetry-proto, trace.proto. */
export interface ExportedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  /** Attributes of the process that made it. */
  readonly resource: Readonly<Record<string, unknown>>;
}

/** A real OpenTelemetry Collector. */
export interface Collector {
  /** What it takes from API servers, which speak OTLP over gRPC: HOST:PORT. */
  readonly grpc: string;
  /** What it takes from others. */
  readonly http: string;
  /** What it has passed on. */
  readonly spans: () => readonly ExportedSpan[];
  readonly stop: () => Promise<void>;
}

interface Attribute {
  readonly key: string;
  readonly value: { readonly stringValue?: string };
}

const plain = (attributes: readonly Attribute[] = []): Record<string, unknown> =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue ?? value]));

/** Starts a collector, which is built once. It passes on what it takes as JSON. */
export async function startCollector(dir: string): Promise<Collector> {
  const programs = builtPrograms('collector', 'the OpenTelemetry Collector (some minutes)', [{ module: MODULE, packages: ['.'] }]);
  const [grpc = 0, http = 0] = await freePorts(2);
  const spans: ExportedSpan[] = [];
  const sink = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    request.on('end', () => {
      for (const { resource, scopeSpans } of JSON.parse(text).resourceSpans)
        for (const scope of scopeSpans)
          for (const span of scope.spans) spans.push({ ...span, attributes: plain(span.attributes), resource: plain(resource.attributes) });
      response.setHeader('content-type', 'application/json').end('{}');
    });
  });
  await new Promise<void>((listening) => sink.listen(0, '127.0.0.1', listening));
  mkdirSync(dir, { recursive: true });
  const config = {
    receivers: { otlp: { protocols: { grpc: { endpoint: `127.0.0.1:${grpc}` }, http: { endpoint: `127.0.0.1:${http}` } } } },
    exporters: {
      otlphttp: {
        endpoint: `http://127.0.0.1:${(sink.address() as AddressInfo).port}`,
        ...{ encoding: 'json', compression: 'none', sending_queue: { enabled: false } },
      },
    },
    service: {
      telemetry: { metrics: { level: 'none' } },
      pipelines: { traces: { receivers: ['otlp'], exporters: ['otlphttp'] } },
    },
  };
  writeFileSync(join(dir, 'collector.yaml'), stringify(config));
  const program = start('collector', join(programs, 'collector'), ['--config', join(dir, 'collector.yaml')], join(dir, 'collector.log'));
  const answers = (): Promise<boolean> =>
    fetch(`http://127.0.0.1:${http}/v1/traces`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' }).then(
      ({ ok }) => ok,
      () => false,
    );
  await waitFor('a collector', answers, [program]);
  return {
    ...{ grpc: `127.0.0.1:${grpc}`, http: `http://127.0.0.1:${http}`, spans: () => spans },
    stop: async () => {
      await program.stop();
      sink.closeAllConnections();
      sink.close();
    },
  };
}
