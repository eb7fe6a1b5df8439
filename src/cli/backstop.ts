/** `openshell-sideload backstop`: prints the backstop that knows the options of the webhook. */

import { readFileSync } from 'node:fs';
import { parseAllDocuments, type YAMLMap, type YAMLSeq } from 'yaml';
import { UsageError } from '../config/config.ts';
import { backstopLiterals, type LiteralName } from './backstop-literals.ts';
import { type Command, type CommandLine, EXIT } from './command.ts';

/** Beside dist/ in the image and the npm package, as it is beside src/ in the tree. */
const COMPONENT = new URL('../../manifests/components/backstop/', import.meta.url);
const FILES = ['stored.yaml', 'changed.yaml'];

const EPHEMERAL = ['refuse', 'allow'];

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
  const [ephemeral = 'refuse'] = flags.get('ephemeral-containers') ?? [];
  if (!EPHEMERAL.includes(ephemeral))
    throw new UsageError([`--ephemeral-containers ${JSON.stringify(ephemeral)}: expected ${EPHEMERAL.join(' or ')}`]);
  const literals: Record<LiteralName | 'ephemeralContainers', string> = {
    ...backstopLiterals(config),
    ephemeralContainers: JSON.stringify(ephemeral),
  };
  const texts = FILES.map((file) => withLiterals(readFileSync(new URL(file, COMPONENT), 'utf8'), literals));
  process.stdout.write(texts.join('---\n').replaceAll('openshell-system', config.namespace));
  return EXIT.done;
}

export const backstop: Command = {
  summary: 'Prints the backstop, a ValidatingAdmissionPolicy, for the settings of the webhook.',
  usage: 'backstop [--ephemeral-containers ACTION] [SETTINGS]',
  description:
    'Prints the backstop, a ValidatingAdmissionPolicy, for the settings of the webhook: give it the same options. Apply it with kubectl, or list it under resources of a kustomization. It needs no cluster.',
  options: {
    'ephemeral-containers': {
      value: 'ACTION',
      description: 'Ephemeral containers in sandboxes: refuse (default), or allow, which leaves them to RBAC.',
    },
  },
  examples: [['backstop --policy=configmap:sandbox | kubectl apply -f -', 'with the options of the webhook']],
  takesWords: false,
  run,
};
