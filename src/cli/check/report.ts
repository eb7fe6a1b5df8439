/** How results are shown. */

import { clearLine, cursorTo } from 'node:readline';
import { linked } from '../../observe/documents.ts';
import { paint } from '../diff.ts';
import type { Finding } from './finding.ts';
import type { Result } from './run.ts';

const SIGNS = {
  ok: { sign: '✓', style: 'green' },
  warning: { sign: '!', style: 'yellow' },
  failed: { sign: '✗', style: 'red' },
  skipped: { sign: '-', style: 'dim' },
} as const satisfies Record<Finding['status'], unknown>;

function lines({ name, status, detail, fix }: Result, version: string): string {
  const { sign, style } = SIGNS[status];
  const steps = (fix === undefined ? [] : linked(fix, version).split('\n')).map((step) => `      ${step}\n`);
  return `  ${paint(style, sign)} ${name}: ${detail}\n${steps.join('')}`;
}

/** One result as text, below the heading of its group. One that waits for others is told by the summary. */
export function shown(result: Result, before: readonly Result[], version: string): string {
  if (result.unmet) return '';
  const isFirst = !before.some(({ group, unmet }) => group === result.group && !unmet);
  return `${isFirst ? `${paint('bold', result.group)}\n` : ''}${lines(result, version)}`;
}

export function summary(results: readonly Result[]): string {
  const count = (status: Finding['status']): number => results.filter((result) => result.status === status).length;
  const parts = [`${count('ok')} passed`, `${count('warning')} warnings`, `${count('failed')} failed`, `${count('skipped')} skipped`];
  return `${skippedLine(results)}${parts.join(', ')}\n`;
}

/** The checks that wait for others, in one line. */
function skippedLine(results: readonly Result[]): string {
  const waiting = results.filter(({ unmet }) => unmet);
  const names = waiting.map(({ name }) => name);
  const needs = new Set(waiting.flatMap(({ unmet = [] }) => unmet).filter((need) => !names.includes(need)));
  return waiting.length === 0 ? '' : `  ${paint('dim', '-')} skipped without ${[...needs].join(', ')}: ${names.join(', ')}\n`;
}

/** For programs. Members are only ever added. */
export function json(results: readonly Result[], version: string): string {
  const checks = results.map(({ group, name, status, detail, fix }) => ({
    ...{ group, name, status, detail },
    ...(fix === undefined ? {} : { fix: linked(fix, version) }),
  }));
  return `${JSON.stringify({ ok: results.every(({ status }) => status !== 'failed'), checks }, null, 2)}\n`;
}

/** Shows what is being done, on a line of the terminal that the next one replaces; nothing where there is no terminal. */
export function progress(stream: NodeJS.WritableStream & { readonly isTTY?: boolean }): {
  readonly show: (what: string) => void;
  readonly clear: () => void;
} {
  if (!stream.isTTY) return { show: () => undefined, clear: () => undefined };
  const clear = (): void => {
    cursorTo(stream, 0);
    clearLine(stream, 0);
  };
  return {
    show: (what) => {
      clear();
      stream.write(`  … ${what}`);
    },
    clear,
  };
}
