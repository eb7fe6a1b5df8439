import { OPTIONS, type Option, type OptionName } from '../config/options.ts';
import type { Command, CommandOption } from './command.ts';
import { PROGRAM } from './program.ts';

const INDENT = '      ';

/** The width of the terminal, within what is easy to read; where there is none, 100. */
function width(): number {
  return Math.min(Math.max(process.stdout.columns ?? 100, 40), 120);
}

function wrap(text: string, indent = INDENT): string {
  const most = width();
  const lines = [''];
  for (const word of text.split(' ')) {
    const last = lines.at(-1) ?? '';
    if (last !== '' && indent.length + last.length + 1 + word.length > most) lines.push(word);
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`;
  }
  return lines.map((line) => `${indent}${line}\n`).join('');
}

/** What the settings are about: each heading stands before the first of its settings. */
const HEADINGS: Partial<Record<OptionName, string>> = {
  'supervisor-image': 'The supervisor',
  policy: 'Policies, and pods that are refused',
  'missing-command': 'What an image runs',
  'sandbox-uid': 'The sandboxed process',
  port: 'Server and certificates',
};

function settingsHelp(): string {
  return (Object.entries(OPTIONS) as [OptionName, Option<unknown>][])
    .map(([name, { value, variable, default: fallback, description }]) => {
      const heading = HEADINGS[name] === undefined ? '' : `\n${HEADINGS[name]}\n`;
      const shown = fallback === '' ? 'empty' : fallback;
      return `${heading}  --${name} ${value}\n${wrap(description)}${INDENT}default: ${shown}\n${INDENT}environment: ${variable}\n`;
    })
    .join('');
}

function examplesHelp(examples: Command['examples']): string {
  return examples.map(([words, what]) => `${wrap(`# ${what}`, '  ')}  ${PROGRAM} ${words}\n`).join('');
}

/** What `--help` prints: the commands, and every setting with its variable and default. */
export function helpText(commands: ReadonlyMap<string, Command>): string {
  const longest = Math.max(...[...commands.keys()].map((name) => name.length));
  const summaries = [...commands].map(([name, { summary }]) => {
    const indent = ' '.repeat(longest + 4);
    return `  ${name.padEnd(longest)}  ${wrap(summary, indent).trimStart()}`;
  });
  const examples = ['inject', 'explain', 'check'].flatMap((name) => commands.get(name)?.examples.slice(0, 1) ?? []);
  return [
    'A mutating admission webhook that puts the OpenShell supervisor into labelled sandbox pods.\n',
    `Commands (${PROGRAM} help COMMAND lists the options of one)\n${summaries.join('')}`,
    `Examples\n${examplesHelp(examples)}`,
    wrap('Settings of every command. Each can be given as an environment variable too; the option wins.', '').trimEnd(),
    settingsHelp(),
    '  --help, --version\n',
  ].join('\n');
}

/** What `COMMAND --help` prints. */
export function commandHelp({ usage, description, options, examples }: Command): string {
  const own = (Object.entries(options) as [string, CommandOption][]).map(([name, option]) => {
    const value = option.value === undefined ? '' : ` ${option.value}`;
    return `  ${option.short ? `-${option.short}, ` : ''}--${name}${value}\n${wrap(option.description)}`;
  });
  return [
    wrap(`${PROGRAM} ${usage}`, ''),
    wrap(description, ''),
    ...(own.length > 0 ? [`Options\n${own.join('')}`] : []),
    `Examples\n${examplesHelp(examples)}`,
    `Settings: ${PROGRAM} --help lists them.\n`,
  ].join('\n');
}
