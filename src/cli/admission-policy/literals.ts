import type { Config } from '../../config/config.ts';

/** Names of variables that hold the operator's choices and that only a policy which injects has. */
export type InjectionLiteral =
  | 'operatorMethod'
  | 'supervisorImage'
  | 'pullPolicy'
  | 'layout'
  | 'capabilities'
  | 'appArmorProfile'
  | 'proxyAuthSecret'
  | 'missingCommand'
  | 'missingPolicy'
  | 'unreachableProbes'
  | 'sandboxUid'
  | 'sandboxGid'
  | 'sandboxWorkdir';

/** The operator's choices, beside those that the backstop knows: CEL literals, written as JSON. */
export function injectionLiterals({ sideload }: Config): Readonly<Record<InjectionLiteral, string>> {
  const { proxyAuthSecret } = sideload;
  return {
    operatorMethod: JSON.stringify(sideload.method),
    supervisorImage: JSON.stringify(sideload.image),
    pullPolicy: JSON.stringify(sideload.pullPolicy),
    layout: JSON.stringify(sideload.layout),
    capabilities: JSON.stringify(sideload.capabilities),
    appArmorProfile: JSON.stringify(sideload.appArmorProfile),
    proxyAuthSecret: JSON.stringify(proxyAuthSecret ? `${proxyAuthSecret.name}/${proxyAuthSecret.key}` : ''),
    missingCommand: JSON.stringify(sideload.missingCommand),
    missingPolicy: JSON.stringify(sideload.policy.missing),
    unreachableProbes: JSON.stringify(sideload.unreachableProbes),
    sandboxUid: JSON.stringify(sideload.uid),
    sandboxGid: JSON.stringify(sideload.gid),
    sandboxWorkdir: JSON.stringify(sideload.workdir),
  };
}
