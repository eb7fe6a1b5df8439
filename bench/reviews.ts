/** Reviews as an API server sends them for pods of an agent platform: ordinary ones, large ones, and a mixture of all kinds. */

import type { V1Container, V1Volume } from '@kubernetes/client-node';
import jsonPatch from 'fast-json-patch';
import { readConfig } from '../src/config/config.ts';
import { SANDBOX_LABEL } from '../src/sideload/contract.ts';
import { decide } from '../src/sideload/decide.ts';
import type { Pod } from '../src/sideload/pod.ts';
import { UNKNOWN_CLUSTER } from '../src/sideload/settings.ts';
import { REFUSED_PODS } from '../test/refusals.ts';
import { review } from '../test/reviews.ts';

const write = (pod: object): string => JSON.stringify(review(pod, { uid: crypto.randomUUID() }));
/** What the API server fills in. */
const FILLED_IN = { terminationMessagePath: '/dev/termination-log', terminationMessagePolicy: 'File', imagePullPolicy: 'IfNotPresent' };
const SMALL = { requests: { cpu: '50m', memory: '64Mi' }, limits: { memory: '128Mi' } };
const token = { serviceAccountToken: { expirationSeconds: 3607, path: 'token' } };

/** A pod as it reaches a mutating webhook: with what the API server has added before. Its name is agent-INDEX. */
export function pod(index: number) {
  const variables = Array.from({ length: 6 + (index % 12) }, (_, i) => ({ name: `SETTING_${i}`, value: `value-${index}-${i}` }));
  const sidecars = Array.from({ length: index % 3 }, (_, i) => ({
    ...{ name: `sidecar-${i}`, image: `registry.example/sidecar-${i}:1.${index}`, args: ['--listen', ':9000'], resources: SMALL },
    ...FILLED_IN,
  }));
  const agent = {
    ...{ name: 'agent', image: `registry.example/agent:1.${index}`, command: ['python', '-m', 'agent'], args: ['--task', `task-${index}`] },
    ...{ env: variables, resources: { requests: { cpu: '500m', memory: '1Gi' }, limits: { cpu: '2', memory: '4Gi' } } },
    volumeMounts: [
      { name: `workspace-${index}`, mountPath: '/sandbox' },
      { name: 'kube-api-access', readOnly: true, mountPath: '/var/run/secrets/kubernetes.io/serviceaccount' },
    ],
    ...FILLED_IN,
    securityContext: { runAsUser: 10_000 + index, runAsGroup: 10_000 },
  };
  const tolerations = ['not-ready', 'unreachable'].map((state) => ({
    ...{ key: `node.kubernetes.io/${state}`, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 },
  }));
  return {
    kind: 'Pod',
    apiVersion: 'v1',
    metadata: {
      ...{ name: `agent-${index}`, namespace: 'agents', uid: crypto.randomUUID() },
      labels: { app: 'agent', 'openshell.ai/sandbox': 'true', 'openshell.ai/sandbox-id': `sb-${index}`, team: `team-${index % 7}` },
      annotations: { 'example.com/task': `task-${index}`, 'openshell.ai/policy': 'agent-policy' },
    },
    spec: {
      volumes: [
        { name: `workspace-${index}`, persistentVolumeClaim: { claimName: `workspace-${index}` } },
        { name: 'kube-api-access', projected: { sources: [token], defaultMode: 420 } },
      ] as V1Volume[],
      containers: [agent, ...sidecars] as V1Container[],
      ...{ restartPolicy: 'Never', terminationGracePeriodSeconds: 30, dnsPolicy: 'ClusterFirst', securityContext: {}, tolerations },
      priority: 0,
      ...{ serviceAccountName: 'default', serviceAccount: 'default', schedulerName: 'default-scheduler' },
      ...{ enableServiceLinks: true, preemptionPolicy: 'PreemptLowerPriority' },
    },
    status: {},
  };
}

/** Distinct ordinary reviews, of 2 to 4 KB. */
export function makeReviews(count: number): string[] {
  return Array.from({ length: count }, (_, index) => write(pod(index)));
}

