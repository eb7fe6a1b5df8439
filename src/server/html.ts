import { printable } from '../sideload/outcome.ts';

/** Text that is HTML already; every other text is escaped. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
/** Of one value: what is longer comes from outside, and is cut. */
const MAX_LENGTH = 500;

/** Builds HTML: values are cut and escaped unless they are HTML themselves. Attributes need quotes around them. */
export function html(parts: TemplateStringsArray, ...values: readonly (string | number | Html | readonly Html[])[]): Html {
  return new Html(parts.map((part, at) => (at === 0 ? part : `${textOf(values[at - 1] ?? '')}${part}`)).join(''));
}

function textOf(value: string | number | Html | readonly Html[]): string {
  if (value instanceof Html) return value.text;
  if (typeof value === 'object') return value.map(({ text }) => text).join('');
  const text = String(value);
  const cut = text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH)}…` : text;
  return printable(cut).replaceAll(/[&<>"']/g, (found) => ENTITIES[found] ?? '');
}
