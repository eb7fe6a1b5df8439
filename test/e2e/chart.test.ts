/** The Helm chart describes what manifests/ does, and hands each option on as it is written. No cluster is needed for that. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { V1ValidatingAdmissionPolicy } from '@kubernetes/client-node';
import { beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { backstopLiterals } from '../../src/cli/backstop-literals.ts';
import { judgeLiterals } from '../../src/cli/check/backstop.ts';
import { judgePolicies } from '../../src/cli/check/policies.ts';
import { readConfig } from '../../src/config/config.ts';
import { OPTIONS, type Option, type OptionName } from '../../src/config/options.ts';
import type { Container } from '../../src/sideload/pod.ts';
import { CHART, find, helm, isHook, type KubernetesObject, NAMESPACE, objectsOf, RELEASE, runHelm } from './chart.ts';
import { chartReadme } from './chart-readme.ts';
import { findBinaries } from './cluster/binaries.ts';
import { findHelm, HELM_VERSIONS } from './cluster/helm.ts';
import { writeKustomization } from './kustomization.ts';

const _MANIFESTS = fileURLToPath(new URL('../../manifests', import.meta.url));
const dir = mkdtempSync(join(tmpdir(), 'sideload-chart-'));

async function render(values: object = {}, release = RELEASE, namespace = NAMESPACE): Promise<KubernetesObject[]> {
  return objectsOf(await runHelm(4, ['template', release, CHART, '-n', namespace], values));
}

const idOf = ({ kind, metadata }: KubernetesObject): string => `${kind} ${metadata.namespace ?? ''}/${metadata.name}`;

const HELM_LABELS = ['app.kubernetes.io/instance', 'app.kubernetes.io/version', 'app.kubernetes.io/managed-by', 'helm.sh/chart'];

/** Without what only Helm writes, and without the Namespace, which Helm makes itself; every object has the two labels of manifests/base. */
function comparable(objects: readonly KubernetesObject[]): Record<string, unknown> {
  const own = objects.filter((object) => object.kind !== 'Namespace' && !isHook(object));
  const plain = JSON.parse(JSON.stringify(own, (key, value) => (HELM_LABELS.includes(key) ? undefined : value))) as KubernetesObject[];
  const labels = { 'app.kubernetes.io/name': 'openshell-sideload', 'app.kubernetes.io/part-of': 'openshell' };
  // kustomize does not know that these are of the cluster; an API server takes their namespace away.
  for (const { kind, metadata } of plain) if (kind.startsWith('ValidatingAdmissionPolicy')) delete metadata.namespace;
  return Object.fromEntries(
    plain.map((object) => [
      idOf(object),
      { ...object, metadata: { ...object.metadata, labels: { ...labels, ...object.metadata.labels } } },
    ]),
  );
}

/** What kubectl makes of parts of manifests/. */
function kustomize(name: string, resource: string, components: readonly string[]): KubernetesObject[] {
  const folder = writeKustomization(join(dir, name), resource, components);
  return objectsOf(execFileSync(findBinaries().kubectl, ['kustomize', folder], { encoding: 'utf8' }));
}

let readme = '';

beforeAll(() => {
  for (const major of HELM_VERSIONS) findHelm(major);
  readme = chartReadme();
});

