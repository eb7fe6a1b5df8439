import jsonPatch, { type Operation } from 'fast-json-patch';
import { describe, expect, it } from 'vitest';
import { readConfig } from '../src/config/config.ts';
import { decide } from '../src/sideload/decide.ts';
import type { ImageFacts, UnknownImage } from '../src/sideload/image-facts.ts';
import type { Inject, Outcome } from '../src/sideload/outcome.ts';
import type { Container, Pod } from '../src/sideload/pod.ts';
import { UNKNOWN_CLUSTER } from '../src/sideload/settings.ts';
import { agent, imageOf, sandbox } from './pods.ts';
import { ENFORCED, NO_LOOKUP, REFUSED_PODS } from './refusals.ts';

const DIGEST = `sha256:${'d'.repeat(64)}`;
const PINNED = `registry.example/agent:1@${DIGEST}`;
/** A pod that names only an image, but for these parts. */
const bare = (container: Partial<Container> = {}, spec: object = {}): Pod =>
  sandbox({ spec: { containers: [agent({ command: null, ...container })], ...spec } });
const decided = (pod: Pod, image?: ImageFacts | UnknownImage, ...flags: string[]): Outcome =>
  decide(pod, readConfig(flags, {}).sideload, UNKNOWN_CLUSTER, image);

function injected(pod: Pod, image: ImageFacts | undefined, ...flags: string[]): { outcome: Inject; pod: Pod; container: Container } {
  const outcome = decided(pod, image, ...flags);
  if (outcome.verdict !== 'inject') throw new Error(JSON.stringify(outcome));
  const { newDocument } = jsonPatch.applyPatch(structuredClone(pod), outcome.operations as Operation[], true);
  return { outcome, pod: newDocument, container: newDocument.spec?.containers?.[0] ?? {} };
}
const needsOf = (outcome: Outcome) => (outcome.verdict === 'refuse' ? outcome.needs : undefined);

describe('an image is looked up', () => {
  const enforced = ENFORCED.filter((flag) => !NO_LOOKUP.includes(flag));
  it.each([
    { why: 'for a pod without a command', pod: bare(), forProgram: true },
    { why: 'for one with args', pod: bare({ args: ['--port', '1'] }), forProgram: true },
    { why: 'for one with envFrom', pod: bare({ envFrom: [{}] }), forProgram: true },
    { why: 'for one without a policy, which the image may bring', pod: bare({ env: null }), forProgram: true },
    { why: 'for its variables, where all images are', pod: sandbox(), flags: ['--inspect-images=always'], forVariables: true },
    { why: 'for its variables, where the policy is enforced', pod: sandbox(), flags: enforced, forVariables: true },
    { why: 'for both', pod: bare(), flags: enforced, forProgram: true, forVariables: true },
  ])('$why', ({ pod, flags = [], forProgram = false, forVariables = false }) => {
    const outcome = decided(pod, undefined, ...flags);
    expect(outcome).toMatchObject({ verdict: 'refuse', reason: 'entrypoint-unknown' });
    expect(needsOf(outcome)).toEqual({ image: 'registry.example/agent:1', forProgram, forVariables });
  });

  it.each([
    { why: 'with a command', pod: sandbox() },
    {
      why: 'whose main process is specified',
      pod: bare({ env: [...(agent().env ?? []), { name: 'OPENSHELL_MAIN_PROCESS_SPEC', value: '{}' }] }),
    },
    { why: 'where the operator specifies it', pod: bare(), flags: ['--supervisor-env=OPENSHELL_MAIN_PROCESS_SPEC={}'] },
    { why: 'where a shell will do', pod: bare(), flags: ['--missing-command=shell'] },
    { why: 'where it is off', pod: sandbox(), flags: [...NO_LOOKUP, '--inspect-images=always'] },
    { why: 'without a label', pod: sandbox({ labels: {}, spec: { containers: [agent({ command: null })] } }) },
    { why: 'whose probes refuse it', pod: bare({ livenessProbe: { httpGet: { port: 80 } } }) },
    { why: 'whose user id refuses it', pod: bare({ securityContext: { runAsUser: -1 } }) },
  ])('not for a pod $why', ({ pod, flags = [] }) => {
    expect(needsOf(decided(pod, undefined, ...flags))).toBeUndefined();
  });

  it('not for any pod that is refused for another reason', () => {
    for (const { pod, flags = [], facts, image, why } of REFUSED_PODS) {
      if (image) continue;
      const outcome = decide(pod, readConfig(flags, {}).sideload, facts ?? UNKNOWN_CLUSTER);
      expect(needsOf(outcome), why).toBeUndefined();
    }
  });

  it('not again, once the pod is injected', () => {
    const { pod } = injected(bare(), imageOf({ entrypoint: ['agent'] }));
    expect(decided(pod)).toMatchObject({ verdict: 'skip', reason: 'already-sideloaded' });
  });
});

