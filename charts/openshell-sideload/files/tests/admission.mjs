// Asks the webhook what the API server would: where the webhook configuration points, trusting what caBundle says.
import { request } from 'node:https';
import { AdmissionregistrationV1Api, KubeConfig } from '@kubernetes/client-node';

const TIMEOUT_MS = 10_000;

/** What the webhook answers for a sandbox pod. */
function review({ service, url, caBundle }, labels) {
  const target = url ?? `https://${service.name}.${service.namespace}.svc:${service.port ?? 443}${service.path ?? ''}`;
  const object = {
    apiVersion: 'v1',
    kind: 'Pod',
    // A dry look mounts nothing: the ConfigMap need not be there.
    metadata: { name: 'test', labels, annotations: { 'openshell.ai/policy': 'test' } },
    spec: { containers: [{ name: 'agent', image: 'agent', command: ['agent'] }] },
  };
  const body = {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: crypto.randomUUID(),
      kind: { group: '', version: 'v1', kind: 'Pod' },
      resource: { group: '', version: 'v1', resource: 'pods' },
      name: 'test',
      namespace: 'test',
      operation: 'CREATE',
      userInfo: {},
      dryRun: true,
      object,
    },
  };
  const ca = Buffer.from(caBundle ?? '', 'base64');
  const options = { method: 'POST', ca, headers: { 'content-type': 'application/json' }, signal: AbortSignal.timeout(TIMEOUT_MS) };
  return new Promise((resolve, reject) => {
    const call = request(target, options, async (answer) => {
      try {
        resolve(JSON.parse((await answer.toArray()).join('')).response);
      } catch (error) {
        reject(error);
      }
    });
    call.on('error', reject).end(JSON.stringify(body));
  });
}

const LABELS = {
  'sandbox.sideload.openshell.ai': { 'openshell.ai/sandbox': 'true' },
  'managed.sideload.openshell.ai': { 'openshell.ai/managed-by': 'openshell' },
};

const config = new KubeConfig();
config.loadFromDefault();
const api = config.makeApiClient(AdmissionregistrationV1Api);
const { webhooks } = await api.readMutatingWebhookConfiguration({ name: process.env.WEBHOOK_CONFIGURATION });
for (const [name, labels] of Object.entries(LABELS)) {
  const { clientConfig } = webhooks.find((webhook) => webhook.name === name);
  const { allowed, status, patch = '' } = await review(clientConfig, labels);
  if (!allowed) throw new Error(`${name} refuses a sandbox: ${status?.message}`);
  const operations = JSON.parse(Buffer.from(patch, 'base64').toString() || '[]');
  if (!JSON.stringify(operations).includes('/opt/openshell/bin')) throw new Error(`${name} injects nothing`);
  console.log(`${name}: the webhook is trusted and injects the supervisor`);
}
