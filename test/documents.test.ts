import { readdirSync, readFileSync, statSync } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { describedSchema } from '../docs/reference/chart-values.ts';
import { documents } from '../docs/reference/tables.ts';
import {
  CONTAINER_ANNOTATION,
  ENV,
  MANAGED_BY_LABEL,
  MANAGED_BY_OPENSHELL,
  METHOD_ANNOTATION,
  NAMESPACE_LABEL,
  POLICY_ANNOTATION,
  POLICY_ENFORCED,
  POLICY_MODE_LABEL,
  SANDBOX_ID_LABEL,
  SANDBOX_LABEL,
  SIDELOADED_ANNOTATION,
  TWO_POD_LABELS,
} from '../src/sideload/contract.ts';
import { PINNED_VARIABLES } from '../src/sideload/environment.ts';
import { GATEWAY_VARIABLES } from '../src/sideload/gateway.ts';
import { INJECTIONS, REFUSALS, SKIPS, WARNINGS } from '../src/sideload/outcome.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
const readme = read('README.md');
const MARKDOWN = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'charts/openshell-sideload/README.md',
  ...readdirSync(new URL('../docs', import.meta.url), { recursive: true, encoding: 'utf8' }).map((name) => `docs/${name}`),
].filter((path) => path.endsWith('.md'));

/** At most so many words: the README is a door, and all else is a link. */
const README_WORDS = 1000;

/** Words and phrases that read as translated; CONTRIBUTING.md has the glossary. */
const TRANSLATED =
  /\b(anew|way out|ways out|whoever|left alone|leave alone|whole sideload|a half|all else|all that is|crowds?|crosses|sentences?|is away|greet|bears? a|once more|all the same|no business of|what is right|put right|the way out)\b/gi;

/** TypeScript and YAML of a folder. */
function sources(folder: string): string[] {
  const files = readdirSync(new URL(`../${folder}`, import.meta.url), { recursive: true, encoding: 'utf8' });
  return files.filter((name) => /\.(ts|yaml)$/.test(name)).map((name) => `${folder}/${name}`);
}

describe('the documents', () => {
  it.each([...MARKDOWN, ...['src', 'examples', 'manifests', 'charts'].flatMap(sources)])(
    '%s has no words that read as translated',
    (path) => {
      // CONTRIBUTING.md names the words; what a measurement wrote stays as it was.
      const text = read(path).replaceAll(/<!-- glossary -->.*<!-- end of glossary -->/gs, '');
      expect([...text.matchAll(TRANSLATED)].map(({ 0: word, index }) => `${text.slice(0, index).split('\n').length}: ${word}`)).toEqual([]);
    },
  );
});

describe('docs/reference', () => {
  it.each(documents())('$file has its tables as the source does: npm run docs:reference writes them', ({ now, wanted }) => {
    expect(now).toBe(wanted);
  });

  it.each([
    NAMESPACE_LABEL,
    SANDBOX_LABEL,
    MANAGED_BY_LABEL,
    SANDBOX_ID_LABEL,
    METHOD_ANNOTATION,
    POLICY_ANNOTATION,
    POLICY_MODE_LABEL,
    CONTAINER_ANNOTATION,
    SIDELOADED_ANNOTATION,
  ])('has the contract’s %s', (key) => {
    expect(read('docs/reference/contract.md')).toMatch(new RegExp(`^\\| (label|annotation) \`${key}\` \\|`, 'm'));
  });

  it('names source files of the core that exist', () => {
    const named = [...read('docs/reference/contract.md').matchAll(/`([a-z-]+\.ts)`/g)].map(([, file = '']) => file);
    expect(named.length).toBeGreaterThan(15);
    for (const file of named) expect(() => statSync(new URL(`../src/sideload/${file}`, import.meta.url)), file).not.toThrow();
  });
});

describe('the chart', () => {
  const values = read('charts/openshell-sideload/values.yaml');

  it('has a schema with the descriptions of values.yaml: npm run docs:chart writes them', () => {
    const schema = JSON.parse(read('charts/openshell-sideload/values.schema.json'));
    expect(schema).toEqual(describedSchema(values, schema));
  });

  it('would not get a value without a description, or without a place in the schema', () => {
    const schema = JSON.parse(read('charts/openshell-sideload/values.schema.json'));
    expect(() => describedSchema(`${values}odd: 1\n`, schema)).toThrow('values.yaml: odd has no comment');
    expect(() => describedSchema(`${values}# -- Odd.\nodd: 1\n`, schema)).toThrow('values.schema.json has no odd');
  });
});

