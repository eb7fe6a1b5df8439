import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { honoured } from '../src/cli/admission-policy/honoured.ts';
import { printedFor } from '../src/cli/admission-policy/installed.ts';
import { POLICY_WARNINGS } from '../src/cli/admission-policy/warnings.ts';
import { admissionPolicy, policyTexts } from '../src/cli/admission-policy.ts';
import { type InstalledPolicies, judgePolicies } from '../src/cli/check/policies.ts';
import { type CommandLine, readCommandLine } from '../src/cli/command.ts';
import { type Config, readConfig, UsageError } from '../src/config/config.ts';
import {
  IMAGE_BINARY,
  INSTALLED_BINARY,
  METHODS,
  POLICY_MOUNT_PATH,
  POLICY_RULES_MOUNT_PATH,
  SUPERVISOR_MOUNT_PATH,
  supervisorBinary,
} from '../src/sideload/contract.ts';
import { PINNED_VARIABLES, pinnedVariables } from '../src/sideload/environment.ts';
import { WARNINGS } from '../src/sideload/outcome.ts';

interface Policy {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly variables?: readonly { readonly name: string; readonly expression: string }[];
    readonly mutations?: readonly { readonly jsonPatch: { readonly expression: string } }[];
    readonly validations?: readonly { readonly expression: string; readonly messageExpression?: string }[];
  };
}

const objectsOf = (text: string): Policy[] => parseAllDocuments(text).map((document) => document.toJS());
const printedWith = (config: Config) => objectsOf(policyTexts(config, 'refuse')) as never[] as InstalledPolicies['objects'];
const printed = objectsOf(policyTexts(readConfig(['--missing-command=refuse'], {}), 'refuse'));
const policies = printed.filter(({ kind }) => !kind.endsWith('Binding'));

describe('the printed objects', () => {
  it('are policies that inject, refuse and warn, with their bindings', () => {
    expect(printed.map(({ kind, metadata: { name } }) => `${kind} ${name}`)).toEqual([
      'ValidatingAdmissionPolicy openshell-sideload-backstop',
      'ValidatingAdmissionPolicyBinding openshell-sideload-backstop-sandbox',
      'ValidatingAdmissionPolicyBinding openshell-sideload-backstop-managed',
      'ValidatingAdmissionPolicy openshell-sideload-backstop-changed',
      'ValidatingAdmissionPolicyBinding openshell-sideload-backstop-changed',
      'MutatingAdmissionPolicy openshell-sideload',
      'MutatingAdmissionPolicyBinding openshell-sideload-sandbox',
      'MutatingAdmissionPolicyBinding openshell-sideload-managed',
      'ValidatingAdmissionPolicy openshell-sideload-warnings',
      'ValidatingAdmissionPolicyBinding openshell-sideload-warnings-sandbox',
      'ValidatingAdmissionPolicyBinding openshell-sideload-warnings-managed',
    ]);
  });

  it.each(policies)('$metadata.name uses only variables that come before, each with one name', ({ spec }) => {
    const known = new Set<string>();
    const uses = (expression = ''): string[] => [...expression.matchAll(/\bvariables\.([A-Za-z]+)/g)].map(([, name = '']) => name);
    for (const { name, expression } of spec.variables ?? []) {
      expect(
        uses(expression).filter((used) => !known.has(used)),
        name,
      ).toEqual([]);
      expect(known.has(name), name).toBe(false);
      known.add(name);
    }
    const last = [...(spec.mutations ?? []).map(({ jsonPatch }) => jsonPatch.expression)];
    for (const { expression, messageExpression } of spec.validations ?? []) last.push(expression, messageExpression ?? '');
    expect(last.flatMap(uses).filter((used) => !known.has(used))).toEqual([]);
  });

  it('has the same expression under the same name in every policy', () => {
    const [backstop, , injection] = policies;
    const own = new Map(backstop?.spec.variables?.map(({ name, expression }) => [name, expression]));
    expect(injection?.spec.variables?.length).toBeGreaterThan(50);
    for (const { name, expression } of injection?.spec.variables ?? []) expect(own.get(name), name).toBe(expression);
  });
});

