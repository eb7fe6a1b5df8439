/** The tables of this folder that follow from tables in the source. `npm run docs:reference` writes them, a test compares them. */

import { readFileSync } from 'node:fs';
import { OPTIONS, type Option } from '../../src/config/options.ts';
import { createMetrics } from '../../src/observe/metrics.ts';
import { INJECTIONS, REFUSALS, SKIPS, WARNINGS } from '../../src/sideload/outcome.ts';
import { markdownTable, replaceSection } from '../markdown.ts';
import { CONSTANTS } from './constants.ts';

const code = (text: string): string => (text === '' ? 'empty' : `\`${text}\``);

function options(): string {
  const rows = Object.entries(OPTIONS as Readonly<Record<string, Option<unknown>>>).map(([name, option]) => [
    code(`--${name}`),
    code(option.variable),
    code(option.default),
    option.description,
  ]);
  return markdownTable(['Option', 'Environment variable', 'Default', 'Meaning'], rows);
}

function outcomes(): string {
  const unchanged = Object.entries(SKIPS).map(([reason, summary]) => ['left unchanged', code(reason), summary]);
  const injected = Object.entries(INJECTIONS).map(([reason, summary]) => ['injected', code(reason), summary]);
  const refused = Object.entries(REFUSALS).map(([reason, { code: status, summary }]) => [`refused, ${status}`, code(reason), summary]);
  return markdownTable(['Outcome', 'Reason code', 'Why'], [...unchanged, ...injected, ...refused]);
}

function warnings(): string {
  const rows = Object.entries(WARNINGS).map(([warning, summary]) => [code(warning), summary]);
  return markdownTable(['Warning', 'What the author should know'], rows);
}

function metrics(): string {
  const ours = createMetrics('', () => 0)
    .registry.getMetricsAsArray()
    .map((metric) => metric as unknown as { name: string; help: string; labelNames?: readonly string[] })
    .filter(({ name }) => name.startsWith('openshell_sideload_'));
  const rows = ours.map(({ name, help, labelNames = [] }) => [code(name), labelNames.join(', '), help]);
  return markdownTable(['Metric', 'Labels', 'Meaning'], rows);
}

/** Files of this folder, and the tables that each has. */
const TABLES: Readonly<Record<string, Readonly<Record<string, () => string>>>> = {
  'options.md': { options },
  'outcomes.md': { outcomes, warnings },
  'metrics.md': { metrics },
};

/**
 * The documents, with their tables as the source has them, and the contract's constants in other languages.
 *
 * @throws Error when a document has no place for a table
 */
export function documents(): readonly { readonly file: string; readonly now: string; readonly wanted: string }[] {
  const tables = Object.entries(TABLES).map(([file, made]) => {
    const now = readFileSync(new URL(file, import.meta.url), 'utf8');
    const wanted = Object.entries(made).reduce(
      (text, [name, make]) => replaceSection(`docs/reference/${file}`, text, `npm run docs:reference: ${name}`, name, make()),
      now,
    );
    return { file, now, wanted };
  });
  const constants = Object.entries(CONSTANTS).map(([file, make]) => ({
    file,
    now: readFileSync(new URL(file, import.meta.url), 'utf8'),
    wanted: make(),
  }));
  return [...tables, ...constants];
}
