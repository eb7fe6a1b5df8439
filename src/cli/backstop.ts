/** `openshell-sideload backstop`: prints the backstop that knows the options of the webhook. */

import { readFileSync } from 'node:fs';
import { parseAllDocuments, type YAMLMap, type YAMLSeq } from 'yaml';
import { UsageError } from '../config/config.ts';
import { backstopLiterals, type LiteralName } from './backstop-literals.ts';
import { type Command, type CommandLine, type CommandOption, EXIT } from './command.ts';

/** Beside lib/ in the image and the npm package, as it is beside src/ in the tree. */
const COMPONENT = new URL('../../manifests/components/backstop/', import.meta.url);

/** The backstop as it is in the component: the policy for stored pods, and that for pods that are changed. */
export function readBackstop(): { readonly stored: string; readonly changed: string } {
  const read = (file: string): string => readFileSync(new URL(file, COMPONENT), 'utf8');
  return { stored: read('stored.yaml'), changed: read('changed.yaml') };
}

const EPHEMERAL = ['refuse', 'allow'];

/** The options beside the settings of a command that prints the backstop. */
export const BACKSTOP_OPTIONS: Readonly<Record<string, CommandOption>> = {
  'ephemeral-containers': {
    value: 'ACTION',
    description: 'Ephemeral containers in sandboxes: refuse (default), or allow, which leaves them to RBAC.',
  },
};

/**
 * What to do with ephemeral containers.
 *
 * @throws UsageError for a value that is none of EPHEMERAL
 */
export function ephemeralContainersOf(flags: CommandLine['flags']): string {
  const [ephemeral = 'refuse'] = flags.get('ephemeral-containers') ?? [];
  if (!EPHEMERAL.includes(ephemeral))
    throw new UsageError([`--ephemeral-containers ${JSON.stringify(ephemeral)}: expected ${EPHEMERAL.join(' or ')}`]);
  return ephemeral;
}

/** The text of the policies, with other expressions for the variables that hold the operator's choices. */
function withLiterals(text: string, literals: Readonly<Record<string, string>>): string {
  const documents = parseAllDocuments(text);
  for (const document of documents) {
    const variables = document.getIn(['spec', 'variables']) as YAMLSeq<YAMLMap> | undefined;
    for (const variable of variables?.items ?? []) {
      const literal = literals[String(variable.get('name'))];
      if (literal !== undefined) variable.set('expression', literal);
    }
  }
  return documents.map((document) => document.toString({ lineWidth: 0 })).join('');
}

async function run({ flags, config }: CommandLine): Promise<number> {
  const literals: Record<LiteralName | 'ephemeralContainers', string> = {
    ...backstopLiterals(config),
    ephemeralContainers: JSON.stringify(ephemeralContainersOf(flags)),
  };
  const { stored, changed } = readBackstop();
  const texts = [stored, changed].map((text) => withLiterals(text, literals));
  process.stdout.write(texts.join('---\n').replaceAll('openshell-system', config.namespace));
  return EXIT.done;
}

export const backstop: Command = {
  summary: 'Prints the backstop, a ValidatingAdmissionPolicy, for the settings of the webhook.',
  usage: 'backstop [--ephemeral-containers ACTION] [SETTINGS]',
  description:
    'Prints the backstop, a ValidatingAdmissionPolicy, for the settings of the webhook: give it the same options. Apply it with kubectl, or list it under resources of a kustomization. It needs no cluster.',
  options: BACKSTOP_OPTIONS,
  examples: [['backstop --policy=configmap:sandbox | kubectl apply -f -', 'with the options of the webhook']],
  takesWords: false,
  run,
};
