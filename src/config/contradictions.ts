/** Options that are each allowed and do not go together. */

import { ENV } from '../sideload/contract.ts';
import { isPinned } from '../sideload/image.ts';
import type { OptionValues } from './options.ts';

/** Values that are each allowed and do not go together. A value that could not be read contradicts nothing. */
export function contradictions(values: Partial<OptionValues>): string[] {
  const problems: string[] = [];
  const method = values['supervisor-sideload-method'];
  const allowed = values['allowed-sideload-methods'];
  if (method && allowed && !allowed.includes(method === 'auto' ? 'init-container' : method)) {
    const needs = method === 'auto' ? 'init-container, which auto falls back to' : 'it';
    problems.push(
      `--supervisor-sideload-method "${method}": --allowed-sideload-methods ${JSON.stringify(allowed.join(','))} lacks ${needs}`,
    );
  }
  problems.push(...variableAndPolicyContradictions(values), ...proxyContradictions(values));
  const { entrypoint, 'missing-command': missing, 'entrypoint-map': map } = values;
  if (entrypoint === 'off' && missing === 'lookup') problems.push('--entrypoint "off": --missing-command has to be shell or refuse');
  if (entrypoint === 'map' && map === '') problems.push('--entrypoint "map": --entrypoint-map has to name the file');
  const { certificates, 'tls-cert-dir': dir } = values;
  if (certificates === 'directory' && dir === '') problems.push('--certificates "directory": --tls-cert-dir has to name the directory');
  if ((certificates === 'local' || certificates === 'self-managed') && dir) {
    problems.push(`--certificates "${certificates}": --tls-cert-dir ${JSON.stringify(dir)} belongs to "directory"`);
  }
  const { 'ca-lifetime': ca, 'serving-cert-lifetime': serving, 'ca-settle-time': settle } = values;
  // A CA signs for two thirds of its life, and what it signed has to end before it does.
  if (serving && ca && serving > ca / 3) problems.push('--serving-cert-lifetime: expected a third of --ca-lifetime at most');
  // A certificate is replaced in its last third; a CA that takes its place meanwhile has to settle within it.
  if (settle && serving && settle > serving / 3) problems.push('--ca-settle-time: expected a third of --serving-cert-lifetime at most');
  return problems;
}

function variableAndPolicyContradictions(values: Partial<OptionValues>): string[] {
  const { policy: data, 'policy-rules': rules, 'supervisor-sideload-method': method, 'supervisor-image': image } = values;
  const problems: string[] = [];
  if (rules?.from === 'supervisor' && method && method !== 'image-volume')
    problems.push(
      `--policy-rules "supervisor:${rules.path}": only method image-volume mounts the supervisor's image, --supervisor-sideload-method is "${method}"`,
    );
  const env = new Set([...(values['supervisor-env'] ?? []), ...(values['pinned-env'] ?? [])].map(({ name }) => name));
  if (data && (env.has(ENV.policyRules) || env.has(ENV.policyData)))
    problems.push(`--policy: --supervisor-env names ${ENV.policyRules} or ${ENV.policyData} too: keep one of them`);
  for (const { name } of values['supervisor-env'] ?? [])
    if (values['pinned-env']?.some((pinned) => pinned.name === name))
      problems.push(`--supervisor-env ${name}: --pinned-env gives it too: keep one of them`);
  if (values['policy-mode'] !== 'enforced' || !('policy' in values)) return problems;
  if (data?.from !== 'image' || !isPinned(data.reference))
    problems.push(
      '--policy-mode "enforced": --policy has to be image:REPOSITORY@sha256:DIGEST, since anyone who edits a namespace edits its ConfigMaps',
    );
  if (rules?.from === 'configmap' || (rules?.from === 'image' && !isPinned(rules.reference)))
    problems.push('--policy-mode "enforced": --policy-rules has to be same, or image:REPOSITORY@sha256:DIGEST, or supervisor:/PATH');
  if (rules?.from === 'supervisor' && image && !isPinned(image))
    problems.push(`--policy-mode "enforced": with --policy-rules "supervisor:${rules.path}", --supervisor-image has to name a digest`);
  return problems;
}

/** What the supervisor itself refuses to start with (crates/openshell-supervisor-network/src/upstream_proxy.rs). */
function proxyContradictions(values: Partial<OptionValues>): string[] {
  const { 'supervisor-arg': args, 'upstream-proxy-auth-secret': secret } = values;
  if (!args) return [];
  const has = (option: string): boolean => args.some((word) => word === option || word.startsWith(`${option}=`));
  const [PROXY, FILE, INSECURE] = ['--upstream-proxy', '--upstream-proxy-auth-file', '--upstream-proxy-auth-allow-insecure'] as const;
  const problems: string[] = [];
  if (secret && has(FILE)) problems.push(`--upstream-proxy-auth-secret: --supervisor-arg names ${FILE} too: keep one of them`);
  if ((secret || args.length > 0) && !has(PROXY)) {
    const what = secret ? '--upstream-proxy-auth-secret' : `--supervisor-arg ${args[0]?.split('=')[0]}`;
    problems.push(`${what}: --supervisor-arg=${PROXY}=URL has to name the proxy`);
  }
  if ((secret || has(FILE)) && !has(INSECURE))
    problems.push(
      `${secret ? '--upstream-proxy-auth-secret' : `--supervisor-arg ${FILE}`}: the credentials travel in clear text to the proxy: say so with --supervisor-arg=${INSECURE}`,
    );
  if (!secret && !has(FILE) && has(INSECURE))
    problems.push(`--supervisor-arg ${INSECURE}: there are no credentials: set --upstream-proxy-auth-secret=NAME/KEY`);
  return problems;
}
