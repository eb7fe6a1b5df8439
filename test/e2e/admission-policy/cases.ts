/** The pods of the tests, each with the options that hold for it. */

import jsonPatch, { type Operation } from 'fast-json-patch';
import { decide } from '../../../src/sideload/decide.ts';
import { UNKNOWN_CLUSTER } from '../../../src/sideload/settings.ts';
import { labelled, nameOf, readCorpus } from '../../corpus.ts';
import { type Golden, listGoldens, readGolden } from '../../goldens.ts';
import { ENFORCED, NO_LOOKUP, REFUSED_PODS } from '../../refusals.ts';
import { changesOf } from '../backstop/changes.ts';
import type { PolicyCase } from './compare.ts';
import type { Choice } from './stage.ts';

/** Options that a policy cannot honour; without them, the pods have to come out as by the webhook. */
const WEBHOOK_ONLY =
  /^--(missing-command=lookup|entrypoint|entrypoint-map|inspect-images|pin-resolved-images|supervisor-sideload-method=auto)/;

function honouredFlags(flags: readonly string[] = []): string {
  const kept = flags.filter((flag) => !WEBHOOK_ONLY.test(flag));
  const chosen = kept.some((flag) => flag.startsWith('--missing-command='));
  return [...kept, ...NO_LOOKUP.filter((flag) => !(chosen && flag.startsWith('--missing-command=')))].join(' ');
}

const goldens: readonly Golden[] = listGoldens().inputs.map(readGolden);
/** What depends on the cluster, or on what an image runs, no policy can see. */
const refused = REFUSED_PODS.filter(({ facts, image }) => !facts && !image);
const texts = [...new Set([honouredFlags(), ...[...goldens, ...refused].map(({ flags }) => honouredFlags(flags))])];

/** Pods of others bring no policy, and many a probe. */
const PUBLIC: Choice = { flags: ['--policy=configmap:sandbox-policy', '--unreachable-probes=warn', ...NO_LOOKUP], warns: true };
/** The label of the namespace enforces what the options only offer. */
const ENFORCED_NAMESPACE: Choice = { flags: ENFORCED.filter((flag) => flag !== '--policy-mode=enforced'), enforced: true };

/** Every set of options that a golden or a refused pod has, and those of the public pods and of an enforcing namespace. */
export const CHOICES: readonly Choice[] = [
  ...texts.map((text, index) => ({ flags: text.split(' '), warns: index === 0 })),
  PUBLIC,
  ENFORCED_NAMESPACE,
];

const choiceOf = (flags?: readonly string[]): number => texts.indexOf(honouredFlags(flags));

export const GOLDENS: readonly PolicyCase[] = goldens.map(({ name, pod, flags }) => ({ what: name, pod, choice: choiceOf(flags) }));

/** The goldens as the webhook makes them. */
export const INJECTED: readonly PolicyCase[] = goldens.map(({ name, pod, flags, config }) => {
  const outcome = decide(pod, config.sideload, UNKNOWN_CLUSTER);
  const operations = outcome.verdict === 'inject' ? (outcome.operations as Operation[]) : [];
  const injected = jsonPatch.applyPatch(structuredClone(pod), operations, true).newDocument;
  return { what: `${name}, injected`, pod: injected, choice: choiceOf(flags) };
});

export const REFUSED: readonly PolicyCase[] = refused.map(({ why, pod, flags }) => ({ what: why, pod, choice: choiceOf(flags) }));

/** Public pods, with each of two methods, and what the API server asks for before it takes them. */
export const CORPUS: readonly PolicyCase[] = readCorpus().flatMap((manifest) =>
  (['image-volume', 'init-container'] as const).map((method) => ({
    what: `${nameOf(manifest)}, ${method}`,
    pod: labelled(manifest.pod, method),
    choice: CHOICES.indexOf(PUBLIC),
  })),
);

/** Pods of a namespace whose label enforces the policy: those that are refused where an option does, and one that is not. */
export const ENFORCED_PODS: readonly PolicyCase[] = [
  ...REFUSED_PODS.filter(({ flags, facts, image }) => flags === ENFORCED && !facts && !image).map(({ why, pod }) => ({ what: why, pod })),
  { what: 'plain', pod: readGolden('policy-enforced').pod },
].map((each) => ({ ...each, choice: CHOICES.indexOf(ENFORCED_NAMESPACE) }));

/** Every single change of these pods. */
export function everyChange(cases: readonly PolicyCase[]): PolicyCase[] {
  return cases.flatMap(({ choice, ...rest }) => changesOf(rest).map((changed) => ({ ...changed, choice })));
}
