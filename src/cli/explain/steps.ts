/** The steps of a decision, each with what it found, as `decide` reports them. Pure, as the core is. */

import type { V1LabelSelector } from '@kubernetes/client-node';
import type { Config } from '../../config/config.ts';
import { ENV, MANAGED_BY_LABEL, METHOD_ANNOTATION, NAMESPACE_LABEL, POLICY_ANNOTATION, SANDBOX_LABEL } from '../../sideload/contract.ts';
import { decide, type Seen } from '../../sideload/decide.ts';
import type { BroughtImage, ImageFacts, UnknownImage } from '../../sideload/image-facts.ts';
import { INJECTIONS, type Inject, type Outcome, quote, REFUSALS, SKIPS, type Skip } from '../../sideload/outcome.ts';
import type { Pod } from '../../sideload/pod.ts';
import type { PolicyChoice } from '../../sideload/policy.ts';
import { CHOICES } from '../../sideload/selection.ts';
import { type ClusterFacts, type SideloadSettings, settingsIn } from '../../sideload/settings.ts';
import { matchesSelector } from '../label-selector.ts';
import type { Stray } from '../manifests/stray-labels.ts';

/** How a line begins: whether the step leads towards a supervisor, is not known, or is only worth knowing; or the result. */
export type Mark = 'yes' | 'no' | 'unknown' | 'note' | 'result';

export interface Step {
  readonly mark: Mark;
  readonly name: string;
  readonly detail: string;
  /** Whether the pod is refused, or runs without its supervisor, or will. */
  readonly fails?: true;
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
  /** Undefined: the webhook configuration is not there. `not-asked`: no cluster was. */
  readonly entries: readonly Entry[] | undefined | 'not-asked';
  /** Whether the pod is there. Else it is one to come: a manifest, or the template of a controller. */
  readonly stored: boolean;
  /** When the pod was created, and since when the webhook is called for pods like it; undefined where that is not known. */
  readonly times: Readonly<Record<'created' | 'installed' | 'optedIn', Date | undefined>>;
}

type Explained = Pick<Config, 'sideload' | 'methodOrigin'>;

/**
 * Explains what becomes of a pod: what the decision found at each step, and the step that failed, if one did.
 *
 * @param around undefined where no cluster was asked
 * @param image what was looked up; undefined where nothing was
 */
export function explainPod(
  pod: Pod,
  around: Surroundings | undefined,
  { sideload, methodOrigin }: Explained,
  facts: ClusterFacts,
  image?: ImageFacts | UnknownImage,
): Step[] {
  const settings = settingsIn(around?.namespace.labels, sideload);
  const seen: Seen[] = [];
  const outcome = decide(pod, settings, facts, image, (each) => seen.push(each));
  const reached = around ? reachSteps(pod, around) : [notAsked];
  const steps = seen.map((each) => foundStep(each, pod, settings, methodOrigin));
  const label = steps.length > 0 ? [] : [step('no', 'label', labelOf(pod))];
  const isComplete = seen.some((each) => each.step === 'supervisor' && each.parts === 'all');
  const isUnguarded = around !== undefined && steps.length > 0 && !isComplete;
  if (reached.some(({ mark }) => mark === 'no')) {
    const labelled = label[0] ?? step('yes', 'label', labelOf(pod));
    return [...reached, labelled, isUnguarded ? failure(UNCALLED[around.stored ? 'stored' : 'to-come']) : result(UNREACHED)];
  }
  const configMaps = steps.length > 0 ? (around?.configMaps ?? []).map(configMapStep) : [];
  const found = [...reached, ...label, ...withFailure(steps, outcome), ...configMaps];
  if (!around?.stored || outcome.verdict === 'skip') return [...found, ...resultSteps(outcome)];
  // What became of the pod when it was created is in its structure; the outcome is that of one like it, created now.
  const now = isUnguarded
    ? failure(`NOT under a supervisor: ${beginningOf(around)}; recreate it`)
    : result('under a supervisor, which is not as the webhook would write it now');
  const again = resultSteps(outcome).map((each) => (each.name === 'result' ? { ...each, name: 'recreated' } : each));
  return [...found, now, ...again];
}

const UNREACHED = 'the webhook is not called: the pod is stored unchanged';
const UNCALLED = {
  stored: 'NOT under a supervisor: the webhook is not called, and the pod was stored unchanged',
  'to-come': 'NOT under a supervisor: the webhook is not called, and the pod is stored unchanged',
} as const;

