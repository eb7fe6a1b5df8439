import jsonPatch, { type Operation } from 'fast-json-patch';
import { describe, expect, it } from 'vitest';
import { readConfig } from '../src/config/config.ts';
import { decide } from '../src/sideload/decide.ts';
import type { ImageFacts, UnknownImage } from '../src/sideload/image-facts.ts';
import { type Inject, type Outcome, REFUSALS } from '../src/sideload/outcome.ts';
import type { Container, Pod } from '../src/sideload/pod.ts';
import { type ClusterFacts, enforcing, UNKNOWN_CLUSTER } from '../src/sideload/settings.ts';
import { agent, IMAGE_VOLUME, INSTALLER, LAUNCHED, sandbox } from './pods.ts';
import {
  ANY_METHOD,
  DROPPING,
  ENFORCED,
  installed,
  method,
  NO_LOOKUP,
  REFUSED_PODS,
  requiringNodes,
  sidecarTopology,
  UNANSWERED,
} from './refusals.ts';

function outcomeOf(
  pod: Pod,
  flags: readonly string[] = [],
  facts: ClusterFacts = UNKNOWN_CLUSTER,
  image?: ImageFacts | UnknownImage,
): Outcome {
  return decide(pod, readConfig(flags, {}).sideload, facts, image);
}

function inject(pod: Pod, flags: readonly string[] = [], facts?: ClusterFacts): Inject {
  const outcome = outcomeOf(pod, flags, facts);
  if (outcome.verdict !== 'inject') throw new Error(`not injected: ${JSON.stringify(outcome)}`);
  return outcome;
}

const KEEPING: ClusterFacts = { imageVolumes: 'kept', serverVersion: 'v1.36.3', nodes: { total: 3, mountingImages: 3, mountingMapped: 3 } };

describe('a pod is refused with a sentence that says what to change', () => {
  it.each(REFUSED_PODS)('$reason: $why', ({ pod, flags, facts, image, reason, says }) => {
    const outcome = outcomeOf(pod, flags, facts, image);
    expect(outcome).toMatchObject({ verdict: 'refuse', reason, message: expect.stringContaining(says) });
  });

  it('for every reason there is', () => {
    expect(new Set(REFUSED_PODS.map(({ reason }) => reason))).toEqual(new Set(Object.keys(REFUSALS)));
  });

  it.each(REFUSED_PODS)('below 256 characters, whatever the names: $reason, $why', ({ pod, flags, facts, image }) => {
    const stretched = JSON.parse(
      JSON.stringify(pod).replaceAll(/"(agent|spy|data|worker|fetch|imagevolume|True|evil)"/g, (_, word) => `"${`${word}-`.repeat(60)}"`),
    ) as Pod;
    const outcome = outcomeOf(stretched, flags, facts, image);
    expect(outcome.verdict).toBe('refuse');
    if (outcome.verdict === 'refuse') expect(outcome.message.length, outcome.message).toBeLessThan(256);
  });
});

const TOKEN = '/var/run/secrets/kubernetes.io/serviceaccount';

describe('a pod is left unchanged', () => {
  const marked = { 'openshell.ai/sideloaded': 'image-volume' };
  it.each([
    { why: 'without labels', pod: sandbox({ labels: {} }), reason: 'not-labelled' },
    { why: 'managed by something else', pod: sandbox({ labels: { 'openshell.ai/managed-by': 'helm' } }), reason: 'not-labelled' },
    {
      why: 'that opted out',
      pod: sandbox({ labels: { 'openshell.ai/sandbox': 'false', 'openshell.ai/managed-by': 'openshell' } }),
      reason: 'opted-out',
    },
    { why: 'that mirrors a static pod', pod: sandbox({ annotations: { 'kubernetes.io/config.mirror': 'x' } }), reason: 'mirror-pod' },
    {
      why: 'that is complete with an image volume',
      pod: sandbox({ spec: { volumes: [IMAGE_VOLUME], containers: [agent(LAUNCHED)] } }),
      reason: 'already-sideloaded',
    },
    { why: 'that is complete with an init container', pod: installed({}), reason: 'already-sideloaded' },
    { why: 'in the sidecar topology of OpenShell’s driver', pod: sidecarTopology(), reason: 'already-sideloaded' },
    {
      why: 'whose installer got the token that an API server mounts into every container',
      pod: installed({
        installer: {
          terminationMessagePath: '/dev/termination-log',
          volumeMounts: [...(INSTALLER.volumeMounts ?? []), { name: 'kube-api-access-x', mountPath: TOKEN, readOnly: true }],
        },
      }),
      reason: 'already-sideloaded',
    },
    {
      why: 'that is complete with an init container, although the operator allows image volumes only',
      pod: installed({}),
      flags: ['--allowed-sideload-methods=image-volume'],
      reason: 'already-sideloaded',
    },
    {
      why: 'that is complete with an allowed host path',
      pod: sandbox({
        spec: { volumes: [{ name: 'openshell-supervisor-bin', hostPath: { path: '/opt/openshell/bin/' } }], containers: [agent(LAUNCHED)] },
      }),
      flags: ANY_METHOD,
      reason: 'already-sideloaded',
    },
    {
      why: 'whose trusted image is pinned by digest on a registry with a port',
      pod: sandbox({
        spec: {
          volumes: [{ ...IMAGE_VOLUME, image: { reference: `mirror.example:5000/supervisor:1@sha256:${'a'.repeat(64)}` } }],
          containers: [agent(LAUNCHED)],
        },
      }),
      flags: ['--trusted-supervisor-images=mirror.example:5000/supervisor'],
      reason: 'already-sideloaded',
    },
  ])('$why', ({ pod, flags, reason }) => {
    expect(outcomeOf(pod, flags)).toMatchObject({ verdict: 'skip', reason });
  });

  it('but not for a marker: an annotation proves nothing', () => {
    expect(inject(sandbox({ annotations: marked })).reason).toBe('injected');
  });

  it('but not for a program that only lies under the mount path', () => {
    const pod = sandbox({ spec: { containers: [agent({ command: ['/opt/openshell/bin/evil'] })] } });
    expect(inject(pod).operations).toContainEqual({ op: 'add', path: '/spec/containers/0/args', value: ['--', '/opt/openshell/bin/evil'] });
  });
});

