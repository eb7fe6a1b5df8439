/** src/sideload/patch.ts in CEL: what the variables decided becomes a JSON Patch. */

import { SIDELOADED_ANNOTATION } from '../../sideload/contract.ts';
import { add, literal, type PolicyVariable } from './cel.ts';

const ANNOTATION = SIDELOADED_ANNOTATION.replaceAll('~', '~0').replaceAll('/', '~1');

/** Where the sandbox container is. */
export const PLACE: readonly PolicyVariable[] = [
  {
    name: 'at',
    expression: `'/spec/containers/' + string(object.spec.containers.map(c, c.name).indexOf(variables.container.name))`,
  },
];

export const OPERATIONS: readonly PolicyVariable[] = [
  {
    comment: "A sidecar topology is as OpenShell's driver makes it, or refused.",
    name: 'operations',
    expression: `variables.launched && variables.processOnly ? [] :
variables.volumeOperations +
variables.installerOperations +
variables.mountOperations +
variables.commandOperations +
variables.environmentOperations +
variables.securityContextOperations`,
  },
  {
    name: 'annotationOperations',
    expression: `variables.annotations[?${literal(SIDELOADED_ANNOTATION)}].orValue('') == variables.intended ? []
: has(object.metadata.annotations) ? [${add(literal(`/metadata/annotations/${ANNOTATION}`), 'variables.intended')}]
: [${add(literal('/metadata/annotations'), `{${literal(SIDELOADED_ANNOTATION)}: variables.intended}`)}]`,
  },
];

/** The mutation. What is refused is left as it is: the backstop says why. */
export const MUTATION = `variables.refusal != '' || variables.concern != '' || variables.operations.size() == 0 ? [] :
(variables.operations + variables.annotationOperations).map(o, JSONPatch{op: string(o.op), path: string(o.path), ?value: o[?'value']})`;
