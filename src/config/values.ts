/** Reading one option's value: each function returns it, or throws BadValueError with what is allowed. */

import { isIP } from 'node:net';
import { ExpectedError } from '../observe/expected-error.ts';
import { ENV, METHODS, type Method } from '../sideload/contract.ts';
import { PINNED_BY_DEFAULT, RESERVED_VARIABLES } from '../sideload/environment.ts';
import { absolutePath } from '../sideload/paths.ts';
import type { Reference, Variable } from '../sideload/pod.ts';
import { isConfigMapName } from '../sideload/policy.ts';
import type { PolicyRules, PolicySource } from '../sideload/policy-source.ts';
import { isLoaderVariable } from '../sideload/root-programs.ts';
import { judgeSupervisorImage } from '../sideload/supervisor-image.ts';
import { isWorkdir } from '../sideload/workdir.ts';

/** The value cannot be taken. The message says what is allowed. */
export class BadValueError extends ExpectedError {
  override readonly name = 'BadValueError';
}

/** Reads one of some words; it has them, for help and completion. */
export interface OneOf<T extends string> {
  (value: string): T;
  readonly values: readonly T[];
}

export function oneOf<const T extends string>(...values: readonly T[]): OneOf<T> {
  const read = (value: string): T => {
    const found = values.find((candidate) => candidate === value);
    if (found === undefined) throw new BadValueError(`expected ${values.map((candidate) => candidate || 'an empty value').join(', ')}`);
    return found;
  };
  return Object.assign(read, { values });
}

export function integer(min: number, max: number, what: string): (value: string) => number {
  return (value) => {
    const number = Number(value);
    if (!/^\d{1,10}$/.test(value) || number < min || number > max) throw new BadValueError(`expected ${what}, ${min} to ${max}`);
    return number;
  };
}

function matching(pattern: RegExp, expected: string): (value: string) => string {
  return (value) => {
    if (!pattern.test(value)) throw new BadValueError(`expected ${expected}`);
    return value;
  };
}

/** Milliseconds, written as 90s, 10m or 24h. */
export function duration(value: string): number {
  const [, number, unit] = /^([1-9]\d{0,6})([smh])$/.exec(value) ?? [];
  if (number === undefined) throw new BadValueError('expected a duration such as 90s, 10m or 24h');
  return Number(number) * { s: 1_000, m: 60_000, h: 3_600_000 }[unit as 's' | 'm' | 'h'];
}

function words(value: string): string[] {
  return value
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
}

/** What to do without a command, by its name of today: releases before called the shell `warn`. */
export function missingCommand(value: string): 'lookup' | 'shell' | 'refuse' {
  return value === 'warn' ? 'shell' : oneOf('lookup', 'shell', 'refuse')(value);
}

const HOST = /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:\d{1,5})?$/;

/** Hosts of registries, with their ports if they have one. */
export function hosts(value: string): string[] {
  return words(value).map((host) => {
    if (!HOST.test(host)) throw new BadValueError(`expected hosts such as registry.example:5000, found ${JSON.stringify(host)}`);
    return host;
  });
}

/** Mirrors of registries: a host, and a path below it if there is one, by the host of the registry. */
export function mirrors(value: string): ReadonlyMap<string, string> {
  return new Map(
    words(value).map((pair) => {
      const [host = '', mirror = '', ...rest] = pair.split('=');
      const [name = '', ...path] = mirror.split('/');
      if (!HOST.test(host) || !HOST.test(name) || rest.length > 0 || path.some((part) => !/^[a-z0-9][a-z0-9._-]*$/.test(part)))
        throw new BadValueError(`expected HOST=MIRROR such as docker.io=mirror.example/hub, found ${JSON.stringify(pair)}`);
      return [host, mirror];
    }),
  );
}

export function methods(value: string): Method[] {
  const allowed = words(value).map(oneOf(...METHODS));
  if (allowed.length === 0) throw new BadValueError(`expected at least one of ${METHODS.join(', ')}`);
  return [...new Set(allowed)];
}