describe('the chart describes the same objects as', () => {
  const existingSecret = { source: 'existingSecret', existingSecret: { name: 'openshell-sideload-tls' } };
  it.each([
    { what: 'manifests/base', resource: 'base', components: [], values: {} },
    {
      what: 'the overlay cert-manager',
      resource: 'overlays/cert-manager',
      components: [],
      values: { certificates: { source: 'certManager' } },
    },
    { what: 'the overlay existing-secret', resource: 'overlays/existing-secret', components: [], values: { certificates: existingSecret } },
    { what: 'the overlay openshift', resource: 'overlays/openshift', components: [], values: { openshift: { enabled: true } } },
    {
      what: 'the overlay cert-manager with the component openshift',
      resource: 'overlays/cert-manager',
      components: ['openshift'],
      values: { certificates: { source: 'certManager' }, openshift: { enabled: true } },
    },
    { what: 'the component autoscaling', resource: 'base', components: ['autoscaling'], values: { autoscaling: { enabled: true } } },
    {
      what: 'the component policy',
      resource: 'base',
      components: ['policy'],
      values: { policy: 'configmap:sandbox-policy' },
    },
    { what: 'the component aks', resource: 'base', components: ['aks'], values: { aks: { enabled: true } } },
    {
      what: 'the component host-network',
      resource: 'base',
      components: ['host-network'],
      values: { hostNetwork: true, port: 8443 },
    },
    { what: 'the component unguarded', resource: 'base', components: ['unguarded'], values: { countUnguarded: true } },
    { what: 'the component owner-events', resource: 'base', components: ['owner-events'], values: { ownerEvents: true } },
    {
      what: 'the component tracing',
      resource: 'base',
      components: ['tracing'],
      values: { tracing: { endpoint: 'http://opentelemetry-collector.observability:4318' } },
    },
    { what: 'the component backstop', resource: 'base', components: ['backstop'], values: { backstop: { enabled: true } } },
    {
      what: 'the component monitoring',
      resource: 'base',
      components: ['monitoring'],
      values: { monitoring: { podMonitor: { enabled: true }, prometheusRule: { enabled: true }, dashboard: { enabled: true } } },
    },
  ])('$what', async ({ what, resource, components, values }) => {
    const expected = comparable(kustomize(what.replaceAll(/\W/g, '-'), resource, components));
    expect(Object.keys(expected).length).toBeGreaterThan(10);
    expect(comparable(await render(values))).toEqual(expected);
  });
});

/** The command line of the webhook's container, as a kubelet expands it. */
const argsOf = (objects: readonly KubernetesObject[]): string[] =>
  (find(objects, 'Deployment').spec.template.spec.containers[0] as Container).args?.map((arg) =>
    arg.replaceAll(/\$\$|\$\(OPENSHELL_NAMESPACE\)/g, (found) => (found === '$$' ? '$' : NAMESPACE)),
  ) ?? [];

