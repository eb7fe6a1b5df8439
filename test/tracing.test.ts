import { readdirSync, readFileSync } from 'node:fs';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { readConfig } from '../src/config/config.ts';
import { readTraceparent } from '../src/observe/trace-context.ts';
import { startWebhook } from '../src/server/start.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';

describe('traceparent', () => {
  it.each([
    ['version 00', `00-${TRACE}-${SPAN}-01`, 1],
    ['not sampled', `00-${TRACE}-${SPAN}-00`, 0],
    ['a later version', `01-${TRACE}-${SPAN}-03`, 3],
    ['a later version with more members', `cc-${TRACE}-${SPAN}-01-what-the-future-holds`, 1],
  ])('is read: %s', (_what, header, flags) => {
    expect(readTraceparent(header)).toEqual({ traceId: TRACE, spanId: SPAN, flags });
  });

  it.each([
    ['none', undefined],
    ['an empty one', ''],
    ['several', [`00-${TRACE}-${SPAN}-01`]],
    ['two in one', `00-${TRACE}-${SPAN}-01, 00-${TRACE}-${SPAN}-01`],
    ['version 00 with more members', `00-${TRACE}-${SPAN}-01-more`],
    ['version ff', `ff-${TRACE}-${SPAN}-01`],
    ['a trace of zeros', `00-${'0'.repeat(32)}-${SPAN}-01`],
    ['a span of zeros', `00-${TRACE}-${'0'.repeat(16)}-01`],
    ['upper case', `00-${TRACE.toUpperCase()}-${SPAN}-01`],
    ['a short trace', `00-${TRACE.slice(1)}-${SPAN}-01`],
    ['a line feed', `00-${TRACE}-${SPAN}-01\n`],
    ['something else', '{"trace":"\u202e"}'],
  ])('is ignored: %s', (_what, header) => {
    expect(readTraceparent(header)).toBeUndefined();
  });
});

describe('spans are exported', () => {
  const ENDPOINT = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' };
  const isOn = (env: Record<string, string>): boolean => readConfig([], env).tracing.enabled;

  it.each([
    ['an endpoint', ENDPOINT],
    ['an endpoint for traces', { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://collector.example/v1/traces' }],
    ['the protocol that is supported', { ...ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf' }],
    [
      'a protocol for traces over another one',
      { ...ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc', OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/protobuf' },
    ],
  ])('with %s', (_what, env) => {
    expect(isOn(env)).toBe(true);
  });

  it.each([
    ['without an endpoint', {}],
    ['with an empty one', { OTEL_EXPORTER_OTLP_ENDPOINT: '' }],
    ['with one for metrics', { OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: 'http://collector:4318' }],
    ['where the SDK is disabled', { ...ENDPOINT, OTEL_SDK_DISABLED: 'true' }],
    ['where traces are', { ...ENDPOINT, OTEL_TRACES_EXPORTER: 'none' }],
  ])('not %s', (_what, env) => {
    expect(isOn(env)).toBe(false);
  });

  it.each([
    ['OTEL_EXPORTER_OTLP_ENDPOINT "collector:4318": expected a URL', { OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318' }],
    ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT "none": expected a URL', { ...ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'none' }],
    ['OTEL_EXPORTER_OTLP_PROTOCOL "grpc": only http/protobuf is supported', { ...ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }],
  ])('or the process does not start: %s', async (message, env) => {
    const config = readConfig([], env);
    expect(config.tracing.problems).toEqual([expect.stringContaining(message)]);
    await expect(startWebhook(config, 'test', pino({ level: 'silent' }), () => 0)).rejects.toThrow(message);
  });
});

it('OpenTelemetry is loaded by one file, which is imported only where an endpoint is set', () => {
  const src = new URL('../src/', import.meta.url);
  const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  const matching = (pattern: RegExp): string[] => files.filter((file) => pattern.test(readFileSync(new URL(file, src), 'utf8')));
  expect(matching(/'@opentelemetry\//)).toEqual(['observe/spans.ts']);
  expect(matching(/^import (?!type )[^;]*\/spans\.ts'/m)).toEqual([]);
  expect(matching(/config\.tracing\.enabled \? \(await import\('\.\.\/observe\/spans\.ts'\)\)/)).toEqual(['server/start.ts']);
});
