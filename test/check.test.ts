import { X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { connect as connectTcp } from 'node:net';
import { PassThrough } from 'node:stream';
import { createServer } from 'node:tls';
import type { V1MutatingWebhook, V1MutatingWebhookConfiguration, V1ValidatingAdmissionPolicy } from '@kubernetes/client-node';
import { beforeAll, describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { backstopLiterals } from '../src/cli/backstop-literals.ts';
import { judgeLiterals } from '../src/cli/check/backstop.ts';
import { ENTRIES, entriesOf, judgeEntries } from '../src/cli/check/entries.ts';
import { failed, Obstacle, ok, skipped, warning } from '../src/cli/check/finding.ts';
import { shakeHands } from '../src/cli/check/handshake.ts';
import { json, progress, shown } from '../src/cli/check/report.ts';
import { installRights, webhookRights } from '../src/cli/check/rights.ts';
import { type Group, type Result, runChecks } from '../src/cli/check/run.ts';
import { requirementsOf, without, written } from '../src/cli/check/selectors.ts';
import { judgeBundle, judgeValidity, OTHERS, SELF_MANAGED, span } from '../src/cli/check/validity.ts';
import { ApiError } from '../src/cluster/client.ts';
import { readConfig } from '../src/config/config.ts';
import { issueServing, makeAuthority } from '../src/tls/issue.ts';
import { namesOfService } from '../src/tls/names.ts';
import type { CertificatePair } from '../src/tls/pair.ts';

const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
const IN_A_POD = readConfig([], { KUBERNETES_SERVICE_HOST: '' });
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

describe('the entries of the webhook configuration', () => {
  const shipped: V1MutatingWebhookConfiguration = parse(read('manifests/base/webhook.yaml'));
  /** As shipped, but for the first entry. */
  const changed = (change: Partial<V1MutatingWebhook>): V1MutatingWebhook[] => {
    const [first, ...others] = entriesOf(structuredClone(shipped));
    return [{ ...(first as V1MutatingWebhook), ...change }, ...others];
  };
  const OPTED_IN = { 'openshell.ai/sideload': 'enabled' };
  const alsoFor = (key: string) => ({
    matchExpressions: [...(shipped.webhooks?.[0]?.objectSelector?.matchExpressions ?? []), { key, operator: 'Exists' }],
  });

  it('are fine as they are shipped', () => {
    expect(judgeEntries(entriesOf(shipped))).toEqual([]);
    expect(Object.keys(ENTRIES)).toEqual(shipped.webhooks?.map(({ name }) => name));
  });

  it.each<[string, Partial<V1MutatingWebhook>]>([
    ['failurePolicy is Ignore', { failurePolicy: 'Ignore' }],
    ['reinvocationPolicy is Never', { reinvocationPolicy: 'Never' }],
    ['objectSelector asks for team too', { objectSelector: alsoFor('team') }],
    ['objectSelector asks for openshell.ai/sandbox in (yes) too', { objectSelector: { matchLabels: { 'openshell.ai/sandbox': 'yes' } } }],
    ['matchConditions friends skip sandboxes', { matchConditions: [{ name: 'friends', expression: 'false' }] }],
    ['it does not call /mutate:', { clientConfig: { service: { name: 'a', namespace: 'b', path: '/mutate/enforced' } } }],
    ['no rule covers the creation of pods', { rules: [] }],
    ['no rule covers', { rules: [{ operations: ['UPDATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods'] }] }],
    ['no rule covers', { rules: [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods/exec'] }] }],
    ['no rule covers', { rules: [{ operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*'], scope: 'Cluster' }] }],
  ])('let sandboxes pass: %s', (sentence, change) => {
    const findings = judgeEntries(changed(change)).filter(({ status }) => status === 'failed');
    expect(findings).toMatchObject([{ detail: expect.stringContaining(sentence), fix: expect.stringContaining('kubectl apply') }]);
  });

  it.each<[string, Partial<V1MutatingWebhook>]>([
    [
      'objectSelector does not ask for openshell.ai/sandbox notin (false)',
      { objectSelector: { matchExpressions: [{ key: 'openshell.ai/sandbox', operator: 'Exists' }] } },
    ],
    [
      'namespaceSelector does not ask for openshell.ai/sideload in (enabled)',
      { namespaceSelector: { matchExpressions: [{ key: 'openshell.ai/policy-mode', operator: 'NotIn', values: ['enforced'] }] } },
    ],
    ['namespaceSelector does not ask for openshell.ai/policy-mode notin (enforced)', { namespaceSelector: { matchLabels: OPTED_IN } }],
    ['matchPolicy is Exact', { matchPolicy: 'Exact' }],
    ['sideEffects is NoneOnDryRun: with --owner-events=false it is None', { sideEffects: 'NoneOnDryRun' }],
    ['timeoutSeconds is 1', { timeoutSeconds: 1 }],
  ])('are looked at twice: %s', (sentence, change) => {
    expect(judgeEntries(changed(change))).toMatchObject([{ status: 'warning', detail: expect.stringContaining(sentence) }]);
  });

  it.each<[string, Partial<V1MutatingWebhook>]>([
    [
      'a narrower namespaceSelector',
      { namespaceSelector: { ...shipped.webhooks?.[0]?.namespaceSelector, matchLabels: { ...OPTED_IN, team: 'a' } } },
    ],
    ['a wider rule', { rules: [{ operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*'], scope: '*' }] }],
    ['a longer timeout', { timeoutSeconds: 30 }],
  ])('may be the operator’s own: %s', (_what, change) => {
    expect(judgeEntries(changed(change))).toEqual([]);
  });

  it('have side effects where the webhook writes Events', () => {
    const withEvents = entriesOf(shipped).map((entry) => ({ ...entry, sideEffects: 'NoneOnDryRun' }));
    expect(judgeEntries(withEvents, true)).toEqual([]);
    expect(judgeEntries(entriesOf(shipped), true)).toHaveLength(4);
  });

  it('have to be there, all of them', () => {
    expect(judgeEntries(entriesOf(shipped).slice(1))).toMatchObject([
      {
        status: 'failed',
        detail:
          'entry sandbox.sideload.openshell.ai is missing: pods with openshell.ai/sandbox, openshell.ai/sandbox notin (false) start without their supervisor',
      },
    ]);
    expect(judgeEntries([])).toHaveLength(4);
  });
});

describe('label selectors', () => {
  it('are the same in whatever way they are written', () => {
    const one = requirementsOf({ matchLabels: { a: 'x' }, matchExpressions: [{ key: 'b', operator: 'NotIn', values: ['2', '1'] }] });
    const other = requirementsOf({
      matchExpressions: [
        { key: 'b', operator: 'NotIn', values: ['1', '2'] },
        { key: 'a', operator: 'In', values: ['x'] },
      ],
    });
    expect([without(one, other), without(other, one)]).toEqual([[], []]);
    expect(without(one, requirementsOf({ matchLabels: { a: 'x' } })).map(written)).toEqual(['b notin (1, 2)']);
    expect(requirementsOf(undefined)).toEqual([]);
  });
});

/** Rules of roles, one verb each. */
function granted(file: string): string[] {
  const documents = parseAllDocuments(read(file)).map((document) => document.toJS());
  return documents
    .filter(({ kind }) => kind === 'Role' || kind === 'ClusterRole')
    .flatMap(({ kind, rules }) =>
      rules.flatMap((rule: { verbs: string[]; apiGroups: string[]; resources: string[]; resourceNames?: string[] }) =>
        rule.resources.flatMap((resource) =>
          rule.verbs.map((verb) => [kind === 'Role', verb, rule.apiGroups[0], resource, rule.resourceNames?.[0]].join()),
        ),
      ),
    )
    .sort();
}

describe('the rights', () => {
  const asRules = (rights: ReturnType<typeof webhookRights>): string[] =>
    rights.map(({ namespace, verb, group, resource, name }) => [namespace !== undefined, verb, group, resource, name].join()).sort();

  it('of the webhook are those that the manifests grant', () => {
    const all = [...granted('manifests/base/rbac-certificates.yaml'), ...granted('manifests/base/rbac-preflight.yaml')].sort();
    expect(all.length).toBeGreaterThan(0);
    expect(asRules(webhookRights(IN_A_POD))).toEqual(all);
    expect(asRules(webhookRights(readConfig(['--tls-cert-dir=/tls'], { KUBERNETES_SERVICE_HOST: '' })))).toEqual(
      granted('manifests/base/rbac-preflight.yaml'),
    );
    expect(webhookRights(readConfig(['--tls-cert-dir=/tls', '--preflight=off'], {}))).toEqual([]);
    expect(asRules(webhookRights(readConfig(['--tls-cert-dir=/tls', '--preflight=off', '--count-unguarded=true'], {})))).toEqual(
      granted('manifests/components/unguarded/rbac.yaml'),
    );
  });

  it('of anyone who installs it cover every kind of manifests/base', () => {
    const files = readdirSync(new URL('../manifests/base', import.meta.url)).filter((file) => file !== 'kustomization.yaml');
    const objects = files.flatMap((file) => parseAllDocuments(read(`manifests/base/${file}`)).map((document) => document.toJS()));
    const needed = objects.map(
      ({ apiVersion, kind }) => `${apiVersion.includes('/') ? apiVersion.split('/')[0] : ''} ${kind.toLowerCase().replace(/y$/, 'ie')}s`,
    );
    expect(new Set(installRights('openshell-system').map(({ group, resource }) => `${group} ${resource}`))).toEqual(new Set(needed));
  });
});

describe('certificates', () => {
  const now = new Date();
  const at = (milliseconds: number): Date => new Date(now.getTime() + milliseconds);
  const names = namesOfService('openshell-sideload', 'openshell-system');
  const SERVICE = 'openshell-sideload.openshell-system.svc';
  let [ours, foreign]: CertificatePair[] = [];
  beforeAll(async () => {
    [ours, foreign] = await Promise.all([makeAuthority('ours', now, at(365 * DAY)), makeAuthority('foreign', now, at(100 * DAY))]);
  });
  /** A certificate with a life of 24 hours, by its remaining hours. */
  const ending = async (hours: number): Promise<X509Certificate> =>
    new X509Certificate((await makeAuthority('x', at((hours - 24) * HOUR), at(hours * HOUR))).cert);

  it.each([
    { hours: 20, limit: SELF_MANAGED.serving, status: 'ok' },
    { hours: 7, limit: SELF_MANAGED.serving, status: 'ok' },
    { hours: 5, limit: SELF_MANAGED.serving, status: 'warning' },
    { hours: -1, limit: SELF_MANAGED.serving, status: 'failed' },
    { hours: 7, limit: SELF_MANAGED.ca, status: 'warning' },
    { hours: 7, limit: { part: 1 / 3, atMost: HOUR }, status: 'ok' },
    { hours: 48, limit: SELF_MANAGED.serving, status: 'failed' },
  ])('that have $hours hours left of 24 are $status', async ({ hours, limit, status }) => {
    expect(judgeValidity('it', await ending(hours), now, limit, 'renew it')).toMatchObject({ status });
  });

  it('of others are a concern when little time is left, whatever their life', async () => {
    const ca = new X509Certificate((await makeAuthority('ten years', at(-3600 * DAY), at(50 * DAY))).cert);
    expect(judgeValidity('it', ca, now, OTHERS.ca, '').status).toBe('ok');
    expect(judgeValidity('it', ca, at(21 * DAY), OTHERS.ca, '').status).toBe('warning');
  });

  it('of a bundle are judged by the one that lives longest', () => {
    const judge = (bundle: string, moment = now) => judgeBundle('entry a', bundle, moment, SELF_MANAGED.ca, 'way');
    expect(judge(`${foreign?.cert}\n${ours?.cert}`, at(99 * DAY))).toMatchObject({
      status: 'ok',
      detail: expect.stringContaining('lives longest of its 2'),
    });
    expect(judge(ours?.cert ?? '', at(366 * DAY))).toMatchObject({ status: 'failed', detail: expect.stringContaining('expired') });
    expect(judge('')).toEqual(failed('entry a: it is empty, the API server trusts no replica', 'way'));
    expect(judge('-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----').detail).toContain('holds no certificate');
  });

  it('have a life that people can read', () => {
    expect([span(364.9 * DAY), span(47 * HOUR), span(61_000), span(-1)]).toEqual(['364 d', '47 h', '1 min', '0 min']);
  });

  describe('that are served', () => {
    /** Serves a pair, and shakes hands as the API server would. */
    const shake = async (pair: CertificatePair, name: string, bundle: string) => {
      const server = createServer({ cert: pair.cert, key: pair.key }).listen(0, '127.0.0.1');
      server.on('tlsClientError', () => undefined);
      await new Promise((done) => server.once('listening', done));
      try {
        return await shakeHands('replica', connectTcp((server.address() as AddressInfo).port, '127.0.0.1'), name, bundle);
      } finally {
        server.close();
      }
    };
    const leaf = (ca: CertificatePair | undefined, end = at(DAY)) => issueServing(ca as CertificatePair, names, at(-DAY), end);

    it('are trusted by the CA that signed them, for their names', async () => {
      const pair = await leaf(ours);
      const { certificate, distrust } = await shake(pair, SERVICE, `${foreign?.cert}\n${ours?.cert}`);
      expect([certificate.toString(), distrust]).toEqual([new X509Certificate(pair.cert).toString(), undefined]);
      expect((await shake(pair, '127.0.0.1', ours?.cert ?? '')).distrust).toBeUndefined();
      // As with Go: what is in the bundle is trusted, a root or not.
      expect((await shake(pair, SERVICE, pair.cert)).distrust).toBeUndefined();
    });

    it('are not trusted otherwise', async () => {
      const pair = await leaf(ours);
      expect((await shake(pair, 'other.openshell-system.svc', ours?.cert ?? '')).distrust).toBe('ERR_TLS_CERT_ALTNAME_INVALID');
      expect((await shake(pair, SERVICE, foreign?.cert ?? '')).distrust).toBe('UNABLE_TO_GET_ISSUER_CERT_LOCALLY');
      expect((await shake(pair, SERVICE, '')).distrust).toBe('UNABLE_TO_GET_ISSUER_CERT_LOCALLY');
      expect((await shake(await leaf(ours, at(-HOUR)), SERVICE, ours?.cert ?? '')).distrust).toBe('CERT_HAS_EXPIRED');
    });

    it('by nobody are an error', async () => {
      await expect(shakeHands('replica', connectTcp(1, '127.0.0.1'), SERVICE, '')).rejects.toThrow(
        'cannot shake hands with replica: connect ECONNREFUSED',
      );
    });
  });
});

describe('the literals of the backstop', () => {
  const shipped: V1ValidatingAdmissionPolicy = parseAllDocuments(read('manifests/components/backstop/stored.yaml'))[0]?.toJS();
  const judge = (...flags: string[]) => judgeLiterals(shipped, backstopLiterals(readConfig(flags, {})));

  it('agree with the webhook by default', () => {
    expect(judge()).toEqual([]);
  });

  it.each([
    { flags: ['--supervisor-image=registry.example/mirror/supervisor:1'], says: 'has another trustedSupervisorImages than the webhook' },
    { flags: [`--supervisor-image=nginx@sha256:${'a'.repeat(64)}`], says: `"docker.io/library/nginx@sha256:${'a'.repeat(64)}"` },
    { flags: ['--allowed-sideload-methods=image-volume,host-path'], says: 'has another allowedSideloadMethods than the webhook' },
    { flags: ['--neighbours=warn'], says: 'has another neighbours than the webhook: "by-method" instead of "warn"' },
    { flags: ['--policy=configmap:a'], says: 'has another operatorPolicy than the webhook: "none" instead of "configmap:a"' },
    { flags: ['--policy-rules=configmap:a'], says: 'has another operatorRules than the webhook: "same" instead of "configmap:a"' },
    {
      flags: ['--supervisor-arg=--upstream-proxy=http://s3cret:1'],
      says: 'has another supervisorArgs than the webhook: sandboxes are refused',
    },
    { flags: ['--pinned-env=TOKEN=s3cret'], says: 'has another pinnedEnv than the webhook: sandboxes are refused' },
    { flags: ['--supervisor-env=TOKEN=s3cret'], says: 'has another supervisorEnv than the webhook: sandboxes are refused' },
  ])('have to agree with $flags', ({ flags, says }) => {
    expect(judge(...flags)).toMatchObject([{ status: 'failed', detail: expect.stringContaining(says) }]);
    expect(JSON.stringify(judge(...flags))).not.toContain('s3cret');
  });

  it('are in any order, and a variable that is missing is another one', () => {
    const trusted = ['ghcr.io/nvidia/openshell-community/supervisor', 'ghcr.io/nvidia/openshell/supervisor'];
    expect(judge(`--trusted-supervisor-images=${trusted.join()}`)).toEqual([]);
    const without = { ...shipped, spec: { variables: shipped.spec?.variables?.filter(({ name }) => name !== 'neighbours') ?? [] } };
    expect(judgeLiterals(without, backstopLiterals(readConfig([], {})))).toMatchObject([
      { detail: expect.stringContaining('nothing instead of "by-method"') },
    ]);
  });
});

describe('a run', () => {
  const run = async (...groups: Group<string>[]): Promise<Result[]> => {
    const results: Result[] = [];
    for await (const result of runChecks(groups, 'context', () => undefined)) results.push(result);
    return results;
  };

  it('goes on after a failure, and skips what needs what failed', async () => {
    const results = await run(
      {
        heading: 'one',
        checks: [
          { name: 'a', run: async (context) => ok(`saw ${context}`) },
          { name: 'b', run: async () => [warning('hm'), failed('no', 'do')] },
        ],
      },
      {
        heading: 'two',
        checks: [
          { name: 'c', needs: ['a', 'b'], run: async () => ok('never') },
          { name: 'd', needs: ['c'], run: async () => ok('never') },
          { name: 'e', needs: ['a'], run: async () => skipped('nothing there') },
        ],
      },
    );
    expect(results.map(({ group, name, status, detail }) => [group, name, status, detail])).toEqual([
      ['one', 'a', 'ok', 'saw context'],
      ['one', 'b', 'warning', 'hm'],
      ['one', 'b', 'failed', 'no'],
      ['two', 'c', 'skipped', 'needs: b'],
      ['two', 'd', 'skipped', 'needs: c'],
      ['two', 'e', 'skipped', 'nothing there'],
    ]);
  });

  it('turns whatever a check throws into a failed check with a fix', async () => {
    const throwing = (name: string, error: unknown) => ({ name, run: async () => Promise.reject(error) });
    const forbidden = new ApiError('cannot list nodes: nodes is forbidden (403)', 403);
    const results = await run({
      heading: 'one',
      checks: [throwing('a', new Obstacle('absent', 'make it')), throwing('b', forbidden), throwing('c', 'text')],
    });
    expect(results).toMatchObject([
      { status: 'failed', detail: 'absent', fix: 'make it' },
      { status: 'failed', detail: forbidden.message, fix: expect.stringContaining('kubectl auth can-i') },
      { status: 'failed', detail: 'text', fix: expect.stringContaining('kubectl') },
    ]);
  });

  it('is shown with signs, and the fix below', async () => {
    const results = await run({
      heading: 'one',
      checks: [{ name: 'a', run: async () => [ok('fine'), failed('no', 'do this\nand that'), skipped('off')] }],
    });
    expect(results.map((result, index) => shown(result, results.slice(0, index), '1.2.3')).join('')).toBe(
      'one\n  ✓ a: fine\n  ✗ a: no\n      do this\n      and that\n  - a: off\n',
    );
    expect(JSON.parse(json(results, '1.2.3'))).toEqual({
      ok: false,
      checks: [
        { group: 'one', name: 'a', status: 'ok', detail: 'fine' },
        { group: 'one', name: 'a', status: 'failed', detail: 'no', fix: 'do this\nand that' },
        { group: 'one', name: 'a', status: 'skipped', detail: 'off' },
      ],
    });
    expect(
      JSON.parse(
        json(
          results.filter(({ status }) => status !== 'failed'),
          '1.2.3',
        ),
      ).ok,
    ).toBe(true);
  });
});

describe('progress', () => {
  const shown = (isTTY: boolean): string => {
    const stream = Object.assign(new PassThrough(), { isTTY });
    const { show, clear } = progress(stream);
    show('nodes');
    clear();
    return stream.read()?.toString() ?? '';
  };

  it('is a line that goes, on a terminal only', () => {
    expect(shown(true)).toBe('\u001b[1G\u001b[2K  … nodes\u001b[1G\u001b[2K');
    expect(shown(false)).toBe('');
  });
});

describe('ways out', () => {
  const sources = readdirSync(new URL('../src/cli/check', import.meta.url))
    .map((file) => read(`src/cli/check/${file}`))
    .join('\n');
  const references = [...new Set([...sources.matchAll(/(?:docs\/)?[\w-]+\.md#[\w-]+/g)].map(([reference]) => reference))];

  it.each(references)('lead to a section that is there: %s', (reference) => {
    const [file = '', anchor] = reference.split('#');
    const headings = [...read(file).matchAll(/^#+ (.*)$/gm)].map(([, text = '']) =>
      text
        .toLowerCase()
        .replace(/[^\w -]/g, '')
        .replaceAll(' ', '-'),
    );
    expect(headings).toContain(anchor);
  });

  it.each([...new Set([...sources.matchAll(/manifests\/[\w/-]+(?![\w/.-])/g)].map(([path]) => path))])(
    'name manifests that are there: %s',
    (path) => {
      expect(readdirSync(new URL(`../${path}`, import.meta.url))).toContain('kustomization.yaml');
    },
  );
});
