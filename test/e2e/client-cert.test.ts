/** --require-client-cert with a real kube-apiserver, whose AdmissionConfiguration (docs/security.md) gives it a client certificate. */

import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generate } from 'selfsigned';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { makeAuthority } from '../../src/tls/issue.ts';
import type { CertificatePair } from '../../src/tls/pair.ts';
import { sandbox } from '../pods.ts';
import { review } from '../reviews.ts';
import { type ControlPlane, type KubectlResult, startControlPlane } from './cluster/control-plane.ts';
import { freePorts, type Process, waitFor } from './cluster/process.ts';
import { linesOf, startWebhook, writeOverlay } from './webhook.ts';

const dir = mkdtempSync(join(tmpdir(), 'sideload-client-cert-'));
const file = (name: string, text: string): string => {
  writeFileSync(join(dir, name), text);
  return join(dir, name);
};
const DAY_MS = 24 * 60 * 60 * 1000;
const [now, end] = [new Date(), new Date(Date.now() + DAY_MS)];

/** A certificate for a client, as an administrator would have it signed. */
async function issueClient(ca: CertificatePair): Promise<CertificatePair> {
  const { cert, private: key } = await generate([{ name: 'commonName', value: 'kube-apiserver' }], {
    ...{ keyType: 'ec', curve: 'P-256', algorithm: 'sha256', notBeforeDate: now, notAfterDate: end },
    ca: { cert: ca.cert, key: ca.key },
    extensions: [
      { name: 'basicConstraints', cA: false, critical: true },
      { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'extKeyUsage', clientAuth: true },
    ],
  });
  return { cert, key };
}

let cluster: ControlPlane;
let webhook: Process;
let port = 0;
let authorities: string;
let [ours, theirs]: CertificatePair[] = [];

const create = (): Promise<KubectlResult> =>
  cluster.kubectl(
    ['create', '--dry-run=server', '-o', 'json', '-f', '-'],
    JSON.stringify({ apiVersion: 'v1', kind: 'Pod', ...sandbox({ spec: { automountServiceAccountToken: false } as object }) }),
  );

/** Asks as a client of the network, with or without a certificate. */
function ask(client: Partial<CertificatePair> = {}): Promise<{ status: number | undefined; text: string }> {
  return new Promise((resolve, reject) => {
    const options = { port, path: '/mutate', method: 'POST', headers: { 'content-type': 'application/json' }, rejectUnauthorized: false };
    const call = request({ ...options, ...client, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode, text }));
    });
    call.on('error', reject).end(JSON.stringify(review(sandbox())));
  });
}

beforeAll(async () => {
  const [ca, otherCa] = [await makeAuthority('clients', now, end), await makeAuthority('others', now, end)];
  [ours, theirs] = [await issueClient(ca), await issueClient(otherCa)];
  authorities = file('clients.crt', ca.cert);
  const [webhookPort = 0, adminPort = 0] = await freePorts(2);
  port = webhookPort;
  mkdirSync(join(dir, 'cluster'));
  const kubeconfig = {
    apiVersion: 'v1',
    kind: 'Config',
    // For a webhook behind a Service: openshell-sideload.openshell-system.svc
    users: [
      {
        name: `127.0.0.1:${port}`,
        user: { 'client-certificate': file('client.crt', ours.cert), 'client-key': file('client.key', ours.key) },
      },
    ],
  };
  const admission = {
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'AdmissionConfiguration',
    plugins: [
      {
        name: 'MutatingAdmissionWebhook',
        configuration: {
          apiVersion: 'apiserver.config.k8s.io/v1',
          kind: 'WebhookAdmissionConfiguration',
          kubeConfigFile: file('webhooks.kubeconfig', stringify(kubeconfig)),
        },
      },
    ],
  };
  const flags = [`--admission-control-config-file=${file('admission.yaml', stringify(admission))}`];
  cluster = await startControlPlane(join(dir, 'cluster'), '127.0.0.1', { release: '1.36', flags });
  webhook = await startWebhook(dir, { port, adminPort }, [`--require-client-cert=${authorities}`]);
  await cluster.run(['create', 'namespace', 'agents']);
  await cluster.run(['create', 'serviceaccount', 'default', '-n', 'agents']);
  await cluster.run(['label', 'namespace', 'agents', 'openshell.ai/sideload=enabled']);
  await cluster.run(['apply', '-k', writeOverlay(dir, port)]);
  await waitFor('the API server calls the webhook', async () => (await create()).stdout.includes('openshell-sandbox'), [webhook]);
});

afterAll(async () => {
  await webhook?.stop();
  await cluster?.stop();
});

describe('a webhook that requires client certificates', () => {
  it('answers the API server, which has one', async () => {
    const { code, stdout, stderr } = await create();
    expect([code, stderr]).toEqual([0, '']);
    expect(JSON.parse(stdout).spec.containers[0].command[0]).toBe('/opt/openshell/bin/openshell-sandbox');
  });

  it('answers who shows that certificate, and nobody else', async () => {
    expect((await ask(ours)).status).toBe(200);
    for (const client of [{}, theirs]) {
      const { status, text } = await ask(client);
      expect(status).toBe(403);
      expect(JSON.parse(text)).toMatchObject({ kind: 'Status', reason: 'Forbidden', code: 403 });
      expect(text).toContain('a client certificate of the API server is required (--require-client-cert)');
      expect(text).not.toContain('openshell-sandbox');
    }
    const told = (): Record<string, unknown>[] =>
      linesOf(join(dir, 'webhook.log')).filter(({ msg }) => String(msg).startsWith('refused a client without a client certificate'));
    await waitFor('the log to be written', () => told().length > 0);
    expect(told()).toMatchObject([{ remoteAddress: expect.stringContaining('127.0.0.1') }]);
  });

  it('takes another CA from the file without a restart: the API server’s certificate then counts for nothing', async () => {
    const before = (await create()).code;
    writeFileSync(authorities, (await makeAuthority('new clients', now, end)).cert);
    await waitFor('the new CA to count', async () => (await ask(ours)).status === 403, [webhook]);
    // The API server keeps its connection, on which it was known.
    expect(before).toBe(0);
  });
});