it('a problem that a registry worded is shown below 256 characters, whatever is in it', () => {
  const problem = '\u202e'.repeat(300);
  const outcome = decided(bare({ name: `a${'-'.repeat(200)}` }), { from: 'nowhere', reason: 'entrypoint-unknown', problem });
  expect(outcome.verdict === 'refuse' && outcome.message.length).toBeLessThan(256);
});

describe('the program', () => {
  it.each([
    { why: 'ENTRYPOINT and CMD', image: { entrypoint: ['/bin/agent'], cmd: ['--serve'] }, args: ['/bin/agent', '--serve'] },
    { why: 'ENTRYPOINT alone', image: { entrypoint: ['/bin/agent', '-x'] }, args: ['/bin/agent', '-x'] },
    { why: 'CMD alone', image: { cmd: ['python3', '-i'] }, args: ['python3', '-i'] },
    { why: 'shell form', image: { entrypoint: ['/bin/sh', '-c', 'exec agent $HOME'] }, args: ['/bin/sh', '-c', 'exec agent $$HOME'] },
    { why: 'dollars', image: { cmd: ['$(HOME)', '$$', '$'] }, args: ['$$(HOME)', '$$$$', '$$'] },
    {
      why: 'args of the pod in place of CMD',
      container: { args: ['--task', '$(TASK)'] },
      image: { entrypoint: ['/bin/agent'], cmd: ['--serve'] },
      args: ['/bin/agent', '--task', '$(TASK)'],
    },
    { why: 'args of the pod alone', container: { args: ['sh', '-c', 'x'] }, image: { cmd: ['python3'] }, args: ['sh', '-c', 'x'] },
    { why: 'args of the pod and nothing of the image', container: { args: ['sh'] }, image: {}, args: ['sh'] },
    { why: 'a word that looks like an option', image: { entrypoint: ['--help'] }, args: ['--help'] },
  ])('is $why', ({ container, image, args }) => {
    const { container: stored } = injected(bare(container), imageOf(image));
    expect(stored.command).toEqual(['/opt/openshell/bin/openshell-sandbox', '--workdir', '/sandbox']);
    expect(stored.args).toEqual(['--', ...args]);
  });

  it('is of the platform that the pod chooses', () => {
    const image = imageOf({ cmd: ['x86'] }, { cmd: ['arm'], architecture: 'arm64' });
    const { container } = injected(bare({}, { nodeSelector: { 'kubernetes.io/arch': 'arm64' } }), image);
    expect(container.args).toEqual(['--', 'arm']);
  });

  it.each([
    { why: 'the same words', platforms: [{ cmd: ['a'] }, { cmd: ['a'], architecture: 'arm64' }], reason: 'injected' },
    { why: 'other words', platforms: [{ cmd: ['a'] }, { cmd: ['b'], architecture: 'arm64' }], reason: 'entrypoint-ambiguous' },
    {
      why: 'another directory',
      platforms: [{ cmd: ['a'] }, { cmd: ['a'], workingDir: '/srv', architecture: 'arm64' }],
      reason: 'entrypoint-ambiguous',
    },
    {
      why: 'another policy',
      platforms: [{ cmd: ['a'] }, { cmd: ['a'], env: ['OPENSHELL_POLICY_DATA=/x'], architecture: 'arm64' }],
      reason: 'entrypoint-ambiguous',
    },
    {
      why: 'other variables of its own',
      platforms: [{ cmd: ['a'] }, { cmd: ['a'], env: ['ARCH=arm'], architecture: 'arm64' }],
      reason: 'injected',
    },
  ])('of several platforms with $why: $reason', ({ platforms, reason }) => {
    expect(decided(bare(), imageOf(...platforms)).reason).toBe(reason);
  });

  it('that the pod replaces with args may differ in CMD', () => {
    const image = imageOf({ entrypoint: ['a'], cmd: ['1'] }, { entrypoint: ['a'], cmd: ['2'], architecture: 'arm64' });
    expect(decided(bare({ args: ['x'] }), image).reason).toBe('injected');
  });

  it('of a variable that specifies it is left to the supervisor, in the image too', () => {
    const { container } = injected(bare(), imageOf({ cmd: ['sh'], env: ['OPENSHELL_MAIN_PROCESS_SPEC={"version":1}'] }));
    expect(container.args).toBeUndefined();
    expect(container.env).toContainEqual({ name: 'OPENSHELL_MAIN_PROCESS_SPEC', value: '{"version":1}' });
  });
});