describe('the README', () => {
  it('is a door: it has at most 1,000 words', () => {
    expect(readme.split(/\s+/).length).toBeLessThanOrEqual(README_WORDS);
  });

  it('shows the patch that the webhook makes', () => {
    const [before, after] = [...readme.matchAll(/```yaml\n(.*?)```/gs)].map(([, yaml]) => parse(yaml ?? ''));
    const golden = parse(read('test/goldens/readme.injected.yaml')).pod;
    expect(before).toEqual(parse(read('test/goldens/readme.yaml')));
    expect(after).toEqual(golden);
  });

  it('names npm scripts and files that are there', () => {
    const { scripts } = JSON.parse(read('package.json'));
    for (const document of [readme, read('CONTRIBUTING.md'), read('docs/reference/tests.md')]) {
      for (const [, script = ''] of document.matchAll(/npm run ([\w:-]+)/g)) expect(Object.keys(scripts)).toContain(script);
      for (const [, path = ''] of document.matchAll(/`((?:src|test|manifests|examples)\/[\w./-]*)`/g))
        expect(() => statSync(new URL(`../${path}`, import.meta.url)), path).not.toThrow();
    }
  });
});

describe('examples/agent.yaml', () => {
  const [configMap, pod] = parseAllDocuments(read('examples/agent.yaml')).map((document) => document.toJS());

  it('holds the policy of examples/policy', () => {
    const files = Object.fromEntries(['policy.yaml', 'policy.rego'].map((name) => [name, read(`examples/policy/${name}`)]));
    expect(configMap).toMatchObject({ kind: 'ConfigMap', data: files });
  });

  it('has a pod whose annotation names it', () => {
    expect(pod).toMatchObject({
      kind: 'Pod',
      metadata: { namespace: configMap.metadata.namespace, annotations: { [POLICY_ANNOTATION]: configMap.metadata.name } },
    });
  });
});

describe('tables', () => {
  it.each(MARKDOWN)('of %s are in one piece', (path) => {
    const lines = read(path).split('\n');
    const isRow = (line = ''): boolean => line.startsWith('|');
    // A table begins with its head and a rule.
    const cut = lines.filter((line, at) => isRow(line) && !isRow(lines[at - 1]) && !/^\|[-:| ]+\|$/.test(lines[at + 1] ?? ''));
    expect(cut).toEqual([]);
  });
});

