/** `openshell-sideload completion` in the shells themselves: what each offers for a command line. */

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { requirePrograms } from './cluster/debian.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const dir = mkdtempSync(join(tmpdir(), 'sideload-completion-'));

beforeAll(() => {
  requirePrograms({ bash: 'bash', zsh: 'zsh', fish: 'fish' });
  for (const shell of ['bash', 'zsh', 'fish'])
    writeFileSync(join(dir, `script.${shell}`), execFileSync(process.execPath, [main, 'completion', shell]));
});

/** What a shell offers for the last word of a line. */
const OFFERS: Record<string, (words: readonly string[]) => string[]> = {
  bash: (words) => {
    const script = `source script.bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _openshell_sideload 2>/dev/null; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return shell('bash', ['--norc', '-c', script, 'bash', ...words]);
  },
  // It completes on a terminal only, which zpty is. What it would show goes through compadd; the end is told by the function behind it.
  zsh: (words) => {
    writeFileSync(
      join(dir, 'offers.zsh'),
      `autoload -U compinit; compinit -u -D; source ./script.zsh
      compadd() {
        local -a all
        [[ " $* " == *' -'[OAD]* ]] || { builtin compadd -A all "$@"; for each in $all; do print -r -- "offer: $each."; done }
        builtin compadd "$@"
      }
      told() { print "that is"" all" }
      comppostfuncs=(told)
      bindkey '^I' complete-word
      PROMPT= RPROMPT=
      print "it is"" ready"\n`,
    );
    const script = `zmodload zsh/zpty
      zpty shell zsh -f -i
      until_line() { local line; while zpty -r shell line; do print -r -- "$line"; [[ $line == *$1* ]] && break; done }
      zpty -w shell 'source ./offers.zsh'
      until_line 'it is ready'
      zpty -w -n shell ${`$'${words.join(' ')}\\t'`}
      until_line 'that is all'
      zpty -d shell`;
    return shell('zsh', ['-f', '-c', script]).flatMap((line) => /offer: (\S+)\./.exec(line)?.[1] ?? []);
  },
  fish: (words) =>
    shell('fish', ['--no-config', '-c', `source script.fish; complete -C ${JSON.stringify(words.join(' '))}`]).map(
      (line) => line.split('\t')[0] ?? '',
    ),
};

function shell(program: string, args: readonly string[]): string[] {
  const { status, stdout, stderr } = spawnSync(program, args, {
    cwd: dir,
    encoding: 'utf8',
    env: { PATH: process.env.PATH ?? '', HOME: dir, TERM: 'xterm' },
  });
  expect(status, stderr).toBe(0);
  return stdout.split('\n').filter((line) => line !== '');
}

describe.each(Object.entries(OFFERS))('%s', (_name, offers) => {
  it('completes commands', () => {
    expect(offers(['openshell-sideload', 'ex'])).toEqual(['explain']);
  });

  it('completes options of a command, and settings', () => {
    expect(offers(['openshell-sideload', 'inject', '--loo'])).toEqual(['--lookup']);
    expect(offers(['openshell-sideload', 'check', '--supervisor-im']).sort()).toEqual([
      '--supervisor-image',
      '--supervisor-image-layout',
      '--supervisor-image-pull-policy',
    ]);
  });

  it('completes values', () => {
    expect(offers(['openshell-sideload', 'serve', '--log-level', 'de'])).toEqual(['debug']);
    expect(offers(['openshell-sideload', 'inject', '-o', 'pa'])).toEqual(['patch']);
  });
});
