import { OPTIONS, type Option } from '../config/options.ts';
import type { Command, CommandOption } from './command.ts';

const WIDTH = 100;
const INDENT = '      ';

function wrap(text: string, indent = INDENT): string {
  const lines = [''];
  for (const word of text.split(' ')) {
    const last = lines.at(-1) ?? '';
    if (last !== '' && indent.length + last.length + 1 + word.length > WIDTH) lines.push(word);
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`;
  }
  return lines.map((line) => `${indent}${line}\n`).join('');
}

function settingsHelp(): string {
  return (Object.entries(OPTIONS) as [string, Option<unknown>][])
    .map(([name, { value, variable, default: fallback, description }]) => {
      const shown = fallback === '' ? 'empty' : fallback;
      return `  --${name} ${value}\n${wrap(description)}${INDENT}default: ${shown}\n${INDENT}environment: ${variable}\n`;
    })
    .join('');
}

/** What `--help` prints: the commands, and every setting with its variable and default. */
export function helpText(commands: readonly Command[]): string {
  const usages = commands.map(({ usage, description }) => `  openshell-sideload ${usage}\n${wrap(description)}`).join('');
  return [
    'A mutating admission webhook that puts the OpenShell supervisor into labelled sandbox pods.\n',
    usages,
    'Settings of every command. Each can be given as an environment variable too; the option wins.\n',
    settingsHelp(),
    '  --help, --version\n',
  ].join('\n');
}

/** What `COMMAND --help` prints. */
export function commandHelp({ usage, description, options }: Command): string {
  const own = (Object.entries(options) as [string, CommandOption][]).map(([name, option]) => {
    const value = option.value === undefined ? '' : ` ${option.value}`;
    return `  ${option.short ? `-${option.short}, ` : ''}--${name}${value}\n${wrap(option.description)}`;
  });
  return [
    `openshell-sideload ${usage}\n`,
    wrap(description, ''),
    ...(own.length > 0 ? [own.join('')] : []),
    'Settings: openshell-sideload --help lists them.\n',
  ].join('\n');
}
