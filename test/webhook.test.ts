import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { request as httpsRequest, type RequestOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ConnectionOptions, connect, type PeerCertificate, type TLSSocket } from 'node:tls';
import jsonPatch from 'fast-json-patch';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { readConfig } from '../src/config/config.ts';
import { openRetries } from '../src/server/retries.ts';
import { type Running, startWebhook } from '../src/server/start.ts';
import { ensureLocalCertificates } from '../src/tls/local.ts';
import { namesOfService } from '../src/tls/names.ts';
import { freePorts } from './e2e/cluster/process.ts';
import { agent, sandbox } from './pods.ts';
import { review } from './reviews.ts';

const dir = mkdtempSync(join(tmpdir(), 'sideload-server-'));
const tlsDir = join(dir, 'tls');
const NAMES = namesOfService('openshell-sideload', 'openshell-system');
let logged: Record<string, unknown>[] = [];
const log = pino(
  { level: 'debug' },
  new Writable({ write: (chunk, _encoding, done) => done(void logged.push(JSON.parse(String(chunk)))) }),
);
const ca = (): string => readFileSync(join(tlsDir, 'ca.crt'), 'utf8');

const start = (...flags: string[]): Promise<Running> =>
  startWebhook(
    readConfig(flags, {
      OPENSHELL_LISTEN_PORT: '0',
      OPENSHELL_ADMIN_LISTEN_PORT: '0',
      OPENSHELL_BIND_ADDRESS: '127.0.0.1',
      OPENSHELL_TLS_CERT_DIR: tlsDir,
      OPENSHELL_SHUTDOWN_DELAY: '0',
    }),
    '1.2.3',
    log,
    () => 0,
  );

interface Answer {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly body: string;
}

/** Sends a request over TLS, the CA verified. */
function send(port: number, body: string | Buffer, options: RequestOptions = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      {
        host: 'localhost',
        port,
        path: '/mutate',
        method: 'POST',
        ca: ca(),
        headers: { 'content-type': 'application/json' },
        agent: false,
        ...options,
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }));
      },
    );
    request.on('error', reject).end(body);
  });
}

const post = async (port: number, body: unknown) => JSON.parse((await send(port, JSON.stringify(body))).body);
const admin = (running: Running, path: string): Promise<Response> => fetch(`http://127.0.0.1:${running.adminPort}${path}`);

/** The certificate that a new connection is shown. */
async function servedCertificate(port: number): Promise<PeerCertificate> {
  const socket: TLSSocket = connect({ host: '127.0.0.1', port, ca: ca(), servername: 'localhost' });
  await new Promise<void>((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
  const certificate = socket.getPeerCertificate();
  socket.destroy();
  return certificate;
}

/** Only a fault reaches it. */
const UNTIL_MS = 2 * 60_000;

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + UNTIL_MS; Date.now() < end; await sleep(100)) if (await holds()) return;
  throw new Error(`not within ${UNTIL_MS / 1000} s: ${what}`);
}

beforeAll(() => ensureLocalCertificates(tlsDir, NAMES));
afterAll(() => rmSync(dir, { recursive: true }));
afterEach(() => {
  logged = [];
});

