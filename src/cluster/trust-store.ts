import { hostname } from 'node:os';
import type { V1MutatingWebhookConfiguration, V1Secret } from '@kubernetes/client-node';
import type { Logger } from 'pino';
import { ConflictError, type StoredBundles, type TrustStore, type TrustStoreNames } from '../tls/shared-trust.ts';
import { type Connection, call, orUndefined, request, statusOf } from './client.ts';
import { watchObject } from './watch.ts';

/** The one key of the CA Secret. */
const DATA_KEY = 'trust.json';
/** On the Secret: any value asks for a new CA. */
const ROTATE_ANNOTATION = 'openshell.ai/rotate-ca';
const FIELD_MANAGER = 'openshell-sideload';

/** Keeps the shared trust in a Secret and in the caBundle of a MutatingWebhookConfiguration. */
export function clusterTrustStore(
  cluster: Connection,
  { namespace, secret, webhookConfiguration }: TrustStoreNames,
  log: Logger,
): TrustStore {
  const secrets = `/api/v1/namespaces/${namespace}/secrets`;
  const configurations = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations';
  const read = <T>(path: string): Promise<T> => request(cluster, 'GET', path);
  const patch = (path: string, body: object, fieldManager: string, contentType: string): Promise<unknown> =>
    request(cluster, 'PATCH', path, { query: { fieldManager }, body, contentType });
  const encode = (text: string): string => Buffer.from(text).toString('base64');
  const decode = (base64: string | undefined): string => Buffer.from(base64 ?? '', 'base64').toString();

  return {
    readSecret: async () => {
      const found = await orUndefined(call(`read Secret ${namespace}/${secret}`, read<V1Secret>(`${secrets}/${secret}`)));
      return (
        found && {
          version: found.metadata?.resourceVersion ?? '',
          text: decode(found.data?.[DATA_KEY]),
          rotationRequested: found.metadata?.annotations?.[ROTATE_ANNOTATION] !== undefined,
        }
      );
    },

    // Server-side apply, because RBAC can limit it to one name, which it cannot do for `create`. Each replica is a field
    // manager of its own here, so that of two that found no Secret the second one gets a conflict.
    createSecret: (text) => {
      const body = {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: secret, namespace },
        type: 'Opaque',
        data: { [DATA_KEY]: encode(text) },
      };
      const replica = `${FIELD_MANAGER}-${hostname()}-${process.pid}`;
      const created = patch(`${secrets}/${secret}`, body, replica, 'application/apply-patch+yaml');
      return orConflict(call(`create Secret ${namespace}/${secret}`, created));
    },

    updateSecret: (text, version, answersRequest) => {
      const metadata = { resourceVersion: version, ...(answersRequest ? { annotations: { [ROTATE_ANNOTATION]: null } } : {}) };
      const body = { metadata, data: { [DATA_KEY]: encode(text) } };
      const updated = patch(`${secrets}/${secret}`, body, FIELD_MANAGER, 'application/merge-patch+json');
      return orConflict(call(`update Secret ${namespace}/${secret}`, updated));
    },

    readBundles: async () => {
      const known = read<V1MutatingWebhookConfiguration>(`${configurations}/${webhookConfiguration}`);
      const found = await orUndefined(call(`read MutatingWebhookConfiguration ${webhookConfiguration}`, known));
      return (
        found && {
          version: found.metadata?.resourceVersion ?? '',
          entries: (found.webhooks ?? []).map(({ name, clientConfig }) => ({ name, bundle: decode(clientConfig.caBundle) })),
        }
      );
    },

    // A strategic merge patch finds entries by name; whatever else an entry holds stays.
    writeBundles: (bundle: string, { version, entries }: StoredBundles) => {
      const webhooks = entries.map(({ name }) => ({ name, clientConfig: { caBundle: encode(bundle) } }));
      const body = { metadata: { resourceVersion: version }, webhooks };
      const written = patch(`${configurations}/${webhookConfiguration}`, body, FIELD_MANAGER, 'application/strategic-merge-patch+json');
      return orConflict(call(`write caBundle of MutatingWebhookConfiguration ${webhookConfiguration}`, written));
    },

    watch: (onChange) => {
      const refused = (what: string) => (code: number) =>
        log.warn({ code }, `cannot watch ${what}: changes are noticed at the next resync`);
      const ends = [
        watchObject(cluster, secrets, secret, onChange, refused(`Secret ${namespace}/${secret}`)),
        watchObject(
          cluster,
          configurations,
          webhookConfiguration,
          onChange,
          refused(`MutatingWebhookConfiguration ${webhookConfiguration}`),
        ),
      ];
      return () => {
        for (const end of ends) end();
      };
    },
  };
}

async function orConflict(request: Promise<unknown>): Promise<void> {
  try {
    await request;
  } catch (error) {
    if (statusOf(error) === 409) throw new ConflictError('conflict', { cause: error });
    throw error;
  }
}
