/** The warnings of src/sideload/warnings.ts that an operator makes refusals, and src/sideload/unreachable.ts in CEL. */

import { ENV } from '../../sideload/contract.ts';
import { PROBES } from '../../sideload/unreachable.ts';
import { literal, type PolicyVariable } from './cel.ts';

export const CONCERNS: readonly PolicyVariable[] = [
  {
    comment: 'Whether the supervisor may find a program elsewhere.',
    name: 'mayBeSpecified',
    expression: `has(variables.container.envFrom) || variables.env.exists(e, e.name == '${ENV.mainProcessSpec}') ||
(variables.operatorEnv + variables.operatorPinned).exists(line, line.startsWith('${ENV.mainProcessSpec}='))`,
  },
  {
    name: 'neighbourPorts',
    expression: `object.spec.containers.filter(c, c.name != variables.container.name)
.map(c, c.?ports.orValue([]).map(p, p.containerPort)).flatten()`,
  },
  {
    comment: "Hooks that connect to the program at the pod's own address, by their names.",
    name: 'unreachable',
    expression: `(${literal(PROBES)}.filter(name, name in variables.container).map(name, {'name': dyn(name), 'hook': dyn(variables.container[name])}) +
  (variables.container.?lifecycle.?postStart.hasValue()
    ? [{'name': dyn('lifecycle.postStart'), 'hook': dyn(variables.container.lifecycle.postStart)}] : []))
.filter(probe, [probe.hook].exists(hook,
  has(hook.grpc) ? !(hook.grpc.?port.orValue(0) in variables.neighbourPorts)
  : has(hook.httpGet) ? hook.httpGet.?host.orValue('') == '' && !(hook.httpGet.?port.orValue(0) in variables.neighbourPorts)
  : has(hook.tcpSocket) ? hook.tcpSocket.?host.orValue('') == '' && !(hook.tcpSocket.?port.orValue(0) in variables.neighbourPorts)
  : false)).map(probe, string(probe.name))`,
  },
  {
    name: 'refusedWarning',
    expression: `variables.missingCommand == 'refuse' && !variables.launched && !has(variables.container.command) && !has(variables.container.args) &&
!variables.mayBeSpecified
? 'missing-command: container ' + variables.container.name + ' has no command, and a policy cannot look into its image: set command'
: variables.missingPolicy == 'refuse' && variables.policyFrom == 'nothing'
? (!('${ENV.endpoint}' in variables.set)
  ? 'no-policy-source: container ' + variables.container.name + ' has no policy: set annotation openshell.ai/policy to a ConfigMap'
  : 'no-policy-source: container ' + variables.container.name + ' has ${ENV.endpoint} and lacks ' + variables.missingForGateway.join(', '))
: variables.unreachableProbes == 'refuse' && variables.unreachable.size() > 0
? 'unreachable-probes: ' + variables.unreachable.join(', ') + ' of container ' + variables.container.name +
  ' connects to the program, which runs in a network namespace of its own: use exec, or remove it'
: ''`,
  },
];

/** A pod that needs no change is stored, whatever there is to warn of. */
export const CONCERN: PolicyVariable = {
  name: 'concern',
  expression: `variables.refusal != '' || variables.refusedWarning == '' || variables.operations.size() == 0 ? '' : variables.refusedWarning`,
};