describe('the working directory', () => {
  it.each([
    { why: "the container's", container: { workingDir: '/work' }, workingDir: '/srv', word: '/work', codes: [] },
    { why: "the image's", workingDir: '/srv', word: '/srv', codes: [] },
    { why: 'the default where the image has none', workingDir: '', word: '/sandbox', codes: [] },
    { why: 'the default where the image names the root', workingDir: '/', word: '/sandbox', codes: [] },
    { why: 'the default in place of a system directory', workingDir: '/usr/src/app', word: '/sandbox', codes: ['workdir-replaced'] },
    {
      why: "the default in place of the container's root",
      container: { workingDir: '/' },
      workingDir: '/srv',
      word: '/sandbox',
      codes: ['workdir-replaced'],
    },
  ])('is $why', ({ container, workingDir, word, codes }) => {
    const { outcome, container: stored } = injected(bare(container), imageOf({ cmd: ['x'], workingDir }));
    expect(stored.command?.at(-1)).toBe(word);
    expect(stored.workingDir).toBe(container?.workingDir);
    expect(outcome.warnings.map(({ code }) => code)).toEqual(codes);
  });
});

describe('the image', () => {
  it('runs by the digest that was read, and its audit variable says so', () => {
    const { outcome, container } = injected(bare(), imageOf({ cmd: ['x'] }));
    expect(container.image).toBe(PINNED);
    expect(container.env).toContainEqual({ name: 'OPENSHELL_CONTAINER_IMAGE', value: PINNED });
    expect(outcome.imageDigest).toBe(DIGEST);
  });

  it.each([
    { why: 'that names a digest', image: `registry.example/agent@sha256:${'e'.repeat(64)}`, flags: [] },
    { why: 'where the operator does not want it', image: 'registry.example/agent:1', flags: ['--pin-resolved-images=false'] },
  ])('keeps its name $why', ({ image, flags }) => {
    expect(injected(bare({ image }), imageOf({ cmd: ['x'] }), ...flags).container.image).toBe(image);
  });

  it('keeps its name where the map says what it runs', () => {
    const map: ImageFacts = { ...imageOf({ cmd: ['x'] }), from: 'map', digest: undefined };
    expect(injected(bare(), map).container.image).toBe('registry.example/agent:1');
  });

  it.each([
    { user: 'node', codes: ['image-user'] },
    { user: '1001:1001', codes: ['image-user'] },
    { user: '1000', codes: [] },
    { user: '1000:0', codes: [] },
    { user: 'root', codes: [] },
    { user: '0', codes: [] },
    { user: '', codes: [] },
    { user: 'node', container: { securityContext: { runAsUser: 1000 } }, codes: [] },
  ])('with USER "$user" warns of $codes', ({ user, container, codes }) => {
    const { outcome } = injected(bare(container), imageOf({ cmd: ['x'], user }));
    expect(outcome.warnings.map(({ code }) => code)).toEqual(codes);
  });
});

