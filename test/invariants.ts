import { expect } from 'vitest';
import { ENV, supervisorBinary } from '../src/sideload/contract.ts';
import { decide } from '../src/sideload/decide.ts';
import { PINNED_VARIABLES } from '../src/sideload/environment.ts';
import type { Inject } from '../src/sideload/outcome.ts';
import type { Container, Pod } from '../src/sideload/pod.ts';
import { type SideloadSettings, UNKNOWN_CLUSTER } from '../src/sideload/settings.ts';
import { isWorkdir } from '../src/sideload/workdir.ts';

/** All capabilities that the webhook may add, or take out of a drop. */
const SUPERVISOR_CAPABILITIES = [
  ...['SYS_ADMIN', 'NET_ADMIN', 'SYS_PTRACE', 'SYSLOG'],
  ...['SETUID', 'SETGID', 'DAC_READ_SEARCH', 'DAC_OVERRIDE', 'KILL', 'CHOWN', 'SETPCAP', 'FOWNER'],
];
const upper = (capability: string): string => capability.toUpperCase();
const bare = (capability: string): string => upper(capability).replace(/^CAP_/, '');

/** Takes out what the contract names: what is left has to be what was there. */
function withoutSideload(pod: Pod, index: number, settings: SideloadSettings): unknown {
  const copy = JSON.parse(JSON.stringify(pod));
  delete copy.metadata.annotations?.['openshell.ai/sideloaded'];
  const list = <T>(value: T[] | null | undefined, keep: (element: T) => boolean): T[] => (value ?? []).filter(keep);
  const unnamed = (element: { name: string }): boolean => !/^openshell-(supervisor|policy|upstream)/.test(element.name);
  const notOurs = (capability: string): boolean => !SUPERVISOR_CAPABILITIES.includes(bare(capability));
  const ours = [
    ...[...PINNED_VARIABLES, ENV.policyRules, ENV.policyData, ENV.containerImage],
    ...[...settings.env, ...settings.pinnedEnv].map(({ name }) => name),
  ];
  copy.spec.volumes = list(copy.spec.volumes, unnamed);
  copy.spec.initContainers = list(copy.spec.initContainers, unnamed);
  const chosen = copy.spec.containers[index];
  for (const member of ['command', 'args']) delete chosen[member];
  chosen.env = list(chosen.env, (element: { name: string }) => !ours.includes(element.name));
  chosen.volumeMounts = list(chosen.volumeMounts, unnamed);
  const context = chosen.securityContext ?? {};
  const profile = context.appArmorProfile;
  const capabilities = context.capabilities ?? {};
  chosen.securityContext = {
    ...context,
    runAsUser: null,
    runAsNonRoot: null,
    privileged: context.privileged ?? null,
    runAsGroup: context.runAsGroup ?? null,
    appArmorProfile: profile?.type === 'Unconfined' ? null : (profile ?? null),
    capabilities: { add: list(capabilities.add, notOurs), drop: list(capabilities.drop, notOurs) },
  };
  copy.metadata.annotations = { ...copy.metadata.annotations };
  return copy;
}

function expectCapabilities(container: Container | undefined, settings: SideloadSettings): void {
  if (container?.securityContext?.privileged) return;
  const { add, drop } = container?.securityContext?.capabilities ?? {};
  const added = (add ?? []).map(upper);
  const dropped = (drop ?? []).map(bare);
  for (const needed of settings.capabilities) {
    expect([(added.includes('ALL') && !dropped.includes('ALL')) || added.includes(needed), dropped.includes(needed)], needed).toEqual([
      true,
      false,
    ]);
  }
}

/**
 * Asserts what holds of every pod that had no supervisor and was injected: one volume, one mount, the right command, root and
 * the capabilities, an identity, nothing else changed, and it would not be injected again.
 *
 * @param original the pod as it reached the webhook
 * @param after the pod with the operations applied, or as the API server stored it
 * @param outcome the method, and the name of the sandbox container
 */
export function expectSideloaded(
  original: Pod,
  after: Pod,
  { method, container }: Pick<Inject, 'method' | 'container'>,
  settings: SideloadSettings,
): void {
  const index = original.spec?.containers?.findIndex((candidate) => candidate.name === container) ?? -1;
  const [was, is] = [original.spec?.containers?.[index], after.spec?.containers?.[index]];

  expect(after.spec?.volumes?.filter((volume) => volume.name === 'openshell-supervisor-bin')).toHaveLength(1);
  expect(is?.volumeMounts?.filter((mount) => mount.name === 'openshell-supervisor-bin')).toEqual([
    { name: 'openshell-supervisor-bin', mountPath: '/opt/openshell/bin', readOnly: true },
  ]);
  expect(after.spec?.initContainers?.at(-1)?.name === 'openshell-supervisor-install').toBe(method === 'init-container');
  const workdir = was?.workingDir && isWorkdir(was.workingDir) ? was.workingDir : settings.workdir;
  expect(is?.command).toEqual([supervisorBinary(method, settings.layout), '--workdir', workdir, ...settings.supervisorArgs]);
  const command = [...(was?.command ?? []), ...(was?.args ?? [])];
  expect(is?.args ?? []).toEqual(command.length === 0 ? [] : ['--', ...command]);
  expect(is?.securityContext?.runAsUser).toBe(0);
  expect(is?.securityContext?.runAsNonRoot ?? after.spec?.securityContext?.runAsNonRoot ?? false).toBe(false);
  // The API server leaves an empty value out.
  const valuesOf = (name: string): string[] => is?.env?.filter((entry) => entry.name === name).map((entry) => entry.value ?? '') ?? [];
  for (const name of [ENV.sandboxUid, ENV.sandboxGid])
    expect(valuesOf(name), name).toEqual([expect.stringMatching(/^[1-9]\d*$/), ...valuesOf(name).slice(1)]);
  for (const { name, value } of settings.pinnedEnv) expect(new Set(valuesOf(name)), name).toEqual(new Set([value]));
  expectCapabilities(is, settings);
  expect(withoutSideload(after, index, settings)).toEqual(withoutSideload(original, index, settings));
  expect(decide(after, settings, UNKNOWN_CLUSTER)).toMatchObject({ verdict: 'skip', reason: 'already-sideloaded' });
}
