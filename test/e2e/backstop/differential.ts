/** Pods in many variations, each judged by the backstop and by the webhook's decision: what differs is a fault. */

import jsonPatch, { escapePathComponent, type Operation } from 'fast-json-patch';
import { readConfig } from '../../../src/config/config.ts';
import { decide } from '../../../src/sideload/decide.ts';
import type { Outcome } from '../../../src/sideload/outcome.ts';
import type { Pod } from '../../../src/sideload/pod.ts';
import { UNKNOWN_CLUSTER } from '../../../src/sideload/settings.ts';
import { NO_LOOKUP } from '../../refusals.ts';
import { create } from './stage.ts';

/** A pod, and what is special about it. */
export interface Case {
  readonly what: string;
  readonly pod: Pod;
}

export const SUPERVISOR = 'ghcr.io/nvidia/openshell/supervisor';
const IMAGES = [
  SUPERVISOR,
  `${SUPERVISOR}:2@sha256:${'0'.repeat(64)}`,
  `${SUPERVISOR}-evil:1`,
  `evil@${SUPERVISOR}:1`,
  'ghcr.io:443/nvidia/openshell/supervisor:1',
];
const WORDS = [
  '--',
  '--mode=process',
  '--mode',
  'process,network',
  '--mode=process,network',
  '$(MODE)',
  'cp',
  '/openshell-sandbox',
  '\u001f--',
];

/** Other values for members that decide, by the member's name. */
const OTHERS: Record<string, readonly unknown[]> = {
  mountPath: [
    '/opt/openshell/bin',
    '/opt/openshell/bin/',
    '/opt/openshell/bin/openshell-sandbox',
    '/opt/openshell',
    '/opt/openshell-2',
    '/opt',
    '/',
    '/usr',
    '/etc',
    '/openshell-sandbox',
    'opt/openshell/bin',
    '/x/../opt/openshell/bin',
    '/usr/sbin/ip',
    '/usr/local/lib/libmnl.so.0',
    '/etc/ld.so.preload',
    '/var/run/secrets/kubernetes.io/serviceaccount',
  ],
  mountPropagation: ['HostToContainer'],
  image: IMAGES,
  reference: IMAGES,
  command: WORDS,
  args: WORDS,
  path: ['/opt/openshell/bin', '/opt/openshell/bin/', '/opt/openshell', '/tmp/evil', '/var/lib', '/var/lib/kubelet/pods/'],
  runAsUser: [0, 1000, 2 ** 31],
  'openshell.ai/sandbox': ['true', 'false', 'yes'],
  'openshell.ai/sideload-method': ['image-volume', 'init-container', 'host-path', 'none'],
};

/** What may come on top in a container; lists are appended to. */
const ADDITIONS: readonly Record<string, unknown>[] = [
  { terminationMessagePath: '/opt/openshell/bin/openshell-sandbox' },
  { volumeMounts: [{ name: 'openshell-supervisor-bin', mountPath: '/x' }] },
  { volumeMounts: [{ name: 'openshell-supervisor-bin', mountPath: '/x', readOnly: true }] },
  { volumeMounts: [{ name: 'supervisor-bin', mountPath: '/x' }] },
  { volumeMounts: [{ name: 'openshell-supervisor-bin', mountPath: '/lib', readOnly: true }] },
  { volumeMounts: [{ name: 'openshell-supervisor-bin', mountPath: '/usr/local/bin', readOnly: true }] },
  { env: [{ name: 'OPENSHELL_SUPERVISOR_TOPOLOGY', value: 'sidecar' }] },
  { env: [{ name: 'OPENSHELL_NETWORK_ENFORCEMENT_MODE', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }] },
  { env: [{ name: 'LD_PRELOAD', value: '/x' }] },
  { env: [{ name: 'PATH', value: '/x' }] },
  { envFrom: [{ configMapRef: { name: 'x' } }] },
  { env: [{ name: 'HTTPS_PROXY', value: 'http://proxy:3128' }] },
  { env: [{ name: 'OPENSHELL_NETWORK_BINARY_IDENTITY', value: 'relaxed' }] },
  { terminationMessagePath: '/usr/bin/nsenter' },
  { lifecycle: { preStop: { exec: { command: ['x'] } } } },
  { livenessProbe: { exec: { command: ['x'] } } },
  { ports: [{ containerPort: 80 }] },
  { workingDir: '/x' },
  { tty: true },
  { args: ['--', 'x'] },
  { args: ['--mode=process', '--', 'x'] },
  { args: ['--mode', 'network,process'] },
  { restartPolicy: 'Always' },
  { securityContext: { runAsNonRoot: true } },
  { securityContext: { privileged: true } },
  { securityContext: { windowsOptions: { gmsaCredentialSpecName: 'x' } } },
  { securityContext: { capabilities: { add: ['NET_ADMIN'] } } },
  { securityContext: { capabilities: { add: ['CAP_SYS_PTRACE'] } } },
  { securityContext: { capabilities: { add: ['chown'] } } },
];