describe("the image's variables count as the pod's own", () => {
  const POLICY = ['OPENSHELL_POLICY_RULES=/etc/p.rego', 'OPENSHELL_POLICY_DATA=/etc/p.yaml'];
  const literal = (container: Container, name: string) => container.env?.find((variable) => variable.name === name)?.value;

  it('as a policy, which is written down so that it counts the same when the API server asks again', () => {
    const operator = ['--policy=configmap:sandbox-policy'];
    const { outcome, pod, container } = injected(bare({ env: null }), imageOf({ cmd: ['x'], env: [...POLICY, 'HOME=/root'] }), ...operator);
    expect(outcome.warnings).toEqual([]);
    expect(literal(container, 'OPENSHELL_POLICY_RULES')).toBe('/etc/p.rego');
    expect(literal(container, 'HOME')).toBeUndefined();
    expect(pod.spec?.volumes?.map(({ name }) => name)).toEqual(['openshell-supervisor-bin']);
    expect(decided(pod, undefined, ...operator).reason).toBe('already-sideloaded');
  });

  it('but not in place of a variable of the pod, of what is pinned, nor as a secret', () => {
    const env = [...POLICY, 'OPENSHELL_SUPERVISOR_TOPOLOGY=sidecar', 'OPENSHELL_SANDBOX_UID=0', 'OPENSHELL_SANDBOX_TOKEN=s3cret'];
    const { container } = injected(bare(), imageOf({ cmd: ['x'], env }));
    expect(literal(container, 'OPENSHELL_POLICY_RULES')).toBe('/etc/agent/policy.rego');
    expect(literal(container, 'OPENSHELL_SUPERVISOR_TOPOLOGY')).toBe('');
    expect(literal(container, 'OPENSHELL_SANDBOX_UID')).toBe('1000');
    expect(JSON.stringify(container)).not.toContain('s3cret');
    expect(container.env?.filter(({ name }) => name === 'OPENSHELL_POLICY_DATA')).toHaveLength(1);
  });

  it('with their dollars', () => {
    const { container } = injected(bare(), imageOf({ cmd: ['x'], env: ['OPENSHELL_TELEMETRY_NAME=a$(HOME)'] }));
    expect(literal(container, 'OPENSHELL_TELEMETRY_NAME')).toBe('a$$(HOME)');
  });

  it.each([
    { why: 'a loader variable', env: ['LD_LIBRARY_PATH=/x'], reason: 'loader-variable' },
    { why: 'no policy', env: ['HOME=/root'], reason: 'no-policy-source' },
    { why: 'half a policy', env: POLICY.slice(1), reason: 'no-policy-source' },
  ])('$why: $reason', ({ env, reason }) => {
    expect(decided(bare({ env: null }), imageOf({ cmd: ['x'], env })).reason).toBe(reason);
  });

  it('an unsafe PATH warns', () => {
    const { outcome } = injected(bare(), imageOf({ cmd: ['x'], env: ['PATH=/sandbox/bin:/usr/bin'] }));
    expect(outcome.warnings.map(({ code }) => code)).toEqual(['writable-path']);
  });

  it('a loader variable of one platform is enough', () => {
    const image = imageOf({ cmd: ['x'] }, { cmd: ['x'], architecture: 'arm64', env: ['LD_PRELOAD=/x'] });
    expect(decided(bare(), image).reason).toBe('loader-variable');
  });

  it('of a pod with a command, where all images are read', () => {
    const { container } = injected(
      sandbox({ spec: { containers: [agent({ env: null })] } }),
      imageOf({ env: POLICY }),
      '--inspect-images=always',
    );
    expect(container.args).toEqual(['--', 'agent']);
    expect(literal(container, 'OPENSHELL_POLICY_DATA')).toBe('/etc/p.yaml');
    expect(container.image).toBe(PINNED);
  });
});
