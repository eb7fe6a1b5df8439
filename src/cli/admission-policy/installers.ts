/** src/sideload/install-container.ts in CEL. */

import { INSTALL_CONTAINER, installCommand, LAYOUTS } from '../../sideload/contract.ts';
import { FREE_MEMBERS, TERMINATION_MESSAGE_PATH } from '../../sideload/supervisor-container.ts';
import { add, append, lines, literal, mixed, type PolicyVariable, remove, when } from './cel.ts';

const AT = `'/spec/initContainers/' + string(i) + '/`;
const IS_TARGET = `m.name == variables.volumeName && m.mountPath in variables.path && !has(m.subPath) && !has(m.subPathExpr)`;
const RUNS_AS_ROOT = `c.?securityContext.?runAsNonRoot.or(object.spec.?securityContext.?runAsNonRoot).orValue(false) &&
  c.?securityContext.?runAsUser.or(object.spec.?securityContext.?runAsUser).orValue(0) == 0`;
const COMMANDS = LAYOUTS.map((layout) => `'${layout}': ${literal(installCommand(layout))}`);

export const INSTALLERS: readonly PolicyVariable[] = [
  {
    name: 'addedInstallers',
    expression: `variables.intended != 'init-container' || variables.installers.size() > 0 ? [] : [{
  'name': dyn('${INSTALL_CONTAINER}'),
  'image': dyn(variables.supervisorImage),
  ?'imagePullPolicy': variables.pullPolicy == '' ? optional.none() : optional.of(dyn(variables.pullPolicy)),
  'command': dyn({${COMMANDS.join(', ')}}[variables.layout]),
  'resources': dyn({
    ?'requests': variables.container.?resources.?requests,
    ?'limits': variables.container.?resources.?limits}),
  'securityContext': dyn(${mixed({
    runAsUser: '0',
    runAsNonRoot: 'false',
    allowPrivilegeEscalation: 'false',
    readOnlyRootFilesystem: 'true',
    capabilities: `{'drop': ['ALL']}`,
  })}),
  'volumeMounts': dyn([{'name': string(variables.volumeName), 'mountPath': variables.path[0]}])
}]`,
  },
  { name: 'installerNames', expression: 'variables.installers.map(c, c.name)' },
  {
    comment: 'What was added to an install container that is there goes. From the end, so that the indexes of the mounts that follow hold.',
    name: 'correctedInstallers',
    expression: `variables.initContainers.transformList(i, c, c.name in variables.installerNames,
  [c.volumeMounts.transformList(at, m, ${IS_TARGET}, at)[0]].map(target,
${lines(
  ' +',
  `    c.filter(member, !(member in ${literal(FREE_MEMBERS)}) &&
      (member != 'terminationMessagePath' || c[member] != '${TERMINATION_MESSAGE_PATH}')).map(member, ${remove(`${AT}' + member`)})`,
  `    c.volumeMounts.transformList(at, m, at != target && (m.name == variables.volumeName || m.mountPath != variables.tokenPath ||
      has(m.subPath) || has(m.subPathExpr)), at).reverse().map(at, ${remove(`${AT}volumeMounts/' + string(at)`)})`,
  `    ${when(
    'c.volumeMounts[target].?readOnly.orValue(false)',
    add(
      `${AT}volumeMounts/' + string(c.volumeMounts.transformList(at, m,
      at < target && !(m.name == variables.volumeName || m.mountPath != variables.tokenPath || has(m.subPath) || has(m.subPathExpr)), at).size()) + '/readOnly'`,
      'false',
    ),
  )}`,
  `    (!(${RUNS_AS_ROOT}) ? []
      : has(c.securityContext) ? [${add(`${AT}securityContext/runAsNonRoot'`, 'false')}]
      : [${add(`${AT}securityContext'`, `{'runAsNonRoot': false}`)}])`,
)})[0]).flatten()`,
  },
  {
    name: 'installerOperations',
    expression: `${append(literal('/spec/initContainers'), 'has(object.spec.initContainers)', 'variables.addedInstallers')} +
variables.correctedInstallers`,
  },
];
