/** Reviews as an API server sends them for pods of an agent platform: 2 to 4 KB, each another pod. */

import { review } from '../test/reviews.ts';

const TOKEN = '/var/run/secrets/kubernetes.io/serviceaccount';

/** A pod as it reaches a mutating webhook: with what the API server has added before. Its name is agent-INDEX. */
export function pod(index: number) {
  const variables = Array.from({ length: 6 + (index % 12) }, (_, i) => ({ name: `SETTING_${i}`, value: `value-${index}-${i}` }));
  const sidecars = Array.from({ length: index % 3 }, (_, i) => ({
    name: `sidecar-${i}`,
    image: `registry.example/sidecar-${i}:1.${index}`,
    args: ['--listen', ':9000'],
    resources: { requests: { cpu: '50m', memory: '64Mi' }, limits: { memory: '128Mi' } },
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
    imagePullPolicy: 'IfNotPresent',
  }));
  return {
    kind: 'Pod',
    apiVersion: 'v1',
    metadata: {
      name: `agent-${index}`,
      namespace: 'agents',
      uid: crypto.randomUUID(),
      labels: { app: 'agent', 'openshell.ai/sandbox': 'true', 'openshell.ai/sandbox-id': `sb-${index}`, team: `team-${index % 7}` },
      annotations: { 'example.com/task': `task-${index}`, 'openshell.ai/policy': 'agent-policy' },
    },
    spec: {
      volumes: [
        { name: `workspace-${index}`, persistentVolumeClaim: { claimName: `workspace-${index}` } },
        {
          name: 'kube-api-access',
          projected: { sources: [{ serviceAccountToken: { expirationSeconds: 3607, path: 'token' } }], defaultMode: 420 },
        },
      ],
      containers: [
        {
          name: 'agent',
          image: `registry.example/agent:1.${index}`,
          command: ['python', '-m', 'agent'],
          args: ['--task', `task-${index}`],
          env: variables,
          resources: { requests: { cpu: '500m', memory: '1Gi' }, limits: { cpu: '2', memory: '4Gi' } },
          volumeMounts: [
            { name: `workspace-${index}`, mountPath: '/sandbox' },
            { name: 'kube-api-access', readOnly: true, mountPath: TOKEN },
          ],
          terminationMessagePath: '/dev/termination-log',
          terminationMessagePolicy: 'File',
          imagePullPolicy: 'IfNotPresent',
          securityContext: { runAsUser: 10_000 + index, runAsGroup: 10_000 },
        },
        ...sidecars,
      ],
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: 30,
      dnsPolicy: 'ClusterFirst',
      serviceAccountName: 'default',
      serviceAccount: 'default',
      securityContext: {},
      schedulerName: 'default-scheduler',
      tolerations: [
        { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 },
        { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 },
      ],
      priority: 0,
      enableServiceLinks: true,
      preemptionPolicy: 'PreemptLowerPriority',
    },
    status: {},
  };
}

/** @param count of distinct reviews */
export function makeReviews(count: number): object[] {
  return Array.from({ length: count }, (_, index) => review(pod(index), { uid: crypto.randomUUID() }));
}