describe('what was added to the parts of a supervisor is taken out again', () => {
  const mounts = INSTALLER.volumeMounts ?? [];
  const extra = (mountPath: string, rest: object = {}) => ({ name: 'x', mountPath, ...rest });
  const cp = ['cp', '/usr/local/bin/openshell-sandbox', '/opt/openshell/bin/'];
  it.each<{ what: string; installer?: Partial<Container>; container?: Partial<Container>; spec?: object }>([
    { what: 'a preloaded library of the installer', installer: { env: [{ name: 'LD_PRELOAD', value: '/x/e.so' }] } },
    {
      what: 'a character set that the installer loads for its messages',
      installer: {
        command: cp,
        env: [
          { name: 'GCONV_PATH', value: '/x' },
          { name: 'LANGUAGE', value: '../../../x/mo' },
        ],
        volumeMounts: [...mounts, extra('/x')],
      },
    },
    { what: 'another cp for the installer', installer: { command: cp, env: [{ name: 'PATH', value: '/x' }] } },
    { what: 'variables of the installer from elsewhere', installer: { envFrom: [{ configMapRef: {} }] } },
    { what: 'a proxy of the installer', installer: { env: [{ name: 'HTTPS_PROXY', value: 'http://proxy' }] } },
    { what: 'certificates of the installer', installer: { volumeMounts: [extra('/etc/ssl/certs/corp.pem'), ...mounts] } },
    { what: 'a file over the installer’s program', installer: { volumeMounts: [...mounts, extra('/openshell-sandbox')] } },
    {
      what: 'another look at the volume',
      installer: { volumeMounts: [...mounts, { name: 'openshell-supervisor-bin', mountPath: '/x' }] },
    },
    { what: 'false tokens of the installer', installer: { volumeMounts: [...mounts, extra(TOKEN, { subPath: 'x' })] } },
    { what: 'a device of the installer', installer: { volumeDevices: [{ devicePath: '/bin/cp' }] } },
    { what: 'messages of the installer over its program', installer: { terminationMessagePath: '/openshell-sandbox' } },
    { what: 'an installer that stays', installer: { restartPolicy: 'Always' } },
    { what: 'a hook of the installer', installer: { lifecycle: { postStart: { exec: {} } } } },
    { what: 'an installer that may not be root', installer: { securityContext: { runAsUser: 0, runAsNonRoot: true } } },
    { what: 'a pod that may not be root', spec: { securityContext: { runAsNonRoot: true } } },
    { what: 'mounts that propagate', container: { volumeMounts: [{ ...LAUNCHED.volumeMounts[0], mountPropagation: 'HostToContainer' }] } },
    { what: 'the missing capabilities', container: { securityContext: { ...LAUNCHED.securityContext, capabilities: {} } } },
    { what: 'another user', container: { securityContext: { ...LAUNCHED.securityContext, runAsUser: 1000 } } },
    { what: 'the missing AppArmor profile', container: { securityContext: { ...LAUNCHED.securityContext, appArmorProfile: null } } },
    { what: 'no working directory', container: { command: [LAUNCHED.command[0], '--', '/evil'] } },
    {
      what: 'a variable that is not pinned',
      container: { env: LAUNCHED.env.filter(({ name }) => name !== 'OPENSHELL_SUPERVISOR_TOPOLOGY') },
    },
  ])('$what', ({ installer, container, spec }) => {
    const pod = installed({ ...(installer ? { installer } : {}), ...(container ? { container } : {}) });
    const changed = { ...pod, spec: { ...pod.spec, ...spec } };
    const outcome = inject(changed);
    expect(outcome.reason).toBe('converged');
    const after = jsonPatch.applyPatch(structuredClone(changed), outcome.operations as Operation[], true).newDocument;
    expect(outcomeOf(after)).toMatchObject({ reason: 'already-sideloaded' });
    const { command } = installer ?? {};
    expect(after.spec?.initContainers).toEqual([
      {
        ...INSTALLER,
        ...(command ? { command } : {}),
        ...(after.spec?.initContainers?.[0]?.securityContext?.runAsNonRoot === false
          ? { securityContext: { runAsUser: 0, runAsNonRoot: false } }
          : {}),
      },
    ]);
  });
});

