/** src/sideload/warnings.ts in CEL, for pods as they are stored. */

import { ENV, SANDBOX_ID_LABEL } from '../../sideload/contract.ts';
import type { WARNINGS } from '../../sideload/outcome.ts';
import { literal, type PolicyVariable } from './cel.ts';

export const WARNING_VARIABLES: readonly PolicyVariable[] = [
  {
    name: 'execHooks',
    expression: `${literal(['livenessProbe', 'readinessProbe', 'startupProbe'])}.filter(name,
  name in variables.container && has(variables.container[name].exec)) +
${literal(['postStart', 'preStop'])}.filter(name, variables.container.?lifecycle[?name].?exec.hasValue()).map(name, 'lifecycle.' + name)`,
  },
  {
    name: 'others',
    expression: `(object.spec.containers.filter(c, c.name != variables.container.name) +
  variables.initContainers.filter(c, c.?restartPolicy.orValue('') == 'Always')).map(c, c.name)`,
  },
  { name: 'ports', expression: `variables.container.?ports.orValue([]).map(p, string(p.containerPort))` },
  {
    comment: 'Directories of PATH, and the places where the program or another container may write.',
    name: 'searched',
    expression: `variables.container.?env.orValue([]).filter(e, e.name == 'PATH').map(e, e.?value.orValue(''))
.map(path, path.split(':')).filter(path, path != ['']).flatten()`,
  },
  {
    name: 'writable',
    expression: `[string(variables.sandboxWorkdir), '/tmp'] +
[object.spec.?volumes.orValue([]).filter(v, has(v.image) || has(v.configMap) || has(v.secret) || has(v.projected) || has(v.downwardAPI)).map(v, v.name)]
.map(readOnly, variables.container.?volumeMounts.orValue([]).filter(m, !m.?readOnly.orValue(false) && !(m.name in readOnly)).map(m, string(m.mountPath)))[0]`,
  },
];

interface PolicyWarning {
  readonly code: keyof typeof WARNINGS;
  /** Whether there is nothing to warn of. */
  readonly unless: string;
  /** Behind the code. */
  readonly message: string;
}

const CONTAINER = `'container ' + variables.container.name + `;

/** One for each code. What nodes and images are like, no policy can see. */
export const POLICY_WARNINGS: readonly PolicyWarning[] = [
  {
    code: 'no-command',
    unless: `variables.missingCommand != 'shell' || !variables.launched || variables.program.size() > 0 || variables.mayBeSpecified`,
    message: `${CONTAINER}' has no command: the supervisor starts its default shell'`,
  },
  {
    code: 'workdir-replaced',
    unless: `!variables.container.?workingDir.hasValue() || variables.ownWorkdir != ''`,
    message: `${CONTAINER}' names a system directory as workingDir: its program starts in ' + variables.workdir`,
  },
  {
    code: 'no-policy-source',
    unless: `variables.missingPolicy != 'warn' || variables.policyFrom != 'nothing'`,
    message: `${CONTAINER}' has no policy: its supervisor exits unless its image brings one'`,
  },
  {
    code: 'inference-routes',
    unless: `!('${ENV.inferenceRoutes}' in variables.set)`,
    message: `${CONTAINER}' sets ${ENV.inferenceRoutes}: its file replaces the inference routes of the gateway'`,
  },
  {
    code: 'sandbox-id-differs',
    unless: `object.metadata.?labels[?'${SANDBOX_ID_LABEL}'].orValue('') == '' || variables.literals[?'${ENV.sandboxId}'].orValue('') == '' ||
variables.literals['${ENV.sandboxId}'] == object.metadata.labels['${SANDBOX_ID_LABEL}']`,
    message: `'${ENV.sandboxId} differs from label ${SANDBOX_ID_LABEL}: the variable counts'`,
  },
  {
    code: 'token-in-spec',
    unless: `variables.literals[?'${ENV.sandboxToken}'].orValue('') == ''`,
    message: `${CONTAINER}' has a token in ${ENV.sandboxToken}, which everyone who may read the pod can read'`,
  },
  {
    code: 'host-namespaces',
    unless: `!object.spec.?hostPID.orValue(false) && !object.spec.?hostIPC.orValue(false)`,
    message: `'the pod shares process or IPC namespaces with the node'`,
  },
  {
    code: 'runtime-without-image-volumes',
    unless: `(variables.method != 'image-volume' && !variables.files.exists(f, 'image' in f.volume)) ||
object.spec.?runtimeClassName.orValue('') == '' && object.spec.?hostUsers.orValue(true)`,
    message: `'the pod has a runtime class or a user namespace, in which image volumes may not work'`,
  },
  {
    code: 'hooks-outside',
    unless: 'variables.execHooks.size() == 0',
    message: `'exec in ' + variables.execHooks.join(', ') + ' of ' + ${CONTAINER}' runs outside the supervisor, as root'`,
  },
  {
    code: 'ports-unreachable',
    unless: 'variables.unreachable.size() == 0 && variables.ports.size() == 0',
    message: `'nothing reaches ' + (variables.unreachable + variables.ports).join(', ') + ' of ' + ${CONTAINER}
': its program runs in a network namespace of its own'`,
  },
  {
    code: 'read-only-root',
    unless: '!variables.container.?securityContext.?readOnlyRootFilesystem.orValue(false)',
    message: `${CONTAINER}' has a read-only root file system, in which the supervisor exits: set readOnlyRootFilesystem: false'`,
  },
  {
    code: 'containers-outside',
    unless: 'variables.others.size() == 0',
    message: `'only ' + ${CONTAINER}' runs under the supervisor, not ' + variables.others.join(', ')`,
  },
  {
    code: 'unsafe-neighbours',
    unless: 'variables.refusesNeighbours || variables.reachingNeighbours.size() == 0',
    message: `'container ' + variables.reachingNeighbours[0] + ' could replace the supervisor, or reach it'`,
  },
  {
    code: 'writable-path',
    unless: `!variables.searched.exists(entry, !entry.startsWith('/') || [entry.split('/').filter(part, part != '').join('/') + '/'].exists(directory,
  variables.writable.map(place, place.split('/').filter(part, part != '').join('/') + '/')
  .exists(place, directory.startsWith(place) || place.startsWith(directory))))`,
    message: `'PATH of ' + ${CONTAINER}' has a directory that can be written: the supervisor runs programs from PATH as root'`,
  },
];