export function capabilities(value: string): string[] {
  return words(value).map((name) => {
    // The API server refuses CAP_SYS_ADMIN beside allowPrivilegeEscalation: false, and takes SYS_ADMIN.
    if (name.startsWith('CAP_')) throw new BadValueError(`expected capability names without CAP_: write ${name.slice('CAP_'.length)}`);
    if (name === 'ALL' || !/^[A-Z][A-Z0-9_]*$/.test(name))
      throw new BadValueError('expected capability names such as SYS_ADMIN, separated by commas');
    return name;
  });
}

export function appArmorProfile(value: string): string {
  if (['', 'Unconfined', 'RuntimeDefault'].includes(value) || /^Localhost\/./.test(value)) return value;
  throw new BadValueError('expected Unconfined, RuntimeDefault, Localhost/NAME or an empty value');
}

/** `secret:SECRET/KEY` or `configmap:NAME/KEY`; undefined for a literal value. */
function referenceOf(variable: string, text: string): Reference | undefined {
  const [, kind, name = '', key = ''] = /^(secret|configmap):(?:([^/]+)\/([-._a-zA-Z0-9]{1,253})$)?/.exec(text) ?? [];
  if (kind === undefined) return undefined;
  if (!isConfigMapName(name))
    throw new BadValueError(
      `${variable}: expected ${kind}:NAME/KEY, the name of a ${kind === 'secret' ? 'Secret' : 'ConfigMap'} and one of its keys`,
    );
  return kind === 'secret' ? { secretKeyRef: { name, key } } : { configMapKeyRef: { name, key } };
}

/** NAME=VALUE, one per line; each name once. */
function variables(value: string, isAllowed: (name: string) => string | undefined): Variable[] {
  const found = new Map<string, Variable>();
  for (const [index, line] of value.split('\n').entries()) {
    if (line === '') continue;
    const [, name, text] = /^([A-Za-z_][A-Za-z0-9_]*)=(.*)$/.exec(line) ?? [];
    if (name === undefined || text === undefined)
      throw new BadValueError(`value ${index + 1}: expected NAME=VALUE, the name of letters, digits and _`);
    const problem = RESERVED_VARIABLES.includes(name)
      ? 'is set by the webhook itself'
      : isLoaderVariable(name)
        ? 'loads code into programs that the supervisor runs as root'
        : isAllowed(name);
    if (problem !== undefined) throw new BadValueError(`${name} ${problem}`);
    if (found.has(name)) throw new BadValueError(`${name} is given twice`);
    const valueFrom = referenceOf(name, text);
    found.set(name, valueFrom ? { name, valueFrom } : { name, value: text });
  }
  return [...found.values()];
}

/** Defaults: what is pinned in every pod needs the other option. */
export function supervisorEnv(value: string): Variable[] {
  return variables(value, (name) => (PINNED_BY_DEFAULT.includes(name) ? 'is pinned by the webhook: use --pinned-env' : undefined));
}

/** What no pod may change. */
export function pinnedEnv(value: string): Variable[] {
  const pinned = variables(value, (name) =>
    name === ENV.policyRules || name === ENV.policyData ? 'is pinned where a policy is injected: use --policy' : undefined,
  );
  if (pinned.some((variable) => variable.name === ENV.pidLimit && variable.value === ''))
    throw new BadValueError(`${ENV.pidLimit} counts by its presence, with an empty value too: leave it out, or give it a value`);
  return pinned;
}

/** Options of the supervisor that take no value; all others of the same prefix take one. */
const SUPERVISOR_SWITCHES = ['--upstream-proxy-auth-allow-insecure', '--upstream-proxy-connect-by-hostname'];

/** Source of the names: NVIDIA/OpenShell, crates/openshell-sandbox/src/main.rs. The supervisor refuses one that is given twice. */
export function supervisorArgs(value: string): string[] {
  const found = new Map<string, string>();
  for (const [index, word] of value.split('\n').entries()) {
    if (word === '') continue;
    const [, name, text] = /^(--upstream-[a-z0-9-]+)(?:=(.+))?$/.exec(word) ?? [];
    if (name === undefined)
      throw new BadValueError(
        `value ${index + 1}: expected one word, --upstream-NAME or --upstream-NAME=VALUE: other options are not the operator's to set`,
      );
    if (/\s/.test(word)) throw new BadValueError(`${name}: expected one word, without spaces`);
    if (word.includes('$(')) throw new BadValueError(`${name}: a kubelet would expand $( in it`);
    if (SUPERVISOR_SWITCHES.includes(name) !== (text === undefined))
      throw new BadValueError(text === undefined ? `${name} needs a value: ${name}=VALUE` : `${name} takes no value`);
    if (found.has(name)) throw new BadValueError(`${name} is given twice`);
    found.set(name, word);
  }
  return [...found.values()];
}

