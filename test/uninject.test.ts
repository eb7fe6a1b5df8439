/** `openshell-sideload uninject`: what `inject` puts in comes out again. */

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import jsonPatch, { type Operation } from 'fast-json-patch';
import { describe, expect, it } from 'vitest';
import { readConfig } from '../src/config/config.ts';
import { decide } from '../src/sideload/decide.ts';
import type { Pod } from '../src/sideload/pod.ts';
import { type SideloadSettings, UNKNOWN_CLUSTER } from '../src/sideload/settings.ts';
import { uninject } from '../src/sideload/uninject.ts';
import { readCorpus } from './corpus.ts';
import { listGoldens, readGolden } from './goldens.ts';
import { agent, sandbox } from './pods.ts';
import { NO_LOOKUP } from './refusals.ts';

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));

function applied(pod: Pod, operations: readonly Operation[]): Pod {
  return jsonPatch.applyPatch(structuredClone(pod), structuredClone(operations) as Operation[]).newDocument;
}

/** Undefined: nothing is injected. */
function injected(pod: Pod, settings: SideloadSettings): Pod | undefined {
  const outcome = decide(pod, settings, UNKNOWN_CLUSTER);
  return outcome.verdict === 'inject' ? applied(pod, outcome.operations) : undefined;
}

function uninjected(pod: Pod, settings: SideloadSettings): Pod {
  const outcome = uninject(pod, settings);
  if (outcome.found !== 'supervisor') throw new Error(JSON.stringify(outcome));
  return applied(pod, outcome.operations);
}

/** What a pod says, whatever the order of its lists, and whether they are empty or absent. */
function comparable(pod: Pod): unknown {
  const sorted = (value: unknown): unknown => {
    if (Array.isArray(value)) {
      // The order of words counts.
      return value.every((item) => typeof item === 'object') ? value.map(sorted).toSorted((a, b) => compare(a, b)) : value;
    }
    if (typeof value !== 'object' || value === null) return value;
    const members = Object.entries(value).filter(([, member]) => member !== null && !(Array.isArray(member) && member.length === 0));
    return Object.fromEntries(members.map(([name, member]) => [name, sorted(member)]).toSorted(([a], [b]) => compare(a, b)));
  };
  const compare = (a: unknown, b: unknown): number => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);
  return sorted(pod);
}

const lenient = readConfig(['--missing-policy=warn', ...NO_LOOKUP], {}).sideload;

describe('what inject puts in', () => {
  const goldens = listGoldens().inputs.flatMap((name) => {
    const { pod, config } = readGolden(name);
    const settings = config.sideload;
    const once = injected(pod, settings);
    // What arrives with a part of a supervisor is another pod without it.
    return once && decide(pod, settings, UNKNOWN_CLUSTER).reason === 'injected' ? [{ name, settings, once }] : [];
  });

  it.each(goldens)('is taken out, and put in again as it was: $name', ({ settings, once }) => {
    const without = uninjected(once, settings);
    expect(uninject(without, settings)).toEqual({ found: 'nothing' });
    const again = injected(without, settings);
    expect(again && comparable(again)).toEqual(comparable(once));
  });

  it('is taken out of every pod of the corpus', () => {
    let count = 0;
    for (const { pod } of readCorpus()) {
      const labelled = { ...pod, metadata: { ...pod.metadata, labels: { ...pod.metadata?.labels, 'openshell.ai/sandbox': 'true' } } };
      if (decide(labelled, lenient, UNKNOWN_CLUSTER).reason !== 'injected') continue;
      const once = injected(labelled, lenient) as Pod;
      const without = uninjected(once, lenient);
      expect(uninject(without, lenient)).toEqual({ found: 'nothing' });
      expect(comparable(injected(without, lenient) as Pod)).toEqual(comparable(once));
      count++;
    }
    expect(count).toBeGreaterThan(100);
  });

  it('leaves the pod as its author wrote it', () => {
    const pods: Pod[] = [
      sandbox(),
      sandbox({
        spec: { volumes: [{ name: 'data', emptyDir: {} }], containers: [agent({ volumeMounts: [{ name: 'data', mountPath: '/data' }] })] },
      }),
      sandbox({ annotations: { 'openshell.ai/policy': 'own' }, spec: { containers: [agent({ env: [{ name: 'A', value: '1' }] })] } }),
      sandbox({ spec: { containers: [agent({ securityContext: { runAsUser: 4711, capabilities: { add: ['NET_RAW'] } } })] } }),
      sandbox({ spec: { securityContext: { runAsUser: 2000, runAsNonRoot: true } } }),
      sandbox({ spec: { securityContext: { runAsUser: 2000 }, containers: [agent({ securityContext: { runAsUser: 1000 } })] } }),
    ];
    for (const pod of pods) expect(uninjected(injected(pod, lenient) as Pod, lenient), JSON.stringify(pod)).toEqual(pod);
  });

  it('is not taken for what the author wrote', () => {
    const policy = { volumes: [{ name: 'openshell-policy', configMap: { name: 'mine' } }] };
    const mount = { name: 'openshell-policy', mountPath: '/opt/openshell/policy', readOnly: true };
    const env = [
      { name: 'OPENSHELL_POLICY_RULES', value: '/opt/openshell/policy/policy.rego' },
      { name: 'OPENSHELL_POLICY_DATA', value: '/opt/openshell/policy/policy.yaml' },
    ];
    const pod = sandbox({ spec: { ...policy, containers: [agent({ env, volumeMounts: [mount] })] } });
    expect(uninjected(injected(pod, lenient) as Pod, lenient)).toEqual(pod);
  });

  const once = (): Pod => structuredClone(injected(sandbox(), lenient)) as Pod;
  const changed = (change: (container: NonNullable<NonNullable<Pod['spec']>['containers']>[number]) => void): Pod => {
    const pod = once();
    const [container] = pod.spec?.containers ?? [];
    if (container) change(container);
    return pod;
  };
  const SUPERVISOR = '/opt/openshell/bin/openshell-sandbox';
  it.each<[string, Pod, string]>([
    [
      'an empty volume of its name',
      sandbox({ spec: { volumes: [{ name: 'openshell-supervisor-bin', emptyDir: {} }] } }),
      'does not start it',
    ],
    [
      'a command that another webhook wrapped',
      changed((container) => Object.assign(container, { command: ['/wrapper', ...(container.command ?? [])] })),
      'does not start it',
    ],
    [
      'a supervisor that starts another',
      changed((container) => Object.assign(container, { args: ['--', SUPERVISOR, '--workdir', '/sandbox', '--', 'sh'] })),
      'names a supervisor a second time',
    ],
    [
      'a probe that runs it',
      changed((container) => Object.assign(container, { livenessProbe: { exec: { command: [SUPERVISOR, '--version'] } } })),
      'names a supervisor a second time',
    ],
  ])('is not taken out of %s', (_what, pod, says) => {
    expect(uninject(pod, lenient)).toEqual({ found: 'problem', message: expect.stringContaining(says) });
  });

  it('and cannot be told from it any more is named', () => {
    const lost = (context: object): readonly string[] => {
      const once = injected(sandbox({ spec: { containers: [agent({ securityContext: context })] } }), lenient) as Pod;
      const outcome = uninject(once, lenient);
      return outcome.found === 'supervisor' ? outcome.lost : [];
    };
    expect(lost({ runAsUser: 4711 })).toEqual([]);
    expect(lost({ runAsUser: 1000, runAsNonRoot: true, capabilities: { drop: ['ALL'] } })).toEqual([
      "runAsUser (the program ran as 1000, and now as its image's user)",
      'runAsNonRoot (now false)',
      'drops of capabilities that the supervisor needs',
    ]);
  });
});

