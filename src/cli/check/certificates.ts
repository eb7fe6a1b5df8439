/** Whether the API server trusts what replicas serve, today and for long enough. */

import { connect as connectTcp } from 'node:net';
import type { Duplex } from 'node:stream';
import type { V1MutatingWebhook } from '@kubernetes/client-node';
import type { Context } from './context.ts';
import { entriesOf } from './entries.ts';
import { type Finding, failed, skipped } from './finding.ts';
import { shakeHands } from './handshake.ts';
import { connectWith, isReady } from './replicas.ts';
import type { Group } from './run.ts';
import { judgeBundle, judgeValidity, OTHERS, SELF_MANAGED } from './validity.ts';

const DOCUMENTED = 'docs/operations.md#certificates';

/** A server, and how the API server connects to it. */
interface Server {
  readonly name: string;
  readonly open: () => Promise<Duplex>;
}

function bundleOf({ clientConfig }: V1MutatingWebhook): string {
  return Buffer.from(clientConfig.caBundle ?? '', 'base64').toString();
}

/** Self-managed certificates are restored within seconds, unless replicas are unavailable or lack permissions. */
async function replacement({ deployed }: Context) {
  const { source } = (await deployed()).config.certificates;
  return source === 'self-managed'
    ? { limits: SELF_MANAGED, fix: `the webhook itself writes it: see "replicas" and "permissions of the webhook"; ${DOCUMENTED}` }
    : { limits: OTHERS, fix: DOCUMENTED };
}

async function caBundle(context: Context): Promise<readonly Finding[]> {
  const { limits, fix } = await replacement(context);
  return entriesOf(await context.configuration()).map((entry) =>
    judgeBundle(`entry ${entry.name}`, bundleOf(entry), context.now, limits.ca, fix),
  );
}

/** The name that the API server expects in the certificate, and who serves it. Source: k8s.io/apiserver, pkg/util/webhook, ClientManager. */
async function serversOf(
  { clientConfig: { service, url } }: V1MutatingWebhook,
  context: Context,
): Promise<{ name: string; servers: Server[] }> {
  if (url !== undefined) {
    const { hostname, port } = new URL(url);
    const host = hostname.replace(/^\[|\]$/g, '');
    const open = async (): Promise<Duplex> => connectTcp({ host, port: Number(port || 443) });
    return { name: host, servers: [{ name: url, open }] };
  }
  const { config } = await context.deployed();
  const servers = (await context.replicas()).filter(isReady).map(({ metadata }) => {
    const pod = metadata?.name ?? '';
    return { name: pod, open: () => connectWith(context, pod, config.port) };
  });
  return { name: `${service?.name}.${service?.namespace}.svc`, servers };
}

async function judge(server: Server, name: string, entry: V1MutatingWebhook, context: Context): Promise<Finding> {
  const { limits, fix } = await replacement(context);
  const connection = await server.open();
  try {
    const { certificate, distrust } = await shakeHands(server.name, connection, name, bundleOf(entry));
    if (distrust === undefined)
      return judgeValidity(`${server.name}: caBundle trusts its certificate, which`, certificate, context.now, limits.serving, fix);
    return failed(`${server.name}: caBundle of entry ${entry.name} does not trust what is served for ${name}: ${distrust}`, fix);
  } catch (error) {
    return failed(error instanceof Error ? error.message : String(error), 'docs/operations.md#when-it-is-down');
  }
}

/** Who an entry calls, without the path. */
function serverOf({ clientConfig: { service, url, caBundle } }: V1MutatingWebhook): string {
  return JSON.stringify({ service: { ...service, path: undefined }, host: url && new URL(url).host, caBundle });
}

async function served(context: Context): Promise<Finding | readonly Finding[]> {
  const entries = entriesOf(await context.configuration());
  // Entries that call one server are one.
  const distinct = new Map(entries.map((entry) => [serverOf(entry), entry])).values();
  const findings = [...distinct].map(async (entry): Promise<Finding[]> => {
    const { name, servers } = await serversOf(entry, context);
    return Promise.all(servers.map((server) => judge(server, name, entry, context)));
  });
  const found = (await Promise.all(findings)).flat();
  return found.length > 0 ? found : skipped('no replica is ready');
}

export const CERTIFICATES: Group<Context> = {
  heading: 'certificates',
  checks: [
    { name: 'caBundle', needs: ['Deployment', 'webhook configuration'], run: caBundle },
    { name: 'served certificate', needs: ['Deployment', 'webhook configuration'], run: served },
  ],
};
