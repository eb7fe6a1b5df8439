/** What a host and its bots read: issue forms, and the rules for new versions. */

import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';

const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
const FORMS = '.github/ISSUE_TEMPLATE';
const PROGRAMS = 'test/e2e/cluster';

interface Field {
  readonly type: string;
  readonly id?: string;
  readonly attributes: { readonly label?: string; readonly value?: string; readonly options?: readonly object[] };
  readonly validations?: { readonly required: boolean };
}

describe('issue forms', () => {
  const forms = readdirSync(new URL(`../${FORMS}`, import.meta.url)).filter((file) => file !== 'config.yml');

  /** https://docs.github.com/en/communities/using-templates-to-encourage-useful-issues-and-pull-requests/syntax-for-githubs-form-schema */
  it.each(forms)('%s is a form, with a field that has to be filled', (file) => {
    const form = parse(read(`${FORMS}/${file}`)) as { name: string; description: string; body: Field[] };
    expect([form.name, form.description].every((text) => text.length > 3)).toBe(true);
    const fields = form.body.filter(({ type }) => type !== 'markdown');
    expect(new Set(fields.map(({ id }) => id)).size).toBe(fields.length);
    for (const { type, id, attributes } of fields) {
      expect(['textarea', 'input', 'checkboxes', 'dropdown']).toContain(type);
      expect(id).toMatch(/^[a-z]+$/);
      expect(attributes.label).toBeTruthy();
    }
    expect(fields.some(({ validations }) => validations?.required)).toBe(true);
  });

  it('send vulnerabilities to the host’s private reporting', () => {
    const { blank_issues_enabled: blank, contact_links: links } = parse(read(`${FORMS}/config.yml`));
    expect(blank).toBe(false);
    expect(links.map(({ url }: { url: string }) => url)).toContain(
      'https://github.com/openshell-sideload/openshell-sideload/security/advisories/new',
    );
    expect(read('SECURITY.md')).toContain('Security → Report a vulnerability');
  });
});

describe('renovate.json', () => {
  interface Rule {
    readonly matchFileNames?: readonly string[];
    readonly allowedVersions?: string;
  }
  const { packageRules, ignorePresets, customManagers } = JSON.parse(read('renovate.json')) as {
    packageRules: Rule[];
    ignorePresets: string[];
    customManagers: { matchStrings: string[] }[];
  };

  it.each(readdirSync(new URL(`../${PROGRAMS}`, import.meta.url)).filter((name) => /^kubernetes(-1\.\d+)?$/.test(name)))(
    'keeps %s at its minor version',
    (folder) => {
      const rule = packageRules.find(({ matchFileNames }) => matchFileNames?.includes(`${PROGRAMS}/${folder}/**`));
      const allowed = new RegExp(rule?.allowedVersions?.replace(/^\/|\/$/g, '') ?? '(?!)');
      const versions = [...read(`${PROGRAMS}/${folder}/go.mod`).matchAll(/k8s\.io\/(?:kubernetes|api) v([1-9]\S*|0\.[1-9]\S*)/g)];
      expect(versions.length).toBeGreaterThan(1);
      for (const [, version = ''] of versions) expect(version).toMatch(allowed);
    },
  );

  it('looks into the folders of tests and examples', () => {
    expect(ignorePresets).toContain(':ignoreModulesAndTests');
  });

  it('finds the images that workflows give to actions', () => {
    const patterns = customManagers.flatMap(({ matchStrings }) => matchStrings).map((text) => new RegExp(text));
    const images = [...read('.github/workflows/release.yml').matchAll(/^ *(image: .*)$/gm)].map(([, image = '']) => image);
    expect(images.length).toBeGreaterThan(0);
    for (const image of images) expect(patterns.some((pattern) => pattern.test(image))).toBe(true);
  });
});
