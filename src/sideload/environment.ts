/**
 * The variables of the sandbox container, by whose they are. What the supervisor trusts and an author could turn against it is
 * pinned: always written, so that it replaces what pod, envFrom and image say. The rest is a default or the author's.
 */

import { isDeepStrictEqual } from 'node:util';
import { ENV, SANDBOX_ID_LABEL } from './contract.ts';
import { hasAnyPart } from './existing.ts';
import { GATEWAY_VARIABLES, setsVariable } from './gateway.ts';
import type { Identity } from './identity.ts';
import { append, type Operation } from './operations.ts';
import type { Plan } from './plan.ts';
import type { Container, EnvVar, Variable } from './pod.ts';
import type { SideloadSettings } from './settings.ts';

/**
 * Pinned for every pod; no pod, envFrom or image may choose them. An OCI user would choose another identity; in a sidecar
 * topology the supervisor neither drops privileges nor guards the network (crates/openshell-sandbox/src/lib.rs,
 * process_enforcement_mode and sidecar_network_enforcement_enabled); what the runtime's network can do is the driver's to say,
 * and it says nothing.
 */
const CLEARED: readonly Variable[] = [ENV.ociImageUser, ENV.topology, ENV.networkEnforcement, ENV.networkCapabilities].map((name) => ({
  name,
  value: '',
}));

/**
 * Pinned for every pod; --pinned-env may choose other values. Rules for single binaries hold (opa.rs), a revoked policy is
 * seen (lib.rs, policy poll), and events reach the gateway (log_push.rs).
 */
const PINNED_DEFAULTS: readonly Variable[] = [
  { name: ENV.binaryIdentity, value: 'required' },
  { name: ENV.policyPollInterval, value: '10' },
  { name: ENV.logPushLevel, value: 'info' },
];

/** Without this the supervisor's log is empty, and shows no denial. */
export const ENV_DEFAULTS: readonly Variable[] = [{ name: ENV.logLevel, value: 'info' }];

/** Variables that the webhook writes from each pod, or that have one right value: no option may give them another. */
export const RESERVED_VARIABLES: readonly string[] = [
  ...[ENV.sandboxUid, ENV.sandboxGid, ENV.sandboxId, ENV.containerImage],
  ...CLEARED.map(({ name }) => name),
];

/** Variables that --pinned-env alone may give another value. */
export const PINNED_BY_DEFAULT: readonly string[] = PINNED_DEFAULTS.map(({ name }) => name);

/** Every variable that is pinned in every pod. */
export const PINNED_VARIABLES: readonly string[] = [
  ENV.sandboxUid,
  ENV.sandboxGid,
  ...CLEARED.map(({ name }) => name),
  ...PINNED_BY_DEFAULT,
];

/** What is pinned in every pod, beside its identity and its policy. */
export function pinnedVariables(operators: readonly Variable[]): readonly Variable[] {
  const names = new Set(operators.map(({ name }) => name));
  return [...CLEARED, ...PINNED_DEFAULTS.filter(({ name }) => !names.has(name)), ...operators];
}

/** What a pod gets where it has no variable of that name. */
export function defaultVariables(operators: readonly Variable[]): readonly Variable[] {
  const names = new Set(operators.map(({ name }) => name));
  return [...ENV_DEFAULTS.filter(({ name }) => !names.has(name)), ...operators];
}

function identityVariables({ uid, gid }: Identity): readonly Variable[] {
  return [
    { name: ENV.sandboxUid, value: String(uid) },
    { name: ENV.sandboxGid, value: String(gid) },
  ];
}

/** No image has a longer name: a file system takes no part of it that is. */
export const LONGEST_IMAGE = 4096;

/** For the supervisor's audit log. */
function containerImage({ image }: Container): readonly Variable[] {
  return image && image.length <= LONGEST_IMAGE ? [{ name: ENV.containerImage, value: image }] : [];
}

/** Whether a pod's variable has the value that the webhook writes. What an API server adds to a reference, `optional`, would differ. */
export function isSame({ value, valueFrom }: EnvVar, wanted: Variable): boolean {
  if (wanted.valueFrom) return isDeepStrictEqual(valueFrom, wanted.valueFrom);
  return !valueFrom && (value ?? '') === wanted.value;
}

/** Whether the variable holds an id that an earlier invocation, or the driver that made the pod, resolved. */
function isResolvedId({ name, value, valueFrom }: EnvVar): boolean {
  return (name === ENV.sandboxUid || name === ENV.sandboxGid) && !valueFrom && /^[1-9][0-9]{0,9}$/.test(value ?? '');
}

function names(variables: Container['env'], name: string): boolean {
  return variables?.some((variable) => variable.name === name) ?? false;
}

/**
 * The sandbox id from the pod's label, then the operator's defaults. Those of a gateway stay away from a pod that has a gateway
 * of its own, or whose annotation chooses files instead of a gateway.
 */
function addedDefaults({ pod, container, policy }: Plan, { env }: SideloadSettings): readonly Variable[] {
  const sandboxId = pod.metadata?.labels?.[SANDBOX_ID_LABEL];
  const ownGateway = policy.from === 'annotation' || setsVariable(container, ENV.endpoint);
  const defaults = ownGateway ? env.filter(({ name }) => !GATEWAY_VARIABLES.includes(name)) : env;
  return sandboxId ? [{ name: ENV.sandboxId, value: sandboxId }, ...defaults] : defaults;
}

/**
 * Pinned variables replace the pod's values, in place, so that `$(NAME)` references keep working. On a pod that has a part of
 * its supervisor, where runAsUser is the supervisor's 0 already, an id that was resolved before stays.
 */
export function environmentOperations(plan: Plan, path: string, settings: SideloadSettings): Operation[] {
  const { container, written, image, policy } = plan;
  const env = written.env ?? [];
  const pinned = [
    ...identityVariables(plan.identity),
    ...settings.pinnedEnv,
    ...(policy.policy?.variables ?? []),
    ...containerImage(container),
  ];
  const wantedOf = new Map(pinned.map((variable) => [variable.name, variable]));
  const present = new Set<string>();
  const operations: Operation[] = [];
  env.forEach((variable, index) => {
    present.add(variable.name ?? '');
    const wanted = wantedOf.get(variable.name ?? '');
    if (wanted === undefined || (hasAnyPart(plan.existing) && isResolvedId(variable))) return;
    if (!isSame(variable, wanted)) operations.push({ op: 'replace', path: `${path}/env/${index}`, value: wanted });
  });
  // What counts of the image's own is written down, so that it counts the same when the image is not looked up.
  const added = new Map<string, Variable>();
  for (const variable of [...pinned, ...(image?.variables ?? []), ...addedDefaults(plan, settings)])
    if (!present.has(variable.name) && !added.has(variable.name)) added.set(variable.name, variable);
  return [...operations, ...append(path, 'env', env, [...added.values()])];
}

/** Whether a container's own `env`, or the operator's, has a variable. */
export function hasVariable(name: string, container: Container, settings: SideloadSettings): boolean {
  return names(container.env, name) || names(settings.env, name) || names(settings.pinnedEnv, name);
}

/** Whether the sandbox container will have a variable, so far as its own `env`, its label and the operator's defaults give it. */
export function willHaveVariable(name: string, { pod, container }: Plan, settings: SideloadSettings): boolean {
  const fromLabel = name === ENV.sandboxId && Boolean(pod.metadata?.labels?.[SANDBOX_ID_LABEL]);
  return fromLabel || hasVariable(name, container, settings);
}
