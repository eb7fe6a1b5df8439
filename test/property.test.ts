import fc from 'fast-check';
import jsonPatch, { type Operation } from 'fast-json-patch';
import { describe, expect, it } from 'vitest';
import { readConfig } from '../src/config/config.ts';
import { decide } from '../src/sideload/decide.ts';
import { PINNED_VARIABLES } from '../src/sideload/environment.ts';
import type { Container, Pod } from '../src/sideload/pod.ts';
import { UNKNOWN_CLUSTER } from '../src/sideload/settings.ts';
import { expectSideloaded } from './invariants.ts';
import { NO_LOOKUP } from './refusals.ts';

/** A member that is absent, null, or generated. */
function maybe<T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null | undefined> {
  return fc.oneof({ weight: 1, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.constant(null) }, { weight: 4, arbitrary });
}

const name = fc.stringMatching(/^[a-z][a-z0-9]{0,6}$/);
const word = fc.constantFrom('--', '-x', 'run', '--mode=process', '$(A)', '/opt/openshell/bin/openshell-sandbox/x', 'ünï', '~1/');
const words = fc.array(word, { maxLength: 4 });
const capability = fc.constantFrom('ALL', 'SYS_ADMIN', 'CAP_SYS_ADMIN', 'NET_RAW', 'SYSLOG', 'cap_kill', 'CHOWN', 'MKNOD');
const id = fc.integer({ min: 0, max: 2 ** 31 - 1 });
const unknown = fc.dictionary(fc.constantFrom('future', 'a/b', 'c~d'), fc.jsonValue());

const variable = fc.oneof(
  fc.record({
    name: fc.constantFrom('A', 'PINNED', 'OPENSHELL_SANDBOX_ID', 'OPENSHELL_POLICY_DATA', 'OPENSHELL_CONTAINER_IMAGE', ...PINNED_VARIABLES),
    value: fc.string({ maxLength: 5 }),
  }),
  fc.record({ name: fc.constantFrom('B', 'OPENSHELL_SANDBOX_GID'), valueFrom: fc.constant({ fieldRef: { fieldPath: 'metadata.name' } }) }),
);

const container: fc.Arbitrary<Container> = fc
  .tuple(
    fc.record({
      name,
      image: fc.constant('registry.example/x:1'),
      command: maybe(words),
      args: maybe(words),
      workingDir: maybe(fc.constantFrom('/work', '', '/', '/usr/src', 'relative')),
      env: maybe(fc.array(variable, { maxLength: 4 })),
      envFrom: maybe(fc.constantFrom([], [{}])),
      resources: maybe(fc.constantFrom({}, { requests: { cpu: '1' } }, { limits: { memory: '1Gi' }, requests: null })),
      volumeMounts: maybe(
        fc.uniqueArray(fc.record({ name, mountPath: fc.constantFrom('/a', '/b/c', '/opt/other', '/opt/openshell-x') }), {
          maxLength: 3,
          selector: (mount) => mount.mountPath,
        }),
      ),
      securityContext: maybe(
        fc.record({
          runAsUser: maybe(id),
          runAsGroup: maybe(id),
          runAsNonRoot: maybe(fc.boolean()),
          privileged: maybe(fc.boolean()),
          appArmorProfile: maybe(fc.constant({ type: 'RuntimeDefault' })),
          capabilities: maybe(fc.record({ add: maybe(fc.uniqueArray(capability)), drop: maybe(fc.uniqueArray(capability)) })),
        }),
      ),
      livenessProbe: maybe(fc.constantFrom({ exec: {} }, {}, { httpGet: { port: 80 } })),
    }),
    unknown,
  )
  .map(([known, more]) => ({ ...more, ...known }) as Container);

const pod: fc.Arbitrary<Pod> = fc
  .record({
    annotations: maybe(fc.dictionary(fc.constantFrom('x', 'a/b'), fc.string({ maxLength: 4 }))),
    method: fc.constantFrom('image-volume', 'init-container', 'host-path', undefined),
    metadata: unknown,
    spec: unknown,
    hostUsers: maybe(fc.boolean()),
    podResources: maybe(fc.constant({})),
    securityContext: maybe(fc.record({ runAsUser: maybe(id), runAsNonRoot: maybe(fc.boolean()) })),
    volumes: maybe(fc.uniqueArray(fc.record({ name, emptyDir: fc.constant({}) }), { maxLength: 3, selector: (volume) => volume.name })),
    initContainers: maybe(fc.array(container, { maxLength: 2 })),
    containers: fc.uniqueArray(container, { minLength: 1, maxLength: 3, selector: (candidate) => candidate.name }),
  })
  .map(({ annotations, method, metadata, spec, podResources, ...rest }) => ({
    metadata: {
      ...metadata,
      labels: { 'openshell.ai/sandbox': 'true' },
      annotations: method ? { ...annotations, 'openshell.ai/sideload-method': method } : annotations,
    },
    spec: { ...spec, resources: podResources, ...rest },
  }));

const settings = readConfig(
  [
    '--allowed-sideload-methods=image-volume,init-container,host-path',
    '--supervisor-env=OPERATOR=1',
    '--pinned-env=PINNED=1',
    '--policy=configmap:sandbox-policy',
    '--supervisor-arg=--upstream-proxy=http://proxy:3128',
    '--unreachable-probes=warn',
    ...NO_LOOKUP,
  ],
  {},
).sideload;

describe('any pod that is injected', () => {
  it('has one volume, one mount, the right command, keeps all the rest, and is injected only once', () => {
    let injected = 0;
    fc.assert(
      fc.property(pod, (input) => {
        const before = JSON.stringify(input);
        const outcome = decide(input, settings, UNKNOWN_CLUSTER);
        expect(JSON.stringify(input)).toBe(before);
        if (outcome.verdict === 'refuse') {
          expect(['args-without-command', 'unsafe-neighbours']).toContain(outcome.reason);
          return;
        }
        if (outcome.verdict !== 'inject') throw new Error(`${outcome.reason} for a fresh pod`);
        injected++;
        // As the API server gets it: undefined members are absent.
        const original = JSON.parse(before) as Pod;
        const after = jsonPatch.applyPatch(JSON.parse(before), outcome.operations as Operation[], true).newDocument as Pod;
        expectSideloaded(original, after, outcome, settings);
      }),
      { numRuns: 3000 },
    );
    expect(injected).toBeGreaterThan(1500);
  });
});
