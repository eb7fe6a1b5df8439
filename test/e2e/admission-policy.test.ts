/**
 * Injection by admission policies (`openshell-sideload admission-policy`) on a real kube-apiserver, without any webhook: every pod
 * is stored as the webhook stores it, or refused, with the webhook's reason code.
 */

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compare } from 'fast-json-patch';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import { decide } from '../../src/sideload/decide.ts';
import type { Pod } from '../../src/sideload/pod.ts';
import { UNKNOWN_CLUSTER } from '../../src/sideload/settings.ts';
import { sandbox } from '../pods.ts';
import { CHOICES, CORPUS, ENFORCED_PODS, everyChange, GOLDENS, INJECTED, REFUSED } from './admission-policy/cases.ts';
import { comparePods, type PolicyCase } from './admission-policy/compare.ts';
import { type Stage, setStage } from './admission-policy/stage.ts';
import { type ControlPlane, openControlPlane } from './cluster/control-plane.ts';
import { waitFor } from './cluster/process.ts';
import { INJECTORS, type MutableSpec } from './interplay/injectors.ts';
import { type OtherWebhook, serveOtherWebhook } from './other-webhook.ts';

const dir = mkdtempSync(join(tmpdir(), 'sideload-admission-policy-'));
const settingsOf = (choice: number) => readConfig(CHOICES[choice]?.flags ?? [], {}).sideload;
let cluster: ControlPlane;
let stage: Stage;

beforeAll(async () => {
  cluster = await openControlPlane(join(dir, 'cluster'));
  stage = await setStage(
    cluster,
    dir,
    CHOICES,
    [...GOLDENS, ...CORPUS].map(({ pod }) => pod),
  );
});

afterAll(async () => {
  stage?.close();
  await cluster?.stop();
});

/** Some of a list, the same for one seed. */
function sample<T>(list: readonly T[], size: number, seed: number): T[] {
  let state = seed;
  const random = (): number => {
    // A linear congruential generator, as in POSIX's rand().
    state = (state * 1103515245 + 12345) % 2 ** 31;
    return state;
  };
  return list
    .map((item) => ({ item, order: random() }))
    .sort((one, other) => one.order - other.order)
    .slice(0, size)
    .map(({ item }) => item);
}

describe('policies and webhook store the same', () => {
  it('of every golden', async () => {
    const { differences, seen } = await comparePods(stage, GOLDENS);
    expect(differences).toEqual([]);
    expect(seen).toEqual({ stored: GOLDENS.length });
  });

  it('of every golden that is injected already', async () => {
    const { differences, seen } = await comparePods(stage, INJECTED);
    expect(differences).toEqual([]);
    expect(seen).toEqual({ stored: INJECTED.length });
  });

  it('of pods that are refused: nothing, for the same reason', async () => {
    const { differences, seen } = await comparePods(stage, REFUSED);
    expect(differences).toEqual([]);
    expect(seen.stored).toBeUndefined();
  });

  it('of every public pod', async () => {
    const { differences, seen } = await comparePods(stage, CORPUS);
    expect(differences).toEqual([]);
    expect(seen.stored).toBeGreaterThan(250);
  });

  it('where the label of a namespace enforces the policy', async () => {
    const { differences, seen } = await comparePods(stage, ENFORCED_PODS);
    expect(differences).toEqual([]);
    expect(seen).toMatchObject({ stored: 1, 'policy-not-allowed': expect.any(Number), 'policy-bypassed': expect.any(Number) });
  });

  /** EVERY_CHANGE=1: some 38,000 pods, `npm run e2e:policy`, which takes longer than any other test. */
  it('of pods with a part of them taken away, changed or added', { timeout: 3 * 60 * 60_000 }, async () => {
    const changes = [...everyChange(GOLDENS), ...everyChange(INJECTED)];
    const seed = Number(process.env.SEED ?? Date.now() % 100_000);
    const chosen = process.env.EVERY_CHANGE ? changes : sample(changes, 300, seed);
    const { differences, seen } = await comparePods(stage, chosen);
    expect(differences, `SEED=${seed}`).toEqual([]);
    expect(seen.stored).toBeGreaterThan(chosen.length / 3);
  });

  /** As large as an API server takes them, or as many as its limit of cost lets pass (docs/no-server.md). */
  it('of large pods', async () => {
    const [container] = sandbox().spec?.containers ?? [];
    const many = <T>(count: number, make: (index: number) => T): T[] => Array.from({ length: count }, (_, index) => make(index));
    const withEnv = (count: number, prefix: string): Pod => {
      const env = [...(container?.env ?? []), ...many(count, (index) => ({ name: `${prefix}${index}`, value: 'x' }))];
      return sandbox({ spec: { containers: [{ ...container, env }] } });
    };
    const mounts = many(1000, (index) => ({ name: `v${index}`, mountPath: `/m/${index}` }));
    const large: Record<string, Pod> = {
      '20,000 variables': withEnv(20_000, 'V'),
      '2,000 variables of OpenShell': withEnv(2000, 'OPENSHELL_'),
      'a word of 1 MB': sandbox({ spec: { containers: [{ ...container, args: ['x'.repeat(1_000_000)] }] } }),
      '10,000 words': sandbox({ spec: { containers: [{ ...container, args: many(10_000, () => 'word') }] } }),
      '1,000 mounts': sandbox({
        spec: { volumes: mounts.map(({ name }) => ({ name, emptyDir: {} })), containers: [{ ...container, volumeMounts: mounts }] },
      }),
      '500 containers': sandbox({
        spec: { containers: [{ ...container }, ...many(500, (index) => ({ name: `c${index}`, image: 'registry.example/c' }))] },
      }),
    };
    const { differences, seen } = await comparePods(
      stage,
      Object.entries(large).map(([what, pod]) => ({ what, pod, choice: 0 })),
    );
    expect(differences).toEqual([]);
    expect(seen).toEqual({ stored: Object.keys(large).length });
    // Beyond the limit of cost: refused, never stored.
    expect(await stage.create('policy', 0, withEnv(20_000, 'OPENSHELL_'))).toMatchObject({
      code: 403,
      message: expect.stringContaining('operation cancelled: actual cost limit exceeded'),
    });
  });
});