describe('the command', () => {
  function run(args: readonly string[], input: string): { code: number | null; stdout: string; stderr: string } {
    const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], {
      input,
      env: { PATH: process.env.PATH ?? '' },
      encoding: 'utf8',
    });
    return { code: status, stdout, stderr };
  }
  const manifest = `# an agent
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  template:
    metadata:
      labels:
        openshell.ai/sandbox: "true" # a sandbox
    spec:
      containers:
      - name: agent
        image: registry.example/agent:1
        command: [agent, "--x"] # the program
        envFrom: [{secretRef: {name: gateway}}]
`;

  it('prints what inject was given', () => {
    const { stdout: once } = run(['inject', '-'], manifest);
    const { code, stdout, stderr } = run(['uninject', '-'], once);
    expect([code, stderr.split('\n')[0]]).toEqual([0, 'stdin Deployment web: taken out (container agent)']);
    expect(stdout.replace('        command:\n        - agent\n        - --x\n', '        command: [agent, "--x"] # the program\n')).toBe(
      manifest,
    );
    expect(run(['uninject', '-', '--diff'], once).stdout).toMatch(/^-\s+- name: openshell-supervisor-bin$/m);
    expect(run(['uninject', '-'], manifest)).toMatchObject({
      code: 0,
      stdout: manifest,
      stderr: expect.stringContaining('it has no supervisor'),
    });
  });

  it('names a supervisor in a kind that is not known', () => {
    const fleet = manifest.replace('apps/v1', 'example.com/v1').replace('Deployment', 'Fleet');
    const path = '--template-path=example.com/Fleet=/spec/template';
    const { stdout: once } = run(['inject', '-', path], fleet);
    expect(run(['uninject', '-'], once)).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('a supervisor is at spec.template'),
    });
    expect(run(['uninject', '-', path], once).code).toBe(0);
    expect(run(['uninject', '-'], 'kind: Service\napiVersion: v1\n').stderr).toContain('nothing to take out');
  });

  it('ends with 1 where it cannot, and with 2 for what is no pod', () => {
    const { stdout: once } = run(['inject', '-'], manifest);
    expect(run(['uninject', '-'], once.replace('ghcr.io/nvidia/openshell/supervisor', 'registry.example/other'))).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('1 not taken out: nothing is printed'),
    });
    expect(run(['uninject', '-'], 'apiVersion: v1\nkind: Pod\nspec: {containers: 1}\n')).toMatchObject({ code: 2, stdout: '' });
  });
});
