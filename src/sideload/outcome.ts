/** What can come of a pod. Every outcome has one reason code, the same in the response, the audit annotation, the log and the metric. */

import type { Method } from './contract.ts';
import type { Operation } from './operations.ts';

/** Why a pod is left unchanged. */
export const SKIPS = {
  'not-a-pod-creation': 'the request does not create a pod',
  'not-labelled': 'the pod carries no sandbox label',
  'two-pod-openshell': 'the pod is one of a pair of OpenShell 0.1 or newer, whose supervisor runs in its own pod',
  'opted-out': 'the pod sets openshell.ai/sandbox: "false"',
  'mirror-pod': 'the pod mirrors a static pod and cannot be changed',
  'already-sideloaded': 'the sandbox container already runs under a trusted supervisor',
} as const;

/** Why a pod was changed. */
export const INJECTIONS = {
  injected: 'the supervisor was put into the pod',
  converged: 'the pod had parts of the supervisor; the webhook added or corrected the rest',
} as const;

/** The steps of a decision, as `explain` shows them. */
export type StepName =
  | 'label'
  | 'platform'
  | 'container'
  | 'method'
  | 'cluster'
  | 'supervisor'
  | 'topology'
  | 'policy'
  | 'command'
  | 'image'
  | 'programs'
  | 'neighbours'
  | 'mounts'
  | 'identity'
  | 'probes';

/**
 * Why a pod is refused: the HTTP status of the refusal (422, the pod contradicts the contract; 403, the operator or the cluster
 * does not allow it; 503, the next try may succeed), and the step of the decision that fails.
 */
export const REFUSALS = {
  'unknown-label-value': { code: 422, step: 'label', summary: 'the sandbox label has a value other than "true" or "false"' },
  'unknown-method': { code: 422, step: 'method', summary: 'the method annotation names no method' },
  'method-not-allowed': { code: 403, step: 'method', summary: 'the operator does not allow the method' },
  'image-volume-dropped': { code: 403, step: 'cluster', summary: 'the API server would drop the image volume' },
  'windows-pod': { code: 422, step: 'platform', summary: 'the supervisor runs on Linux only' },
  'host-network': { code: 422, step: 'platform', summary: 'the supervisor would change the network of the node' },
  'no-containers': { code: 422, step: 'container', summary: 'the pod has no containers' },
  'container-not-found': { code: 422, step: 'container', summary: 'the container annotation names no container of the pod' },
  'args-without-command': { code: 422, step: 'command', summary: 'the container has args but no command, so its program is not known' },
  'missing-command': { code: 422, step: 'command', summary: 'the container has no command and the operator requires one' },
  'entrypoint-unknown': { code: 422, step: 'image', summary: 'the registry does not tell what the image runs' },
  'entrypoint-ambiguous': { code: 422, step: 'image', summary: 'the image runs different programs on different platforms' },
  'entrypoint-unavailable': { code: 503, step: 'image', summary: 'the registry is unavailable: the API server tries again' },
  'invalid-identity': { code: 422, step: 'identity', summary: 'runAsUser or runAsGroup is not a user or group id' },
  'volume-name-taken': { code: 422, step: 'mounts', summary: 'another volume has a name that the webhook needs' },
  'mount-path-taken': { code: 422, step: 'mounts', summary: 'another mount is at a path that the webhook needs' },
  'init-container-name-taken': { code: 422, step: 'supervisor', summary: 'another container has the name of the install container' },
  'supervisor-volume-shared': { code: 422, step: 'supervisor', summary: 'another container mounts the supervisor volume' },
  'untrusted-supervisor': { code: 403, step: 'supervisor', summary: 'the supervisor comes from an image that is not trusted' },
  'incomplete-sidecar-topology': { code: 422, step: 'topology', summary: 'a process-only supervisor without its network sidecar' },
  'supervisor-options': { code: 422, step: 'command', summary: 'the pod sets supervisor options, which only the operator may set' },
  'invalid-policy': { code: 422, step: 'policy', summary: 'the policy annotation is not the name of a ConfigMap' },
  'policy-conflict': {
    code: 422,
    step: 'policy',
    summary: 'the pod has a policy and a gateway, and the supervisor takes only one',
  },
  'policy-not-allowed': { code: 403, step: 'policy', summary: 'the namespace enforces a policy, and the pod or the operator has another' },
  'policy-bypassed': { code: 403, step: 'policy', summary: 'the namespace enforces a policy, and the pod would bypass it' },
  'no-policy-source': { code: 422, step: 'policy', summary: 'the pod has no policy, and the supervisor would exit' },
  'unreachable-probes': { code: 422, step: 'probes', summary: 'a probe would always fail: nothing reaches the ports of the program' },
  'image-volume-unknown': { code: 403, step: 'cluster', summary: 'it is not known yet whether the API server keeps image volumes' },
  'programs-covered': { code: 422, step: 'programs', summary: 'the pod mounts over programs that the supervisor runs as root' },
  'loader-variable': { code: 422, step: 'programs', summary: 'a variable loads code into programs that the supervisor runs as root' },
  'unsafe-neighbours': { code: 422, step: 'neighbours', summary: 'another container could replace the supervisor' },
} as const satisfies Readonly<Record<string, { code: 403 | 422 | 503; step: StepName; summary: string }>>;

