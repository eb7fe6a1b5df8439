/** The same pods injected by admission policies and by the webhook's decision: what differs is a fault. */

import { isDeepStrictEqual } from 'node:util';
import jsonPatch from 'fast-json-patch';
import { type Pod, podShape } from '../../../src/sideload/pod.ts';
import { misfit } from '../../../src/sideload/shape.ts';
import type { Answer, Stage } from './stage.ts';

/** A pod, what is special about it, and which choice of the operator's holds for it. */
export interface PolicyCase {
  readonly what: string;
  readonly pod: Pod;
  readonly choice: number;
}

/**
 * What a policy may refuse that the webhook injects: paths that are relative or hold //, . or .. count as anything
 * (docs/no-server.md).
 */
function hasOddPath(pod: Pod): boolean {
  // A change may leave no pod at all.
  if (misfit(podShape, pod, '') !== undefined) return false;
  const containers = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
  const paths = containers.flatMap(({ volumeMounts, command, workingDir }) => [
    ...(volumeMounts ?? []).map(({ mountPath }) => mountPath ?? ''),
    ...(command?.[1] === '--workdir' ? [command[2] ?? ''] : []),
    workingDir || '/',
  ]);
  return paths.some((path) => !path.startsWith('/') || /\/\/|\/\.\.?(\/|$)/.test(path));
}

/** What one way said, in a word. */
function wordOf({ code, reason }: Answer): string {
  return reason ?? (code === 201 ? 'stored' : 'invalid');
}

export interface Comparison {
  /** What is not as it has to be. */
  readonly differences: readonly string[];
  /** How many pods there were of each outcome. */
  readonly seen: Readonly<Record<string, number>>;
}

/** Creates every pod twice, in dry runs. */
export async function comparePods({ create }: Stage, cases: readonly PolicyCase[]): Promise<Comparison> {
  const differences: string[] = [];
  const seen: Record<string, number> = {};
  const compare = async ({ what, pod, choice }: PolicyCase): Promise<void> => {
    const [policy, webhook] = await Promise.all([create('policy', choice, pod), create('webhook', choice, pod)]);
    const [word, expected] = [wordOf(policy), wordOf(webhook)];
    // Both refuse, but the API server says first what is wrong with the pod; or, for a path, the policy says another code.
    const bothRefuse = word !== 'stored' && expected !== 'stored';
    const odd = word !== 'stored' && hasOddPath(pod);
    const outcome = word !== expected && odd ? 'stricter: path' : word;
    seen[outcome] = (seen[outcome] ?? 0) + 1;
    if (outcome === 'stricter: path' || (bothRefuse && word === 'invalid')) return;
    if (word !== expected) differences.push(`${what}: ${word}, and the webhook: ${expected} (${policy.message} / ${webhook.message})`);
    else if (policy.pod && webhook.pod && !isDeepStrictEqual(policy.pod, webhook.pod))
      differences.push(`${what}: ${JSON.stringify(jsonPatch.compare(webhook.pod, policy.pod))}`);
  };
  await Promise.all(cases.map(compare));
  return { differences: differences.sort(), seen };
}
