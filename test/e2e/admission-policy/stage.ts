/** An API server on which the same pods are injected twice: by admission policies, and by the webhook's decision. */

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Agent as Connections, createServer, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { policyTexts } from '../../../src/cli/admission-policy.ts';
import { readConfig } from '../../../src/config/config.ts';
import { decodeReview, encodeReview } from '../../../src/server/review.ts';
import { decide } from '../../../src/sideload/decide.ts';
import type { Pod } from '../../../src/sideload/pod.ts';
import { enforcing, type SideloadSettings, UNKNOWN_CLUSTER } from '../../../src/sideload/settings.ts';
import { ensureLocalCertificates } from '../../../src/tls/local.ts';
import { namesOfService } from '../../../src/tls/names.ts';
import { surroundings } from '../../corpus.ts';
import type { ControlPlane } from '../cluster/control-plane.ts';
import { waitFor } from '../cluster/process.ts';

/** The operator's options, and whether the label of the namespace enforces the policy. */
export interface Choice {
  readonly flags: readonly string[];
  readonly enforced?: boolean;
  /** Whether the policy that warns is there too: an API server takes a second to compile it. */
  readonly warns?: boolean;
}

type Way = 'policy' | 'webhook';

/** What the API server answers to a creation. */
export interface Answer {
  readonly code: number;
  /** Without names that differ each time. */
  readonly pod: Pod | undefined;
  readonly message: string;
  /** The reason code of a refusal by either way; undefined where the API server refuses the pod itself. */
  readonly reason: string | undefined;
  readonly warnings: readonly string[];
  readonly milliseconds: number;
}

export interface Stage {
  /** Creates a pod, by default in a dry run, where one choice holds. */
  readonly create: (way: Way, choice: number, pod: Pod, dryRun?: boolean) => Promise<Answer>;
  readonly namespaceOf: (way: Way, choice: number) => string;
  readonly close: () => void;
}

/** What an API server's ServiceAccount plugin names otherwise each time, and what says which pod this is. */
function comparable(text: string): Pod {
  const pod = JSON.parse(text.replaceAll(/kube-api-access-[a-z0-9]{5}\b/g, 'kube-api-access'));
  const { name, namespace, uid, creationTimestamp, generateName, managedFields, resourceVersion, ...metadata } = pod.metadata;
  return { ...pod, metadata };
}

/** A webhook that answers as ours does: the choice is the path. */
async function serveDecisions(
  dir: string,
  settings: readonly SideloadSettings[],
): Promise<{ url: string; caBundle: string; close: () => void }> {
  const tls = join(dir, 'tls');
  await ensureLocalCertificates(tls, namesOfService('openshell-sideload', 'openshell-system'));
  const read = (file: string): Buffer => readFileSync(join(tls, file));
  const server = createServer({ cert: read('tls.crt'), key: read('tls.key') }, async (asked, response) => {
    const { uid, pod } = decodeReview(await json(asked));
    const chosen = settings[Number(new URL(asked.url ?? '', 'https://webhook').pathname.slice(1))];
    response.setHeader('content-type', 'application/json');
    const outcome = chosen && decide(pod, chosen, UNKNOWN_CLUSTER);
    // As a policy's message begins.
    const worded = outcome?.verdict === 'refuse' ? { ...outcome, message: `${outcome.reason}: ${outcome.message}` } : outcome;
    response.end(worded && encodeReview(uid, worded));
  });
  // An API server may use a connection at the moment at which this end closes it.
  server.keepAliveTimeout = 0;
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  return { url: `https://127.0.0.1:${port}`, caBundle: read('ca.crt').toString('base64'), close: () => void server.close() };
}

/** The printed objects under names of their own, for namespaces of their own. */
function policiesFor(index: number, { flags, warns }: Choice): string {
  const documents = policyTexts(readConfig(flags, {}), 'refuse').split(/^---\n/m);
  return documents
    .filter((text) => warns || !/name: openshell-sideload-warnings/.test(text))
    .join('---\n')
    .replaceAll('openshell.ai/sideload: enabled', `policy-choice: "${index}"`)
    .replaceAll(/^(\s*(?:name|policyName): )openshell-sideload/gm, `$1choice-${index}`);
}