it('are a component, with the defaults of the command; UPDATE_GOLDENS=1 writes it', () => {
  const { config, flags } = readCommandLine([], admissionPolicy, {});
  const text = policyTexts(honoured(config, flags, {}), 'refuse');
  const file = new URL('../manifests/components/admission-policy/policies.yaml', import.meta.url);
  if (process.env.UPDATE_GOLDENS) writeFileSync(file, text);
  expect(readFileSync(file, 'utf8')).toBe(text);
});

describe('the backstop, whose variables inject too,', () => {
  const stored = objectsOf(readFileSync(new URL('../manifests/components/backstop/stored.yaml', import.meta.url), 'utf8'))[0];
  const expressionOf = (name: string): string => stored?.spec.variables?.find((variable) => variable.name === name)?.expression ?? '';
  const withSlash = (path: string): string => `['${path}', '${path}/']`;

  it.each([
    ['path', withSlash(SUPERVISOR_MOUNT_PATH)],
    ['policyPath', withSlash(POLICY_MOUNT_PATH)],
    ['policyRulesPath', withSlash(POLICY_RULES_MOUNT_PATH)],
    ['installedBinary', `'${INSTALLED_BINARY}'`],
    ['imageBinaries', `['${IMAGE_BINARY.scratch}', '${IMAGE_BINARY.community}']`],
    ['binaries', `[variables.installedBinary, '${supervisorBinary('image-volume', 'community')}']`],
    ['methods', `['${METHODS.join("', '")}']`],
    ['identityVariables', `['${PINNED_VARIABLES.slice(0, 2).join("', '")}']`],
  ])('has the contract’s %s', (name, expression) => {
    expect(expressionOf(name)).toBe(expression);
  });

  it('pins what the webhook pins', () => {
    for (const { name, value } of pinnedVariables([])) expect(expressionOf('pinned')).toContain(`'${name}=${value}'`);
  });
});

describe('options', () => {
  const lineOf = (...args: string[]): CommandLine => readCommandLine(args, admissionPolicy, {});
  const read = (args: readonly string[], env = {}) => {
    const { config, flags } = lineOf(...args);
    return honoured(config, flags, env).sideload;
  };

  it('refuses pods without a command unless it is told otherwise', () => {
    expect(read([]).missingCommand).toBe('refuse');
    expect(read(['--missing-command=shell', '--entrypoint=off']).missingCommand).toBe('shell');
  });

  it.each([
    [['--supervisor-sideload-method=auto'], 'a policy does not see the nodes'],
    [['--missing-command=lookup'], 'a policy asks no registry'],
    [['--entrypoint=registry'], 'a policy asks no registry'],
    [['--inspect-images=always'], 'a policy looks nothing up'],
    [['--registry-hosts=registry.example'], 'a policy looks nothing up'],
    [['--port=8443'], 'a policy has no server'],
    [['--log-level=debug'], 'a policy has no server'],
    [['--owner-events=true'], 'a policy has no server'],
  ])('%s cannot be honoured', (args, problem) => {
    expect(() => read(args)).toThrow(UsageError);
    expect(() => read(args)).toThrow(problem);
  });

  it('of the environment count where they say what to inject', () => {
    expect(() => read([], { OPENSHELL_MISSING_COMMAND: 'lookup' })).toThrow('a policy asks no registry');
    expect(() => read([], { OPENSHELL_REGISTRY_HOSTS: 'registry.example' })).toThrow('a policy looks nothing up');
    expect(read([], { OPENSHELL_LISTEN_PORT: '8443' }).missingCommand).toBe('refuse');
  });
});

