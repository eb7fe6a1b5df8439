/** What a check finds. Only `failed` makes the command fail. */

import { ExpectedError } from '../../observe/expected-error.ts';

type Status = 'ok' | 'warning' | 'failed' | 'skipped';

export interface Finding {
  readonly status: Status;
  /** What was seen, or why the check was skipped. */
  readonly detail: string;
  /** What to do about it: commands, or a section of the documentation; several lines are possible. */
  readonly fix?: string;
  /** The checks without which a skipped one has nothing to look at. */
  readonly unmet?: readonly string[];
}

export const ok = (detail: string): Finding => ({ status: 'ok', detail });
export const warning = (detail: string, fix?: string): Finding => ({
  status: 'warning',
  detail,
  ...(fix === undefined ? {} : { fix }),
});
export const failed = (detail: string, fix: string): Finding => ({ status: 'failed', detail, fix });
export const skipped = (detail: string): Finding => ({ status: 'skipped', detail });

/** What keeps a check from a result. The check that meets it first fails with it; the checks that need that one are skipped. */
export class Obstacle extends ExpectedError {
  override readonly name = 'Obstacle';
  readonly fix: string;

  constructor(message: string, fix: string) {
    super(message);
    this.fix = fix;
  }
}

/** A finding for each problem; where there is none, that all is well. */
export function problemsOr(problems: readonly Finding[], fine: string): readonly Finding[] {
  return problems.length > 0 ? problems : [ok(fine)];
}

/** Applying again what was installed puts back what was changed since. */
export const APPLY_AGAIN = 'kubectl apply -k manifests/base (your own kustomization, or helm upgrade, where you have one)';
