/** src/sideload/environment.ts in CEL. */

import { ENV, SANDBOX_ID_LABEL } from '../../sideload/contract.ts';
import { ENV_DEFAULTS, LONGEST_IMAGE } from '../../sideload/environment.ts';
import { append, lines, literal, type PolicyVariable, replace } from './cel.ts';

/** Variables of lines as the options write them: NAME=VALUE, NAME=secret:SECRET/KEY or NAME=configmap:NAME/KEY. */
function variablesOf(lines: string): string {
  const reference = `parts[1].split(':', 2)[1].split('/', 2)`;
  return `${lines}.map(line, [line.split('=', 2)].map(parts,
  !parts[1].matches('^(secret|configmap):') ? {'name': dyn(parts[0]), 'value': dyn(parts[1])}
  : {'name': dyn(parts[0]), 'valueFrom': dyn({(parts[1].startsWith('secret:') ? 'secretKeyRef' : 'configMapKeyRef'):
      [${reference}].map(at, {'name': at[0], 'key': at[1]})[0]})})[0])`;
}

const DEFAULT_LINES = ENV_DEFAULTS.map(({ name, value }) => `${name}=${value}`);

export const ENVIRONMENT: readonly PolicyVariable[] = [
  {
    name: 'identity',
    expression: `[{'name': dyn('${ENV.sandboxUid}'), 'value': dyn(string(variables.uid == 0 ? variables.sandboxUid : variables.uid))},
 {'name': dyn('${ENV.sandboxGid}'), 'value': dyn(string(variables.gid == 0 ? variables.sandboxGid : variables.gid))}]`,
  },
  {
    comment: "What replaces the pod's values.",
    name: 'pinnedVariables',
    expression: `variables.identity +
${variablesOf(`(variables.pinned.filter(line, !variables.policyPair.exists(own, own.startsWith(line.split('=', 2)[0] + '=')))
  + variables.policyPair)`)} +
[variables.container.?image.orValue('')].filter(image, image != '' && image.size() <= ${LONGEST_IMAGE})
.map(image, {'name': dyn('${ENV.containerImage}'), 'value': dyn(image)})`,
  },
  {
    name: 'pinnedByName',
    expression: 'variables.pinnedVariables.transformMapEntry(i, v, {string(v.name): v})',
  },
  {
    comment: 'addedDefaults: what a pod gets that has no variable of that name.',
    name: 'defaultVariables',
    expression: `([object.metadata.?labels[?'${SANDBOX_ID_LABEL}'].orValue('')].filter(id, id != '')
  .map(id, {'name': dyn('${ENV.sandboxId}'), 'value': dyn(id)}) +
${variablesOf(`(${literal(DEFAULT_LINES)}.filter(line,
  !variables.operatorEnv.exists(own, own.startsWith(line.split('=', 2)[0] + '='))) +
variables.operatorEnv.filter(line, !(line.split('=', 2)[0] in variables.gatewayVariables) ||
  variables.policyFrom != 'annotation' && !('${ENV.endpoint}' in variables.set)))`)})
.filter(v, !(v.name in variables.pinnedByName))`,
  },
  {
    name: 'wantedNames',
    expression: `(variables.pinnedVariables + variables.defaultVariables).transformMapEntry(i, v, {string(v.name): true})`,
  },
  {
    comment: 'One pass over what may be thousands.',
    name: 'present',
    expression: `variables.container.?env.orValue([]).transformList(i, e, e.name in variables.wantedNames, {'index': dyn(i), 'variable': dyn(e)})`,
  },
  { name: 'presentNames', expression: 'variables.present.map(p, p.variable.name)' },
  {
    name: 'hasAnyPart',
    expression: `variables.launched || variables.mount.size() > 0 || variables.method != 'none'`,
  },
  {
    comment: 'Not those that have the value already. On a pod with a part of its supervisor, an id that was resolved before stays.',
    name: 'replaced',
    expression: `variables.present.filter(p, p.variable.name in variables.pinnedByName &&
  !(variables.hasAnyPart && p.variable.name in variables.identityVariables && !has(p.variable.valueFrom) &&
    p.variable.?value.orValue('').matches('^[1-9][0-9]{0,9}$')) &&
  [variables.pinnedByName[p.variable.name]].exists(wanted, 'valueFrom' in wanted
    ? !has(p.variable.valueFrom) || dyn(p.variable.valueFrom) != dyn(wanted.valueFrom)
    : has(p.variable.valueFrom) || p.variable.?value.orValue('') != wanted.value))`,
  },
  {
    name: 'addedVariables',
    expression: '(variables.pinnedVariables + variables.defaultVariables).filter(v, !(v.name in variables.presentNames))',
  },
  {
    name: 'environmentOperations',
    expression: lines(
      ' +',
      `variables.replaced.map(p, ${replace(`variables.at + '/env/' + string(p.index)`, 'variables.pinnedByName[p.variable.name]')})`,
      append(`variables.at + '/env'`, 'has(variables.container.env)', 'variables.addedVariables'),
    ),
  },
];