describe('beside other injectors', () => {
  let injectors: OtherWebhook;

  beforeAll(async () => {
    injectors = await serveOtherWebhook(dir, (pod, path) => {
      const injected = structuredClone(pod) as { spec: MutableSpec };
      INJECTORS[path.slice(1)]?.(injected.spec);
      return compare(pod, injected);
    });
    // The API server calls the webhook `decisions` first, by its name, and policies before all webhooks.
    const configuration = {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'MutatingWebhookConfiguration',
      metadata: { name: 'zz-injectors' },
      webhooks: Object.keys(INJECTORS).map((injector) => ({
        name: `${injector}.example.com`,
        admissionReviewVersions: ['v1'],
        sideEffects: 'None',
        clientConfig: injectors.clientConfig(`/${injector}`),
        rules: [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods'] }],
        objectSelector: { matchLabels: { injector } },
      })),
    };
    await cluster.run(['create', '-f', '-'], JSON.stringify(configuration));
    const sidecar = sandbox({ labels: { injector: 'native-sidecar' } });
    await waitFor(
      'the injectors are called',
      async () => (await stage.create('policy', 0, sidecar)).pod?.spec?.initContainers !== undefined,
    );
  });

  afterAll(async () => {
    await cluster.run(['delete', 'mutatingwebhookconfiguration', 'zz-injectors']);
    injectors.close();
  });

  it('policies restore and remove what the webhook does', async () => {
    const cases = Object.keys(INJECTORS).flatMap((injector) =>
      ['image-volume', 'init-container'].map((method) => ({
        what: `${injector}, ${method}`,
        pod: sandbox({
          labels: { 'openshell.ai/sandbox': 'true', injector },
          annotations: { 'openshell.ai/sideload-method': method },
        }),
        choice: 0,
      })),
    );
    const { differences, seen } = await comparePods(stage, cases);
    expect(differences).toEqual([]);
    expect(seen).toMatchObject({ stored: expect.any(Number), 'loader-variable': 2 });
  });
});

describe('the policy that warns', () => {
  it('has a warning for each of the webhook’s that it can see', async () => {
    const codes = new Set<string>();
    const differences: string[] = [];
    const warnedOf = async ({ what, pod, choice }: PolicyCase): Promise<void> => {
      const [{ warnings, code }, outcome] = [await stage.create('policy', choice, pod), decide(pod, settingsOf(choice), UNKNOWN_CLUSTER)];
      if (code !== 201 || outcome.verdict === 'refuse') return;
      const found = new Set(
        warnings.flatMap((line) => [...line.matchAll(/with binding '\S+-warnings-\S+': ([a-z-]+): /g)]).map(([, word = '']) => word),
      );
      const wanted = new Set<string>((outcome.warnings ?? []).map((warning) => warning.code));
      const words = [...found, ...wanted];
      for (const word of words) codes.add(word);
      const differing = words.filter((word) => !(found.has(word) && wanted.has(word)));
      if (differing.length > 0) differences.push(`${what}: ${differing.join(', ')}`);
    };
    const warned = [...GOLDENS, ...CORPUS, ...REFUSED].filter(
      ({ choice, what }) => CHOICES[choice]?.warns && !what.endsWith('init-container'),
    );
    await Promise.all(warned.map(warnedOf));
    expect(differences).toEqual([]);
    expect(codes.size).toBeGreaterThan(6);
  });
});