describe('docs/troubleshooting.md', () => {
  const troubleshooting = read('docs/troubleshooting.md');
  it.each(Object.keys({ ...SKIPS, ...INJECTIONS, ...REFUSALS }))('has an entry for %s', (code) => {
    expect(troubleshooting).toMatch(new RegExp(`^### ${code}\n\n\\S`, 'm'));
  });

  it.each(Object.keys(WARNINGS))('has a row for the warning %s', (code) => {
    expect(troubleshooting).toMatch(new RegExp(`^\\| \`${code}\` \\| \\S`, 'm'));
  });

  it('has no entry for a code that is gone', () => {
    const known = Object.keys({ ...SKIPS, ...INJECTIONS, ...REFUSALS });
    for (const [, code] of troubleshooting.matchAll(/^### ([a-z-]+)$/gm)) expect(known).toContain(code);
  });
});

describe('docs/security.md', () => {
  const security = read('docs/security.md');

  it.each([...PINNED_VARIABLES, ...GATEWAY_VARIABLES, ENV.policyRules, ENV.policyData, ENV.containerImage, ENV.inferenceRoutes])(
    'says whose %s is',
    (name) => {
      expect(security).toMatch(new RegExp(`^\\|.*\`${name.replace('OPENSHELL_', '')}\`.* \\|`, 'm'));
    },
  );
});

describe('docs/architecture.md', () => {
  it('has each refusal in the order of the decision', () => {
    const [, table = ''] = /### The order of the decision\n(.*?)\n### /s.exec(read('docs/architecture.md')) ?? [];
    for (const code of Object.keys({ ...SKIPS, ...INJECTIONS, ...REFUSALS }))
      if (code !== 'not-a-pod-creation') expect(table).toContain(`\`${code}\``);
  });
});

describe('the backstop', () => {
  it('uses the reason codes of the webhook, and one of its own', () => {
    const policies = read('manifests/components/backstop/stored.yaml') + read('manifests/components/backstop/changed.yaml');
    const words = new Set([...policies.matchAll(/['"]([a-z]+(?:-[a-z]+)+): /g)].map(([, word]) => word));
    const codes = Object.keys({ ...SKIPS, ...REFUSALS, ...WARNINGS });
    expect(words.size).toBeGreaterThan(8);
    expect([...words].filter((word) => !codes.includes(word ?? ''))).toEqual(['not-sideloaded']);
  });
});

describe('commands of the documents', () => {
  it.each(MARKDOWN)('of %s are run by a test, or marked as not run', (path) => {
    for (const [block, above = ''] of read(path).matchAll(/(?:^(.*)\n\n)?^```sh\n/gm))
      expect(above, `${path}: the line above ${block}`).toMatch(/^<!-- .*(run by `|not run by our tests).* -->$/i);
  });
});

describe('links between the documents', () => {
  const anchorsOf = (path: string): string[] =>
    [...read(path).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\w\- ]/g, '')
        .replaceAll(' ', '-'),
    );

  it.each(MARKDOWN)('of %s lead somewhere', (path) => {
    const here = new URL(`../${path}`, import.meta.url);
    for (const [, target = ''] of read(path).matchAll(/\]\(([^)]+)\)/g)) {
      if (/^https?:/.test(target)) continue;
      const [file = '', anchor] = target.split('#');
      const there = file === '' ? here : new URL(file, here);
      expect(() => statSync(there), `${path}: ${target}`).not.toThrow();
      if (anchor !== undefined) expect(anchorsOf(relative(ROOT, fileURLToPath(there))), `${path}: ${target}`).toContain(anchor);
    }
  });
});

describe('the webhook configuration', () => {
  const { webhooks } = parse(read('manifests/base/webhook.yaml'));

  it('has an entry for each of the two pod labels, and for each kind of namespace', () => {
    const sandboxes = [
      { key: SANDBOX_LABEL, operator: 'Exists' },
      { key: SANDBOX_LABEL, operator: 'NotIn', values: ['false'] },
    ];
    const managed = [
      { key: MANAGED_BY_LABEL, operator: 'In', values: [MANAGED_BY_OPENSHELL] },
      ...[SANDBOX_LABEL, ...TWO_POD_LABELS].map((key) => ({ key, operator: 'DoesNotExist' })),
    ];
    const entries = webhooks.map(({ name, objectSelector }: { name: string; objectSelector: object }) => [name, objectSelector]);
    expect(entries).toEqual([
      ['sandbox.sideload.openshell.ai', { matchExpressions: sandboxes }],
      ['managed.sideload.openshell.ai', { matchExpressions: managed }],
      ['sandbox-enforced.sideload.openshell.ai', { matchExpressions: sandboxes }],
      ['managed-enforced.sideload.openshell.ai', { matchExpressions: managed }],
    ]);
  });

  it.each(webhooks as Record<string, unknown>[])(
    'calls for pod creations in opted-in namespaces only, and fails closed: $name',
    (webhook) => {
      const enforced = String(webhook.name).includes('-enforced.');
      expect(webhook).toMatchObject({
        admissionReviewVersions: ['v1'],
        clientConfig: {
          service: { name: 'openshell-sideload', namespace: 'openshell-system', path: enforced ? '/mutate/enforced' : '/mutate' },
        },
        rules: [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods'], scope: 'Namespaced' }],
        namespaceSelector: {
          matchLabels: { [NAMESPACE_LABEL]: 'enabled' },
          matchExpressions: [
            { key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: ['kube-system', 'openshell-system'] },
            { key: POLICY_MODE_LABEL, operator: enforced ? 'In' : 'NotIn', values: [POLICY_ENFORCED] },
          ],
        },
        matchPolicy: 'Equivalent',
        failurePolicy: 'Fail',
        sideEffects: 'None',
        reinvocationPolicy: 'IfNeeded',
        timeoutSeconds: 10,
      });
    },
  );
});