/** `pod` has nothing beside its agent, and the fewest variables, for each index that is a multiple of this. */
const SMALLEST = 12;
/** A line as configuration and prompts have it, with what JSON has to escape. */
const LINE = 'When the answer says "done", write the report to /sandbox/out and stop.\n';

/** How a pod grows by a number of steps. Each gives a pod whose size is linear in them. */
const WAYS = {
  /** Each step brings a volume, a sidecar that mounts it, and eight variables for both the sidecar and the agent. */
  more: ({ spec: { volumes, containers } }: ReturnType<typeof pod>, steps: number) => {
    for (let step = 0; step < steps; step++) {
      const name = `component-${String(step).padStart(4, '0')}`;
      const env = Array.from({ length: 8 }, (_, i) => ({ name: `SERVICE_${step}_${i}`, value: `https://${name}.example:${8000 + i}` }));
      const mount = { name, mountPath: `/data/${name}` };
      volumes.push({ name, configMap: { name, defaultMode: 420 } });
      containers[0]?.env?.push(...env);
      containers[0]?.volumeMounts?.push(mount);
      const image = `registry.example/${name}:1.0`;
      containers.push({ name, image, env, resources: SMALL, volumeMounts: [mount], ...FILLED_IN });
    }
  },
  /** Each step is a line more in each of four variables of the agent: configuration, prompts. */
  longer: ({ spec: { containers } }: ReturnType<typeof pod>, steps: number) => {
    for (let i = 0; i < 4; i++) containers[0]?.env?.push({ name: `PROMPT_${i}`, value: LINE.repeat(steps) });
  },
};
export type Way = keyof typeof WAYS;

/**
 * Distinct reviews of about a size.
 *
 * @param bytes of each; a pod that has not grown has 2.4 KB
 */
export function grownReviews(way: Way, bytes: number, count: number): string[] {
  const make = (index: number, steps: number): string => {
    const grown = pod(index * SMALLEST);
    WAYS[way](grown, steps);
    return write(grown);
  };
  const [none, one] = [0, 1].map((steps) => make(0, steps).length) as [number, number];
  const steps = Math.max(0, Math.round((bytes - none) / (one - none)));
  return Array.from({ length: count }, (_, index) => make(index, steps));
}

/** Reviews of a mixture; those of a MiB are so few that what waits behind them is beyond the 99th percentile. */
const COUNT = 4000;
const LARGE_KIB = [1024, 64, 64, 256, 64, 64, 256, 64, 64];
/** One of so many is refused, and as many are left unchanged. */
const ODD = 12;

function mixedPod(index: number): Pod {
  const ordinary = pod(index) as Pod;
  const number = Math.floor(index / ODD);
  const refused = REFUSED_PODS.filter(({ flags, facts, image }) => !flags && !facts && !image);
  if (index % ODD === 0) return refused[number % refused.length]?.pod ?? {};
  if (index % ODD !== ODD / 2) return ordinary;
  if (number % 2 === 1) return { ...ordinary, metadata: { ...ordinary.metadata, labels: { [SANDBOX_LABEL]: 'false' } } };
  // As the API server sends it when it calls the webhook a second time.
  const outcome = decide(ordinary, readConfig([], {}).sideload, UNKNOWN_CLUSTER);
  return outcome.verdict === 'inject' ? jsonPatch.applyPatch(ordinary, [...outcome.operations], false, false).newDocument : ordinary;
}

/** As a busy platform sends them: most are sandboxes to be injected, some are refused or left unchanged, a few are large. */
export function mixedReviews(): string[] {
  const reviews = Array.from({ length: COUNT }, (_, index) => write(mixedPod(index)));
  for (const [n, kib] of LARGE_KIB.entries())
    reviews[Math.floor((n * COUNT) / LARGE_KIB.length) + 1] = grownReviews(n % 2 === 0 ? 'more' : 'longer', kib * 1024, 1)[0] ?? '';
  return reviews;
}