describe('images are compared by what they are, not as they are written', () => {
  it.each([
    ['docker.io/openshell/supervisor', 'openshell/supervisor:1'],
    ['openshell/supervisor', 'index.docker.io/openshell/supervisor:1'],
    ['supervisor', 'docker.io/library/supervisor:1'],
    ['index.docker.io/supervisor', 'supervisor'],
    ['localhost/supervisor', 'localhost/supervisor:1'],
    ['registry:5000/supervisor', `registry:5000/supervisor:1@sha256:${'a'.repeat(64)}`],
    [`mirror.example/supervisor@sha256:${'a'.repeat(64)}`, `mirror.example/supervisor:1@sha256:${'a'.repeat(64)}`],
  ])('%s trusts %s', (trusted, reference) => {
    const pod = sandbox({ spec: { volumes: [{ ...IMAGE_VOLUME, image: { reference } }], containers: [agent(LAUNCHED)] } });
    expect(outcomeOf(pod, [`--trusted-supervisor-images=${trusted}`]).reason).toBe('already-sideloaded');
  });

  it.each([
    ['supervisor', 'evil.example/library/supervisor'],
    ['localhost/supervisor', 'supervisor'],
    [`mirror.example/supervisor@sha256:${'a'.repeat(64)}`, 'mirror.example/supervisor:1'],
    [`mirror.example/supervisor@sha256:${'a'.repeat(64)},mirror.example/supervisor`, 'mirror.example/supervisor:1'],
  ])('%s does not trust %s', (trusted, reference) => {
    const pod = sandbox({ spec: { volumes: [{ ...IMAGE_VOLUME, image: { reference } }], containers: [agent(LAUNCHED)] } });
    expect(outcomeOf(pod, [`--trusted-supervisor-images=${trusted}`]).reason).toBe('untrusted-supervisor');
  });
});

