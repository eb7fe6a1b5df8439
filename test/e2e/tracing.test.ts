/**
 * Traces: a real kube-apiserver and the webhook export their spans to a real OpenTelemetry Collector, and those of the webhook
 * are children of the API server's.
 */

import { mkdtempSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import type { Pod } from '../../src/sideload/pod.ts';
import { sandbox } from '../pods.ts';
import { type ControlPlane, type KubectlResult, startControlPlane } from './cluster/control-plane.ts';
import { freePorts, type Process, waitFor } from './cluster/process.ts';
import { type Collector, type ExportedSpan, startCollector } from './tracing/collector.ts';
import { readAdmissions, readLog, startWebhook, writeOverlay } from './webhook.ts';

const dir = mkdtempSync(join(tmpdir(), 'sideload-tracing-'));
const [SERVER, CLIENT] = [2, 3];
let cluster: ControlPlane;
let collector: Collector;
let webhook: Process;
let ports: { port: number; adminPort: number };
let serial = 0;

/** Creates a pod; the name says which span is its. */
async function create(pod: Pod = sandbox()): Promise<KubectlResult & { name: string }> {
  const name = `pod-${serial++}`;
  const input = { apiVersion: 'v1', kind: 'Pod', ...pod, metadata: { ...pod.metadata, name, namespace: 'agents' } };
  return { name, ...(await cluster.kubectl(['create', '-f', '-'], JSON.stringify(input))) };
}

async function restart(flags: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  await webhook?.stop();
  webhook = await startWebhook(dir, ports, flags, { ...process.env, ...env });
}

const toCollector = (): NodeJS.ProcessEnv => ({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.http });

/** The line about a pod. */
async function lineOf(name: string): Promise<Record<string, unknown>> {
  return (await readAdmissions(dir)).find((line) => line.name === name) ?? {};
}

/** The spans of a trace, once the webhook's is there. */
async function traceOf(traceId: unknown): Promise<ExportedSpan[]> {
  const found = (): ExportedSpan[] => collector.spans().filter((span) => span.traceId === traceId);
  await waitFor('the span of the review', () => found().some(({ name }) => name === 'review'), [webhook]);
  return found();
}

beforeAll(async () => {
  collector = await startCollector(join(dir, 'collector'));
  const tracing = join(dir, 'tracing.yaml');
  writeFileSync(
    tracing,
    stringify({
      apiVersion: 'apiserver.config.k8s.io/v1beta1',
      kind: 'TracingConfiguration',
      endpoint: collector.grpc,
      samplingRatePerMillion: 1_000_000,
    }),
  );
  cluster = await startControlPlane(join(dir, 'cluster'), undefined, { release: '1.36', flags: [`--tracing-config-file=${tracing}`] });
  const [port = 0, adminPort = 0] = await freePorts(2);
  ports = { port, adminPort };
  await restart([], toCollector());
  await cluster.run(['create', 'namespace', 'agents']);
  await cluster.run(['create', 'serviceaccount', 'default', '-n', 'agents']);
  await cluster.run(['label', 'namespace', 'agents', 'openshell.ai/sideload=enabled']);
  await cluster.run(['apply', '-k', writeOverlay(dir, ports.port)]);
  await waitFor('the API server calls the webhook', async () => {
    const { name } = await create();
    return (await lineOf(name)).reason === 'injected';
  });
});

afterAll(async () => {
  await webhook?.stop();
  await cluster?.stop();
  await collector?.stop();
});

describe('a review', () => {
  it('has the trace of the API server in the log, and a span whose parent is the API server’s', async () => {
    const { name } = await create();
    const { traceId } = await lineOf(name);
    expect(traceId).toMatch(/^[0-9a-f]{32}$/);
    const span = (await traceOf(traceId)).find((each) => each.name === 'review');
    expect(span).toMatchObject({
      kind: SERVER,
      attributes: {
        'k8s.namespace.name': 'agents',
        'openshell.sideload.outcome': 'inject',
        'openshell.sideload.reason': 'injected',
        'openshell.sideload.method': 'image-volume',
      },
      resource: { 'service.name': 'openshell-sideload' },
    });
    // The parent is exported when the API server is done.
    const parent = (): ExportedSpan | undefined =>
      collector.spans().find((each) => each.traceId === traceId && each.spanId === span?.parentSpanId);
    await waitFor('the parent', () => parent() !== undefined);
    expect(parent()?.resource['service.name']).toBe('apiserver');
    expect(parent()?.kind).toBe(CLIENT);
  });

  it('that refuses has the reason, and nothing of the pod', async () => {
    const { name, stderr } = await create(sandbox({ labels: { 'openshell.ai/sandbox': 'secretive' } }));
    expect(stderr).toContain('secretive');
    const spans = (await traceOf((await lineOf(name)).traceId)).filter(({ resource }) => resource['service.name'] === 'openshell-sideload');
    expect(spans).toHaveLength(1);
    expect(Object.keys(spans[0]?.attributes ?? {}).sort()).toEqual([
      'k8s.namespace.name',
      'openshell.sideload.outcome',
      'openshell.sideload.reason',
    ]);
    expect(JSON.stringify(spans)).not.toMatch(new RegExp(`secretive|${name}`));
  });

  it('has a child for the lookup of its image', async () => {
    const map = join(dir, 'map.yaml');
    writeFileSync(map, stringify([{ image: 'registry.example/**', entrypoint: ['/agent'] }]));
    await restart(['--missing-command=lookup', '--entrypoint=map', `--entrypoint-map=${map}`], toCollector());
    const pod = sandbox();
    const containers = pod.spec?.containers?.map(({ command: _command, args: _args, ...rest }) => rest) ?? [];
    const { name } = await create({ ...pod, spec: { ...pod.spec, containers } });
    const line = await lineOf(name);
    expect(line).toMatchObject({ reason: 'injected', lookupMs: expect.any(Number) });
    const trace = await traceOf(line.traceId);
    const [review, lookup] = ['review', 'image lookup'].map((each) => trace.find((span) => span.name === each));
    expect(lookup).toMatchObject({ parentSpanId: review?.spanId, kind: CLIENT, attributes: { 'openshell.sideload.image.source': 'map' } });
  });

  it('is exported when the process ends, however short ago it was', async () => {
    await restart([], toCollector());
    const { name } = await create();
    const { traceId } = await lineOf(name);
    await webhook.stop();
    await waitFor('the span', () => collector.spans().some((span) => span.traceId === traceId && span.name === 'review'));
    await restart([], toCollector());
  });
});

describe('without an endpoint', () => {
  it('the log has the trace all the same, and no span is exported', async () => {
    await restart([], {});
    const { name } = await create();
    const { traceId } = await lineOf(name);
    expect(traceId).toMatch(/^[0-9a-f]{32}$/);
    await restart([], toCollector());
    const later = await create();
    await traceOf((await lineOf(later.name)).traceId);
    expect(collector.spans().some((span) => span.traceId === traceId && span.name === 'review')).toBe(false);
  });
});

describe('a collector that', () => {
  let silent: Server;
  beforeAll(async () => {
    silent = createServer((socket) => socket.on('error', () => undefined));
    await new Promise<void>((listening) => silent.listen(0, '127.0.0.1', listening));
  });
  afterAll(() => silent.close());

  it('does not listen delays no response and not the end; the log says so', async () => {
    const [nobody = 0] = await freePorts(1);
    await restart([], { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${nobody}` });
    const { name } = await create();
    expect(await lineOf(name)).toMatchObject({ reason: 'injected' });
    await waitFor('the problem', async () => (await readLog(dir)).some(({ msg }) => msg === 'spans were not exported'), [webhook]);
    await webhook.stop();
    expect(webhook.tail()).toContain('"msg":"stopped"');
  });

  it('never responds delays no response, and the end only for two seconds', async () => {
    await restart([], { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${(silent.address() as { port: number }).port}` });
    const pods = await Promise.all(Array.from({ length: 20 }, () => create()));
    for (const { code } of pods) expect(code).toBe(0);
    await webhook.stop();
    // Not by SIGKILL, half a minute later.
    expect(webhook.tail()).toContain('"msg":"stopped"');
  });
});
