/** Every value of the chart reaches the objects that it is for. `chart.test.ts` shows it of the webhook's options. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { describedValues } from '../../docs/reference/chart-values.ts';
import { OPTIONS } from '../../src/config/options.ts';
import { CHART, type KubernetesObject, NAMESPACE, objectsOf, RELEASE, runHelm } from './chart.ts';
import { findHelm } from './cluster/helm.ts';

/** In each sentinel that is a word. */
const SENTINEL = 'sentinel';
const EVERY = 'every';

interface Row {
  readonly value: unknown;
  /** The kinds of the objects that it changes, adds or removes, or all of them. */
  readonly reaches: readonly string[] | typeof EVERY;
  /** Values without which it has no effect. */
  readonly given?: object;
}

const PODS = ['Deployment', 'Pod'];
const EXISTING_SECRET = { certificates: { source: 'existingSecret', existingSecret: { name: 'tls' } } };
const deployment = (value: unknown, given?: object): Row => ({ value, reaches: ['Deployment'], ...(given ? { given } : {}) });
const pods = (value: unknown): Row => ({ value, reaches: PODS });

const ROWS: Readonly<Record<string, Row>> = {
  'global.imageRegistry': pods('sentinel.example'),
  'global.imagePullSecrets': pods([SENTINEL]),
  mode: { value: 'policy', reaches: EVERY },
  'entrypointMap.configMap': deployment(SENTINEL),
  'entrypointMap.key': deployment(SENTINEL, { entrypointMap: { configMap: 'programs' } }),
  'registryCa.configMap': deployment(SENTINEL),
  'registryCa.key': deployment(SENTINEL, { registryCa: { configMap: 'trust' } }),
  'registryConfig.secret': deployment(SENTINEL),
  'registryConfig.key': deployment(SENTINEL, { registryConfig: { secret: 'registries' } }),
  'requireClientCert.configMap': deployment(SENTINEL),
  'requireClientCert.key': deployment(SENTINEL, { requireClientCert: { configMap: 'clients' } }),
  extraArgs: deployment(['--sentinel=1']),
  extraEnv: deployment([{ name: SENTINEL, valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } }]),
  'certificates.source': {
    value: 'certManager',
    reaches: [
      'Certificate',
      'ClusterRole',
      'ClusterRoleBinding',
      'Deployment',
      'Issuer',
      'MutatingWebhookConfiguration',
      'Role',
      'RoleBinding',
    ],
  },
  'certificates.existingSecret.name': deployment(SENTINEL, EXISTING_SECRET),
  'certificates.existingSecret.caBundle': {
    value: '-----BEGIN CERTIFICATE-----',
    reaches: ['MutatingWebhookConfiguration'],
    given: EXISTING_SECRET,
  },
  'image.repository': pods('registry.example/sentinel'),
  'image.tag': pods(SENTINEL),
  'image.digest': pods(`sha256:${'5'.repeat(64)}`),
  'image.pullPolicy': pods('Always'),
  'image.pullSecrets': pods([{ name: SENTINEL }]),
  replicas: deployment(5),
  resources: deployment({ requests: { sentinel: '1' } }),
  priorityClassName: { value: SENTINEL, reaches: ['Deployment', 'ResourceQuota'] },
  nodeSelector: pods({ sentinel: 'yes' }),
  tolerations: pods([{ key: SENTINEL, operator: 'Exists' }]),
  affinity: deployment({ podAffinity: { sentinel: [] } }),
  topologySpreadConstraints: deployment([{ topologyKey: SENTINEL, maxSkew: 1, whenUnsatisfiable: 'DoNotSchedule' }]),
  hostNetwork: deployment(true, { port: 8443 }),
  dnsPolicy: deployment('Default'),
  podAnnotations: deployment({ sentinel: 'yes' }),
  podLabels: pods({ sentinel: 'yes' }),
  extraVolumes: deployment([{ name: SENTINEL, emptyDir: {} }]),
  extraVolumeMounts: deployment([{ name: SENTINEL, mountPath: '/data' }]),
  startupProbe: deployment({ failureThreshold: 77 }),
  livenessProbe: deployment({ failureThreshold: 77 }),
  readinessProbe: deployment({ failureThreshold: 77 }),
  strategy: deployment({ type: 'Recreate' }),
  revisionHistoryLimit: deployment(0),
  nameOverride: { value: SENTINEL, reaches: EVERY },
  fullnameOverride: { value: SENTINEL, reaches: EVERY },
  commonLabels: { value: { sentinel: 'yes' }, reaches: EVERY },
  'serviceAccount.annotations': { value: { sentinel: 'yes' }, reaches: ['ServiceAccount'] },
  'service.annotations': { value: { sentinel: 'yes' }, reaches: ['Service'] },
  'webhook.annotations': { value: { sentinel: 'yes' }, reaches: ['MutatingWebhookConfiguration'] },
  'webhook.timeoutSeconds': { value: 17, reaches: ['MutatingWebhookConfiguration'] },
  'podDisruptionBudget.enabled': { value: false, reaches: ['PodDisruptionBudget'] },
  'podDisruptionBudget.maxUnavailable': { value: '77%', reaches: ['PodDisruptionBudget'] },
  'podDisruptionBudget.minAvailable': { value: '77%', reaches: ['PodDisruptionBudget'] },
  'networkPolicy.enabled': { value: false, reaches: ['NetworkPolicy'] },
  'networkPolicy.apiServerPorts': { value: [7777], reaches: ['NetworkPolicy'] },
  'networkPolicy.registryPorts': { value: [7777], reaches: ['NetworkPolicy'] },
  'backstop.enabled': { value: true, reaches: ['ValidatingAdmissionPolicy', 'ValidatingAdmissionPolicyBinding'] },
  'backstop.ephemeralContainers': { value: 'allow', reaches: ['ValidatingAdmissionPolicy'], given: { backstop: { enabled: true } } },
  'autoscaling.enabled': { value: true, reaches: ['Deployment', 'HorizontalPodAutoscaler'] },
  'autoscaling.maxReplicas': { value: 77, reaches: ['HorizontalPodAutoscaler'], given: { autoscaling: { enabled: true } } },
  'autoscaling.averageUtilization': { value: 77, reaches: ['HorizontalPodAutoscaler'], given: { autoscaling: { enabled: true } } },
  'monitoring.podMonitor.enabled': { value: true, reaches: ['PodMonitor'] },
  'monitoring.prometheusRule.enabled': { value: true, reaches: ['PrometheusRule'] },
  'monitoring.dashboard.enabled': { value: true, reaches: ['ConfigMap'] },
  'tracing.endpoint': { value: 'http://collector.tracing:4318', reaches: ['Deployment', 'NetworkPolicy'] },
  'openshift.enabled': { value: true, reaches: ['ClusterRole', 'Deployment', 'Pod', 'SecurityContextConstraints'] },
  'openshift.seLinuxType': { value: SENTINEL, reaches: ['SecurityContextConstraints'], given: { openshift: { enabled: true } } },
  'openshift.priority': { value: 7, reaches: ['SecurityContextConstraints'], given: { openshift: { enabled: true } } },
  'aks.enabled': { value: true, reaches: ['MutatingWebhookConfiguration'] },
};

