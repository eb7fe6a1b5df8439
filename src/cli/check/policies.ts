/** Injection by admission policies, without the webhook: whether its objects are as this version prints them. */

import { isDeepStrictEqual } from 'node:util';
import type { V1MatchResources, V1MutatingWebhook } from '@kubernetes/client-node';
import { parseAllDocuments } from 'yaml';
import { type Cluster, call } from '../../cluster/client.ts';
import { type Config, readConfig } from '../../config/config.ts';
import type { PolicyVariable } from '../admission-policy/cel.ts';
import { printedFor } from '../admission-policy/installed.ts';
import { policyTexts } from '../admission-policy.ts';
import type { Context } from './context.ts';
import { type Finding, failed, ok, problemsOr, warning } from './finding.ts';
import type { Group } from './run.ts';

const NAME = 'openshell-sideload';

interface PolicyObject {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: { readonly variables?: readonly PolicyVariable[] } & Readonly<Record<string, unknown>>;
}

/** The policies of a cluster that injects by them. */
export interface InstalledPolicies {
  /** Of the injecting policy; names of all other objects begin with it. */
  readonly name: string;
  readonly objects: readonly PolicyObject[];
  /** The options for which they were printed; undefined where the backstop does not tell. */
  readonly config: Config | undefined;
  readonly ephemeralContainers: string;
}

/**
 * Reads the policies of a cluster.
 *
 * @param namespace that of the webhook, which policies exclude
 * @returns undefined where none injects
 * @throws Error where the API server refuses, or knows no such policies
 */
export async function readPolicies({ k8s, config }: Cluster, namespace: string): Promise<InstalledPolicies | undefined> {
  const admission = config.makeApiClient(k8s.AdmissionregistrationV1Api);
  const list = async (kind: string, request: Promise<{ items: object[] }>): Promise<PolicyObject[]> => {
    const { items } = await call(`list ${kind}`, request);
    // The client's classes carry dates, and no kind.
    return items.map((item) => ({ ...JSON.parse(JSON.stringify(item)), kind }));
  };
  const injecting = await list('MutatingAdmissionPolicy', admission.listMutatingAdmissionPolicy());
  const own = injecting.find(({ spec: { variables = [] } }) =>
    ['supervisorImage', 'refusal', 'operations'].every((name) => variables.some((variable) => variable.name === name)),
  );
  if (!own) return undefined;
  const { name } = own.metadata;
  const others = await Promise.all([
    list('MutatingAdmissionPolicyBinding', admission.listMutatingAdmissionPolicyBinding()),
    list('ValidatingAdmissionPolicy', admission.listValidatingAdmissionPolicy()),
    list('ValidatingAdmissionPolicyBinding', admission.listValidatingAdmissionPolicyBinding()),
  ]);
  const objects = [own, ...others.flat().filter(({ metadata }) => metadata.name.startsWith(name))];
  const variables = objects.find(({ metadata }) => metadata.name === `${name}-backstop`)?.spec.variables ?? [];
  const ephemeral = variables.find((variable) => variable.name === 'ephemeralContainers')?.expression;
  const flags = printedFor(variables);
  return {
    name,
    objects,
    config: flags && readConfig([...flags, `--webhook-namespace=${namespace}`], {}),
    ephemeralContainers: ephemeral === '"allow"' ? 'allow' : 'refuse',
  };
}

/** What the bindings of the injecting policy select, as entries of a webhook configuration do. */
export function injectingEntries({
  name,
  objects,
}: InstalledPolicies): Pick<V1MutatingWebhook, 'name' | 'namespaceSelector' | 'objectSelector'>[] {
  const injecting = objects.find(({ kind }) => kind === 'MutatingAdmissionPolicy');
  const { namespaceSelector } = (injecting?.spec.matchConstraints ?? {}) as V1MatchResources;
  return objects
    .filter(({ kind, spec }) => kind === 'MutatingAdmissionPolicyBinding' && spec.policyName === name)
    .map(({ metadata, spec }) => {
      const { objectSelector } = (spec.matchResources ?? {}) as V1MatchResources;
      return {
        name: `${metadata.name} (MutatingAdmissionPolicy)`,
        ...(namespaceSelector ? { namespaceSelector } : {}),
        ...(objectSelector ? { objectSelector } : {}),
      };
    });
}

/** Whether two expressions are the same literal: Helm and this program write JSON differently. */
function isSameLiteral(one: unknown, other: unknown): boolean {
  try {
    return isDeepStrictEqual(JSON.parse(String(one)), JSON.parse(String(other)));
  } catch {
    return false;
  }
}

/** Where an object differs from what is wanted; what an API server adds does not count. */
function difference(wanted: unknown, found: unknown, path: string): string | undefined {
  if (typeof wanted !== 'object' || wanted === null) return wanted === found || isSameLiteral(wanted, found) ? undefined : path;
  if (typeof found !== 'object' || found === null) return path;
  if (Array.isArray(wanted) && wanted.length !== (found as unknown[]).length) return path;
  for (const [member, value] of Object.entries(wanted)) {
    const differs = difference(value, (found as Record<string, unknown>)[member], `${path}.${(value as PolicyVariable)?.name ?? member}`);
    if (differs !== undefined) return differs;
  }
  return undefined;
}

const PRINT = 'openshell-sideload admission-policy OPTIONS | kubectl apply -f -, with the options that it had; docs/no-server.md';

/** What is missing, or not as this version prints it for the same options. */
export function judgePolicies({ name, objects, config, ephemeralContainers }: InstalledPolicies): Finding[] {
  if (!config)
    return [
      failed(
        `ValidatingAdmissionPolicy ${name}-backstop is missing, or was printed by \`openshell-sideload backstop\`: nothing refuses what ${name} does not inject`,
        PRINT,
      ),
    ];
  const wanted = parseAllDocuments(
    policyTexts(config, ephemeralContainers).replaceAll(new RegExp(`((?:name|policyName): )${NAME}`, 'g'), `$1${name}`),
  );
  return wanted.flatMap((document) => {
    const object = document.toJS() as PolicyObject;
    const found = objects.find(({ kind, metadata }) => kind === object.kind && metadata.name === object.metadata.name);
    const what = `${object.kind} ${object.metadata.name}`;
    const judged = object.metadata.name.startsWith(`${name}-warnings`)
      ? (detail: string) => warning(detail, PRINT)
      : (detail: string) => failed(detail, PRINT);
    if (!found) return [judged(`${what} is missing`)];
    const where = difference(object.spec, found.spec, 'spec');
    return where === undefined ? [] : [judged(`${what} is not as this version prints it for its options: ${where}`)];
  });
}

async function installed({ policies }: Context): Promise<Finding | readonly Finding[]> {
  const found = await policies();
  if (!found) return failed('no MutatingAdmissionPolicy injects', PRINT);
  return problemsOr(judgePolicies(found), `${found.name} injects, and its backstop refuses what it cannot inject (experimental)`);
}

async function method({ policies }: Context): Promise<Finding> {
  const { method: chosen, missingCommand } = (await policies())?.config?.sideload ?? {};
  return ok(`method ${chosen}; a pod without a command ${missingCommand === 'shell' ? 'gets the supervisor’s shell' : 'is refused'}`);
}

export const POLICIES: Group<Context> = {
  heading: 'admission policies',
  checks: [
    { name: 'admission policies', needs: ['API server'], run: installed },
    { name: 'options of the policies', needs: ['admission policies'], run: method },
  ],
};
