import type { Config } from '../config/config.ts';

/** Names of variables of the backstop's policy that hold the operator's choices. */
export type LiteralName =
  | 'trustedSupervisorImages'
  | 'allowedSideloadMethods'
  | 'supervisorArgs'
  | 'pinnedEnv'
  | 'supervisorEnv'
  | 'operatorPolicy'
  | 'operatorRules'
  | 'policyMode'
  | 'neighbours';

/**
 * What the backstop has to know of the operator's choices, by the name of its variable: CEL literals, written as JSON. A list or
 * a string of JSON is one of CEL, too (cel-spec, langdef.md, "String and Bytes Values").
 */
export function backstopLiterals({ sideload, texts }: Config): Readonly<Record<LiteralName, string>> {
  const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '');
  const trusted = [...sideload.trustedImages].flatMap(([repository, digests]) =>
    digests.size === 0 ? [repository] : [...digests].map((digest) => `${repository}@${digest}`),
  );
  return {
    trustedSupervisorImages: JSON.stringify(trusted.sort()),
    allowedSideloadMethods: JSON.stringify(sideload.allowedMethods),
    supervisorArgs: JSON.stringify(sideload.supervisorArgs),
    pinnedEnv: JSON.stringify(lines(texts.pinnedEnv)),
    supervisorEnv: JSON.stringify(lines(texts.supervisorEnv)),
    operatorPolicy: JSON.stringify(texts.policy),
    operatorRules: JSON.stringify(texts.policyRules),
    policyMode: JSON.stringify(texts.policyMode),
    neighbours: JSON.stringify(sideload.neighbours),
  };
}
