/** Values of options that become parts of a sandbox container: its variables, its supervisor's words, its security. */

import { ENV, METHODS, type Method } from '../sideload/contract.ts';
import { PINNED_BY_DEFAULT, RESERVED_VARIABLES } from '../sideload/environment.ts';
import type { Reference, Variable } from '../sideload/pod.ts';
import { isConfigMapName } from '../sideload/policy.ts';
import { isLoaderVariable } from '../sideload/root-programs.ts';
import { isWorkdir } from '../sideload/workdir.ts';
import { BadValueError, oneOf, words } from './values.ts';

export function methods(value: string): Method[] {
  const allowed = words(value).map(oneOf(...METHODS));
  if (allowed.length === 0) throw new BadValueError(`expected at least one of ${METHODS.join(', ')}`);
  return [...new Set(allowed)];
}

/** What to do without a command, by its name of today: releases before called the shell `warn`. */
export function missingCommand(value: string): 'lookup' | 'shell' | 'refuse' {
  return value === 'warn' ? 'shell' : oneOf('lookup', 'shell', 'refuse')(value);
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

/** A directory that the supervisor may open for writing. */
export function workdir(value: string): string {
  if (!isWorkdir(value))
    throw new BadValueError('expected an absolute path that is no system directory (/usr, /etc, …), nor above or below one');
  return value;
}
