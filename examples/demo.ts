/**
 * `npm run demo`: starts the webhook on a free port, sends it the pods of this folder as the API server would (HTTPS, the CA
 * verified) and prints what each is for, what the webhook does to it, and all outcomes at the end.
 */

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import jsonPatch from 'fast-json-patch';
import { pino } from 'pino';
import { parseAllDocuments, stringify } from 'yaml';
import { paint, unifiedDiff } from '../src/cli/diff.ts';
import { readConfig } from '../src/config/config.ts';
import type { ReviewResponse } from '../src/server/review.ts';
import { startWebhook } from '../src/server/start.ts';
import { CA_FILE, ensureLocalCertificates } from '../src/tls/local.ts';
import { namesOfService } from '../src/tls/names.ts';

const folder = new URL('./', import.meta.url);

const NEXT = `What to do next
  Change a file in examples/, or add one, and run this again.
  Explain a pod of your own:    node_modules/.bin/node src/main.ts explain -f FILE
  Send one review yourself:     npm start, then the curl line in docs/reference/metrics.md
  Install it into a cluster:    docs/quickstart.md`;

/** The pods of this folder; other documents, such as the ConfigMap of a policy never reach the webhook. */
function readPods(): { file: string; purpose: string; pod: object }[] {
  const files = readdirSync(folder).filter((name) => name.endsWith('.yaml'));
  return files.flatMap((file) => {
    const text = readFileSync(new URL(file, folder), 'utf8');
    // The first line of each file says what it shows.
    const purpose = text.slice(2, text.indexOf('\n'));
    const objects = parseAllDocuments(text).map((document) => document.toJS());
    return objects.filter(({ kind }) => kind === 'Pod').map((pod) => ({ file, purpose, pod }));
  });
}

/** Sends one pod's creation and returns the webhook's response. */
function send(port: number, ca: Buffer, pod: unknown): Promise<ReviewResponse['response']> {
  const review = {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: crypto.randomUUID(),
      kind: { group: '', version: 'v1', kind: 'Pod' },
      operation: 'CREATE',
      namespace: 'agents',
      object: pod,
    },
  };
  return new Promise((resolve, reject) => {
    const call = request(
      { host: 'localhost', port, path: '/mutate', method: 'POST', ca, headers: { 'content-type': 'application/json' } },
      (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          body += chunk;
        });
        response.on('end', () => {
          if (response.statusCode === 200) resolve((JSON.parse(body) as ReviewResponse).response);
          else reject(new Error(`HTTP ${response.statusCode}: ${body}`));
        });
      },
    );
    call.on('error', reject).end(JSON.stringify(review));
  });
}

/** The difference between two pods, as a unified diff of their YAML. */
function diff(before: unknown, after: unknown): string {
  const yaml = (pod: unknown): string => stringify(pod, { lineWidth: 0, aliasDuplicateObjects: false });
  return unifiedDiff(yaml(before), yaml(after)).trimEnd().replaceAll(/^/gm, '  ');
}

/** One line: the pod's file, what the webhook did, and why. */
function outcomeOf(file: string, { allowed, patch, auditAnnotations }: ReviewResponse['response']): string {
  const { reason, skipped, method, container } = auditAnnotations;
  const verdict = !allowed ? paint('red', 'refused') : patch ? paint('green', 'injected') : paint('yellow', 'left unchanged');
  const how = method ? `, method ${method}, container ${container}` : '';
  return `${paint('bold', file)}: ${verdict} (reason ${reason ?? skipped}${how})`;
}

function show(line: string, purpose: string, pod: object, response: ReviewResponse['response']): void {
  console.log(`${line}\n${'-'.repeat(stripVTControlCharacters(line).length)}\n  ${purpose}`);
  if (response.status) console.log(`  ${response.status.code} ${response.status.reason}: ${response.status.message}`);
  for (const warning of response.warnings ?? []) console.log(`  ${paint('yellow', 'Warning:')} ${warning}`);
  if (response.patch) {
    const operations = JSON.parse(Buffer.from(response.patch, 'base64').toString());
    console.log(diff(pod, jsonPatch.applyPatch(structuredClone(pod), operations, true).newDocument));
  }
  console.log();
}

const tls = mkdtempSync(join(tmpdir(), 'openshell-sideload-demo-'));
try {
  await ensureLocalCertificates(tls, namesOfService('openshell-sideload', 'openshell-system'));
  const flags = ['--port=0', '--admin-port=0', '--bind-address=127.0.0.1', '--shutdown-delay=0', `--tls-cert-dir=${tls}`];
  const running = await startWebhook(readConfig(flags, {}), 'demo', pino({ level: 'silent' }), () => 0);
  const ca = readFileSync(join(tls, CA_FILE));
  console.log(`The webhook serves at https://localhost:${running.port}/mutate\n`);
  const outcomes: string[] = [];
  for (const { file, purpose, pod } of readPods()) {
    const response = await send(running.port, ca, pod);
    const outcome = outcomeOf(file, response);
    outcomes.push(outcome);
    show(outcome, purpose, pod, response);
  }
  console.log(`All outcomes:\n${outcomes.map((outcome) => `  ${outcome}`).join('\n')}\n\n${NEXT}`);
  await running.drain();
} finally {
  rmSync(tls, { recursive: true });
}
