/** How explanations are shown, and the exit code that they give. */

import { EXIT } from '../command.ts';
import { paint } from '../diff.ts';
import { plain } from '../plain.ts';
import type { Mark, Step } from './steps.ts';

/** What is said of one pod, or of an object that was to have some. */
export interface Explained {
  readonly name: string;
  readonly steps: readonly Step[];
  /** Undefined: it could be read. */
  readonly problem?: string;
}

const MARKS: Readonly<Record<Mark, string>> = {
  yes: paint('green', '✓'),
  no: paint('red', '✗'),
  unknown: paint('yellow', '?'),
  note: paint('yellow', '!'),
  result: paint('bold', '→'),
};

function block({ name, steps, problem }: Explained): string {
  const title = `${paint('bold', name)}\n`;
  if (problem !== undefined) return `${title}  ${MARKS.no} not valid: ${plain(problem)}\n`;
  const width = Math.max(...steps.map((step) => step.name.length));
  return title + steps.map(({ mark, name: of, detail }) => `  ${MARKS[mark]} ${of.padEnd(width)}  ${plain(detail)}\n`).join('');
}

export function text(explained: readonly Explained[]): string {
  return explained.map(block).join('\n');
}

const isFailed = ({ steps, problem }: Explained): boolean => problem !== undefined || steps.some(({ fails }) => fails);

/** For programs. Members are only ever added. */
export function json(explained: readonly Explained[]): string {
  const pods = explained.map((each) => ({
    name: each.name,
    ok: !isFailed(each),
    problem: each.problem,
    steps: each.steps.map(({ mark, name, detail, fails = false }) => ({ mark, name, detail, fails })),
  }));
  return `${JSON.stringify({ ok: pods.every(({ ok }) => ok), pods }, null, 2)}\n`;
}

/** Of a command that explained these: 2 where one is not valid, 1 where a pod is refused or has no supervisor. */
export function exitCodeOf(explained: readonly Explained[]): number {
  if (explained.some(({ problem }) => problem !== undefined)) return EXIT.usage;
  return explained.some(isFailed) ? EXIT.failed : EXIT.done;
}