describe('the webhook over TLS', () => {
  let running: Running;
  beforeAll(async () => {
    running = await start('--missing-command=shell');
  });
  afterAll(() => running.drain());

  it('answers a labelled pod with a patch that applies, audit annotations and no warnings', async () => {
    const pod = sandbox();
    const { apiVersion, kind, response } = await post(running.port, review(pod, { uid: 'u-42' }));
    expect({ apiVersion, kind }).toEqual({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview' });
    expect(response).toMatchObject({
      uid: 'u-42',
      allowed: true,
      patchType: 'JSONPatch',
      auditAnnotations: { reason: 'injected', method: 'image-volume', container: 'agent' },
    });
    expect(response.warnings).toBeUndefined();
    const patched = jsonPatch.applyPatch(
      structuredClone(pod),
      JSON.parse(Buffer.from(response.patch, 'base64').toString()),
      true,
    ).newDocument;
    expect(patched.spec?.containers?.[0]?.command?.[0]).toBe('/opt/openshell/bin/openshell-sandbox');
  });

  it('refuses with a status, and warns', async () => {
    const refused = await post(running.port, review(sandbox({ labels: { 'openshell.ai/sandbox': 'yes' } })));
    expect(refused.response).toMatchObject({
      uid: 'u-1',
      allowed: false,
      status: { code: 422, reason: 'Invalid' },
      auditAnnotations: { reason: 'unknown-label-value' },
    });
    const warned = await post(running.port, review(sandbox({ spec: { containers: [agent({ command: null })] } })));
    expect(warned.response.warnings).toEqual([expect.stringContaining('has no command')]);
  });

  it('asks the API server to call again while the image of a pod cannot be looked up', async () => {
    // Nothing listens there.
    const [port = 0] = await freePorts(1);
    const looking = await start(`--registry-plain-http=localhost:${port}`);
    const pod = sandbox({ spec: { containers: [agent({ command: null, image: `localhost:${port}/agent:1` })] } });
    const { status, headers, body } = await send(looking.port, JSON.stringify(review(pod)));
    expect([status, headers['retry-after']]).toEqual([503, '2']);
    expect(JSON.parse(body)).toMatchObject({
      kind: 'Status',
      code: 503,
      reason: 'ServiceUnavailable',
      message: expect.stringContaining(`registry localhost:${port} is unavailable: ECONNREFUSED`),
    });
    const metrics = await (await admin(looking, '/metrics')).text();
    expect(metrics).toContain('openshell_sideload_image_lookups_total{source="none",outcome="unavailable"} 1');
    expect(metrics).toMatch(/reason="entrypoint-unavailable",method="none",dry_run="false"\} [1-9]/);
    expect(logged.find(({ msg }) => msg === 'pod refused')).toMatchObject({ reason: 'entrypoint-unavailable' });
    await looking.drain();
  });

  it('lets only so many bytes of reviews wait for what their images run', async () => {
    const silent = createServer(() => undefined).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    const looking = await start(`--registry-plain-http=localhost:${port}`);
    const note = { 'example.com/note': 'x'.repeat(250_000) };
    const large = sandbox({ annotations: note, spec: { containers: [agent({ command: null, image: `localhost:${port}/agent:1` })] } });
    const body = JSON.stringify(review(large));
    const hostile = Array.from({ length: 40 }, () => send(looking.port, body));
    // Each one that is turned away is so at once, while the others wait.
    const first = await Promise.race(hostile);
    expect(first.body).toContain('too many pods wait for what their images run');
    const others = await send(looking.port, JSON.stringify(review(large, { namespace: 'others' })));
    expect(others.body).not.toContain('too many pods wait');
    const responses = await Promise.all(hostile);
    const turnedAway = responses.filter(({ body: text }) => text.includes('too many pods wait for what their images run'));
    expect(turnedAway.length).toBeGreaterThan(0);
    expect(turnedAway.length).toBeLessThan(40);
    silent.closeAllConnections();
    silent.close();
    await looking.drain();
  });

  it('leaves alone what is not the creation of a pod', async () => {
    const { response } = await post(running.port, review(sandbox(), { operation: 'UPDATE' }));
    expect(response).toEqual({ uid: 'u-1', allowed: true, auditAnnotations: { skipped: 'not-a-pod-creation' } });
  });

  it('keeps a member named __proto__ a member like any other', async () => {
    const body = JSON.stringify(review(sandbox())).replace('"labels":{', '"labels":{"__proto__":"x","constructor":"y",');
    expect((await send(running.port, body)).status).toBe(200);
  });

  const json = { 'content-type': 'application/json' };
  it.each([
    { why: 'bad JSON', body: '{"a":', status: 400, says: 'is not valid JSON' },
    { why: 'an empty body', body: '', status: 400, says: 'the body is empty' },
    { why: 'something else', body: '[]', status: 400, says: 'not an AdmissionReview' },
    {
      why: 'another version',
      body: JSON.stringify({ apiVersion: 'admission.k8s.io/v1beta1', kind: 'AdmissionReview' }),
      status: 400,
      says: 'expected apiVersion \\"admission.k8s.io/v1\\"',
    },
    {
      why: 'a pod of the wrong shape',
      body: JSON.stringify(review({ spec: { containers: 7 } } as never)),
      status: 400,
      says: 'spec.containers is a number, not a list',
    },
    {
      why: 'another content type',
      body: '{}',
      options: { headers: { 'content-type': 'text/plain' } },
      status: 415,
      says: 'Unsupported Media Type',
    },
    { why: 'no content type', body: '{}', options: { headers: {} }, status: 415, says: 'Unsupported Media Type' },
    { why: 'another path', body: '{}', options: { path: '/validate', headers: json }, status: 404, says: 'the webhook is POST /mutate' },
    {
      why: 'a path that cannot be decoded',
      body: '{}',
      options: { path: '/%', headers: json },
      status: 400,
      says: "'/%' is not a valid url",
    },
    {
      why: 'more values than any pod has',
      body: JSON.stringify(review(sandbox({ spec: { tolerations: Array(100_000).fill({}) } as object }))),
      status: 413,
      says: 'more than 70000 values',
    },
    {
      why: 'a label of a megabyte that is no string',
      body: JSON.stringify(review({ metadata: { labels: { ['x'.repeat(2 ** 20)]: 1 } } } as never)),
      status: 400,
      says: 'metadata.labels[',
    },
    { why: 'another method', body: '', options: { method: 'GET', headers: {} }, status: 404, says: 'no GET /mutate here' },
  ])('answers $why with a Status: $status', async ({ body, options, status, says }) => {
    const answer = await send(running.port, body, options);
    expect(answer.status).toBe(status);
    expect(JSON.parse(answer.body)).toMatchObject({ kind: 'Status', apiVersion: 'v1', status: 'Failure', code: status });
    expect(answer.body).toContain(says);
    expect(answer.body.length).toBeLessThan(2048);
  });

  describe('large bodies', () => {
    const MIB = 2 ** 20;
    const big = (): Promise<Answer> => send(running.port, JSON.stringify(review(sandbox({ annotations: { big: 'x'.repeat(MIB) } }))));
    /** Announces a body of 8 MiB and sends a part of it. */
    const begin = (bytes: number): { answer: Promise<{ status: number | undefined; headers: IncomingHttpHeaders }>; end: () => void } => {
      const request = httpsRequest({
        ...{ host: 'localhost', port: running.port, path: '/mutate', method: 'POST', ca: ca(), agent: false },
        headers: { ...json, 'content-length': 8 * MIB },
      });
      const answer = new Promise<{ status: number | undefined; headers: IncomingHttpHeaders }>((resolve, reject) => {
        request.on('response', ({ statusCode, headers }) => resolve({ status: statusCode, headers })).on('error', reject);
      });
      answer.catch(() => undefined);
      request.flushHeaders();
      request.write(Buffer.alloc(bytes, ' '));
      return { answer, end: () => void request.destroy() };
    };

    it('that are only announced hold nothing', async () => {
      const announced = Array.from({ length: 20 }, () => begin(1));
      expect((await big()).status).toBe(200);
      for (const { end } of announced) end();
    });

    it('are taken as memory allows: the one that is too much is to be sent again, and others are answered', async () => {
      const arriving = Array.from({ length: 6 }, () => begin(7 * MIB));
      const { status, headers } = await Promise.any(arriving.map(({ answer }) => answer));
      expect([status, headers['retry-after'], headers.connection]).toEqual([503, '1', 'close']);
      expect((await send(running.port, JSON.stringify(review(sandbox())))).status, 'an ordinary pod does not wait').toBe(200);
      for (const { end } of arriving) end();
      await expect.poll(async () => (await big()).status).toBe(200);
    });

    it('that come no further are cut off', async () => {
      const { status, headers } = await begin(MIB).answer;
      expect([status, headers.connection]).toEqual([408, 'close']);
    });
  });

  it.each([
    ['is not there', '/none/ca.crt', 'ENOENT'],
    ['holds no certificate', join(dir, 'empty.crt'), 'it holds no certificate (PEM)'],
    ['holds a broken certificate', join(dir, 'broken.crt'), '--require-client-cert'],
  ])('does not start where the file with the CAs of clients %s', async (_what, file, says) => {
    writeFileSync(join(dir, 'empty.crt'), 'no certificate');
    writeFileSync(join(dir, 'broken.crt'), '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
    await expect(start(`--require-client-cert=${file}`)).rejects.toThrow(says);
  });

  it('has no more connections than it may, in all and from one address', async () => {
    const limited = await start('--max-connections=3', '--max-connections-per-peer=2');
    const dial = (localAddress: string): Promise<TLSSocket | undefined> =>
      new Promise((resolve) => {
        const socket = connect({
          host: '127.0.0.1',
          port: limited.port,
          ca: ca(),
          servername: 'localhost',
          localAddress,
        } as ConnectionOptions);
        socket
          .once('secureConnect', () => resolve(socket))
          .on('error', () => resolve(undefined))
          .on('close', () => resolve(undefined));
      });
    const first = await dial('127.0.0.1');
    const opened = [first, await dial('127.0.0.1'), await dial('127.0.0.1'), await dial('127.0.0.2'), await dial('127.0.0.2')];
    expect(opened.map((socket) => socket !== undefined)).toEqual([true, true, false, true, false]);
    const metrics = await (await fetch(`http://127.0.0.1:${limited.adminPort}/metrics`)).text();
    expect(metrics).toContain('openshell_sideload_connections_refused_total{limit="per-peer"} 1');
    expect(metrics).toContain('openshell_sideload_connections_refused_total{limit="total"} 1');
    const lines = logged.filter(({ msg }) => String(msg).startsWith('connections closed'));
    expect(lines).toMatchObject([{ limit: 'per-peer', peer: expect.stringContaining('127.0.0.1'), connections: 1 }]);
    first?.destroy();
    await expect.poll(async () => (await dial('127.0.0.2')) !== undefined).toBe(true);
    for (const socket of opened) socket?.destroy();
    await limited.drain();
  });

  it('takes 7 MiB and answers more than 8 MiB with 413', async () => {
    const big = (bytes: number): string => JSON.stringify(review(sandbox({ annotations: { big: 'x'.repeat(bytes) } })));
    expect((await send(running.port, big(7 * 2 ** 20))).status).toBe(200);
    const { status, body } = await send(running.port, big(9 * 2 ** 20));
    expect([status, JSON.parse(body).kind]).toEqual([413, 'Status']);
  });

  it('does not speak TLS 1.2 unless told', async () => {
    await expect(send(running.port, '{}', { maxVersion: 'TLSv1.2' })).rejects.toThrow(/protocol version/);
    const lenient = await start('--tls-min-version=TLSv1.2');
    expect((await send(lenient.port, '{}', { maxVersion: 'TLSv1.2' })).status).toBe(400);
    await lenient.drain();
  });

  it('writes one log line an admission, without environment, args or pod', async () => {
    const secret = agent({ command: ['s3cret-command'], args: ['s3cret-arg'], ports: [{ containerPort: 80 }] });
    const env = [...(secret.env ?? []), { name: 'TOKEN', value: 's3cret-value' }];
    await post(
      running.port,
      review(
        {
          ...sandbox({ spec: { containers: [{ ...secret, env }] } }),
          metadata: { generateName: 'job-', labels: { 'openshell.ai/sandbox': 'true' } },
        },
        { dryRun: true },
      ),
    );
    expect(logged).toHaveLength(1);
    expect(logged[0]).toMatchObject({
      uid: 'u-1',
      namespace: 'agents',
      generateName: 'job-',
      outcome: 'inject',
      reason: 'injected',
      method: 'image-volume',
      container: 'agent',
      dryRun: true,
      warnings: ['ports-unreachable'],
      durationMs: expect.any(Number),
    });
    expect(JSON.stringify(logged)).not.toContain('s3cret');
  });

  it.each([
    ['the trace of the API server', '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', '4bf92f3577b34da6a3ce929d0e0e4736'],
    ['nothing of another text', '00-4bf92f3577b34da6a3ce929d0e0e4736-s3cret', undefined],
  ])('writes %s into the log line', async (_what, traceparent, traceId) => {
    const headers = { 'content-type': 'application/json', traceparent };
    await send(running.port, JSON.stringify(review(sandbox())), { headers });
    expect(logged).toHaveLength(1);
    expect(logged[0]?.traceId).toBe(traceId);
    expect(JSON.stringify(logged)).not.toContain('s3cret');
  });

  it('counts admissions, warnings and HTTP errors, and tells its build and certificate', async () => {
    const before = await (await admin(running, '/metrics')).text();
    await post(running.port, review(sandbox({ spec: { containers: [agent({ ports: [{ containerPort: 80 }] })] } }), { dryRun: true }));
    const text = await (await admin(running, '/metrics')).text();
    const value = (metrics: string, line: string): number =>
      Number(
        metrics
          .split('\n')
          .find((candidate) => candidate.startsWith(line))
          ?.split(' ')
          .at(-1) ?? 0,
      );
    const admissions = 'openshell_sideload_admissions_total{outcome="inject",reason="injected",method="image-volume",dry_run="true"}';
    for (const line of [
      admissions,
      'openshell_sideload_warnings_total{warning="ports-unreachable"}',
      'openshell_sideload_admission_duration_seconds_count',
    ]) {
      expect(value(text, line) - value(before, line), line).toBe(1);
    }
    expect(value(text, 'openshell_sideload_http_errors_total{code="415"}')).toBeGreaterThan(0);
    expect(text).toContain(`openshell_sideload_build_info{version="1.2.3",node="${process.version}"} 1`);
    expect(value(text, 'openshell_sideload_certificate_expiry_timestamp_seconds') * 1000).toBeGreaterThan(Date.now() + 80 * 86_400_000);
  });

  it('tells its health and readiness on the admin port', async () => {
    expect([(await admin(running, '/healthz')).status, (await admin(running, '/readyz')).status]).toEqual([200, 200]);
    expect(await (await admin(running, '/readyz?verbose')).text()).toEqual(
      expect.stringMatching(
        /^\[\+\] serving: accepting admission reviews\n\[\+\] certificate: from .*\/tls, valid until 20.*Z\n\[\+\] cluster: not asked: assumed to keep image volumes\n\[\+\] supervisor image: ghcr.io\/nvidia\/openshell\/supervisor:0.0.110: in-pod supervisor of OpenShell 0.0.110\nok$/,
      ),
    );
    expect((await admin(running, '/mutate')).status).toBe(404);
  });

  it('says that the supervisor image moves, at start, in its readiness and in a metric', async () => {
    const moving = await start('--supervisor-image=ghcr.io/nvidia/openshell/supervisor:latest');
    expect(logged).toContainEqual(
      expect.objectContaining({ msg: expect.stringContaining('the supervisor image is tagged latest: it moves') }),
    );
    expect(await (await admin(moving, '/readyz?verbose')).text()).toContain('supervisor:latest: is tagged latest: it moves');
    expect(await (await admin(moving, '/metrics')).text()).toContain(
      'openshell_sideload_supervisor_image_info{image="ghcr.io/nvidia/openshell/supervisor:latest",fits="moving"} 1',
    );
    await moving.drain();
  });

  it('answers for namespaces that enforce a policy at /mutate/enforced', async () => {
    const answer = async (path: string): Promise<{ allowed: boolean; auditAnnotations: object }> =>
      JSON.parse((await send(running.port, JSON.stringify(review(sandbox())), { path })).body).response;
    expect(await answer('/mutate')).toMatchObject({ allowed: true, auditAnnotations: { reason: 'injected' } });
    expect(await answer('/mutate/enforced')).toMatchObject({ allowed: false, auditAnnotations: { reason: 'policy-not-allowed' } });
  });
});

describe('the serving certificate', () => {
  it('is replaced without a restart, and a broken or foreign one is not taken', async () => {
    const running = await start();
    const first = await servedCertificate(running.port);
    const read = (name: string): string => readFileSync(join(tlsDir, name), 'utf8');
    const [oldCert, oldKey] = [read('tls.crt'), read('tls.key')];

    writeFileSync(join(tlsDir, 'tls.crt'), 'not a certificate');
    await until('the broken certificate is reported', () =>
      logged.some(({ level, err }) => level === 50 && JSON.stringify(err).includes('not PEM')),
    );
    expect((await servedCertificate(running.port)).fingerprint256).toBe(first.fingerprint256);

    rmSync(join(tlsDir, 'tls.crt'));
    await ensureLocalCertificates(tlsDir, NAMES);
    await until(
      'the new certificate is served',
      async () => (await servedCertificate(running.port)).fingerprint256 !== first.fingerprint256,
    );
    const second = await servedCertificate(running.port);

    writeFileSync(join(tlsDir, 'tls.crt'), oldCert);
    await until('the mismatch is reported', () =>
      logged.some(({ err }) => JSON.stringify(err ?? '').includes('does not belong to the certificate')),
    );
    expect((await servedCertificate(running.port)).fingerprint256).toBe(second.fingerprint256);

    writeFileSync(join(tlsDir, 'tls.key'), oldKey);
    await until(
      'the first pair is served again',
      async () => (await servedCertificate(running.port)).fingerprint256 === first.fingerprint256,
    );
    const metrics = await (await admin(running, '/metrics')).text();
    expect(metrics).toMatch(/certificate_reloads_total\{result="ok"\} 2/);
    expect(metrics).toMatch(/certificate_reloads_total\{result="error"\} 2/);
    await running.drain();
  });

  it('is replaced when a kubelet swaps the link of a mounted Secret', async () => {
    const mounted = join(dir, 'mounted');
    const version = async (name: string): Promise<void> => {
      await ensureLocalCertificates(join(mounted, name), NAMES);
      symlinkSync(name, join(mounted, '..new'));
      renameSync(join(mounted, '..new'), join(mounted, '..data'));
    };
    mkdirSync(mounted);
    await version('..1');
    for (const file of ['tls.crt', 'tls.key']) symlinkSync(join('..data', file), join(mounted, file));
    const running = await start(`--tls-cert-dir=${mounted}`);
    const trusting = (name: string): string => readFileSync(join(mounted, name, 'ca.crt'), 'utf8');
    const isServed = async (name: string): Promise<boolean> => {
      const answer = send(running.port, '{}', { ca: trusting(name) });
      return answer.then(
        () => true,
        () => false,
      );
    };
    expect(await isServed('..1')).toBe(true);
    await version('..2');
    await until('the new Secret is served', () => isServed('..2'));
    expect(await isServed('..1')).toBe(false);
    await running.drain();
  });

  it('is not taken when it is not valid yet', async () => {
    const later = join(dir, 'later');
    await ensureLocalCertificates(later, NAMES, new Date(Date.now() + 86_400_000));
    await expect(start(`--tls-cert-dir=${later}`)).rejects.toThrow(/the certificate is not valid before 20/);
  });

  it('missing at the start, names the directory and the files', async () => {
    await expect(start('--tls-cert-dir=/nonexistent')).rejects.toThrow(
      /no usable certificate in \/nonexistent \(tls\.crt, tls\.key\): ENOENT/,
    );
  });
});

describe('local certificates', () => {
  it('are made once, with private keys for the owner only, and made again when their time nears its end', async () => {
    const local = join(dir, 'local');
    expect(await ensureLocalCertificates(local, NAMES)).toBe(true);
    const made = readFileSync(join(local, 'tls.crt'), 'utf8');
    for (const key of ['ca.key', 'tls.key']) expect(statSync(join(local, key)).mode & 0o777).toBe(0o600);
    expect(await ensureLocalCertificates(local, NAMES)).toBe(false);
    expect(readFileSync(join(local, 'tls.crt'), 'utf8')).toBe(made);

    const authority = readFileSync(join(local, 'ca.crt'), 'utf8');
    expect(await ensureLocalCertificates(local, NAMES, new Date(Date.now() + 70 * 86_400_000))).toBe(true);
    expect(readFileSync(join(local, 'tls.crt'), 'utf8')).not.toBe(made);
    expect(readFileSync(join(local, 'ca.crt'), 'utf8'), 'the CA has time left').toBe(authority);
  });

  it('carry the names of the Service', async () => {
    const running = await start();
    const { subjectaltname } = await servedCertificate(running.port);
    expect(subjectaltname).toContain('DNS:openshell-sideload.openshell-system.svc,');
    await running.drain();
  });
});

describe('draining', () => {
  it('ends although a connection stays that never sent anything', async () => {
    const running = await start();
    const idle = connect({ host: '127.0.0.1', port: running.port, ca: ca(), servername: 'localhost' });
    await new Promise<void>((resolve, reject) => idle.once('secureConnect', resolve).once('error', reject));
    const closed = new Promise((resolve) => idle.once('close', resolve));
    await running.drain();
    await closed;
  });

  it('fails readiness first, still takes connections, finishes requests in flight and then closes', async () => {
    const running = await start('--shutdown-delay=3');
    const body = JSON.stringify(review(sandbox()));
    // A request whose body is half sent when draining starts. The webhook has begun with it once it asks for the body.
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), expect: '100-continue' };
    const request = httpsRequest({
      host: 'localhost',
      port: running.port,
      path: '/mutate',
      method: 'POST',
      ca: ca(),
      agent: false,
      headers,
    });
    const inFlight = once(request, 'response');
    await once(request, 'continue');
    request.write(body.slice(0, 100));

    const drained = running.drain();
    await until('readiness fails', async () => (await admin(running, '/readyz')).status === 503);
    expect((await admin(running, '/healthz')).status).toBe(200);
    const during = await send(running.port, body);
    expect([during.status, during.headers.connection]).toEqual([200, 'close']);
    const isRefused = (): Promise<boolean> =>
      send(running.port, body).then(
        () => false,
        ({ code }: NodeJS.ErrnoException) => code === 'ECONNREFUSED',
      );
    await until('no connection is taken any more', isRefused);
    request.end(body.slice(100));
    const [response] = (await inFlight) as [IncomingMessage];
    expect(response.statusCode).toBe(200);
    response.resume();
    await drained;
    expect(await isRefused()).toBe(true);
  });
});

