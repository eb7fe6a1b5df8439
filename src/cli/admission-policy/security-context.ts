/** src/sideload/security-context.ts in CEL. */

import { DEFAULT_CAPABILITIES, DROPPED_CAPABILITIES, USER_NAMESPACE_CAPABILITIES } from '../../sideload/security-context.ts';
import { add, lines, literal, type PolicyVariable, when } from './cel.ts';

const AT = `variables.at + '/securityContext`;

export const SECURITY_CONTEXT: readonly PolicyVariable[] = [
  { name: 'context', expression: 'variables.container.?securityContext.orValue({})' },
  { name: 'droppedCapabilities', expression: 'variables.context.?capabilities.?drop.orValue([])' },
  { name: 'dropsAll', expression: `variables.droppedCapabilities.exists(name, name.upperAscii() == 'ALL')` },
  {
    name: 'neededCapabilities',
    expression: `[variables.capabilities.map(name, string(name))].map(own,
  own.size() == 0 || variables.context.?privileged.orValue(false) ? []
  : variables.dropsAll ? (own + ${literal(DROPPED_CAPABILITIES)}).distinct()
  : !object.spec.?hostUsers.orValue(true) ? (own + ${literal(USER_NAMESPACE_CAPABILITIES)}).distinct()
  : own)[0]`,
  },
  {
    comment: 'CAP_X does not count: containerd would look for CAP_CAP_X.',
    name: 'missingCapabilities',
    expression: `[variables.context.?capabilities.?add.orValue([]).map(name, name.upperAscii())].map(added,
  'ALL' in added && !variables.dropsAll ? [] : variables.neededCapabilities.filter(name, !(name in added)))[0]`,
  },
  {
    comment: 'Runtimes apply single drops last.',
    name: 'keptDrops',
    expression: `variables.neededCapabilities.size() == 0 ? variables.droppedCapabilities
: variables.droppedCapabilities.filter(name, !([name.upperAscii()].map(upper, upper.startsWith('CAP_') ? upper.substring(4) : upper)[0] in
    variables.neededCapabilities + ${literal(DEFAULT_CAPABILITIES)}))`,
  },
  {
    name: 'choosesAppArmorProfile',
    expression: `has(variables.context.appArmorProfile) || object.spec.?securityContext.?appArmorProfile.hasValue() ||
'container.apparmor.security.beta.kubernetes.io/' + variables.container.name in variables.annotations`,
  },
  {
    name: 'appArmor',
    expression: `variables.appArmorProfile.startsWith('Localhost/')
? {'type': 'Localhost', 'localhostProfile': variables.appArmorProfile.substring('Localhost/'.size())}
: {'type': string(variables.appArmorProfile)}`,
  },
  {
    name: 'securityContextOperations',
    expression: lines(
      ' +',
      when('!has(variables.container.securityContext)', add(`${AT}'`, '{}')),
      when('variables.context.?runAsUser.orValue(-1) != 0', add(`${AT}/runAsUser'`, '0')),
      when(
        'variables.context.?runAsNonRoot.or(object.spec.?securityContext.?runAsNonRoot).orValue(false)',
        add(`${AT}/runAsNonRoot'`, 'false'),
      ),
      when(`variables.appArmorProfile != '' && !variables.choosesAppArmorProfile`, add(`${AT}/appArmorProfile'`, 'variables.appArmor')),
      when(
        'variables.missingCapabilities.size() > 0 && !has(variables.context.capabilities)',
        add(`${AT}/capabilities'`, `{'add': variables.missingCapabilities}`),
      ),
      when(
        'variables.missingCapabilities.size() > 0 && has(variables.context.capabilities)',
        add(
          `${AT}/capabilities/add'`,
          'variables.context.?capabilities.?add.orValue([]).map(name, string(name)) + variables.missingCapabilities',
        ),
      ),
      when('variables.keptDrops.size() != variables.droppedCapabilities.size()', add(`${AT}/capabilities/drop'`, 'variables.keptDrops')),
    ),
  },
];
