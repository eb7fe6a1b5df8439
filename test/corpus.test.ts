import jsonPatch, { type Operation } from 'fast-json-patch';
import { describe, expect, it } from 'vitest';
import { readConfig } from '../src/config/config.ts';
import type { Method } from '../src/sideload/contract.ts';
import { decide } from '../src/sideload/decide.ts';
import { type Pod, podShape } from '../src/sideload/pod.ts';
import { UNKNOWN_CLUSTER } from '../src/sideload/settings.ts';
import { misfit } from '../src/sideload/shape.ts';
import { labelled, nameOf, readCorpus } from './corpus.ts';
import { expectSideloaded } from './invariants.ts';
import { NO_LOOKUP } from './refusals.ts';

/** Pods of others bring no policy, and many a probe. */

const settings = readConfig(['--policy=configmap:sandbox-policy', '--unreachable-probes=warn', ...NO_LOOKUP], {}).sideload;
const corpus = readCorpus();
const cases = corpus.map((manifest) => [nameOf(manifest), manifest] as const);

describe('the corpus', () => {
  it('is at least a hundred different pods from public manifests', () => {
    expect(new Set(corpus.map(nameOf)).size).toBe(corpus.length);
    const different = new Set(corpus.map(({ pod }) => JSON.stringify(pod.spec)));
    expect(different.size).toBe(corpus.length);
    expect(different.size).toBeGreaterThanOrEqual(100);
  });

  it.each(cases)('says where it has %s from', (_, { repository, commit, path, licence, kind }) => {
    expect(repository).toMatch(/^[\w.-]+\/[\w.-]+$/);
    expect(commit).toMatch(/^[0-9a-f]{40}$/);
    expect(path).toMatch(/\.(ya?ml|json|md)$/);
    expect(licence).toBe('Apache-2.0');
    expect(kind).toMatch(/^[A-Z]\w+$/);
  });

  it('has pods of meshes, of agent-sandbox, of OpenShell and of Kubernetes', () => {
    expect(corpus.map(({ repository }) => repository)).toEqual(
      expect.arrayContaining([
        'istio/istio',
        'linkerd/linkerd2',
        'kubernetes-sigs/agent-sandbox',
        'NVIDIA/OpenShell',
        'kubernetes/examples',
        'kubernetes/kubernetes',
      ]),
    );
  });
});

describe.each<Method>(['image-volume', 'init-container'])('with method %s, a pod of the corpus', (method) => {
  it.each(cases)('comes out as expected: %s', (_, { pod, expected, expectedWithInitContainer, container }) => {
    const original = labelled(pod, method);
    expect(misfit(podShape, original, '')).toBeUndefined();
    const before = JSON.stringify(original);
    const outcome = decide(original, settings, UNKNOWN_CLUSTER);
    expect(JSON.stringify(original), 'the input is not changed').toBe(before);
    expect(outcome.reason).toBe(method === 'init-container' ? (expectedWithInitContainer ?? expected) : expected);
    if (outcome.verdict !== 'inject') return;
    expect([outcome.method, outcome.container]).toEqual([method, container ?? pod.spec?.containers?.[0]?.name]);
    const after = jsonPatch.applyPatch(structuredClone(original), outcome.operations as Operation[], true).newDocument as Pod;
    expectSideloaded(original, after, outcome, settings);
  });
});