describe('the method', () => {
  const auto = ['--supervisor-sideload-method=auto'];
  it.each([
    { why: 'is the operator’s', flags: ['--supervisor-sideload-method=init-container'], expected: 'init-container' },
    { why: 'is the annotation’s before the operator’s', annotations: method('init-container'), expected: 'init-container' },
    { why: 'auto is an image volume where the whole cluster takes them', flags: auto, facts: KEEPING, expected: 'image-volume' },
    {
      why: 'auto is an init container where a node may not',
      flags: auto,
      facts: { ...KEEPING, nodes: { total: 3, mountingImages: 2, mountingMapped: 2 } },
      expected: 'init-container',
    },
    { why: 'auto is an init container where the API server drops them', flags: auto, facts: DROPPING, expected: 'init-container' },
    {
      why: 'auto is an init container where there is no node yet',
      flags: auto,
      facts: { ...KEEPING, nodes: { total: 0, mountingImages: 0, mountingMapped: 0 } },
      expected: 'init-container',
    },
    {
      why: 'auto is an init container where nodes cannot be listed',
      flags: auto,
      facts: { ...KEEPING, nodes: undefined },
      expected: 'init-container',
    },
    { why: 'auto is an init container where nothing is known', flags: auto, expected: 'init-container' },
    {
      why: 'auto is an init container with a runtime class',
      flags: auto,
      facts: KEEPING,
      spec: { runtimeClassName: 'gvisor' },
      expected: 'init-container',
    },
    {
      why: 'auto is an init container in a user namespace where a node may not mount image volumes into one',
      flags: auto,
      facts: { ...KEEPING, nodes: { total: 3, mountingImages: 3, mountingMapped: 2 } },
      spec: { hostUsers: false },
      expected: 'init-container',
    },
    {
      why: 'auto is an image volume in a user namespace where every node does',
      flags: auto,
      facts: KEEPING,
      spec: { hostUsers: false },
      expected: 'image-volume',
    },
    { why: 'is an init container while it is not known what becomes of image volumes', facts: UNANSWERED, expected: 'init-container' },
  ])('$why', ({ annotations, flags, facts, spec, expected }) => {
    expect(inject(sandbox({ ...(annotations ? { annotations } : {}), ...(spec ? { spec } : {}) }), flags, facts).method).toBe(expected);
  });

  it.each([
    {
      spec: { runtimeClassName: 'gvisor' },
      facts: KEEPING,
      says: 'runtimeClassName "gvisor", and gVisor and Kata Containers do not mount',
    },
    { spec: { hostUsers: false }, facts: undefined, says: 'hostUsers: false, and not every node is known to mount' },
  ])('warns if the pod, or the operator, asks for an image volume: $spec', ({ spec, facts, says }) => {
    const warning = { code: 'runtime-without-image-volumes', message: expect.stringContaining(says) };
    expect(inject(sandbox({ spec }), [], facts).warnings).toContainEqual(warning);
    expect(inject(sandbox({ spec, annotations: method('image-volume') }), [], facts).warnings).toContainEqual(warning);
    expect(inject(sandbox({ spec, annotations: method('init-container') }), [], facts).warnings).toEqual([]);
    const image = ['--policy=image:registry.example/policy:1', '--supervisor-sideload-method=init-container'];
    const withoutPolicy = sandbox({ spec: { ...spec, containers: [agent({ env: [] })] } });
    expect(inject(withoutPolicy, image, facts).warnings).toContainEqual({
      ...warning,
      message: expect.stringMatching(/: take the policy from a ConfigMap$/),
    });
  });

  it('does not warn in a user namespace where every node mounts image volumes into one', () => {
    expect(inject(sandbox({ spec: { hostUsers: false } }), [], KEEPING).warnings).toEqual([]);
  });
});

describe('a pod that may run on Linux', () => {
  const linux = { key: 'kubernetes.io/os', operator: 'In', values: ['linux'] };
  const windows = { key: 'kubernetes.io/os', operator: 'In', values: ['windows'] };
  it.each([
    { why: 'is asked for', pod: requiringNodes([linux]) },
    { why: 'is one of two alternatives', pod: requiringNodes([windows], [{ key: 'example.com/zone', operator: 'Exists' }]) },
    { why: 'is one of two systems', pod: requiringNodes([{ ...windows, values: ['windows', 'linux'] }]) },
    { why: 'is not Windows', pod: requiringNodes([{ ...windows, operator: 'NotIn' }]) },
    {
      why: 'has options of Windows that say nothing',
      pod: sandbox({ spec: { securityContext: { windowsOptions: { hostProcess: false } } } }),
    },
  ])('is no Windows pod: it $why', ({ pod }) => {
    expect(outcomeOf(pod).verdict).toBe('inject');
  });
});

describe('the sandbox container', () => {
  const containers = [agent({ name: 'mesh' }), agent({ name: 'agent' }), agent({ name: 'main' })];
  it.each([
    { why: 'is the annotated one', annotations: { 'openshell.ai/sandbox-container': 'main' }, containers, expected: 'main' },
    { why: 'is the one named agent', containers, expected: 'agent' },
    { why: 'is the first where none is named agent', containers: [containers[0], containers[2]], expected: 'mesh' },
    {
      why: 'is the one that has a supervisor already, where none is named agent',
      containers: [containers[0], agent({ ...LAUNCHED, name: 'main' })],
      expected: 'main',
    },
    {
      why: 'is the one named agent beside a decoy',
      containers: [agent({ ...LAUNCHED, name: 'decoy', volumeMounts: null }), agent()],
      expected: 'agent',
    },
  ])('$why', ({ annotations, containers: list, expected }) => {
    const pod = sandbox({ ...(annotations ? { annotations } : {}), spec: { containers: list as Container[] } });
    expect(inject(pod).container).toBe(expected);
  });
});