describe('a review that may be asked again', () => {
  /** What the API server is told for the calls of one review, each of which begins and ends at these milliseconds. */
  const told = (calls: readonly (readonly [begin: number, end: number])[], timeout?: string): boolean[] => {
    let now = 0;
    const { isLast } = openRetries(() => now);
    return calls.map(([begin, end]) => {
      now = end;
      return isLast('u', begin, timeout);
    });
  };

  it.each([
    {
      why: 'fails at once',
      calls: [
        [0, 10],
        [2010, 2020],
        [4020, 4030],
      ],
      last: [false, false, true],
    },
    {
      why: 'takes 3 s',
      calls: [
        [0, 3000],
        [5000, 8000],
      ],
      last: [false, true],
    },
    { why: 'takes 5 s', calls: [[0, 5000]], last: [true] },
    {
      why: 'takes 3 s of 30',
      calls: [
        [0, 3000],
        [5000, 8000],
      ],
      timeout: '30s',
      last: [false, false],
    },
    { why: 'has only 2 s', calls: [[0, 10]], timeout: '2s', last: [true] },
    { why: 'has a timeout that cannot be read', calls: [[0, 10]], timeout: '1h', last: [false] },
  ] as const)('is refused while there is time: $why', ({ calls, last, ...rest }) => {
    expect(told(calls, 'timeout' in rest ? rest.timeout : undefined)).toEqual(last);
  });
});