/** What may come on top in a pod. */
const POD_ADDITIONS: readonly (readonly [member: string, value: unknown])[] = [
  ['shareProcessNamespace', true],
  ['hostPID', true],
  ['hostNetwork', true],
  ['securityContext', { runAsNonRoot: true }],
  ['securityContext', { windowsOptions: { runAsUserName: 'ContainerUser' } }],
  ['nodeSelector', { 'kubernetes.io/os': 'windows' }],
  ['nodeSelector', { 'beta.kubernetes.io/os': 'windows' }],
  ...[
    [{ key: 'kubernetes.io/os', operator: 'In', values: ['windows'] }],
    [{ key: 'kubernetes.io/os', operator: 'In', values: ['windows', 'linux'] }],
    [{ key: 'kubernetes.io/os', operator: 'NotIn', values: ['linux'] }],
    [{ key: 'kubernetes.io/os', operator: 'Exists' }],
    [],
  ].flatMap((matchExpressions) =>
    [[{ matchExpressions }], [{ matchExpressions }, { matchExpressions: [{ key: 'zone', operator: 'Exists' }] }]].map(
      (nodeSelectorTerms) =>
        ['affinity', { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } } }] as const,
    ),
  ),
];

/** A pod without a policy, or with probes that fail: not a supervisor that guards less. */
const canOnlyCrash = ({ reason }: Outcome): boolean => ['no-policy-source', 'unreachable-probes'].includes(reason);

/** Every pod that differs from this one in one place: a member or element less, another value, or something on top. */
export function changesOf({ what, pod }: Case): Case[] {
  const found: Case[] = [];
  const change = (operation: Operation): void => {
    found.push({
      what: `${what}: ${JSON.stringify(operation)}`,
      pod: jsonPatch.applyPatch(structuredClone(pod), [operation]).newDocument,
    });
  };
  const visit = (value: unknown, path: string, member: string): void => {
    change({ op: 'remove', path });
    if (typeof value === 'string') change({ op: 'replace', path, value: `${value}x` });
    if (typeof value === 'boolean') change({ op: 'replace', path, value: !value });
    if (typeof value === 'number') change({ op: 'replace', path, value: value + 1 });
    if (typeof value !== 'object' || value === null) {
      for (const other of OTHERS[member] ?? []) if (other !== value) change({ op: 'replace', path, value: other });
    } else {
      for (const [key, child] of Object.entries(value))
        visit(child, `${path}/${escapePathComponent(key)}`, Array.isArray(value) ? member : key);
    }
  };
  const { labels, annotations } = pod.metadata ?? {};
  for (const [part, value] of Object.entries({ metadata: { labels, annotations }, spec: pod.spec }))
    for (const [key, child] of Object.entries(value ?? {})) if (child !== undefined) visit(child, `/${part}/${key}`, key);
  for (const [member, value] of POD_ADDITIONS) change({ op: 'add', path: `/spec/${member}`, value });
  for (const list of ['containers', 'initContainers'] as const)
    for (const [index, container] of (pod.spec?.[list] ?? []).entries())
      for (const [member, value] of ADDITIONS.flatMap((addition) => Object.entries(addition))) {
        const there = (container as Record<string, unknown>)[member];
        const object = typeof there === 'object' ? { ...there, ...(value as object) } : value;
        change({
          op: 'add',
          path: `/spec/${list}/${index}/${member}`,
          value: Array.isArray(there) ? [...there, ...(value as unknown[])] : object,
        });
      }
  return found;
}

