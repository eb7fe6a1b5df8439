/** Where a policy's two files come from, and how they get into a pod. */

import {
  ENV,
  POLICY_DATA_FILE,
  POLICY_MOUNT_PATH,
  POLICY_RULES_FILE,
  POLICY_RULES_MOUNT_PATH,
  POLICY_RULES_VOLUME,
  POLICY_VOLUME,
  SUPERVISOR_MOUNT_PATH,
} from './contract.ts';
import type { Variable } from './pod.ts';

/** A volume of files that is mounted read-only in the sandbox container, whole. */
export interface FileVolume {
  readonly name: string;
  readonly mountPath: string;
  /** The volume's source, as the API server stores it. */
  readonly source: Readonly<Record<string, unknown>>;
}

/** Where one of a policy's two files comes from. */
export type PolicySource = { readonly from: 'configmap'; readonly name: string } | { readonly from: 'image'; readonly reference: string };

/** Where the rules come from; `same`: from where the data does. `supervisor`: a path inside the operator's supervisor image. */
export type PolicyRules = PolicySource | { readonly from: 'same' } | { readonly from: 'supervisor'; readonly path: string };

/** What a policy takes of a ConfigMap. */
export interface ConfigMapFiles {
  readonly name: string;
  readonly keys: readonly string[];
}

/** A policy as it gets into a pod. */
export interface Policy {
  readonly volumes: readonly FileVolume[];
  /** OPENSHELL_POLICY_RULES and OPENSHELL_POLICY_DATA. */
  readonly variables: readonly [Variable, Variable];
  /** For people: `ConfigMap team-policy`, `image registry.example/policy@sha256:…`. */
  readonly origin: string;
  /** Whether it needs the API server to keep image volumes. */
  readonly usesImages: boolean;
  /** Whether the rules lie in the supervisor's image, which only method image-volume mounts. */
  readonly usesSupervisorImage: boolean;
}

/** Only root reads it: the supervisor, not the program that it starts. */
const MODE = 0o400;

function configMapSource(name: string, files: readonly string[]): object {
  return { configMap: { name, items: files.map((file) => ({ key: file, path: file })), optional: false } };
}

function volume(name: string, mountPath: string, source: PolicySource, files: readonly string[], pullPolicy: string): FileVolume {
  if (source.from === 'configmap')
    return { name, mountPath, source: { projected: { sources: [configMapSource(source.name, files)], defaultMode: MODE } } };
  const { reference } = source;
  return { name, mountPath, source: { image: { reference, ...(pullPolicy === '' ? {} : { pullPolicy }) } } };
}

interface Projection {
  readonly configMap: { readonly name: string; readonly items: readonly { readonly key: string }[] };
}

/** The ConfigMaps that a kubelet needs for a policy, in the pod's namespace, with the keys that it takes of each. */
export function configMapsOf({ volumes }: Policy): ConfigMapFiles[] {
  return volumes.flatMap(({ source }) => {
    const { projected } = source as { projected?: { sources: readonly Projection[] } };
    return (projected?.sources ?? []).map(({ configMap: { name, items } }) => ({ name, keys: items.map(({ key }) => key) }));
  });
}

function describe(source: PolicySource): string {
  return source.from === 'configmap' ? `ConfigMap ${source.name}` : `image ${source.reference}`;
}

/**
 * Builds a policy from where its two files come from.
 *
 * @param pullPolicy of its images; empty leaves it to Kubernetes
 */
export function policyFrom(data: PolicySource, rules: PolicyRules, pullPolicy: string): Policy {
  const dataFile = `${POLICY_MOUNT_PATH}/${POLICY_DATA_FILE}`;
  const rulesFile = `${POLICY_MOUNT_PATH}/${POLICY_RULES_FILE}`;
  const dataVolume = (...files: string[]): FileVolume => volume(POLICY_VOLUME, POLICY_MOUNT_PATH, data, files, pullPolicy);
  const policy = (volumes: readonly FileVolume[], path: string, origin: string): Policy => ({
    volumes,
    variables: [
      { name: ENV.policyRules, value: path },
      { name: ENV.policyData, value: dataFile },
    ],
    origin,
    usesImages: data.from === 'image' || rules.from === 'image',
    usesSupervisorImage: rules.from === 'supervisor',
  });
  if (rules.from === 'supervisor')
    return policy(
      [dataVolume(POLICY_DATA_FILE)],
      `${SUPERVISOR_MOUNT_PATH}${rules.path}`,
      `${describe(data)}, rules ${rules.path} of the supervisor's image`,
    );
  const isSame =
    rules.from === 'same' ||
    (rules.from === 'configmap' && data.from === 'configmap' && rules.name === data.name) ||
    (rules.from === 'image' && data.from === 'image' && rules.reference === data.reference);
  if (isSame) return policy([dataVolume(POLICY_DATA_FILE, POLICY_RULES_FILE)], rulesFile, describe(data));
  const origin = `${describe(data)}, rules from ${describe(rules)}`;
  if (rules.from === 'configmap' && data.from === 'configmap') {
    const sources = [configMapSource(data.name, [POLICY_DATA_FILE]), configMapSource(rules.name, [POLICY_RULES_FILE])];
    const both = { name: POLICY_VOLUME, mountPath: POLICY_MOUNT_PATH, source: { projected: { sources, defaultMode: MODE } } };
    return policy([both], rulesFile, origin);
  }
  const rulesVolume = volume(POLICY_RULES_VOLUME, POLICY_RULES_MOUNT_PATH, rules, [POLICY_RULES_FILE], pullPolicy);
  return policy([dataVolume(POLICY_DATA_FILE), rulesVolume], `${POLICY_RULES_MOUNT_PATH}/${POLICY_RULES_FILE}`, origin);
}
