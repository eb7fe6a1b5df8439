/** The steps by which it is decided what becomes of a pod, each with what was found. Pure, as the core is. */

import type { V1LabelSelector } from '@kubernetes/client-node';
import type { Config } from '../../config/config.ts';
import { ENV, MANAGED_BY_LABEL, METHOD_ANNOTATION, NAMESPACE_LABEL, POLICY_ANNOTATION, SANDBOX_LABEL } from '../../sideload/contract.ts';
import { decide } from '../../sideload/decide.ts';
import { findExisting, findInstallers, isHalfThere } from '../../sideload/existing.ts';
import { annotatedMethod, methodFor } from '../../sideload/method.ts';
import { INJECTIONS, type Inject, type Outcome, REFUSALS, SKIPS, type Skip } from '../../sideload/outcome.ts';
import type { Container, Pod } from '../../sideload/pod.ts';
import { choosePolicy } from '../../sideload/policy.ts';
import { CHOICES, chooseContainer } from '../../sideload/selection.ts';
import { type ClusterFacts, type SideloadSettings, settingsIn } from '../../sideload/settings.ts';
import { isProcessOnly } from '../../sideload/topology.ts';
import { matchesSelector } from '../label-selector.ts';

/** How a line begins: whether the step leads towards a supervisor, is not known, or is only worth knowing; or the result. */
export type Mark = 'yes' | 'no' | 'unknown' | 'note' | 'result';

export interface Step {
  readonly mark: Mark;
  readonly name: string;
  readonly detail: string;
}

/** An entry of a MutatingWebhookConfiguration, as far as it says which pods reach it. */
interface Entry {
  readonly name: string;
  readonly namespaceSelector?: V1LabelSelector;
  readonly objectSelector?: V1LabelSelector;
}

/** What is known of a ConfigMap that holds a policy. */
interface FoundConfigMap {
  readonly name: string;
  /** Keys that the policy takes of it. */
  readonly wanted: readonly string[];
  /** Its keys; `missing` where there is none, `forbidden` where the user may not read it. */
  readonly keys: readonly string[] | 'missing' | 'forbidden';
}

/** What a cluster has around a pod. */
export interface Surroundings {
  readonly namespace: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  /** The ConfigMaps that the pod's policy needs, as the user may read them. */
  readonly configMaps: readonly FoundConfigMap[];
  /** Undefined: the webhook configuration is not there. */
  readonly entries: readonly Entry[] | undefined;
}

type Explained = Pick<Config, 'sideload' | 'methodOrigin'>;

/**
 * Explains what becomes of a pod, step by step, up to the first one that ends it.
 *
 * @param around undefined where no cluster was asked
 */
export function explainPod(pod: Pod, around: Surroundings | undefined, config: Explained, facts: ClusterFacts): Step[] {
  const explained = { ...config, sideload: settingsIn(around?.namespace.labels, config.sideload) };
  const outcome = decide(pod, explained.sideload, facts);
  const labelled = labelStep(pod, outcome);
  const reached = around ? reachSteps(pod, around) : [notAsked];
  const steps = [...reached, labelled];
  if (reached.some(({ mark }) => mark === 'no')) return [...steps, result('the webhook is not called: the pod is stored as it is')];
  if (labelled.mark === 'yes') steps.push(...podSteps(pod, explained, facts, outcome), ...(around?.configMaps ?? []).map(configMapStep));
  return [...steps, ...resultSteps(outcome)];
}

const step = (mark: Mark, name: string, detail: string): Step => ({ mark, name, detail });
const result = (detail: string): Step => step('result', 'result', detail);
const notAsked = step('unknown', 'namespace', `not looked at: it has to carry ${NAMESPACE_LABEL}=enabled`);

function labelStep({ metadata }: Pod, outcome: Outcome): Step {
  const sandbox = metadata?.labels?.[SANDBOX_LABEL];
  const managed = metadata?.labels?.[MANAGED_BY_LABEL];
  const seen =
    sandbox !== undefined
      ? `${SANDBOX_LABEL}: ${JSON.stringify(sandbox)}`
      : managed !== undefined
        ? `${MANAGED_BY_LABEL}: ${JSON.stringify(managed)}`
        : `neither ${SANDBOX_LABEL} nor ${MANAGED_BY_LABEL}`;
  const ends = ['not-labelled', 'opted-out', 'mirror-pod', 'two-pod-openshell', 'unknown-label-value'].includes(outcome.reason);
  return step(ends ? 'no' : 'yes', 'label', seen);
}

function reachSteps({ metadata }: Pod, { namespace, entries }: Surroundings): Step[] {
  const value = namespace.labels[NAMESPACE_LABEL];
  const enabled = value === 'enabled';
  const label = `${namespace.name} ${value === undefined ? 'has no label' : 'carries'} ${NAMESPACE_LABEL}${value === undefined ? '' : `=${value}`}`;
  const selecting = entries?.filter(
    ({ namespaceSelector, objectSelector }) =>
      matchesSelector(namespaceSelector, { ...namespace.labels, 'kubernetes.io/metadata.name': namespace.name }) &&
      matchesSelector(objectSelector, metadata?.labels ?? {}),
  );
  const webhook =
    selecting === undefined
      ? step('no', 'webhook', 'the MutatingWebhookConfiguration is not there')
      : selecting.length === 0
        ? step('no', 'webhook', 'no entry of the MutatingWebhookConfiguration selects this pod in this namespace')
        : step('yes', 'webhook', `called by ${selecting.map(({ name }) => name).join(', ')}`);
  return [step(enabled ? 'yes' : 'no', 'namespace', label), webhook];
}