const stream = (objects: readonly object[]): string => objects.map((object) => JSON.stringify(object)).join('\n');

/**
 * Makes namespaces for each choice and way, and applies the policies, and the webhook, for all choices.
 *
 * @param pods of which all service accounts, priority and runtime classes are made
 */
export async function setStage(cluster: ControlPlane, dir: string, choices: readonly Choice[], pods: readonly Pod[]): Promise<Stage> {
  const namespaceOf = (way: Way, choice: number): string => `${way}-${choice}`;
  const settings = choices.map(({ flags, enforced }) => {
    const { sideload } = readConfig(flags, {});
    return enforced ? enforcing(sideload) : sideload;
  });
  const webhook = await serveDecisions(dir, settings);
  const namespaces = choices.flatMap(({ enforced }, index) =>
    (['policy', 'webhook'] as const).map((way) => ({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: {
        name: namespaceOf(way, index),
        labels: { [`${way}-choice`]: String(index), ...(enforced ? { 'openshell.ai/policy-mode': 'enforced' } : {}) },
      },
    })),
  );
  const around = surroundings(
    pods.map((pod) => ({ pod })),
    namespaces.map(({ metadata }) => metadata.name),
  );
  const configuration = {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    metadata: { name: 'decisions' },
    webhooks: choices.map((_, index) => ({
      name: `choice-${index}.example.com`,
      clientConfig: { url: `${webhook.url}/${index}`, caBundle: webhook.caBundle },
      rules: [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods'] }],
      namespaceSelector: { matchLabels: { 'webhook-choice': String(index) } },
      reinvocationPolicy: 'IfNeeded',
      sideEffects: 'None',
      admissionReviewVersions: ['v1'],
    })),
  };
  await cluster.run(['create', '-f', '-'], stream([...namespaces, ...around, configuration]));
  await cluster.run(['create', '-f', '-'], choices.map((choice, index) => policiesFor(index, choice)).join('---\n'));

  const agent = new Connections({ keepAlive: true, maxSockets: 8 });
  const ca = readFileSync(cluster.servingCertificate);
  let serial = 0;
  const create = (way: Way, choice: number, pod: Pod, dryRun = true): Promise<Answer> =>
    new Promise((resolve, reject) => {
      serial++;
      const namespace = namespaceOf(way, choice);
      const body = { ...pod, apiVersion: 'v1', kind: 'Pod', metadata: { ...pod.metadata, name: `pod-${serial}`, namespace } };
      const path = `/api/v1/namespaces/${namespace}/pods${dryRun ? '?dryRun=All' : ''}`;
      const headers = { authorization: 'Bearer admin-token', 'content-type': 'application/json' };
      const { address: host, port } = cluster;
      const start = performance.now();
      const sent = request({ agent, host, port, ca, method: 'POST', path, headers }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('error', reject).on('end', () => {
          const code = response.statusCode ?? 0;
          const message: string = code === 201 ? '' : JSON.parse(text).message;
          const [, reason] = /(?:-backstop' .*denied request|denied the request): ([a-z-]+): /.exec(message) ?? [];
          resolve({
            code,
            pod: code === 201 ? comparable(text) : undefined,
            message,
            reason,
            warnings: [response.headers.warning ?? []].flat(),
            milliseconds: performance.now() - start,
          });
        });
      });
      sent.on('error', reject).end(JSON.stringify(body));
    });
  const probe: Pod = {
    metadata: { labels: { 'openshell.ai/sandbox': 'no' } },
    spec: { containers: [{ name: 'agent', image: 'registry.example/agent:1' }] },
  };
  for (const index of choices.keys())
    for (const way of ['policy', 'webhook'] as const)
      await waitFor(`choice ${index} in force (${way})`, async () => (await create(way, index, probe)).reason === 'unknown-label-value');
  return {
    create,
    namespaceOf,
    close: () => {
      agent.destroy();
      webhook.close();
    },
  };
}
