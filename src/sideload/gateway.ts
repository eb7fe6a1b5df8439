/**
 * The variables by which the supervisor finds a gateway. They belong to the author of the endpoint, as one group: certificates
 * of one gateway are of no use with another.
 * Source: NVIDIA/OpenShell, crates/openshell-core/src/grpc_client.rs, build_plain_channel and acquire_sandbox_token.
 */

import { ENV, SANDBOX_ID_LABEL } from './contract.ts';
import type { Container, Pod, Variable } from './pod.ts';
import type { SideloadSettings } from './settings.ts';

export const GATEWAY_VARIABLES: readonly string[] = [ENV.endpoint, ENV.sandbox, ENV.tlsCa, ENV.tlsCert, ENV.tlsKey, ENV.tlsServerName];
export const TLS_VARIABLES: readonly string[] = [ENV.tlsCa, ENV.tlsCert, ENV.tlsKey];
export const TOKEN_VARIABLES: readonly string[] = [ENV.sandboxToken, ENV.sandboxTokenFile, ENV.serviceAccountTokenFile];

/** Whether the container's own `env` gives a variable a value. The last of several entries counts, as for a kubelet. */
export function setsVariable({ env }: Container, name: string): boolean {
  const last = env?.findLast((variable) => variable.name === name);
  return Boolean(last?.value || last?.valueFrom);
}

/** The literal value that the container's own `env` gives a variable; undefined where there is none, or it comes from elsewhere. */
export function literalOf({ env }: Container, name: string): string | undefined {
  const last = env?.findLast((variable) => variable.name === name);
  return last === undefined || last.valueFrom ? undefined : (last.value ?? '');
}

/**
 * What the sandbox container lacks to reach a gateway and be known there, so far as its `env`, its label and the operator's
 * defaults tell.
 *
 * @returns names of variables; empty where nothing is missing
 */
export function missingForGateway(pod: Pod, container: Container, { env, pinnedEnv }: SideloadSettings): string[] {
  // What the webhook adds from the operator's defaults, unless the pod has an endpoint of its own.
  const operators = setsVariable(container, ENV.endpoint) ? env.filter(({ name }) => !GATEWAY_VARIABLES.includes(name)) : env;
  const given = (name: string): Variable | undefined =>
    [...pinnedEnv, ...operators].find((variable) => variable.name === name && variable.value !== '');
  const label = pod.metadata?.labels?.[SANDBOX_ID_LABEL];
  const has = (name: string): boolean =>
    setsVariable(container, name) || given(name) !== undefined || (name === ENV.sandboxId && Boolean(label));
  const endpoint = literalOf(container, ENV.endpoint) || given(ENV.endpoint)?.value;
  const needed: string[] = [ENV.endpoint, ENV.sandboxId, ...(endpoint?.startsWith('https://') ? TLS_VARIABLES : [])];
  const missing = needed.filter((name) => !has(name));
  return TOKEN_VARIABLES.some(has) ? missing : [...missing, ENV.sandboxTokenFile];
}

/** Whether the sandbox container can reach a gateway and be known there, so far as can be seen. */
export function hasGateway(pod: Pod, container: Container, settings: SideloadSettings): boolean {
  return missingForGateway(pod, container, settings).length === 0;
}
