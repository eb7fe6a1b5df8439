/** The objects of an injection without a webhook, as YAML: the policy that injects, its backstop, and the policy that warns. */

import { type Document, isScalar, parseAllDocuments, Scalar, type YAMLMap, type YAMLSeq } from 'yaml';
import type { PolicyVariable } from './cel.ts';
import { COMMAND_LINE } from './command-line.ts';
import { CONCERN, CONCERNS } from './concerns.ts';
import { ENVIRONMENT } from './environment.ts';
import { FILES } from './files.ts';
import { INSTALLERS } from './installers.ts';
import { MUTATION, OPERATIONS, PLACE } from './operations.ts';
import { POLICY_CHOICE, TAKES_OPERATOR_POLICY } from './policy-choice.ts';
import { SECURITY_CONTEXT } from './security-context.ts';
import { POLICY_WARNINGS, WARNING_VARIABLES } from './warnings.ts';

const GROUP = 'admissionregistration.k8s.io/v1';
const NAME = 'openshell-sideload';
const BACKSTOP = `${NAME}-backstop`;
const WARNINGS = `${NAME}-warnings`;

/** Variables of the backstop that have another expression here, each with those that it needs. */
const REPLACED: Readonly<Record<string, readonly PolicyVariable[]>> = {
  takesOperatorPolicy: [...POLICY_CHOICE, TAKES_OPERATOR_POLICY],
  unfit: [...PLACE, ...FILES, { name: 'unfit', expression: 'variables.proxyAuthTaken' }],
  concern: [...COMMAND_LINE, ...INSTALLERS, ...ENVIRONMENT, ...SECURITY_CONTEXT, ...OPERATIONS, ...CONCERNS, CONCERN],
};

interface Policy {
  readonly metadata: { readonly name: string };
  readonly spec: Readonly<Record<string, unknown>> & {
    readonly matchConstraints: { readonly resourceRules: readonly object[] };
    readonly matchConditions: readonly { readonly name: string }[];
    readonly variables: readonly PolicyVariable[];
    readonly matchResources?: object;
  };
}

/** Of these variables, those that the expressions need, in order. */
function neededBy(variables: readonly PolicyVariable[], ...expressions: readonly string[]): PolicyVariable[] {
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

/** Expressions of several lines as blocks, as people read them. */
function withBlocks(document: Document): Document {
  const visit = (node: unknown): void => {
    if (isScalar(node) && typeof node.value === 'string' && node.value.includes('\n')) node.type = Scalar.BLOCK_LITERAL;
    for (const item of (node as { items?: readonly unknown[] } | null)?.items ?? [])
      visit('value' in (item as object) ? (item as { value: unknown }).value : item);
  };
  visit(document.contents);
  return document;
}

function textOf(document: Document): string {
  return document.toString({ lineWidth: 0 });
}

/** The backstop with what an admission policy has to know besides. */
function expand(document: Document, literals: Readonly<Record<string, string>>): Document {
  const sequence = document.getIn(['spec', 'variables']) as YAMLSeq<YAMLMap>;
  const own = new Set(sequence.items.map((item) => String(item.get('name'))));
  const choices = Object.entries(literals).filter(([name]) => !own.has(name) || name === 'operatorMethod');
  const replaced: Readonly<Record<string, readonly PolicyVariable[]>> = {
    operatorMethod: choices.map(([name, expression]) => ({ name, expression })),
    ...REPLACED,
  };
  sequence.items = sequence.items.flatMap((item) => {
    const name = String(item.get('name'));
    const literal = literals[name];
    if (literal !== undefined) item.set('expression', literal);
    return (
      replaced[name]?.map(({ name: added, expression }) => {
        const node = document.createNode({ name: added, expression }) as YAMLMap;
        if (added === name && item.commentBefore) node.commentBefore = item.commentBefore;
        return node;
      }) ?? [item]
    );
  });
  return withBlocks(document);
}

/**
 * All objects.
 *
 * @param stored the backstop's policy for stored pods, with its bindings
 * @param changed the backstop's policy for pods that are changed
 * @param literals the operator's choices, by the name of their variable
 */
export function admissionPolicies(stored: string, changed: string, literals: Readonly<Record<string, string>>): string {
  const [backstop, ...bindings] = parseAllDocuments(stored) as Document[];
  if (!backstop) throw new Error('the backstop is empty');
  expand(backstop, literals);
  const { spec } = backstop.toJS() as Policy;
  const matched = bindings.map((binding) => binding.toJS() as Policy);
  const document = (object: object, comment?: string): Document => {
    const [created] = parseAllDocuments('{}') as [Document];
    created.contents = created.createNode(object) as never;
    if (comment !== undefined) created.commentBefore = comment;
    return withBlocks(created);
  };
  const bind = (kind: string, policyName: string, more: object): Document[] =>
    matched.map((binding) =>
      document({
        apiVersion: GROUP,
        kind,
        metadata: { name: binding.metadata.name.replace(BACKSTOP, policyName) },
        spec: { policyName, ...more, matchResources: binding.spec.matchResources },
      }),
    );
  const created = { ...spec.matchConstraints, resourceRules: [{ ...spec.matchConstraints.resourceRules[0], operations: ['CREATE'] }] };
  const matchConditions = [
    ...spec.matchConditions.filter(({ name }) => name === 'not-a-mirror-pod'),
    // Go writes no containers as null; the API server refuses such a pod itself.
    { name: 'has-containers', expression: 'dyn(object.spec.containers) != null' },
  ];
  const injection = document(
    {
      apiVersion: GROUP,
      kind: 'MutatingAdmissionPolicy',
      metadata: { name: NAME },
      spec: {
        failurePolicy: 'Fail',
        reinvocationPolicy: 'IfNeeded',
        matchConstraints: created,
        matchConditions,
        variables: neededBy(spec.variables, MUTATION),
        mutations: [{ patchType: 'JSONPatch', jsonPatch: { expression: MUTATION } }],
      },
    },
    ' Injects the supervisor inside the API server: Kubernetes 1.36 or newer. What it leaves as it is, the backstop refuses.\n' +
      ' Printed by `openshell-sideload admission-policy`, from src/cli/admission-policy/ and the backstop.',
  );
  const variables = [...spec.variables, ...WARNING_VARIABLES];
  const validations = POLICY_WARNINGS.map(({ code, unless, message }) => ({
    // A sidecar topology is OpenShell's own.
    expression: `variables.launched && variables.processOnly || (${unless})`,
    messageExpression: `'${code}: ' + ${message}`,
  }));
  const warnings = document({
    apiVersion: GROUP,
    kind: 'ValidatingAdmissionPolicy',
    metadata: { name: WARNINGS },
    spec: {
      failurePolicy: 'Ignore',
      matchConstraints: created,
      matchConditions: spec.matchConditions.filter(({ name }) => name === 'not-a-mirror-pod'),
      variables: neededBy(variables, ...validations.flatMap(({ expression, messageExpression }) => [expression, messageExpression])),
      validations,
    },
  });
  return [
    // First, so that pods are refused as long as nothing injects them.
    backstop,
    ...bindings,
    ...(parseAllDocuments(changed) as Document[]),
    injection,
    ...bind('MutatingAdmissionPolicyBinding', NAME, {}),
    warnings,
    ...bind('ValidatingAdmissionPolicyBinding', WARNINGS, { validationActions: ['Warn', 'Audit'] }),
  ]
    .map((each) => textOf(each).replace(/^---\n/, ''))
    .join('---\n');
}