/** Key of a Secret, or undefined where the value is empty. */
export function secretKey(value: string): { name: string; key: string } | undefined {
  if (value === '') return undefined;
  const [, name = '', key = ''] = /^([^/]+)\/([-._a-zA-Z0-9]{1,253})$/.exec(value) ?? [];
  if (!isConfigMapName(name)) throw new BadValueError('expected NAME/KEY, the name of a Secret and one of its keys');
  return { name, key };
}

function policyFile(value: string, others: string): PolicySource {
  const [, from, name = ''] = /^(configmap|image):(.*)$/.exec(value) ?? [];
  if (from === 'configmap') {
    if (!isConfigMapName(name)) throw new BadValueError('expected the name of a ConfigMap behind configmap:');
    return { from, name };
  }
  if (from === 'image') {
    if (!REFERENCE.test(name))
      throw new BadValueError(`expected an image reference behind image:, such as image:registry.example/policy:1`);
    return { from, reference: name };
  }
  throw new BadValueError(`expected configmap:NAME, image:REFERENCE or ${others}`);
}

/** Where a policy's data comes from; undefined for `none`. */
export function policySource(value: string): PolicySource | undefined {
  return value === 'none' ? undefined : policyFile(value, 'none');
}

/** Where a policy's rules come from. */
export function policyRules(value: string): PolicyRules {
  if (value === 'same') return { from: 'same' };
  if (!value.startsWith('supervisor:')) return policyFile(value, 'supervisor:/PATH, or same');
  const path = value.slice('supervisor:'.length);
  if (!path.startsWith('/') || absolutePath(path) !== path || path.includes('$('))
    throw new BadValueError('expected an absolute path behind supervisor:, without . and .., such as supervisor:/policy.rego');
  return { from: 'supervisor', path };
}

/** An image reference that is not known to hold no in-pod supervisor. */
export function supervisorImage(value: string): string {
  const reference = matching(REFERENCE, 'an image reference such as ghcr.io/nvidia/openshell/supervisor:0.0.110')(value);
  const { fits, detail } = judgeSupervisorImage(reference);
  if (fits === 'no') throw new BadValueError(`the image ${detail}`);
  return reference;
}

/** A directory that the supervisor may open for writing. */
export function workdir(value: string): string {
  if (!isWorkdir(value))
    throw new BadValueError('expected an absolute path that is no system directory (/usr, /etc, …), nor above or below one');
  return value;
}

/** Optional registry with port, then path: github.com/distribution/reference, without its length limits. */
const COMPONENT = '[a-z0-9]+(?:[._-]+[a-z0-9]+)*';
const REPOSITORY = `(?:[A-Za-z0-9]+(?:[.-]+[A-Za-z0-9]+)*(?::[0-9]+)?/)?${COMPONENT}(?:/${COMPONENT})*`;
const REFERENCE = new RegExp(`^${REPOSITORY}(?::[\\w][\\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$`);

/** Repositories, with or without the digest of an image. A tag may mean another image tomorrow. */
export function imagesWithoutTag(value: string): string[] {
  const pattern = new RegExp(`^${REPOSITORY}(?:@sha256:[0-9a-f]{64})?$`);
  return words(value).map(matching(pattern, 'repositories, or REPOSITORY@sha256:DIGEST, without tags, separated by commas'));
}

export const objectName = matching(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/, 'the name of a Kubernetes object');

export function ipAddress(value: string): string {
  if (isIP(value) === 0) throw new BadValueError('expected an IP address');
  return value;
}

export const port = integer(0, 65535, 'a port, or 0 for any free one');
export const id = integer(1, 2 ** 31 - 1, 'an id other than root');