/** What is found inside a pod that is a sandbox. */
function podSteps(pod: Pod, { sideload, methodOrigin }: Explained, facts: ClusterFacts, { reason }: Outcome): Step[] {
  const spec = pod.spec ?? {};
  const choice = chooseContainer(pod, spec.containers ?? []);
  if ('verdict' in choice) return [step('no', 'container', 'none')];
  const container = spec.containers?.[choice.index] ?? {};
  const steps = [step('yes', 'container', `${container.name}: ${CHOICES[choice.because]}`)];
  const annotated = annotatedMethod(pod);
  if (typeof annotated === 'object') return [...steps, step('no', 'method', `annotation ${METHOD_ANNOTATION} names none`)];
  const existing = findExisting(spec, container, annotated, sideload);
  if ('verdict' in existing) return [...steps, step('no', 'supervisor', 'something else stands in its place')];
  const method = methodFor(spec, existing, annotated, sideload, facts);
  const because = existing.method
    ? `the pod's own volume ${existing.volumeName}`
    : annotated
      ? `annotation ${METHOD_ANNOTATION}`
      : `${sideload.method === 'auto' ? 'auto, ' : ''}the operator's (${methodOrigin})`;
  steps.push(step(sideload.allowedMethods.includes(method) || existing.method ? 'yes' : 'no', 'method', `${method}: ${because}`));
  const installers = findInstallers(spec, container, existing, method, sideload);
  if ('verdict' in installers)
    return [...steps, step('no', 'supervisor', 'another container mounts its volume, or another image fills it')];
  const there = reason === 'already-sideloaded' ? 'all of it is there' : isHalfThere(existing) ? 'a part of it is there' : 'not there yet';
  return [
    ...steps,
    step('yes', 'supervisor', there),
    ...policySteps(pod, container, existing.launched, sideload),
    ...clusterSteps(method, facts),
  ];
}

/** Where the policy comes from. */
function policySteps(pod: Pod, container: Container, launched: boolean, settings: SideloadSettings): Step[] {
  if (launched && isProcessOnly(container)) return [];
  const choice = choosePolicy(pod, container, settings);
  if ('verdict' in choice) return [step('no', 'policy', choice.message)];
  switch (choice.from) {
    case 'annotation':
      return [step('yes', 'policy', `${choice.policy.origin}: annotation ${POLICY_ANNOTATION}`)];
    case 'operator':
      return [step('yes', 'policy', `${choice.policy.origin}: the operator's (--policy)${settings.policy.enforced ? ', enforced' : ''}`)];
    case 'files':
      return [step('yes', 'policy', `files that ${ENV.policyRules} and ${ENV.policyData} name`)];
    case 'gateway':
      return [step('yes', 'policy', `the gateway of ${ENV.endpoint}`)];
    case 'envFrom':
      return [step('unknown', 'policy', 'envFrom may bring it, which cannot be seen at admission')];
    case 'nothing':
      return settings.policy.missing === 'warn'
        ? [step('unknown', 'policy', 'the image may bring it, which cannot be seen at admission')]
        : [step('no', 'policy', 'none')];
  }
}

function configMapStep({ name, wanted, keys }: FoundConfigMap): Step {
  if (keys === 'forbidden') return step('unknown', 'policy files', `you may not read ConfigMap ${name}`);
  if (keys === 'missing') return step('no', 'policy files', `ConfigMap ${name} is not there: the pod waits until it is created`);
  const lacking = wanted.filter((key) => !keys.includes(key));
  return lacking.length === 0
    ? step('yes', 'policy files', `ConfigMap ${name} has ${wanted.join(', ')}`)
    : step('no', 'policy files', `ConfigMap ${name} lacks ${lacking.join(', ')}: the pod waits until it is added`);
}

function clusterSteps(method: string, { imageVolumes, serverVersion, nodes }: ClusterFacts): Step[] {
  if (method !== 'image-volume') return [];
  if (imageVolumes === 'assumed') return [step('unknown', 'cluster', 'not asked: image volumes are assumed to be kept')];
  const mounting = nodes ? `, ${nodes.mountingImages} of ${nodes.total} schedulable Linux nodes are known to mount them` : '';
  const keeps = imageVolumes === 'kept';
  return [step(keeps ? 'yes' : 'no', 'cluster', `API server ${serverVersion} ${keeps ? 'keeps' : 'drops'} image volumes${mounting}`)];
}

function resultSteps(outcome: Outcome): Step[] {
  switch (outcome.verdict) {
    case 'skip':
      return [result(`left alone (${outcome.reason}): ${SKIPS[outcome.reason]}`), ...noteSteps(outcome)];
    case 'refuse':
      return [result(`refused (${outcome.reason}, ${REFUSALS[outcome.reason].code}): ${outcome.message}`)];
    case 'inject':
      return [result(`${outcome.reason}: ${INJECTIONS[outcome.reason]}`), ...noteSteps(outcome)];
  }
}

function noteSteps({ warnings }: Skip | Inject): Step[] {
  return (warnings ?? []).map(({ code, message }) => step('note', code, message));
}
