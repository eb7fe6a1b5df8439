import { OPTIONS, type Option } from './options.ts';

const WIDTH = 100;
const INDENT = '      ';

function wrap(text: string): string {
  const lines = [''];
  for (const word of text.split(' ')) {
    const last = lines.at(-1) ?? '';
    if (last !== '' && INDENT.length + last.length + 1 + word.length > WIDTH) lines.push(word);
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`;
  }
  return lines.map((line) => `${INDENT}${line}\n`).join('');
}

/** What `--help` prints: every option with its variable and default. */
export function helpText(): string {
  const options = (Object.entries(OPTIONS) as [string, Option<unknown>][]).map(
    ([name, { value, variable, default: fallback, description }]) => {
      const shown = fallback === '' ? 'empty' : fallback;
      return `  --${name} ${value}\n${wrap(description)}${INDENT}default: ${shown}\n${INDENT}environment: ${variable}\n`;
    },
  );
  return [
    'openshell-sideload [serve] [OPTIONS]\n',
    'A mutating admission webhook that puts the OpenShell supervisor into labelled sandbox pods.\n',
    'Each option can be given as an environment variable too; the option wins.\n',
    `${options.join('')}\n  --help, --version\n`,
  ].join('\n');
}
