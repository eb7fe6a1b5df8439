import { hostname } from 'node:os';
import type { Logger } from 'pino';
import { ConflictError, type StoredBundles, type TrustStore, type TrustStoreNames } from '../tls/shared-trust.ts';
import { type Cluster, call, orUndefined, statusOf } from './client.ts';
import { watchObject } from './watch.ts';

/** The one key of the CA Secret. */
const DATA_KEY = 'trust.json';
/** On the Secret: any value asks for a new CA. */
const ROTATE_ANNOTATION = 'openshell.ai/rotate-ca';
const FIELD_MANAGER = 'openshell-sideload';

/** Keeps the shared trust in a Secret and in the caBundle of a MutatingWebhookConfiguration. */
export function clusterTrustStore(cluster: Cluster, { namespace, secret, webhookConfiguration }: TrustStoreNames, log: Logger): TrustStore {
  const { k8s, config } = cluster;
  const core = config.makeApiClient(k8s.CoreV1Api);
  const admission = config.makeApiClient(k8s.AdmissionregistrationV1Api);
  const contentType = (type: string) => k8s.setHeaderOptions('Content-Type', type);
  const encode = (text: string): string => Buffer.from(text).toString('base64');
  const decode = (base64: string | undefined): string => Buffer.from(base64 ?? '', 'base64').toString();

  return {
    readSecret: async () => {
      const found = await orUndefined(call(`read Secret ${namespace}/${secret}`, core.readNamespacedSecret({ name: secret, namespace })));
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
      const request = core.patchNamespacedSecret(
        { name: secret, namespace, body, fieldManager: `${FIELD_MANAGER}-${hostname()}-${process.pid}` },
        contentType(k8s.PatchStrategy.ServerSideApply),
      );
      return orConflict(call(`create Secret ${namespace}/${secret}`, request));
    },

    updateSecret: (text, version, answersRequest) => {
      const metadata = { resourceVersion: version, ...(answersRequest ? { annotations: { [ROTATE_ANNOTATION]: null } } : {}) };
      const request = core.patchNamespacedSecret(
        { name: secret, namespace, body: { metadata, data: { [DATA_KEY]: encode(text) } }, fieldManager: FIELD_MANAGER },
        contentType(k8s.PatchStrategy.MergePatch),
      );
      return orConflict(call(`update Secret ${namespace}/${secret}`, request));
    },

    readBundles: async () => {
      const request = admission.readMutatingWebhookConfiguration({ name: webhookConfiguration });
      const found = await orUndefined(call(`read MutatingWebhookConfiguration ${webhookConfiguration}`, request));
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
      const request = admission.patchMutatingWebhookConfiguration(
        { name: webhookConfiguration, body: { metadata: { resourceVersion: version }, webhooks }, fieldManager: FIELD_MANAGER },
        contentType(k8s.PatchStrategy.StrategicMergePatch),
      );
      return orConflict(call(`write caBundle of MutatingWebhookConfiguration ${webhookConfiguration}`, request));
    },

    watch: (onChange) => {
      const refused = (what: string) => (code: number) =>
        log.warn({ code }, `cannot watch ${what}: changes are noticed at the next resync`);
      const ends = [
        watchObject(cluster, `/api/v1/namespaces/${namespace}/secrets`, secret, onChange, refused(`Secret ${namespace}/${secret}`)),
        watchObject(
          cluster,
          '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations',
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