describe('the options that a policy was printed for', () => {
  const plain = '--missing-command=shell';
  it.each([
    [['--missing-command=refuse']],
    [
      [
        plain,
        `--supervisor-image=registry.example:5000/a/supervisor:1@sha256:${'a'.repeat(64)}`,
        '--supervisor-image-pull-policy=',
        '--supervisor-capabilities=',
        '--supervisor-apparmor-profile=Localhost/x',
        '--sandbox-uid=2000',
        '--sandbox-workdir=/home/agent',
        '--neighbours=warn',
        '--missing-policy=warn',
        '--unreachable-probes=warn',
        '--allowed-sideload-methods=image-volume,host-path',
        '--supervisor-sideload-method=host-path',
      ],
    ],
    [
      [
        plain,
        '--supervisor-arg=--upstream-proxy=http://proxy:3128',
        '--supervisor-arg=--upstream-proxy-auth-allow-insecure',
        '--upstream-proxy-auth-secret=proxy/credentials',
        '--pinned-env=A=secret:b/c',
        '--pinned-env=B= odd "value" \\ $(X)',
        '--supervisor-env=C=1',
        '--policy=configmap:sandbox-policy',
        '--policy-rules=supervisor:/rules.rego',
      ],
    ],
  ])('are read back from it: %s', (flags) => {
    const config = readConfig([...flags, '--entrypoint=off'], {});
    const backstop = objectsOf(policyTexts(config, 'refuse')).find(({ metadata }) => metadata.name === 'openshell-sideload-backstop');
    const read = readConfig(printedFor(backstop?.spec.variables ?? []) ?? [], {});
    expect(read.sideload).toEqual(config.sideload);
    expect(read.texts).toEqual(config.texts);
  });

  it('are none where another command printed it', () => {
    expect(printedFor([{ name: 'neighbours', expression: '"warn"' }])).toBeUndefined();
  });
});

describe('an installation', () => {
  const config = readConfig(['--missing-command=shell', '--entrypoint=off'], {});
  const whole = { name: 'openshell-sideload', objects: printedWith(config), config, ephemeralContainers: 'refuse' };

  it('is as this version prints it', () => {
    expect(judgePolicies(whole)).toEqual([]);
  });

  it('under another name, too', () => {
    const text = policyTexts(config, 'refuse').replaceAll(/((?:name|policyName): )openshell-sideload/g, '$1other');
    expect(judgePolicies({ ...whole, name: 'other', objects: objectsOf(text) as never })).toEqual([]);
  });

  it('fails where an object is missing or changed, and warns where it is only about warnings', () => {
    const { objects } = whole;
    const without = (part: string) => judgePolicies({ ...whole, objects: objects.filter(({ metadata }) => metadata.name !== part) });
    expect(without('openshell-sideload-backstop-sandbox')).toMatchObject([
      { status: 'failed', detail: 'ValidatingAdmissionPolicyBinding openshell-sideload-backstop-sandbox is missing' },
    ]);
    expect(without('openshell-sideload-warnings')).toMatchObject([{ status: 'warning' }]);
    const audited = objects.map((object) => {
      const copy = structuredClone(object) as { metadata: { name: string }; spec: { validationActions?: string[] } };
      if (copy.metadata.name === 'openshell-sideload-backstop-managed') copy.spec.validationActions = ['Audit'];
      return copy;
    });
    expect(judgePolicies({ ...whole, objects: audited as never })).toMatchObject([
      { status: 'failed', detail: expect.stringContaining('openshell-sideload-backstop-managed is not as this version prints it') },
    ]);
    expect(judgePolicies({ ...whole, config: undefined })).toMatchObject([{ status: 'failed' }]);
  });
});

describe('the warnings', () => {
  it('are the webhook’s, but for those about nodes and images', () => {
    const codes = POLICY_WARNINGS.map(({ code }) => code);
    expect(Object.keys(WARNINGS).filter((code) => !(codes as string[]).includes(code))).toEqual([
      'image-user',
      'nodes-without-image-volumes',
    ]);
    expect(new Set(codes).size).toBe(codes.length);
  });
});
