/** What the core needs to know besides the pod: the operator's choices and what the cluster can do. */

import { type Layout, type Method, POLICY_ENFORCED, POLICY_MODE_LABEL } from './contract.ts';
import type { TrustedImages } from './image.ts';
import type { Variable } from './pod.ts';
import type { Policy, PolicyRules } from './policy-source.ts';

/** The operator's choices; src/config/config.ts reads them from flags and environment. */
export interface SideloadSettings {
  /** Reference of the supervisor image, as a kubelet pulls it. */
  readonly image: string;
  /** `Always`, `IfNotPresent`, `Never`, or empty: left to Kubernetes. */
  readonly pullPolicy: string;
  readonly layout: Layout;
  /** The method of pods that name none; `auto` follows the cluster. */
  readonly method: Method | 'auto';
  readonly allowedMethods: readonly Method[];
  /** Capabilities the supervisor needs, without `CAP_`; empty leaves capabilities to the pod. */
  readonly capabilities: readonly string[];
  /** `Unconfined`, `RuntimeDefault`, `Localhost/NAME`, or empty: left to the pod. */
  readonly appArmorProfile: string;
  /** Variables added to the sandbox container where it has none of that name. */
  readonly env: readonly Variable[];
  /** Variables that no pod, envFrom or image may choose otherwise, beside the identity and the policy. */
  readonly pinnedEnv: readonly Variable[];
  /** Options of the supervisor, each one word, placed after its workdir. */
  readonly supervisorArgs: readonly string[];
  /** Key of a Secret, in the pod's namespace, with the credentials of the corporate proxy. */
  readonly proxyAuthSecret: { readonly name: string; readonly key: string } | undefined;
  readonly policy: PolicySettings;
  /** What to do with probes that the network namespace of the program makes fail. */
  readonly unreachableProbes: 'refuse' | 'warn';
  /** Images that count as a supervisor, the configured one among them. */
  readonly trustedImages: TrustedImages;
  /** What to do with neighbours of the sandbox container that could replace its supervisor; `by-method` refuses where the method lets them. */
  readonly neighbours: 'by-method' | 'refuse' | 'warn';
  /** What to do with a container that has no command: look up what its image runs, start the supervisor's shell, or refuse it. */
  readonly missingCommand: 'lookup' | 'shell' | 'refuse';
  /** Where it is looked up what an image runs: in the operator's map, then in its registry; in the map only; nowhere. */
  readonly entrypoint: 'registry' | 'map' | 'off';
  /** Which images are read: those whose program is needed, or all of sandbox containers. Where a policy is enforced: all. */
  readonly inspectImages: 'when-needed' | 'always';
  /** Whether an image that was looked up is run by its digest. */
  readonly pinResolvedImages: boolean;
  /** User and group id of the sandboxed process where the pod asks for none, or for root. */
  readonly uid: number;
  readonly gid: number;
  /** Working directory of the sandboxed process where the container sets none. */
  readonly workdir: string;
}

/** Where sandboxes get their policy. */
export interface PolicySettings {
  /** The policy of pods that bring none. */
  readonly operator: Policy | undefined;
  /** Where the rules of a pod's own policy come from. */
  readonly rules: PolicyRules;
  /** Whether every sandbox gets the operator's policy. */
  readonly enforced: boolean;
  /** Whether an editor of the namespace cannot change the operator's policy: it comes from images, by digest. */
  readonly enforceable: boolean;
  /** What to do with a pod that has no policy from anywhere. */
  readonly missing: 'refuse' | 'warn';
}

/** The settings for namespaces that enforce the operator's policy. */
export function enforcing(settings: SideloadSettings): SideloadSettings {
  return { ...settings, policy: { ...settings.policy, enforced: true } };
}

type Labels = Readonly<Record<string, string>> | undefined;

/** Whether a namespace with these labels enforces the operator's policy. */
export function enforcesPolicy(labels: Labels): boolean {
  return labels?.[POLICY_MODE_LABEL] === POLICY_ENFORCED;
}

/** The settings that hold in a namespace with these labels. */
export function settingsIn(labels: Labels, settings: SideloadSettings): SideloadSettings {
  return enforcesPolicy(labels) ? enforcing(settings) : settings;
}

/**
 * What is known of the cluster.
 *
 * Releases before 1.35 admit a pod with an image volume and drop the volume's source unless the ImageVolume gate is on
 * (KEP-4639): such a pod would not start under its supervisor.
 */
export interface ClusterFacts {
  /** What the API server does to an image volume. `unknown`: no response yet. `assumed`: the preflight is off, and they count as kept. */
  readonly imageVolumes: 'kept' | 'dropped' | 'unknown' | 'assumed';
  /** The API server's version, such as `v1.34.4`; empty when unknown. */
  readonly serverVersion: string;
  /** The nodes that a sandbox could run on; undefined when they cannot be listed. */
  readonly nodes: NodeCount | undefined;
}

export interface NodeCount {
  /** Schedulable Linux nodes. */
  readonly total: number;
  /** Those of them that are known to mount image volumes. */
  readonly mountingImages: number;
  /** Those of these that also mount them into a user namespace. */
  readonly mountingMapped: number;
}

/** No cluster is asked: on a developer's machine, or because the operator said so. */
export const UNKNOWN_CLUSTER: ClusterFacts = { imageVolumes: 'assumed', serverVersion: '', nodes: undefined };
