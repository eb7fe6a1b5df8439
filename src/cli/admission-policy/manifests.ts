/** The objects of an injection without a webhook, as YAML: the policy that injects, its backstop, and the policy that warns. */

import { type Document, isScalar, parseAllDocuments, Scalar, type YAMLMap, type YAMLSeq } from 'yaml';
import type { PolicyVariable } from './cel.ts';
import { MUTATION } from './operations.ts';
import { expanded, neededBy } from './variables.ts';
import { POLICY_WARNINGS, WARNING_VARIABLES } from './warnings.ts';

const GROUP = 'admissionregistration.k8s.io/v1';
const NAME = 'openshell-sideload';
const BACKSTOP = `${NAME}-backstop`;
const WARNINGS = `${NAME}-warnings`;

interface Policy {
  readonly metadata: { readonly name: string };
  readonly spec: Readonly<Record<string, unknown>> & {
    readonly matchConstraints: { readonly resourceRules: readonly object[] };
    readonly matchConditions: readonly { readonly name: string }[];
    readonly matchResources?: object;
  };
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

/** Where a document has its variables. */
const VARIABLES = ['spec', 'variables'];

function readVariables(document: Document): PolicyVariable[] {
  return (document.getIn(VARIABLES) as YAMLSeq<YAMLMap>).items.map((item) => ({
    name: String(item.get('name')),
    expression: String(item.get('expression')),
    ...(item.commentBefore ? { comment: item.commentBefore.trim().replaceAll(/\n /g, '\n') } : {}),
  }));
}

function writeVariables(document: Document, variables: readonly PolicyVariable[]): Document {
  const nodes = variables.map(({ comment, ...variable }) => {
    const node = document.createNode(variable);
    if (comment !== undefined) node.commentBefore = comment.replaceAll(/^/gm, ' ');
    return node;
  });
  document.setIn(VARIABLES, document.createNode([]));
  (document.getIn(VARIABLES) as YAMLSeq<YAMLMap>).items = nodes as YAMLMap[];
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
  const variables = expanded(readVariables(backstop), literals);
  writeVariables(backstop, variables);
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
        variables: [],
        mutations: [{ patchType: 'JSONPatch', jsonPatch: { expression: MUTATION } }],
      },
    },
    ' Injects the supervisor inside the API server: Kubernetes 1.36 or newer. What it leaves as it is, the backstop refuses.\n' +
      ' Printed by `openshell-sideload admission-policy`, from src/cli/admission-policy/ and the backstop.',
  );
  writeVariables(injection, neededBy(variables, MUTATION));
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
      variables: [],
      validations,
    },
  });
  const judged = validations.flatMap(({ expression, messageExpression }) => [expression, messageExpression]);
  writeVariables(warnings, neededBy([...variables, ...WARNING_VARIABLES], ...judged));
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
