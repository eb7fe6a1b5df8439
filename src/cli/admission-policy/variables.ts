/** The variables of the policies: those of the backstop, and those that inject. */

import type { PolicyVariable } from './cel.ts';
import { COMMAND_LINE } from './command-line.ts';
import { CONCERN, CONCERNS } from './concerns.ts';
import { ENVIRONMENT } from './environment.ts';
import { FILES } from './files.ts';
import { INSTALLERS } from './installers.ts';
import { OPERATIONS, PLACE } from './operations.ts';
import { POLICY_CHOICE, TAKES_OPERATOR_POLICY } from './policy-choice.ts';
import { SECURITY_CONTEXT } from './security-context.ts';

/** Variables under the name of the file of src/sideload/ that they are like. */
function section(title: string, [first, ...rest]: readonly PolicyVariable[]): readonly PolicyVariable[] {
  if (!first) return [];
  return [{ ...first, comment: `---- ${title}${first.comment === undefined ? '' : `: ${first.comment}`}` }, ...rest];
}

/** Variables of the backstop that have another expression here, each with those that it needs. */
const REPLACED: Readonly<Record<string, readonly PolicyVariable[]>> = {
  takesOperatorPolicy: [...section('gateway.ts and policy.ts', POLICY_CHOICE), TAKES_OPERATOR_POLICY],
  unfit: [...PLACE, ...section('files.ts', FILES), { name: 'unfit', expression: 'variables.proxyAuthTaken' }],
  concern: [
    ...section('launch.ts', COMMAND_LINE),
    ...section('install-container.ts', INSTALLERS),
    ...section('environment.ts', ENVIRONMENT),
    ...section('security-context.ts', SECURITY_CONTEXT),
    ...section('patch.ts', OPERATIONS),
    ...section('warnings.ts', CONCERNS),
    CONCERN,
  ],
};

/**
 * The backstop's variables, with what an admission policy has to know besides.
 *
 * @param literals the operator's choices, by the name of their variable
 */
export function expanded(backstop: readonly PolicyVariable[], literals: Readonly<Record<string, string>>): PolicyVariable[] {
  const own = new Set(backstop.map(({ name }) => name));
  const choices = Object.entries(literals).flatMap(([name, expression]) => (own.has(name) ? [] : [{ name, expression }]));
  return backstop.flatMap((variable) => {
    const { name } = variable;
    const withLiteral = { ...variable, expression: literals[name] ?? variable.expression };
    // Where the backstop has the one choice that only an injection knows.
    if (name === 'operatorMethod') return [withLiteral, ...choices];
    const replaced = REPLACED[name];
    return (
      replaced?.map((each) => (each.name === name && variable.comment !== undefined ? { comment: variable.comment, ...each } : each)) ?? [
        withLiteral,
      ]
    );
  });
}

/** Of these variables, those that the expressions need, in order. */
export function neededBy(variables: readonly PolicyVariable[], ...expressions: readonly string[]): PolicyVariable[] {
  const needed = new Set<string>();
  const visit = (expression: string): void => {
    for (const [, name = ''] of expression.matchAll(/\bvariables\.([A-Za-z]+)/g)) needed.add(name);
  };
  expressions.forEach(visit);
  const kept = variables.toReversed().filter(({ name, expression }) => {
    if (needed.has(name)) visit(expression);
    return needed.has(name);
  });
  return kept.reverse();
}