describe('what the supervisor is told', () => {
  const SIDECAR = { name: 'OPENSHELL_SUPERVISOR_TOPOLOGY', value: 'sidecar' };

  it('leaves nothing to sidecars that are not there, whatever the pod, its envFrom or its image say', () => {
    const fresh = inject(sandbox({ spec: { containers: [agent({ env: [...(agent().env ?? []), SIDECAR] })] } })).operations;
    expect(fresh).toContainEqual({ op: 'replace', path: '/spec/containers/0/env/2', value: { ...SIDECAR, value: '' } });
    expect(fresh).toContainEqual({
      op: 'add',
      path: '/spec/containers/0/env/-',
      value: { name: 'OPENSHELL_NETWORK_ENFORCEMENT_MODE', value: '' },
    });
    const env = [...(agent().env ?? []), SIDECAR];
    const complete = sandbox({ spec: { volumes: [IMAGE_VOLUME], containers: [agent({ ...LAUNCHED, env })] } });
    expect(inject(complete)).toMatchObject({
      reason: 'converged',
      operations: expect.arrayContaining([{ op: 'replace', path: '/spec/containers/0/env/2', value: { ...SIDECAR, value: '' } }]),
    });
  });

  it.each(LAUNCHED.env.map(({ name }) => name ?? '').filter((name) => !/POLICY_(RULES|DATA)$/.test(name)))(
    'has to be there in a pod that arrives complete, else it is put there: %s',
    (name) => {
      const env = LAUNCHED.env.filter((variable) => variable.name !== name);
      const pod = sandbox({ spec: { volumes: [IMAGE_VOLUME], containers: [agent({ ...LAUNCHED, env })] } });
      expect(inject(pod).reason).toBe('converged');
      expect(inject(pod).operations.map(({ path }) => path)).toEqual(['/spec/containers/0/env/-', '/metadata/annotations']);
    },
  );

  it('is a working directory as it stands: a kubelet would expand $(NAME) in a command', () => {
    const pod = sandbox({ spec: { containers: [agent({ workingDir: '/w/$(HOME)' })] } });
    expect(inject(pod).operations).toContainEqual(
      expect.objectContaining({ value: ['/opt/openshell/bin/openshell-sandbox', '--workdir', '/w/$$(HOME)'] }),
    );
  });

  it('is started from where the volume that is added has it', () => {
    const pod = sandbox({
      spec: { containers: [agent({ ...LAUNCHED, command: ['/opt/openshell/bin/usr/local/bin/openshell-sandbox'] })] },
    });
    expect(inject(pod).operations).toContainEqual({
      op: 'add',
      path: '/spec/containers/0/command',
      value: ['/opt/openshell/bin/openshell-sandbox', '--workdir', '/sandbox'],
    });
  });

  it('is no sandbox id that is empty', () => {
    const pod = sandbox({
      labels: { 'openshell.ai/sandbox': 'true', 'openshell.ai/sandbox-id': '' },
      spec: { containers: [agent({ env: null })] },
    });
    const { operations } = inject(pod, ['--missing-policy=warn']);
    expect(JSON.stringify(operations)).not.toContain('OPENSHELL_SANDBOX_ID');
  });

  it.each([
    { workdir: '/', becomes: '/sandbox' },
    { workdir: '/etc', becomes: '/sandbox' },
    { workdir: '$(HOME)', becomes: '/sandbox' },
    { workdir: '/w/$(HOME)', becomes: '/sandbox' },
    { workdir: '/w/$$$(HOME)', becomes: '/sandbox' },
    { workdir: '/w/$$(HOME)', becomes: '/w/$$(HOME)' },
    { workdir: '/app', becomes: '/app' },
  ])('is no working directory of an arriving supervisor that opens the system: $workdir', ({ workdir, becomes }) => {
    const env = LAUNCHED.env.filter(({ name }) => name !== 'OPENSHELL_LOG_LEVEL');
    const command = [LAUNCHED.command[0], '--workdir', workdir];
    const pod = sandbox({ spec: { volumes: [IMAGE_VOLUME], containers: [agent({ ...LAUNCHED, env, command, args: ['--', 'x'] })] } });
    const { operations } = inject(pod);
    const after = jsonPatch.applyPatch(structuredClone(pod), operations as Operation[], true).newDocument;
    expect(after.spec?.containers?.[0]?.command).toEqual([LAUNCHED.command[0], '--workdir', becomes]);
    expect(after.spec?.containers?.[0]?.args).toEqual(['--', 'x']);
  });

  it.each(['/', '//', '/usr', '/usr/src/app', '/opt', '/opt/openshell', '/var/run/x', '/app/../etc', '/lib64', 'app', '/root'])(
    'is another working directory than %s, with a warning',
    (workingDir) => {
      const { operations, warnings } = inject(sandbox({ spec: { containers: [agent({ workingDir })] } }));
      expect(operations).toContainEqual(
        expect.objectContaining({ value: ['/opt/openshell/bin/openshell-sandbox', '--workdir', '/sandbox'] }),
      );
      expect(warnings.map(({ code }) => code)).toEqual(['workdir-replaced']);
    },
  );

  it.each(['/app', '/home/agent', '/opt/app', '/workspace/', '/tmp', '/libs'])(
    'is the working directory %s of its container',
    (workingDir) => {
      const { operations, warnings } = inject(sandbox({ spec: { containers: [agent({ workingDir })] } }));
      expect(operations).toContainEqual(
        expect.objectContaining({ value: ['/opt/openshell/bin/openshell-sandbox', '--workdir', workingDir] }),
      );
      expect(warnings).toEqual([]);
    },
  );
});

