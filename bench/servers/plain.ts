/** What one would write first: a copy of the pod is changed, and a library finds the difference. */

import jsonPatch from 'fast-json-patch';
import { httpsServer, listen } from './listen.ts';

interface Container {
  name: string;
  command?: string[];
  args?: string[];
  env?: object[];
  volumeMounts?: object[];
  securityContext?: { runAsUser?: number; runAsGroup?: number; capabilities?: { add?: string[] }; appArmorProfile?: object };
}
interface Pod {
  metadata: { annotations?: Record<string, string>; labels?: Record<string, string> };
  spec: { volumes?: object[]; containers: Container[] };
}
interface Review {
  request: { uid: string; object: Pod };
}

function sideload(pod: Pod): void {
  const container = pod.spec.containers.find(({ name }) => name === 'agent') ?? pod.spec.containers[0];
  if (!container) return;
  const image = { reference: 'ghcr.io/nvidia/openshell/supervisor:latest', pullPolicy: 'IfNotPresent' };
  pod.spec.volumes = [...(pod.spec.volumes ?? []), { name: 'openshell-supervisor-bin', image }];
  const mount = { name: 'openshell-supervisor-bin', mountPath: '/opt/openshell/bin', readOnly: true };
  container.volumeMounts = [...(container.volumeMounts ?? []), mount];
  container.args = ['--', ...(container.command ?? []), ...(container.args ?? [])];
  container.command = ['/opt/openshell/bin/openshell-sandbox', '--workdir', '/sandbox'];
  const { runAsUser, runAsGroup } = container.securityContext ?? {};
  container.env = [
    ...(container.env ?? []),
    { name: 'OPENSHELL_SANDBOX_UID', value: String(runAsUser || 1000) },
    { name: 'OPENSHELL_SANDBOX_GID', value: String(runAsGroup || 1000) },
    { name: 'OPENSHELL_OCI_IMAGE_USER', value: '' },
    { name: 'OPENSHELL_SUPERVISOR_TOPOLOGY', value: '' },
    { name: 'OPENSHELL_NETWORK_ENFORCEMENT_MODE', value: '' },
  ];
  const capabilities = { add: ['SYS_ADMIN', 'NET_ADMIN', 'SYS_PTRACE', 'SYSLOG'] };
  container.securityContext = { ...container.securityContext, runAsUser: 0, appArmorProfile: { type: 'Unconfined' }, capabilities };
  pod.metadata.annotations = { ...pod.metadata.annotations, 'openshell.ai/sideloaded': 'image-volume' };
}

const app = httpsServer();
app.post<{ Body: Review }>('/mutate', (request, reply) => {
  const { uid, object } = request.body.request;
  const changed = structuredClone(object);
  sideload(changed);
  const patch = Buffer.from(JSON.stringify(jsonPatch.compare(object, changed))).toString('base64');
  reply.send({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    response: { uid, allowed: true, patchType: 'JSONPatch', patch },
  });
});
await listen(app);
