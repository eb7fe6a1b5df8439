/** Runs checks one after the other. */

import { statusOf } from '../../cluster/client.ts';
import { UsageError } from '../../config/config.ts';
import { type Finding, failed, Obstacle, skipped } from './finding.ts';

export interface Check<Context> {
  /** Unique among all groups. */
  readonly name: string;
  /** Earlier checks without which this one has nothing to look at; where one of them failed or was skipped, so is this one. */
  readonly needs?: readonly string[];
  readonly run: (context: Context) => Promise<Finding | readonly Finding[]>;
}

export interface Group<Context> {
  readonly heading: string;
  readonly checks: readonly Check<Context>[];
}

/** One line of the result; a check that looks at several things has several. */
export interface Result extends Finding {
  readonly group: string;
  readonly name: string;
}

/**
 * Runs the checks of all groups in their order, and yields their results as they come. Never throws: what a check throws is a
 * finding.
 *
 * @param onStart called before each check
 */
export async function* runChecks<Context>(
  groups: readonly Group<Context>[],
  context: Context,
  onStart: (name: string) => void,
): AsyncGenerator<Result> {
  const unmet = new Set<string>();
  for (const { heading, checks } of groups) {
    for (const { name, needs = [], run } of checks) {
      const missing = needs.filter((need) => unmet.has(need));
      onStart(name);
      const findings =
        missing.length > 0 ? { ...skipped(`needs: ${missing.join(', ')}`), unmet: missing } : await run(context).catch(findingOf);
      for (const finding of [findings].flat()) {
        if (finding.status === 'failed' || finding.status === 'skipped') unmet.add(name);
        yield { group: heading, name, ...finding };
      }
    }
  }
}

/** The API server's own message names the missing verb and resource. */
function findingOf(error: unknown): Finding {
  if (error instanceof Obstacle) return failed(error.message, error.fix);
  // Of the Deployment: what the command line says was read before.
  if (error instanceof UsageError)
    return failed(error.problems.join('; '), 'correct the arguments and variables of the Deployment: docs/reference/options.md');
  const message = error instanceof Error ? error.message : String(error);
  const refused = statusOf(error) === 401 || statusOf(error) === 403;
  return failed(
    message,
    refused
      ? 'run it as a user with that permission, for example cluster-admin: kubectl auth can-i --list shows yours'
      : 'kubectl get --raw /readyz?verbose shows the state of the API server; then try again',
  );
}