/** What an admitted pod's author should know. */
export const WARNINGS = {
  'no-command': 'the image ENTRYPOINT does not run',
  'image-user': 'the program does not run as the USER of its image',
  'no-policy-source': 'no policy is visible: the supervisor exits unless the image brings one',
  'inference-routes': 'a file of the pod replaces the inference routes of the gateway',
  'sandbox-id-differs': 'OPENSHELL_SANDBOX_ID differs from the label',
  'token-in-spec': 'everyone who may read the pod can read its gateway token',
  'workdir-replaced': 'the program starts in another working directory than the container names',
  'ports-unreachable': 'nothing reaches the ports of the program',
  'host-namespaces': 'the container shares process or IPC namespaces with the node',
  'nodes-without-image-volumes': 'not every schedulable Linux node is known to mount image volumes',
  'runtime-without-image-volumes': 'the runtime class or user namespace of the pod is not known to work with image volumes',
  'unsafe-neighbours': 'another container could replace or reach the supervisor',
  'writable-path': 'the supervisor runs programs as root from a writable directory',
  'read-only-root': 'the supervisor cannot make its network namespace and will exit',
  'hooks-outside': 'exec probes and lifecycle hooks run outside the supervisor',
  'containers-outside': 'other containers run outside the supervisor',
} as const;

export type SkipReason = keyof typeof SKIPS;
type InjectReason = keyof typeof INJECTIONS;
export type RefuseReason = keyof typeof REFUSALS;

export interface Warning {
  readonly code: keyof typeof WARNINGS;
  /** Below 256 characters: the API server cuts longer warnings. */
  readonly message: string;
}

export interface Skip {
  readonly verdict: 'skip';
  readonly reason: SkipReason;
  /** Of a sandbox that needs no change; undefined where there are none. */
  readonly warnings: readonly Warning[] | undefined;
}

export interface Refuse {
  readonly verdict: 'refuse';
  readonly reason: RefuseReason;
  /** Says what to change, in fewer than 256 characters. */
  readonly message: string;
  /** Only because an image was not looked up: with what is found out, the decision is another one. */
  readonly needs: ImageNeed | undefined;
}

/** What an image has to be looked up for. */
export interface ImageNeed {
  /** As the pod writes it. */
  readonly image: string;
  /** Whether the program is not known without it. */
  readonly forProgram: boolean;
  /** Whether its variables have to be seen, as those of the pod itself are. */
  readonly forVariables: boolean;
}

export interface Inject {
  readonly verdict: 'inject';
  readonly reason: InjectReason;
  readonly method: Method;
  /** Name of the sandbox container. */
  readonly container: string;
  /** JSON Patch (RFC 6902) operations, in the order in which they apply. */
  readonly operations: readonly Operation[];
  readonly warnings: readonly Warning[];
  /** Digest of the image that was looked up, and whose program runs; undefined where none was. */
  readonly imageDigest: string | undefined;
}

export type Outcome = Skip | Refuse | Inject;

export function skip(reason: SkipReason, warnings?: readonly Warning[]): Skip {
  return { verdict: 'skip', reason, warnings: warnings?.length ? warnings : undefined };
}

export function refuse(reason: RefuseReason, message: string, needs?: ImageNeed): Refuse {
  return { verdict: 'refuse', reason, message, needs };
}

export function inject(reason: InjectReason, rest: Omit<Inject, 'verdict' | 'reason'>): Inject {
  return { verdict: 'inject', reason, ...rest };
}

/** Whether a step of the decision ended it with a refusal, instead of finding what it looked for. */
export function isRefusal(found: object | string | undefined): found is Refuse {
  return typeof found === 'object' && 'verdict' in found && found.verdict === 'refuse';
}

/** C1 control characters, and those that change the direction or the lines of a text: a terminal, or a reader, would be misled. */
const MISLEADING = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/;

/** A user's value for a log line: what would mislead its reader is escaped. The log escapes other control characters itself. */
export function printable(value: string): string {
  // Most values have none, and a test alone takes a third of the time.
  if (!MISLEADING.test(value)) return value;
  return value.replace(new RegExp(MISLEADING, 'g'), (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/**
 * A user's value for a message: in quotes, control characters escaped, cut so that the message stays readable. What we add
 * is ASCII, because warnings travel in an HTTP header.
 */
export function quote(value: string): string {
  // More than this is never shown, and a value may have megabytes.
  const escaped = printable(JSON.stringify(value.slice(0, 64)));
  return escaped.length > 42 ? `${escaped.slice(0, 38)}..."` : escaped;
}

/** Names for a message: at most three of them, then how many more there are. */
export function enumerate(names: readonly string[]): string {
  const shown = names.slice(0, 3).map(quote).join(', ');
  return names.length > 3 ? `${shown} and ${names.length - 3} more` : shown;
}