describe('the options', () => {
  /** Set by the chart itself, from the release and from certificates.source. */
  const EXCLUDED = [
    'certificates',
    'tls-cert-dir',
    'require-client-cert',
    'entrypoint-map',
    'registry-ca',
    'registry-config',
    'webhook-namespace',
    'service-name',
    'webhook-configuration',
    'ca-secret',
  ] as const;
  type Chosen = Exclude<OptionName, (typeof EXCLUDED)[number]>;
  /** A value for each, as the chart takes it and as its flag does. */
  const EXAMPLES: Record<Chosen, readonly [value: unknown, ...flags: string[]]> = {
    'supervisor-image': ['registry.example:5000/openshell/supervisor:1.2.3', 'registry.example:5000/openshell/supervisor:1.2.3'],
    'supervisor-image-pull-policy': ['', ''],
    'supervisor-image-layout': ['community', 'community'],
    'supervisor-sideload-method': ['auto', 'auto'],
    'allowed-sideload-methods': [['init-container', 'host-path'], 'init-container,host-path'],
    'supervisor-capabilities': [[], ''],
    'supervisor-apparmor-profile': ['Localhost/openshell', 'Localhost/openshell'],
    'supervisor-env': [
      [
        { name: 'OPENSHELL_ENDPOINT', value: 'https://gateway:8080' },
        { name: 'ODD', value: ' a="b", $(OPENSHELL_NAMESPACE) $$ \\ ' },
      ],
      'OPENSHELL_ENDPOINT=https://gateway:8080',
      'ODD= a="b", $(OPENSHELL_NAMESPACE) $$ \\ ',
    ],
    neighbours: ['warn', 'warn'],
    'max-connections': [500, '500'],
    'max-connections-per-peer': [100, '100'],
    'trusted-supervisor-images': [['mirror.example/supervisor'], 'mirror.example/supervisor'],
    'missing-command': ['refuse', 'refuse'],
    entrypoint: ['off', 'off'],
    'inspect-images': ['always', 'always'],
    'pin-resolved-images': [false, 'false'],
    'registry-hosts': [['registry.example:5000', 'ghcr.io'], 'registry.example:5000,ghcr.io'],
    'registry-plain-http': [['localhost:5000'], 'localhost:5000'],
    'registry-mirrors': [['docker.io=mirror.example:5000/hub'], 'docker.io=mirror.example:5000/hub'],
    'pinned-env': [[{ name: 'COMPANY', value: 'a=b' }], 'COMPANY=a=b'],
    'supervisor-arg': [
      ['--upstream-proxy=http://proxy:3128', '--upstream-proxy-auth-allow-insecure'],
      '--upstream-proxy=http://proxy:3128',
      '--upstream-proxy-auth-allow-insecure',
    ],
    'upstream-proxy-auth-secret': ['proxy/credentials', 'proxy/credentials'],
    policy: ['image:registry.example/policy:1', 'image:registry.example/policy:1'],
    'policy-rules': ['configmap:openshell-rules', 'configmap:openshell-rules'],
    'policy-mode': ['default', 'default'],
    'missing-policy': ['warn', 'warn'],
    'unreachable-probes': ['warn', 'warn'],
    'sandbox-uid': [1000680000, '1000680000'],
    'sandbox-gid': [2147483647, '2147483647'],
    'sandbox-workdir': ['/home/agent', '/home/agent'],
    port: [9443, '9443'],
    'admin-port': [9081, '9081'],
    'bind-address': ['0.0.0.0', '0.0.0.0'],
    'ca-lifetime': ['48h', '48h'],
    'serving-cert-lifetime': ['90m', '90m'],
    'ca-settle-time': ['30s', '30s'],
    preflight: ['off', 'off'],
    'count-unguarded': [true, 'true'],
    'owner-events': [true, 'true'],
    'tls-min-version': ['TLSv1.2', 'TLSv1.2'],
    'shutdown-delay': [0, '0'],
    'log-level': ['debug', 'debug'],
  };
  const keyOf = (option: string): string => option.replaceAll(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
  const exampleOf = (option: Chosen): object => ({ [keyOf(option)]: EXAMPLES[option][0] });
  it('each have a value of the flag’s name', () => {
    const values = parse(readFileSync(join(CHART, 'values.yaml'), 'utf8'));
    const options = Object.keys(OPTIONS).filter((option) => !EXCLUDED.some((excluded) => excluded === option));
    expect(Object.keys(values)).toEqual(expect.arrayContaining(options.map(keyOf)));
    expect(Object.keys(EXAMPLES).sort()).toEqual(options.sort());
  });

  it('reach the webhook as they are written', async () => {
    const values = Object.assign({}, ...(Object.keys(EXAMPLES) as Chosen[]).map(exampleOf));
    const flags = Object.entries(EXAMPLES).flatMap(([option, [, ...texts]]) => texts.map((text) => `--${option}=${text}`));
    expect(readConfig(argsOf(await render(values)), {})).toEqual(readConfig(flags, {}));
  });

  it.each(Object.keys(EXAMPLES) as Chosen[])('and each alone: %s', async (option) => {
    const [, ...texts] = EXAMPLES[option];
    const others = option === 'port' ? [] : ['--port=10250'];
    expect(argsOf(await render(exampleOf(option))).sort()).toEqual([...others, ...texts.map((text) => `--${option}=${text}`)].sort());
  });

  it('have the webhook’s own defaults where they are null, or absent', async () => {
    const nulls = Object.fromEntries(Object.keys(EXAMPLES).map((option) => [keyOf(option), null]));
    expect(argsOf(await render({ ...nulls, port: 10250, adminPort: 8081 }))).toEqual(['--port=10250']);
  });

  it('move the ports, and the time that a pod is given to end', async () => {
    const { spec } = find(await render({ port: 9443, adminPort: 9081, shutdownDelay: 20 }), 'Deployment').spec.template;
    expect(spec.containers[0].ports).toEqual([
      { name: 'https', containerPort: 9443 },
      { name: 'admin', containerPort: 9081 },
    ]);
    expect(spec.terminationGracePeriodSeconds).toBe(45);
    expect(find(await render({ shutdownDelay: 0 }), 'Deployment').spec.template.spec.terminationGracePeriodSeconds).toBe(25);
  });

  it.each([
    ['supervisor-image', 'two words', "at '/supervisorImage': 'two words' does not match pattern"],
    ['supervisor-image-pull-policy', 'Sometimes', "at '/supervisorImagePullPolicy': value must be one of"],
    ['supervisor-image-layout', 'flat', "at '/supervisorImageLayout': value must be one of 'scratch', 'community', <nil>"],
    ['supervisor-sideload-method', 'magic', "at '/supervisorSideloadMethod': value must be one of"],
    ['allowed-sideload-methods', ['auto'], "at '/allowedSideloadMethods/0': value must be one of"],
    ['allowed-sideload-methods', [], "at '/allowedSideloadMethods': minItems: got 0, want 1"],
    ['supervisor-capabilities', ['CAP_SYS_ADMIN'], "at '/supervisorCapabilities/0': 'not' failed"],
    ['supervisor-capabilities', ['ALL'], "at '/supervisorCapabilities/0': 'not' failed"],
    ['supervisor-apparmor-profile', 'localhost/x', "at '/supervisorApparmorProfile': 'localhost/x' does not match pattern"],
    ['missing-command', 'ignore', "at '/missingCommand': value must be one of"],
    ['sandbox-uid', 0, "at '/sandboxUid': minimum: got 0, want 1"],
    ['sandbox-gid', 'staff', "at '/sandboxGid': got string, want null or integer"],
    ['sandbox-workdir', 'sandbox', "at '/sandboxWorkdir': 'sandbox' does not match pattern"],
    ['port', 65536, "at '/port': maximum: got 65,536, want 65,535"],
    ['bind-address', 'localhost', "at '/bindAddress': 'anyOf' failed"],
    ['ca-lifetime', '1 year', "at '/caLifetime': '1 year' does not match pattern"],
    ['preflight', 'maybe', "at '/preflight': value must be one of"],
    ['tls-min-version', 'TLSv1.1', "at '/tlsMinVersion': value must be one of"],
    ['shutdown-delay', 61, "at '/shutdownDelay': maximum: got 61, want 60"],
    ['log-level', 'trace', "at '/logLevel': value must be one of"],
  ] as const)('refuse what the webhook would: %s %j', async (option, value, message) => {
    const { parse: read }: Option<unknown> = OPTIONS[option];
    expect(() => read(String(value))).toThrow();
    const { code, stderr } = await helm(4, ['template', RELEASE, CHART], { [keyOf(option)]: value });
    expect(code).toBe(1);
    expect(stderr).toContain(message);
  });

  it.each([
    [{ supervisorimage: 'x' }, "at '': additional properties 'supervisorimage' not allowed"],
    [{ certificates: { source: 'self-managed' } }, "at '/certificates/source': value must be one of"],
    [{ certificates: { source: 'existingSecret' } }, "at '/certificates/existingSecret': missing property 'name'"],
    [
      { certificates: { source: 'existingSecret', existingSecret: { name: 'tls', caBundle: 'LS0t' } } },
      "at '/certificates/existingSecret/caBundle': 'LS0t' does not match pattern",
    ],
    [{ port: null }, "at '': missing property 'port'"],
    [{ image: { digest: 'latest' } }, "at '/image/digest': 'latest' does not match pattern"],
    [{ supervisorEnv: [{ name: 'A', value: 'B\nC=D' }] }, "at '/supervisorEnv/0/value'"],
    [{ extraArgs: ['--policy=none'] }, 'extraArgs has "--policy=none": --policy follows from the chart\'s values, set those'],
    [{ extraArgs: ['--supervisor-env=A=B'] }, "--supervisor-env follows from the chart's values"],
    [{ extraArgs: ['log-level=debug'] }, "at '/extraArgs/0': 'log-level=debug' does not match pattern"],
    [{ extraEnv: [{ name: 'OPENSHELL_POLICY', value: 'none' }] }, "at '/extraEnv/0/name': 'not' failed"],
    [{ podLabels: { 'openshell.ai/sandbox': 'true' } }, "at '/podLabels/openshell.ai~1sandbox': false schema"],
    [{ commonLabels: { 'app.kubernetes.io/name': 'x' } }, "at '/commonLabels/app.kubernetes.io~1name': false schema"],
    [{ readinessProbe: { httpGet: {} } }, "at '/readinessProbe': additional properties 'httpGet' not allowed"],
    [{ hostNetwork: true }, "hostNetwork: true with port: 10250, which is the kubelet's on every node"],
    [
      { global: { imageRegistry: 'https://mirror.example' } },
      "at '/global/imageRegistry': 'https://mirror.example' does not match pattern",
    ],
  ])('%j is refused too', async (values, message) => {
    const { code, stderr } = await helm(4, ['template', RELEASE, CHART], values);
    expect([code, stderr]).toEqual([1, expect.stringContaining(message)]);
  });
});

it('the README has the table that helm-docs makes of values.yaml: npm run docs:chart writes it', () => {
  expect(readFileSync(join(CHART, 'README.md'), 'utf8')).toBe(readme);
});

describe('a release', () => {
  it('is linted without a word by both', async () => {
    for (const major of HELM_VERSIONS) expect(await runHelm(major, ['lint', '--strict', CHART])).toContain('0 chart(s) failed');
  });

  it('can pin the webhook’s image by digest', async () => {
    const digest = `sha256:${'0'.repeat(64)}`;
    const pods = (await render({ image: { repository: 'registry.example/webhook', tag: '2', digest } })).flatMap(
      ({ spec }) => spec?.containers ?? spec?.template?.spec.containers ?? [],
    ) as Container[];
    expect(pods.map(({ image }) => image)).toEqual(Array(2).fill(`registry.example/webhook@${digest}`));
  });

  it.each([
    ['openshell-sideload', 'mirror.example/hub', 'mirror.example/hub/openshell-sideload'],
    ['team/openshell-sideload', 'mirror.example:5000', 'mirror.example:5000/team/openshell-sideload'],
    ['registry.example/team/openshell-sideload', 'mirror.example', 'mirror.example/team/openshell-sideload'],
    ['localhost/openshell-sideload', 'mirror.example', 'mirror.example/openshell-sideload'],
    ['registry.example/openshell-sideload', '', 'registry.example/openshell-sideload'],
  ])('takes its image %s from the registry of a parent chart, %s', async (repository, imageRegistry, expected) => {
    const pull = { global: { imageRegistry, imagePullSecrets: ['shared', { name: 'named' }] } };
    const objects = await render({ ...pull, image: { repository, tag: '2', pullSecrets: [{ name: 'named' }, { name: 'own' }] } });
    for (const { containers, imagePullSecrets } of [find(objects, 'Deployment').spec.template.spec, find(objects, 'Pod').spec]) {
      expect(containers[0].image).toBe(`${expected}:2`);
      expect(imagePullSecrets).toEqual([{ name: 'shared' }, { name: 'named' }, { name: 'own' }]);
    }
  });

  it('replaces an old replica before it makes a new one where they would share the ports of a node', async () => {
    const { strategy, template } = find(await render({ hostNetwork: true, port: 8443 }), 'Deployment').spec;
    expect(strategy).toEqual({ rollingUpdate: { maxSurge: 0, maxUnavailable: 1 } });
    expect(template.spec).toMatchObject({ hostNetwork: true, dnsPolicy: 'ClusterFirstWithHostNet' });
    const own = { type: 'Recreate' };
    expect(find(await render({ hostNetwork: true, port: 8443, strategy: own }), 'Deployment').spec.strategy).toEqual(own);
  });

  it('keeps the label by which alerts and `check` find the webhook, whatever its name is', async () => {
    for (const values of [{ nameOverride: 'guard' }, { fullnameOverride: 'guard' }]) {
      const { metadata, spec } = find(await render(values, 'one'), 'Deployment');
      expect(metadata.name).toMatch(/guard$/);
      expect(spec.template.metadata.labels).toMatchObject({ 'app.kubernetes.io/name': 'openshell-sideload' });
    }
  });

  it.each([
    { values: {}, says: 'pod-security.kubernetes.io/enforce=restricted', not: 'privileged' },
    { values: { hostNetwork: true, port: 8443 }, says: 'pod-security.kubernetes.io/enforce=privileged', not: 'restricted' },
    { values: { policy: 'configmap:sandbox-policy' }, says: 'port-forward', not: 'A sandbox needs a policy' },
    { values: { policy: 'none' }, says: 'A sandbox needs a policy', not: 'oc create' },
    { values: { openshift: { enabled: true } }, says: '--clusterrole=openshell-sideload-sandbox', not: 'No caBundle' },
    {
      values: { certificates: { source: 'existingSecret', existingSecret: { name: 'tls' } } },
      says: 'No caBundle was given',
      not: 'delete secret',
    },
    { values: { adminPort: 9081 }, says: 'localhost:9081/readyz', not: '8081' },
  ])('says in its notes what is so with $values', async ({ values, says, not }) => {
    const text = await runHelm(4, ['install', RELEASE, CHART, '-n', NAMESPACE, '--dry-run=client'], values);
    const notes = text.slice(text.indexOf('\nNOTES:'));
    expect(notes).toContain(says);
    expect(notes).not.toContain(not);
  });

  it('shares nothing with another one in its namespace, and the webhook knows its names', async () => {
    const values = { backstop: { enabled: true }, openshift: { enabled: true } };
    const [one, two] = await Promise.all([render(values, 'one', 'platform'), render(values, 'two', 'platform')]);
    const ids = new Set(one.map(idOf));
    expect(two.map(idOf).filter((id) => ids.has(id))).toEqual([]);
    expect(JSON.stringify(two)).not.toContain(NAMESPACE);
    expect(JSON.stringify(two)).not.toContain('one-openshell-sideload');
    const [deployment, service, configuration] = ['Deployment', 'Service', 'MutatingWebhookConfiguration'].map((kind) => find(two, kind));
    expect(service?.spec.selector).toEqual({ 'app.kubernetes.io/name': 'openshell-sideload', 'app.kubernetes.io/instance': 'two' });
    expect(deployment?.spec.template.metadata.labels).toMatchObject(service?.spec.selector);
    const config = readConfig(deployment?.spec.template.spec.containers[0].args, {
      OPENSHELL_NAMESPACE: 'platform',
      OPENSHELL_CERTIFICATES: 'self-managed',
    });
    expect(config.certificates).toMatchObject({
      names: { dns: expect.arrayContaining([`${service?.metadata.name}.platform.svc`]) },
      objects: {
        namespace: 'platform',
        secret: find(two, 'Role').rules[0].resourceNames[0],
        webhookConfiguration: configuration?.metadata.name,
      },
    });
  });

  it('has no right that it does not need', async () => {
    const roles = async (values: object) => {
      const objects = await render({ preflight: 'off', certificates: { source: 'certManager' }, ...values });
      return objects
        .filter((object) => !isHook(object) && /Role/.test(object.kind ?? ''))
        .map(({ kind, metadata }) => `${kind} ${metadata?.name}`);
    };
    // Bound nowhere.
    expect(await roles({})).toEqual(['ClusterRole openshell-sideload-pull-secrets']);
    expect(await roles({ entrypoint: 'off', missingCommand: 'refuse' })).toEqual([]);
  });

  it('lets the webhook reach the collector of its spans', async () => {
    const portsFor = async (endpoint: string): Promise<number[]> =>
      find(await render({ tracing: { endpoint } }), 'NetworkPolicy').spec.egress[0].ports.map(({ port }: { port: number }) => port);
    expect((await portsFor('http://collector.observability:4319')).at(-1)).toBe(4319);
    expect((await portsFor('http://[fd00::1]')).at(-1)).toBe(80);
    expect((await portsFor('https://collector.example/base')).at(-1)).toBe(443);
  });

  it('mounts the CA of client certificates, and asks for them', async () => {
    const objects = await render({ requireClientCert: { configMap: 'apiserver-client-ca' } });
    const { spec } = find(objects, 'Deployment').spec.template;
    expect(spec.volumes).toEqual([
      { name: 'clients', configMap: { name: 'apiserver-client-ca', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
    ]);
    expect(spec.containers[0].volumeMounts).toEqual([{ name: 'clients', mountPath: '/clients', readOnly: true }]);
    expect(readConfig(argsOf(objects), {}).clientAuthorities).toBe('/clients/ca.crt');
  });

  it('mounts the files that say what images run, and where registries are', async () => {
    const objects = await render({
      entrypointMap: { configMap: 'programs' },
      registryCa: { configMap: 'trust', key: 'bundle.pem' },
      registryConfig: { secret: 'registries' },
    });
    const { spec } = find(objects, 'Deployment').spec.template;
    expect(spec.volumes).toEqual([
      { name: 'entrypoints', configMap: { name: 'programs', items: [{ key: 'map.yaml', path: 'map.yaml' }] } },
      { name: 'registry-ca', configMap: { name: 'trust', items: [{ key: 'bundle.pem', path: 'ca.crt' }] } },
      {
        name: 'registry-config',
        secret: { secretName: 'registries', defaultMode: 0o440, items: [{ key: '.dockerconfigjson', path: 'config.json' }] },
      },
    ]);
    expect(spec.securityContext.fsGroup).toBe(65532);
    expect(readConfig(argsOf(objects), {}).images).toMatchObject({
      map: '/entrypoints/map.yaml',
      authorities: '/registry-ca/ca.crt',
      credentials: '/registry-config/config.json',
    });
  });

  it('tells the backstop what the webhook trusts', async () => {
    const values = {
      backstop: { enabled: true, ephemeralContainers: 'allow' },
      supervisorImage: `registry.example:5000/openshell/supervisor:1@sha256:${'a'.repeat(64)}`,
      supervisorSideloadMethod: 'host-path',
      trustedSupervisorImages: ['mirror.example/supervisor', 'nginx', 'index.docker.io/a/b', 'docker.io/c', 'localhost/d'],
      allowedSideloadMethods: ['host-path'],
      supervisorArg: ['--upstream-proxy=http://proxy:3128', '--upstream-proxy-auth-allow-insecure'],
      upstreamProxyAuthSecret: 'proxy/credentials',
      pinnedEnv: [
        { name: 'A', value: '1' },
        { name: 'B', value: 'x=y' },
      ],
      policy: 'configmap:sandbox-policy',
    };
    const objects = await render(values);
    const policy = objects.find(({ kind, metadata }) => kind === 'ValidatingAdmissionPolicy' && metadata?.name?.endsWith('-backstop'));
    expect(judgeLiterals(policy as V1ValidatingAdmissionPolicy, backstopLiterals(readConfig(argsOf(objects), {})))).toEqual([]);
    const { variables } = (policy as V1ValidatingAdmissionPolicy).spec ?? {};
    expect(variables?.find(({ name }) => name === 'ephemeralContainers')?.expression).toBe('"allow"');
  });

  it('injects without the webhook, by the policies that the command prints for the same options', async () => {
    const install = async (values: object, flags: readonly string[], name = RELEASE, namespace = NAMESPACE) => {
      const objects = await render({ mode: 'policy', ...values }, name, namespace);
      expect(objects.map(({ kind }) => kind).filter((kind) => !/AdmissionPolicy(Binding)?$/.test(kind ?? ''))).toEqual([]);
      const config = readConfig([...flags, '--entrypoint=off', `--webhook-namespace=${namespace}`], {});
      return judgePolicies({
        name: name === RELEASE ? name : `${name}-openshell-sideload`,
        objects: objects as never,
        config,
        ephemeralContainers: 'refuse',
      });
    };
    expect(await install({}, ['--missing-command=refuse'])).toEqual([]);
    expect(await install({}, ['--missing-command=refuse'], 'two', 'platform')).toEqual([]);
    const values = {
      supervisorImage: 'registry.example:5000/openshell/supervisor:1',
      supervisorImagePullPolicy: '',
      supervisorImageLayout: 'community',
      supervisorSideloadMethod: 'host-path',
      allowedSideloadMethods: ['host-path'],
      supervisorCapabilities: [],
      supervisorApparmorProfile: '',
      supervisorEnv: [{ name: 'A', value: '<a> & "b"' }],
      pinnedEnv: [{ name: 'B', value: 'secret:b/c' }],
      supervisorArg: ['--upstream-proxy=http://proxy:3128', '--upstream-proxy-auth-allow-insecure'],
      upstreamProxyAuthSecret: 'proxy/credentials',
      policy: 'configmap:sandbox-policy',
      policyRules: 'configmap:rules',
      missingPolicy: 'warn',
      unreachableProbes: 'warn',
      neighbours: 'warn',
      missingCommand: 'shell',
      sandboxUid: 1000680000,
      sandboxGid: 2147483647,
      sandboxWorkdir: '/home/agent',
    };
    const flags = Object.entries(values).flatMap(([key, value]) => {
      const option = key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
      if (key === 'supervisorArg') return (value as string[]).map((word) => `--${option}=${word}`);
      if (/Env$/.test(key))
        return (value as unknown as { name: string; value: string }[]).map((each) => `--${option}=${each.name}=${each.value}`);
      return [`--${option}=${value}`];
    });
    expect(await install(values, flags)).toEqual([]);
  });

  it.each([
    [{ missingCommand: 'lookup' }, 'mode policy looks nothing up'],
    [{ registryHosts: ['registry.example'] }, 'mode policy looks nothing up'],
    [{ inspectImages: 'always' }, 'mode policy looks nothing up'],
    [{ supervisorSideloadMethod: 'auto' }, 'mode policy does not see the nodes'],
  ])('refuses what a policy cannot honour: %j', async (values, message) => {
    const { code, stderr } = await helm(4, ['template', RELEASE, CHART], { mode: 'policy', ...values });
    expect([code, stderr]).toEqual([1, expect.stringContaining(message)]);
  });

  it('holds no link once it is packaged', async () => {
    await runHelm(4, ['package', CHART, '-d', dir]);
    const text = await runHelm(4, ['template', RELEASE, join(dir, 'openshell-sideload-0.1.0.tgz'), '-n', NAMESPACE], {
      backstop: { enabled: true },
    });
    expect(comparable(objectsOf(text))).toEqual(comparable(await render({ backstop: { enabled: true } })));
  });
});
