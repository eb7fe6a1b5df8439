/** Pods in many variations, each judged by the backstop and by the webhook's decision: what differs is a fault. */

import type { Operation } from 'fast-json-patch';
import { readConfig } from '../../../src/config/config.ts';
import { decide } from '../../../src/sideload/decide.ts';
import type { Outcome } from '../../../src/sideload/outcome.ts';
import type { Pod } from '../../../src/sideload/pod.ts';
import { UNKNOWN_CLUSTER } from '../../../src/sideload/settings.ts';
import { NO_LOOKUP } from '../../refusals.ts';
import type { Case } from './changes.ts';
import { create } from './stage.ts';

/** A pod without a policy, or with probes that fail: not a supervisor that guards less. */
const canOnlyCrash = ({ reason }: Outcome): boolean => ['no-policy-source', 'unreachable-probes'].includes(reason);

/** Whether the backstop may refuse a pod that the webhook leaves unchanged: it compares paths as they are written (docs/security.md). */
function hasOddPath(pod: Pod): boolean {
  const containers = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
  const paths = containers.flatMap(({ volumeMounts, command }) => [
    ...(volumeMounts ?? []).map(({ mountPath }) => mountPath ?? ''),
    ...(command?.[1] === '--workdir' ? [command[2] ?? ''] : []),
  ]);
  return paths.some((path) => !path.startsWith('/') || /\/\/|\/\.\.?(\/|$)/.test(path));
}

/** Settings that can make a supervisor fail, but not guard less: the webhook restores them, the backstop does not ask for them. */
function isBearable({ op, path, ...rest }: Operation): boolean {
  const { name } = ((rest as { value?: unknown }).value ?? {}) as { name?: string };
  return (
    /\/securityContext\/(capabilities|appArmorProfile)/.test(path) ||
    (/\/env\//.test(path) && /^OPENSHELL_(LOG_LEVEL|CONTAINER_IMAGE|SANDBOX_ID|ENDPOINT)$/.test(name ?? '')) ||
    (op === 'add' && name === 'openshell-upstream-proxy-auth') ||
    /openshell\.ai~1sideloaded$|\/metadata\/annotations$/.test(path)
  );
}

/** The default that matters: the API server takes a volume without a source for an emptyDir before any webhook sees it. */
function withDefaults(pod: Pod): Pod {
  const volumes = pod.spec?.volumes?.map((volume) => (Object.keys(volume).length > 1 ? volume : { ...volume, emptyDir: {} }));
  return volumes ? { ...pod, spec: { ...pod.spec, volumes } } : pod;
}

/**
 * Creates all pods with nothing but the backstop in force, and compares its answers with what the webhook would say.
 *
 * @returns what differs, and how many pods there were of each outcome
 */
export async function compare(
  cases: readonly Case[],
  flags: readonly string[],
  facts = UNKNOWN_CLUSTER,
): Promise<{ differences: string[]; seen: Record<string, number> }> {
  // Nothing is looked up: the backstop sees what is stored.
  const { sideload: settings } = readConfig([...new Set([...flags, ...NO_LOOKUP])], {});
  const [differences, seen]: [string[], Record<string, number>] = [[], {}];
  const count = (outcome: string): void => {
    seen[outcome] = (seen[outcome] ?? 0) + 1;
  };
  const judge = async ({ what, pod }: Case): Promise<void> => {
    const { code, message, reason, object } = await create(pod);
    const differs = (expected: string): void => {
      differences.push(`${what}: ${reason ?? code} ${message}, but the webhook: ${expected}`);
    };
    if (code === 201) {
      count('admitted');
      // As it is stored: the API server fills in defaults.
      const outcome = decide(object, settings, facts);
      const bearable = outcome.verdict === 'inject' && outcome.operations.every(isBearable);
      if (outcome.verdict !== 'skip' && !bearable && !canOnlyCrash(outcome)) differs(outcome.reason);
    } else if (reason === undefined) {
      // Not a pod at all: the API server refuses it before it asks the policy.
      count('invalid');
      if (message.includes('ValidatingAdmissionPolicy')) differs('an answer');
    } else {
      const outcome = decide(withDefaults(pod), settings, facts);
      const isStricter = outcome.verdict === 'skip' && hasOddPath(pod);
      count(isStricter ? 'stricter: path' : reason);
      // What the webhook would put in, or why it cannot, the backstop does not know: it only says that something is missing.
      const sameWord =
        [reason, 'image-volume-dropped'].includes(outcome.reason) || ['not-sideloaded', 'image-volume-dropped'].includes(reason);
      if (outcome.verdict === 'skip' ? !isStricter : outcome.verdict === 'refuse' && !sameWord && !hasOddPath(pod)) differs(outcome.reason);
    }
  };
  await Promise.all(cases.map(judge));
  return { differences: differences.sort(), seen };
}