/** Whether the backstop may refuse a pod that the webhook leaves unchanged: it compares paths as they are written (docs/security.md). */
function hasOddPath(pod: Pod): boolean {
  const containers = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
  const paths = containers.flatMap(({ volumeMounts, command }) => [
    ...(volumeMounts ?? []).map(({ mountPath }) => mountPath ?? ''),
    ...(command?.[1] === '--workdir' ? [command[2] ?? ''] : []),
  ]);
  return paths.some((path) => !path.startsWith('/') || /\/\/|\/\.\.?(\/|$)/.test(path));
}

/** Settings that can make a supervisor fail, but not guard less: the webhook restores them, the backstop does not ask for them. */
function isBearable({ op, path, ...rest }: Operation): boolean {
  const { name } = ((rest as { value?: unknown }).value ?? {}) as { name?: string };
  return (
    /\/securityContext\/(capabilities|appArmorProfile)/.test(path) ||
    (/\/env\//.test(path) && /^OPENSHELL_(LOG_LEVEL|CONTAINER_IMAGE|SANDBOX_ID|ENDPOINT)$/.test(name ?? '')) ||
    (op === 'add' && name === 'openshell-upstream-proxy-auth') ||
    /openshell\.ai~1sideloaded$|\/metadata\/annotations$/.test(path)
  );
}

/** The default that matters: the API server takes a volume without a source for an emptyDir before any webhook sees it. */
function withDefaults(pod: Pod): Pod {
  const volumes = pod.spec?.volumes?.map((volume) => (Object.keys(volume).length > 1 ? volume : { ...volume, emptyDir: {} }));
  return volumes ? { ...pod, spec: { ...pod.spec, volumes } } : pod;
}

/**
 * Creates all pods with nothing but the backstop in force, and compares its answers with what the webhook would say.
 *
 * @returns what differs, and how many pods there were of each outcome
 */
export async function compare(
  cases: readonly Case[],
  flags: readonly string[],
  facts = UNKNOWN_CLUSTER,
): Promise<{ differences: string[]; seen: Record<string, number> }> {
  // Nothing is looked up: the backstop sees what is stored.
  const { sideload: settings } = readConfig([...new Set([...flags, ...NO_LOOKUP])], {});
  const [differences, seen]: [string[], Record<string, number>] = [[], {}];
  const count = (outcome: string): void => {
    seen[outcome] = (seen[outcome] ?? 0) + 1;
  };
  const judge = async ({ what, pod }: Case): Promise<void> => {
    const { code, message, reason, object } = await create(pod);
    const differs = (expected: string): void => {
      differences.push(`${what}: ${reason ?? code} ${message}, but the webhook: ${expected}`);
    };
    if (code === 201) {
      count('admitted');
      // As it is stored: the API server fills in defaults.
      const outcome = decide(object, settings, facts);
      const bearable = outcome.verdict === 'inject' && outcome.operations.every(isBearable);
      if (outcome.verdict !== 'skip' && !bearable && !canOnlyCrash(outcome)) differs(outcome.reason);
    } else if (reason === undefined) {
      // Not a pod at all: the API server refuses it before it asks the policy.
      count('invalid');
      if (message.includes('ValidatingAdmissionPolicy')) differs('an answer');
    } else {
      const outcome = decide(withDefaults(pod), settings, facts);
      const isStricter = outcome.verdict === 'skip' && hasOddPath(pod);
      count(isStricter ? 'stricter: path' : reason);
      // What the webhook would put in, or why it cannot, the backstop does not know: it only says that something is missing.
      const sameWord =
        [reason, 'image-volume-dropped'].includes(outcome.reason) || ['not-sideloaded', 'image-volume-dropped'].includes(reason);
      if (outcome.verdict === 'skip' ? !isStricter : outcome.verdict === 'refuse' && !sameWord && !hasOddPath(pod)) differs(outcome.reason);
    }
  };
  await Promise.all(cases.map(judge));
  return { differences: differences.sort(), seen };
}