/** An object with one value, at the end of a path. */
const nested = (path: readonly string[], value: unknown): unknown =>
  path.length === 0 ? value : { [path[0] as string]: nested(path.slice(1), value) };

/** The objects of a release, by kind and name. */
async function render(...values: unknown[]): Promise<Map<string, KubernetesObject>> {
  const files = values.filter((each) => each !== undefined);
  const text = await runHelm(4, ['template', RELEASE, CHART, '-n', NAMESPACE], merge(files as object[]));
  return new Map(objectsOf(text).map((object) => [`${object.kind}/${object.metadata.name}`, object]));
}

/** As Helm merges values: objects member by member, all others as a whole. */
function merge(values: readonly object[]): object {
  const merged: Record<string, unknown> = {};
  for (const each of values)
    for (const [key, value] of Object.entries(each)) {
      const before = merged[key];
      const both = [before, value].every((one) => typeof one === 'object' && one !== null && !Array.isArray(one));
      merged[key] = both ? merge([before as object, value]) : value;
    }
  return merged;
}

beforeAll(() => {
  findHelm(4);
});

describe('a value of the chart', () => {
  const paths = describedValues(readFileSync(join(CHART, 'values.yaml'), 'utf8')).map(({ path }) => path.join('.'));
  const keyOf = (option: string): string => option.replaceAll(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
  const options = Object.keys(OPTIONS).map(keyOf);

  it('is an option of the webhook, or has a row here', () => {
    expect(Object.keys(ROWS)).toEqual(paths.filter((path) => !options.includes(path)));
  });

  it.each(Object.entries(ROWS))('%s reaches its objects, and no others', async (path, { value, reaches, given }) => {
    const [before, after] = await Promise.all([render(given), render(given, nested(path.split('.'), value))]);
    const ids = [...new Set([...before.keys(), ...after.keys()])];
    const changed = ids.filter((id) => JSON.stringify(before.get(id)) !== JSON.stringify(after.get(id)));
    expect(changed.length).toBeGreaterThan(0);
    if (reaches === EVERY) expect(changed).toEqual(ids);
    else expect([...new Set(changed.map((id) => id.split('/')[0]))].sort()).toEqual(reaches);
    // Where it is a word of its own, it is there, and was not before.
    if (!JSON.stringify(value).includes(SENTINEL)) return;
    for (const id of changed) {
      expect(JSON.stringify(before.get(id) ?? {})).not.toContain(SENTINEL);
      if (after.has(id)) expect(JSON.stringify(after.get(id))).toContain(SENTINEL);
    }
  });
});
