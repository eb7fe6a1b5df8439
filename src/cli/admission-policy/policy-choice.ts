/** src/sideload/policy.ts, choosePolicy, and src/sideload/gateway.ts in CEL. */

import { ENV, SANDBOX_ID_LABEL } from '../../sideload/contract.ts';
import { GATEWAY_VARIABLES, TLS_VARIABLES, TOKEN_VARIABLES } from '../../sideload/gateway.ts';
import { literal, type PolicyVariable } from './cel.ts';

/** Variables of the sandbox container whose values decide. */
const READ = [...GATEWAY_VARIABLES, ...TOKEN_VARIABLES, ENV.sandboxId, ENV.policyRules, ENV.policyData, ENV.inferenceRoutes];

export const POLICY_CHOICE: readonly PolicyVariable[] = [
  { name: 'gatewayVariables', expression: literal(GATEWAY_VARIABLES) },
  {
    comment: 'The last of several entries counts, as for a kubelet.',
    name: 'lastVariables',
    expression: `${literal(READ)}
.map(name, variables.env.filter(e, e.name == name)).filter(entries, entries.size() > 0).map(entries, entries[entries.size() - 1])`,
  },
  {
    comment: 'setsVariable',
    name: 'set',
    expression: `variables.lastVariables.filter(e, has(e.valueFrom) || e.?value.orValue('') != '').map(e, e.name)`,
  },
  {
    comment: 'literalOf',
    name: 'literals',
    expression: `variables.lastVariables.transformMapEntry(i, e, {string(e.name): has(e.valueFrom) ? '' : string(e.?value.orValue(''))})`,
  },
  {
    comment: 'What the operator gives: pinned variables, then defaults. Those of a gateway stay away from a pod that names its endpoint.',
    name: 'givenLines',
    expression: `(variables.operatorPinned + variables.operatorEnv.filter(line,
  !('${ENV.endpoint}' in variables.set) || !(line.split('=', 2)[0] in variables.gatewayVariables)))
.filter(line, line.split('=', 2)[1] != '')`,
  },
  {
    name: 'knownForGateway',
    expression: `variables.set.map(name, string(name)) + variables.givenLines.map(line, line.split('=', 2)[0]) +
(object.metadata.?labels[?'${SANDBOX_ID_LABEL}'].orValue('') == '' ? [] : ['${ENV.sandboxId}'])`,
  },
  {
    name: 'endpoint',
    expression: `variables.literals[?'${ENV.endpoint}'].orValue('') != '' ? variables.literals['${ENV.endpoint}']
: variables.givenLines.filter(line, line.startsWith('${ENV.endpoint}='))[?0].orValue('=').split('=', 2)[1]`,
  },
  {
    name: 'missingForGateway',
    expression: `(['${ENV.endpoint}', '${ENV.sandboxId}'] +
  (variables.endpoint.startsWith('https://') ? ${literal(TLS_VARIABLES)} : []))
.filter(name, !(name in variables.knownForGateway)) +
(${literal(TOKEN_VARIABLES)}.exists(name, name in variables.knownForGateway) ? [] : ['${ENV.sandboxTokenFile}'])`,
  },
  {
    comment: "The files of the operator's policy, as policy-source.ts names them.",
    name: 'operatorRulesFile',
    expression: `[variables.operatorRules == 'same' ? variables.operatorPolicy : variables.operatorRules].map(rules,
  rules.startsWith('supervisor:') ? variables.path[0] + rules.substring('supervisor:'.size())
  : rules == variables.operatorPolicy || rules.startsWith('configmap:') && variables.operatorPolicy.startsWith('configmap:')
  ? variables.policyPath[1] + 'policy.rego' : variables.policyRulesPath[1] + 'policy.rego')[0]`,
  },
  {
    name: 'namesOperatorPolicy',
    expression: `variables.operatorPolicy != 'none' &&
variables.literals[?'${ENV.policyRules}'].orValue('') == variables.operatorRulesFile &&
variables.literals[?'${ENV.policyData}'].orValue('') == variables.policyPath[1] + 'policy.yaml'`,
  },
  {
    name: 'bringsFiles',
    expression: `['${ENV.policyRules}', '${ENV.policyData}'].all(name,
  name in variables.set || variables.operatorEnv.exists(line, line.startsWith(name + '='))) &&
!variables.namesOperatorPolicy`,
  },
  {
    name: 'policyFrom',
    expression: `variables.enforced ? 'operator'
: variables.policyAnnotation.hasValue() ? 'annotation'
: variables.bringsFiles ? 'files'
: variables.missingForGateway.size() == 0 ? 'gateway'
: variables.operatorPolicy != 'none' ? 'operator'
: has(variables.container.envFrom) ? 'envFrom' : 'nothing'`,
  },
];

export const TAKES_OPERATOR_POLICY: PolicyVariable = {
  name: 'takesOperatorPolicy',
  expression: `variables.policyFrom == 'operator' && !variables.enforced`,
};