describe('where the policy comes from', () => {
  const files = (pod: Pod, flags: readonly string[] = []): (string | null | undefined)[] => {
    const { operations } = inject(pod, flags);
    const after = jsonPatch.applyPatch(structuredClone(pod), operations as Operation[], true).newDocument as Pod;
    const env = after.spec?.containers?.[0]?.env ?? [];
    return ['OPENSHELL_POLICY_RULES', 'OPENSHELL_POLICY_DATA'].map(
      (name) => env.findLast((variable) => variable.name === name)?.value ?? undefined,
    );
  };
  const OPERATOR = ['--policy=configmap:sandbox-policy'];
  const INJECTED = ['/opt/openshell/policy/policy.rego', '/opt/openshell/policy/policy.yaml'];
  const OWN = ['/etc/agent/policy.rego', '/etc/agent/policy.yaml'];
  const gateway = [
    { name: 'OPENSHELL_SANDBOX_ID', value: 'sb-1' },
    { name: 'OPENSHELL_ENDPOINT', value: 'http://gateway:8080' },
    { name: 'OPENSHELL_SANDBOX_TOKEN_FILE', value: '/t' },
  ];
  const withEnv = (container: Partial<Container>): Pod => sandbox({ spec: { containers: [agent(container)] } });
  it.each([
    { why: 'its own files, although the operator has a policy', pod: sandbox(), flags: OPERATOR, expected: OWN },
    { why: 'the operator where the pod has nothing', pod: withEnv({ env: null }), flags: OPERATOR, expected: INJECTED },
    {
      why: 'the operator where envFrom may bring something',
      pod: withEnv({ env: null, envFrom: [{}] }),
      flags: OPERATOR,
      expected: INJECTED,
    },
    {
      why: 'its gateway, although the operator has a policy',
      pod: withEnv({ env: gateway }),
      flags: OPERATOR,
      expected: [undefined, undefined],
    },
    {
      why: 'the operator where its gateway lacks a token',
      pod: withEnv({ env: gateway.slice(0, 2) }),
      flags: OPERATOR,
      expected: INJECTED,
    },
    {
      why: 'its annotation before its own files',
      pod: sandbox({ annotations: { 'openshell.ai/policy': 'mine' } }),
      flags: OPERATOR,
      expected: INJECTED,
    },
    { why: 'the operator before its own files, where the policy is enforced', pod: sandbox(), flags: ENFORCED, expected: INJECTED },
    { why: 'envFrom, which nobody can look into', pod: withEnv({ env: null, envFrom: [{}] }), flags: [], expected: [undefined, undefined] },
    {
      why: 'its image, which the operator trusts to bring one',
      pod: withEnv({ env: null }),
      flags: ['--missing-policy=warn'],
      expected: [undefined, undefined],
    },
  ])('$why', ({ pod, flags, expected }) => {
    expect(files(pod, flags)).toEqual(expected);
  });

  it('is refused in a namespace that enforces a policy, where the operator has none that can be enforced', () => {
    for (const flags of [[], ['--policy=configmap:sandbox-policy'], ['--policy=image:registry.example/policy:1']])
      expect(decide(sandbox(), enforcing(readConfig(flags, {}).sideload), UNKNOWN_CLUSTER)).toMatchObject({
        verdict: 'refuse',
        reason: 'policy-not-allowed',
        message: expect.stringContaining('set --policy to image:REPOSITORY@sha256:DIGEST'),
      });
  });

  it('is the operator’s in a namespace that enforces it', () => {
    const settings = readConfig(ENFORCED.slice(0, 1), {}).sideload;
    expect(decide(sandbox(), settings, UNKNOWN_CLUSTER)).toMatchObject({ verdict: 'inject' });
    expect(decide(sandbox({ annotations: { 'openshell.ai/policy': 'x' } }), enforcing(settings), UNKNOWN_CLUSTER)).toMatchObject({
      reason: 'policy-not-allowed',
    });
  });

  it('is written once: an enforced policy, and variables that the operator gives beside it, are complete when asked again', () => {
    const flags = [...ENFORCED, '--supervisor-env=OPENSHELL_ENDPOINT=http://operator:8080', '--pinned-env=OPENSHELL_SANDBOX=x'];
    const pod = withEnv({ env: null });
    const after = jsonPatch.applyPatch(structuredClone(pod), inject(pod, flags).operations as Operation[], true).newDocument as Pod;
    expect(JSON.stringify(after)).toContain('http://operator:8080');
    expect(outcomeOf(after, flags)).toMatchObject({ verdict: 'skip', reason: 'already-sideloaded' });
  });
});

