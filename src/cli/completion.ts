/** `openshell-sideload completion`: what bash, zsh and fish need to complete command lines. */

import type { ArgumentSpec } from '../config/arguments.ts';
import { UsageError } from '../config/config.ts';
import { OPTIONS } from '../config/options.ts';
import { type Command, type CommandLine, EXIT } from './command.ts';

const PROGRAM = 'openshell-sideload';
const SHELLS = ['bash', 'zsh', 'fish'] as const;

interface CompletedOption extends ArgumentSpec {
  readonly name: string;
  readonly description: string;
}

/** A command, with its own options and the settings. */
interface Completed {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly CompletedOption[];
}

const namesOf = ({ name, short }: CompletedOption): string[] => [`--${name}`, ...(short === undefined ? [] : [`-${short}`])];
const takesFiles = ({ value }: CompletedOption): boolean => value === 'FILE' || value === 'DIR';

/** In single quotes, which sh does not look into. */
const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

function bash(commands: readonly Completed[]): string {
  /** The words before a value: the command, and the option. */
  const before = (wanted: (each: CompletedOption) => boolean): [CompletedOption, string][] =>
    commands.flatMap(({ name, options }) =>
      options.filter(wanted).map(
        (each) =>
          [
            each,
            namesOf(each)
              .map((option) => `'${name} ${option}'`)
              .join('|'),
          ] as [CompletedOption, string],
      ),
    );
  const listed = before(({ values }) => values !== undefined);
  const valueCases = listed.map(
    ([{ values = [] }, words]) => `    ${words}) COMPREPLY=($(compgen -W ${quoted(values.join(' '))} -- "$cur")); return ;;\n`,
  );
  const files = before(takesFiles).map(([, words]) => words);
  const free = before((each) => each.value !== undefined && !each.values && !takesFiles(each)).map(([, words]) => words);
  const optionCases = commands.map(
    ({ name, options }) => `    ${name}) words=${quoted(options.map((each) => `--${each.name}`).join(' '))} ;;\n`,
  );
  const names = commands.map(({ name }) => name);
  return `# ${PROGRAM} completion bash
_openshell_sideload() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} command= word words
  COMPREPLY=()
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in ${names.join('|')}) command=$word; break ;; esac
  done
  # --option=value is three words.
  if [[ $cur == = ]]; then cur=; elif [[ $prev == = ]]; then prev=\${COMP_WORDS[COMP_CWORD-2]}; fi
  case "\${command:-serve} $prev" in
${valueCases.join('')}    ${files.join('|')}) compopt -o default; return ;;
    ${free.join('|')}) return ;;
  esac
  case $command in
    '') words=${quoted(`${names.join(' ')} help --help --version`)} ;;
${optionCases.join('')}  esac
  if [[ -n $command && $cur != -* ]]; then compopt -o default; return; fi
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -F _openshell_sideload ${PROGRAM}
`;
}

function zsh(commands: readonly Completed[]): string {
  const plain = (text: string): string => text.replaceAll(/[[\]:\\]/g, '\\$&');
  const spec = (each: CompletedOption): string => {
    const repeated = each.repeatable ? '*' : '';
    const action = each.values ? `(${each.values.filter((value) => value !== '').join(' ')})` : takesFiles(each) ? '_files' : ' ';
    const message = each.value === undefined ? '' : `:${each.value}:${action}`;
    return namesOf(each)
      .map(
        (name) =>
          `      ${quoted(`${repeated}${name}${each.value !== undefined && name.startsWith('--') ? '=' : ''}[${plain(each.description)}]${message}`)} \\\n`,
      )
      .join('');
  };
  const described = commands.map(({ name, summary }) => `    ${quoted(`${name}:${plain(summary)}`)}\n`).join('');
  const cases = commands
    .map(({ name, options }) => `    ${name}) _arguments \\\n${options.map(spec).join('')}      '*:file:_files' ;;\n`)
    .join('');
  return `#compdef ${PROGRAM}
# ${PROGRAM} completion zsh
_openshell_sideload() {
  local -a commands=(
${described}  )
  local curcontext=$curcontext state line
  _arguments -C '1: :->command' '*:: :->rest'
  case $state in
    command) _describe command commands; return ;;
  esac
  case $words[1] in
${cases}  esac
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _openshell_sideload "$@"; else compdef _openshell_sideload ${PROGRAM}; fi
`;
}

function fish(commands: readonly Completed[]): string {
  const text = (value: string): string => `'${value.replaceAll(/[\\']/g, '\\$&')}'`;
  const first = `complete -c ${PROGRAM} -n __fish_use_subcommand -f`;
  const names = commands.map(({ name, summary }) => `${first} -a ${name} -d ${text(summary)}\n`);
  const options = commands.flatMap((command) =>
    command.options.map((each) => {
      const value =
        each.value === undefined ? '' : each.values ? ` -x -a ${text(each.values.join(' '))}` : takesFiles(each) ? ' -r -F' : ' -x';
      const short = each.short === undefined ? '' : ` -s ${each.short}`;
      const when = text(`__fish_seen_subcommand_from ${command.name}`);
      return `complete -c ${PROGRAM} -n ${when} -l ${each.name}${short}${value} -d ${text(each.description)}\n`;
    }),
  );
  return `# ${PROGRAM} completion fish\n${[...names, ...options].join('')}`;
}

const WRITERS = { bash, zsh, fish } as const;

/** The command. @param all every command by its name, this one too */
export function completionOf(all: () => Promise<ReadonlyMap<string, Command>>): Command {
  const run = async ({ positionals }: CommandLine): Promise<number> => {
    const [shell, ...rest] = positionals;
    const known = SHELLS.find((each) => each === shell);
    if (!known || rest.length > 0) throw new UsageError([`completion ${JSON.stringify(shell ?? '')}: expected ${SHELLS.join(', ')}`]);
    const commands = [...(await all())].map(([name, { summary, options }]): Completed => {
      const own = Object.entries({ ...options, ...OPTIONS, help: { description: 'Prints the help of the command.' } });
      return { name, summary, options: own.map(([option, each]) => ({ name: option, ...each })) };
    });
    process.stdout.write(WRITERS[known](commands));
    return EXIT.done;
  };
  return {
    summary: 'Prints what a shell needs to complete command lines.',
    usage: 'completion (bash | zsh | fish)',
    description: 'Prints what bash, zsh or fish need to complete commands, options and their values.',
    options: {},
    examples: [
      ['completion bash > ~/.local/share/bash-completion/completions/openshell-sideload', 'for bash'],
      ['completion zsh > ~/.zfunc/_openshell-sideload', 'for zsh'],
      ['completion fish > ~/.config/fish/completions/openshell-sideload.fish', 'for fish'],
    ],
    takesWords: true,
    run,
  };
}