/** The step that ended the decision with a refusal comes last; it says what it found, and what is wrong with it. */
function withFailure(steps: readonly Step[], outcome: Outcome): readonly Step[] {
  if (outcome.verdict !== 'refuse') return steps;
  if (outcome.needs)
    return [...steps, step('unknown', 'image', `${quote(outcome.needs.image)} is looked up at admission (here: --lookup)`)];
  const { step: name, summary } = REFUSALS[outcome.reason];
  if (name === 'label') return steps;
  const before = steps.find((earlier) => earlier.name === name);
  const failed = step('no', name, before ? `${before.detail}: ${summary}` : summary);
  return [...steps.filter((earlier) => earlier !== before), failed];
}

const step = (mark: Mark, name: string, detail: string): Step => ({ mark, name, detail });
const result = (detail: string): Step => step('result', 'result', detail);
const failure = (detail: string): Step => ({ ...result(detail), fails: true });
const notAsked = step('unknown', 'namespace', `not checked: it needs the label ${NAMESPACE_LABEL}=enabled`);

/** What was to make a sandbox, and makes none. */
export function strayStep({ means, message }: Stray): Step {
  if (means === 'ignored') return step('note', 'annotation', message);
  if (means === 'admission') return step('unknown', 'label', message);
  return { ...step('no', 'label', message), fails: true };
}

function labelOf({ metadata }: Pod): string {
  const sandbox = metadata?.labels?.[SANDBOX_LABEL];
  if (sandbox !== undefined) return `${SANDBOX_LABEL}: ${JSON.stringify(sandbox)}`;
  const managed = metadata?.labels?.[MANAGED_BY_LABEL];
  return managed === undefined ? `neither ${SANDBOX_LABEL} nor ${MANAGED_BY_LABEL}` : `${MANAGED_BY_LABEL}: ${JSON.stringify(managed)}`;
}

function reachSteps({ metadata }: Pod, { namespace, entries }: Surroundings): Step[] {
  const value = namespace.labels[NAMESPACE_LABEL];
  const enabled = value === 'enabled';
  const label = `${namespace.name} ${value === undefined ? 'has no label' : 'carries'} ${NAMESPACE_LABEL}${value === undefined ? '' : `=${value}`}`;
  const ofNamespace = step(enabled ? 'yes' : 'no', 'namespace', label);
  if (entries === 'not-asked') return [ofNamespace];
  const selecting = entries?.filter(
    ({ namespaceSelector, objectSelector }) =>
      matchesSelector(namespaceSelector, { ...namespace.labels, 'kubernetes.io/metadata.name': namespace.name }) &&
      matchesSelector(objectSelector, metadata?.labels ?? {}),
  );
  const webhook =
    selecting === undefined
      ? step('no', 'webhook', 'the MutatingWebhookConfiguration does not exist')
      : selecting.length === 0
        ? step('no', 'webhook', 'no entry of the MutatingWebhookConfiguration selects this pod in this namespace')
        : step('yes', 'webhook', `called by ${selecting.map(({ name }) => name).join(', ')}`);
  return [ofNamespace, webhook];
}

/** Why a stored pod has no supervisor, so far as times tell. */
function beginningOf({ times: { created, installed, optedIn } }: Surroundings): string {
  const when = created ? `created ${created.toISOString()}` : 'created';
  const before = (time: Date | undefined): time is Date => created !== undefined && time !== undefined && created < time;
  if (before(installed)) return `${when}, before the webhook was installed (${installed.toISOString()})`;
  if (before(optedIn)) return `${when}, before the label of the namespace was written (${optedIn.toISOString()})`;
  return `${when} while the webhook was not called for it, or labelled later`;
}

/** What one step of the decision found. */
function foundStep(seen: Seen, pod: Pod, settings: SideloadSettings, methodOrigin: string): Step {
  switch (seen.step) {
    case 'label':
      return step('yes', 'label', labelOf(pod));
    case 'container':
      return step('yes', 'container', `${seen.container.name}: ${CHOICES[seen.because]}`);
    case 'method':
      return step('yes', 'method', `${seen.method}: ${methodReason(seen, settings, methodOrigin)}`);
    case 'cluster':
      return clusterStep(seen.facts);
    case 'supervisor':
      return step('yes', 'supervisor', PARTS[seen.parts]);
    case 'image':
      return imageStep(seen.brought);
    case 'policy':
      return policyStep(seen.choice, settings);
  }
}