describe('a pod of OpenShell 0.1 or newer', () => {
  const managed = { 'openshell.ai/managed-by': 'openshell' };
  it.each(['openshell.ai/boundary-role', 'openshell.ai/boundary-pair', 'openshell.ai/component'])(
    'is left unchanged by its label %s',
    (label) => {
      expect(outcomeOf(sandbox({ labels: { ...managed, [label]: 'supervisor' } }))).toMatchObject({
        verdict: 'skip',
        reason: 'two-pod-openshell',
      });
    },
  );

  it('is a sandbox where its author says so', () => {
    expect(inject(sandbox({ labels: { ...managed, 'openshell.ai/component': 'x', 'openshell.ai/sandbox': 'true' } })).reason).toBe(
      'injected',
    );
  });
});

describe('capabilities', () => {
  const NEEDED = ['SYS_ADMIN', 'NET_ADMIN', 'SYS_PTRACE', 'SYSLOG'];
  it.each([
    {
      why: 'with a prefix do not count, as containerd would add another',
      add: NEEDED.map((name) => `CAP_${name}`),
      drop: [],
      missing: NEEDED,
    },
    { why: 'ALL does not count where ALL is dropped after it', add: ['ALL'], drop: ['ALL'], missing: expect.arrayContaining(NEEDED) },
    { why: 'ALL counts alone', add: ['ALL'], drop: [], missing: [] },
    { why: 'in small letters count', add: NEEDED.map((name) => name.toLowerCase()), drop: [], missing: [] },
  ])('$why', ({ add, drop, missing }) => {
    const { operations } = inject(sandbox({ spec: { containers: [agent({ securityContext: { capabilities: { add, drop } } })] } }));
    expect(
      operations.filter(({ path }) => path.endsWith('/capabilities/add/-')).map((operation) => (operation as { value?: unknown }).value),
    ).toEqual(missing);
  });
});

