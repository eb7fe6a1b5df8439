/** Pods that differ from another one in one place. */

import jsonPatch, { escapePathComponent, type Operation } from 'fast-json-patch';
import type { Pod } from '../../../src/sideload/pod.ts';

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