/** What the image runs, and who says so. */
function imageStep({ facts: { from, digest }, platforms, config }: BroughtImage): Step {
  const words = [...config.entrypoint, ...config.cmd].join(' ');
  const on = platforms.map(({ platform }) => platform.architecture).filter(Boolean);
  const where = from === 'map' ? "the operator's map" : `${digest ?? 'the registry'}${on.length > 0 ? ` (${on.join(', ')})` : ''}`;
  return step('yes', 'image', `runs ${quote(words)}: ${where}`);
}

const PARTS = { all: 'complete', some: 'partial: the webhook adds the rest', none: 'none yet' } as const;

function methodReason(
  { method, existing, annotated }: Extract<Seen, { step: 'method' }>,
  settings: SideloadSettings,
  methodOrigin: string,
): string {
  if (existing.method) return `the pod's own volume ${existing.volumeName}`;
  if (annotated) return `annotation ${METHOD_ANNOTATION}`;
  if (settings.method === 'auto') return `auto, the operator's (${methodOrigin})`;
  return settings.method === method ? `the operator's (${methodOrigin})` : `instead of the operator's ${settings.method} (${methodOrigin})`;
}

/** Where the policy comes from. */
function policyStep({ from, policy }: PolicyChoice, settings: SideloadSettings): Step {
  switch (from) {
    case 'annotation':
      return step('yes', 'policy', `${policy.origin}: annotation ${POLICY_ANNOTATION}`);
    case 'operator':
      return step('yes', 'policy', `${policy.origin}: the operator's (--policy)${settings.policy.enforced ? ', enforced' : ''}`);
    case 'files':
      return step('yes', 'policy', `files that ${ENV.policyRules} and ${ENV.policyData} name`);
    case 'gateway':
      return step('yes', 'policy', `the gateway of ${ENV.endpoint}`);
    case 'envFrom':
      return step('unknown', 'policy', 'envFrom may bring it, which cannot be seen at admission');
    case 'nothing':
      return step('unknown', 'policy', 'none that can be seen at admission');
  }
}

function configMapStep({ name, wanted, keys }: FoundConfigMap): Step {
  if (keys === 'forbidden') return step('unknown', 'policy files', `you may not read ConfigMap ${name}`);
  if (keys === 'missing') return step('no', 'policy files', `ConfigMap ${name} does not exist: the pod waits until it is created`);
  const lacking = wanted.filter((key) => !keys.includes(key));
  return lacking.length === 0
    ? step('yes', 'policy files', `ConfigMap ${name} has ${wanted.join(', ')}`)
    : step('no', 'policy files', `ConfigMap ${name} lacks ${lacking.join(', ')}: the pod waits until it is added`);
}

function clusterStep({ imageVolumes, serverVersion, nodes }: ClusterFacts): Step {
  if (imageVolumes === 'assumed') return step('unknown', 'cluster', 'not asked: assumed to keep image volumes');
  if (imageVolumes === 'unknown') return step('unknown', 'cluster', 'not known yet');
  const mounting = nodes ? `, ${nodes.mountingImages} of ${nodes.total} schedulable Linux nodes are known to mount them` : '';
  return step('yes', 'cluster', `API server ${serverVersion} ${imageVolumes === 'kept' ? 'keeps' : 'drops'} image volumes${mounting}`);
}

function resultSteps(outcome: Outcome): Step[] {
  switch (outcome.verdict) {
    case 'skip':
      return [result(`left unchanged (${outcome.reason}): ${SKIPS[outcome.reason]}`), ...noteSteps(outcome)];
    case 'refuse':
      if (outcome.needs) return [result(`depends on the image: ${outcome.message}`)];
      return [failure(`refused (${outcome.reason}, ${REFUSALS[outcome.reason].code}): ${outcome.message}`)];
    case 'inject':
      return [result(`${outcome.reason}: ${INJECTIONS[outcome.reason]}`), ...noteSteps(outcome)];
  }
}

function noteSteps({ warnings }: Skip | Inject): Step[] {
  return (warnings ?? []).map(({ code, message }) => step('note', code, message));
}