describe('warnings', () => {
  it.each([
    { why: 'none for a pod that brings all', container: {}, codes: [] },
    { why: 'no command', container: { command: null }, codes: ['no-command'] },
    {
      why: 'no command, but the main process is specified',
      container: { command: null, env: [...(agent().env ?? []), { name: 'OPENSHELL_MAIN_PROCESS_SPEC', value: '{}' }] },
      codes: [],
    },
    { why: 'no policy source', container: { env: null }, codes: ['no-policy-source'] },
    { why: 'ports', container: { ports: [{ containerPort: 80 }] }, codes: ['ports-unreachable'] },
    { why: 'an HTTP probe', container: { livenessProbe: { httpGet: { port: 80 } } }, codes: ['ports-unreachable'] },
    { why: 'a probe of another host', container: { livenessProbe: { httpGet: { host: 'a', port: 80 } } }, codes: [] },
    { why: 'an HTTP hook before its end', container: { lifecycle: { preStop: { httpGet: { port: 80 } } } }, codes: [] },
    { why: 'nothing where envFrom may bring it', container: { command: null, env: null, envFrom: [{}] }, codes: [] },
    { why: 'an exec probe', container: { startupProbe: { exec: {} } }, codes: ['hooks-outside'] },
    { why: 'an exec hook', container: { lifecycle: { postStart: { exec: {} } } }, codes: ['hooks-outside'] },
    { why: 'a read-only root file system', container: { securityContext: { readOnlyRootFilesystem: true } }, codes: ['read-only-root'] },
    { why: 'no exec in a probe', container: { livenessProbe: {} }, codes: [] },
  ])('$why', ({ container, codes }) => {
    const flags = [...NO_LOOKUP, '--missing-policy=warn', '--unreachable-probes=warn'];
    expect(inject(sandbox({ spec: { containers: [agent(container)] } }), flags).warnings.map(({ code }) => code)).toEqual(codes);
  });

  it('are not for a probe of a port that a neighbour has', () => {
    const probed = agent({ livenessProbe: { httpGet: { port: 15021 } } });
    const proxy = agent({ name: 'proxy', ports: [{ containerPort: 15021 }] });
    expect(inject(sandbox({ spec: { containers: [probed, proxy] } })).warnings.map(({ code }) => code)).toEqual(['containers-outside']);
  });

  it('are for namespaces of the node', () => {
    const [warning] = inject(sandbox({ spec: { hostPID: true, hostIPC: true } })).warnings;
    expect(warning).toMatchObject({ code: 'host-namespaces', message: expect.stringContaining('hostPID and hostIPC') });
  });

  it('name the containers that stay outside, native sidecars too, init containers not', () => {
    const initContainers = [{ name: 'fetch' }, { name: 'mesh', restartPolicy: 'Always' }];
    const [warning] = inject(sandbox({ spec: { initContainers, containers: [agent(), agent({ name: 'logs' })] } })).warnings;
    expect(warning).toEqual({
      code: 'containers-outside',
      message: 'only container "agent" runs under the supervisor, not "logs", "mesh"',
    });
  });

  it.each([
    { why: 'a directory that a writable mount covers', PATH: '/usr/bin:/data/bin', warned: '/data/bin' },
    { why: 'the sandbox’s own directory', PATH: '/sandbox/.venv/bin:/usr/bin', warned: '/sandbox/.venv/bin' },
    { why: 'the directory for temporary files', PATH: '/tmp', warned: '/tmp' },
    { why: 'the working directory, by an empty word', PATH: '/usr/bin:', warned: '' },
    { why: 'a directory of a config map, which a kubelet mounts read-only', PATH: '/config:/usr/bin', warned: undefined },
    { why: 'a directory that is mounted read-only', PATH: '/tools:/usr/bin', warned: undefined },
  ])('tell of a PATH with $why', ({ PATH, warned }) => {
    const { warnings } = inject(
      sandbox({
        spec: {
          volumes: [
            { name: 'data', emptyDir: {} },
            { name: 'config', configMap: {} },
          ],
          containers: [
            agent({
              env: [...(agent().env ?? []), { name: 'PATH', value: PATH }],
              volumeMounts: [
                { name: 'data', mountPath: '/data' },
                { name: 'data', mountPath: '/tools', readOnly: true },
                { name: 'config', mountPath: '/config' },
              ],
            }),
          ],
        },
      }),
    );
    expect(warnings.filter(({ code }) => code === 'writable-path').map(({ message }) => message.split('"')[3])).toEqual(
      warned === undefined ? [] : [warned],
    );
  });

  it('tell of neighbours that could reach the supervisor of an image volume', () => {
    const neighbours = [agent(), agent({ name: 'spy', securityContext: { privileged: true } })];
    const { warnings } = inject(sandbox({ spec: { containers: neighbours } }));
    expect(warnings.find(({ code }) => code === 'unsafe-neighbours')?.message).toContain('container "spy" is privileged');
  });

  it('tell of them with an init container, where the operator lets them be', () => {
    const spec = { shareProcessNamespace: true, containers: [agent(), agent({ name: 'spy' })] };
    const { warnings } = inject(sandbox({ annotations: method('init-container'), spec }), ['--neighbours=warn']);
    expect(warnings.find(({ code }) => code === 'unsafe-neighbours')?.message).toContain('shares a PID namespace');
  });

  it('come with a pod that arrives complete', () => {
    const outcome = outcomeOf(
      sandbox({
        annotations: { 'openshell.ai/sandbox-container': 'idle' },
        spec: {
          shareProcessNamespace: true,
          volumes: [IMAGE_VOLUME],
          containers: [agent({ securityContext: { privileged: true } }), agent({ ...LAUNCHED, name: 'idle' })],
        },
      }),
    );
    if (outcome.verdict !== 'skip') throw new Error(JSON.stringify(outcome));
    expect(outcome.warnings?.map(({ code }) => code)).toEqual(['containers-outside', 'unsafe-neighbours']);
  });

  it('stay below 256 characters with the longest names', () => {
    const name = 'n'.repeat(63);
    const exec = { exec: {} };
    const everything = agent({
      name,
      command: null,
      env: [{ name: 'PATH', value: `/usr/bin:/sandbox/${'p'.repeat(300)}` }],
      livenessProbe: exec,
      readinessProbe: exec,
      startupProbe: exec,
      lifecycle: { postStart: exec, preStop: exec },
      ports: Array.from({ length: 9 }, (_, i) => ({ containerPort: 50_000 + i })),
      workingDir: `/usr/${'w'.repeat(300)}`,
    });
    const others = Array.from({ length: 9 }, (_, i) => agent({ name: `${i}${'o'.repeat(62)}` }));
    const { warnings } = inject(
      sandbox({
        annotations: { 'openshell.ai/sandbox-container': name },
        spec: { containers: [everything, ...others], hostPID: true, hostIPC: true },
      }),
      ['--missing-policy=warn', ...NO_LOOKUP],
      { ...KEEPING, nodes: { total: 15_000, mountingImages: 14_999, mountingMapped: 14_999 } },
    );
    expect(warnings.map(({ code }) => code)).toEqual([
      'no-command',
      'workdir-replaced',
      'no-policy-source',
      'nodes-without-image-volumes',
      'host-namespaces',
      'hooks-outside',
      'ports-unreachable',
      'containers-outside',
      'unsafe-neighbours',
      'writable-path',
    ]);
    for (const { message } of warnings) expect(message.length, message).toBeLessThan(256);
  });
});
