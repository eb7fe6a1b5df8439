/** How results are shown. */

import { clearLine, cursorTo } from 'node:readline';
import { paint } from '../diff.ts';
import type { Finding } from './finding.ts';
import type { Result } from './run.ts';

const SIGNS = {
  ok: { sign: '✓', style: 'green' },
  warning: { sign: '!', style: 'yellow' },
  failed: { sign: '✗', style: 'red' },
  skipped: { sign: '-', style: 'dim' },
} as const satisfies Record<Finding['status'], unknown>;

/** The lines of one result; those of a fix are indented. */
export function lines({ name, status, detail, fix }: Result): string {
  const { sign, style } = SIGNS[status];
  const steps = (fix?.split('\n') ?? []).map((step) => `      ${step}\n`);
  return `  ${paint(style, sign)} ${name}: ${detail}\n${steps.join('')}`;
}

export function heading(text: string): string {
  return `${paint('bold', text)}\n`;
}

export function summary(results: readonly Result[]): string {
  const count = (status: Finding['status']): number => results.filter((result) => result.status === status).length;
  const parts = [`${count('ok')} passed`, `${count('warning')} warnings`, `${count('failed')} failed`, `${count('skipped')} skipped`];
  return `${parts.join(', ')}\n`;
}

/** For programs. Members are only ever added. */
export function json(results: readonly Result[]): string {
  const checks = results.map(({ group, name, status, detail, fix }) => ({ group, name, status, detail, fix }));
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
