/** Namespaces that opted in, and whether sandboxes can be created there. */

import type { V1LabelSelector, V1Namespace } from '@kubernetes/client-node';
import { NAMESPACE_LABEL } from '../../sideload/contract.ts';
import { matchesSelector } from '../label-selector.ts';
import type { Context } from './context.ts';
import { entriesOf } from './entries.ts';
import { type Finding, failed, ok, warning } from './finding.ts';
import type { Group } from './run.ts';

/** Source: kubernetes.io/docs/concepts/security/pod-security-standards. */
const ENFORCE_LABEL = 'pod-security.kubernetes.io/enforce';
const OPT_IN = `kubectl label namespace NAME ${NAMESPACE_LABEL}=enabled --overwrite`;

/** What an operator adds to namespaceSelector narrows where sandboxes are guarded. */
function judge({ metadata }: V1Namespace, selectors: readonly (V1LabelSelector | undefined)[], own: string): Finding {
  const { name = '', labels = {} } = metadata ?? {};
  const take = `kubectl label namespace ${name} ${NAMESPACE_LABEL}-`;
  if (labels[NAMESPACE_LABEL] !== 'enabled')
    return warning(
      `${name} has not opted in: label ${NAMESPACE_LABEL} is ${JSON.stringify(labels[NAMESPACE_LABEL])}`,
      OPT_IN.replace('NAME', name),
    );
  if (name === 'kube-system' || name === own) return warning(`${name} opted in, and is excluded by its name`, take);
  if (!selectors.every((selector) => matchesSelector(selector, labels)))
    return warning(`${name} opted in, and namespaceSelector excludes it: sandboxes start there without their supervisor`, take);
  const level = labels[ENFORCE_LABEL];
  if (level === undefined || level === 'privileged') return ok(`${name} opted in${level ? ', Pod Security level privileged' : ''}`);
  return failed(
    `${name} opted in and enforces the Pod Security level ${level}: sandboxes are refused there`,
    `kubectl label namespace ${name} ${ENFORCE_LABEL}=privileged --overwrite\ndocs/security.md#the-process says why`,
  );
}

async function opted({ labelledNamespaces, configuration, config }: Context): Promise<readonly Finding[]> {
  const selectors = entriesOf(await configuration().catch(() => ({}))).map(({ namespaceSelector }) => namespaceSelector);
  const findings = (await labelledNamespaces()).map((namespace) => judge(namespace, selectors, config.namespace));
  return findings.length > 0 ? findings : [warning('none has opted in: no pod becomes a sandbox', OPT_IN)];
}

export const NAMESPACES: Group<Context> = {
  heading: 'namespaces',
  checks: [{ name: 'opted in', needs: ['API server'], run: opted }],
};
