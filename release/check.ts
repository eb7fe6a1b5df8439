/**
 * `npm run release:check`: whether this tree can be released. Prints a line for each check and ends with 1 when one fails.
 * It writes the bill of materials to release/sbom.cdx.json, for the release's attachments.
 */

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse, parseAllDocuments } from 'yaml';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
const { name, version, license } = JSON.parse(read('package.json')) as { name: string; version: string; license: string };

/** Licences that may be shipped in an image under Apache-2.0 (SPDX identifiers). */
const LICENCES = ['Apache-2.0', 'MIT', 'ISC', 'BSD-2-Clause', 'BSD-3-Clause', '0BSD', 'BlueOak-1.0.0', 'PSF-2.0', 'Unlicense'];
/** https://github.com/opencontainers/image-spec/blob/main/annotations.md */
const LABELS = ['title', 'description', 'version', 'licenses', 'source', 'documentation', 'base.name'];

interface Component {
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  readonly licenses?: readonly { readonly license?: { readonly id?: string }; readonly expression?: string }[];
}

function sbom(): { components: Component[] } {
  const text = execFileSync('npm', ['sbom', '--sbom-format=cyclonedx', '--omit=dev', '--package-lock-only'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  writeFileSync(new URL('./sbom.cdx.json', import.meta.url), text);
  return JSON.parse(text);
}

const expect = (holds: boolean, problem: string): string[] => (holds ? [] : [problem]);
const { components } = sbom();

/** Every check: what it looks at, and the problems that it finds. */
const checks: Readonly<Record<string, () => string[]>> = {
  'the version is a semantic version': () =>
    expect(/^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/.test(version), `package.json has version ${JSON.stringify(version)}`),
  'CHANGELOG.md has an entry for the version': () =>
    expect(read('CHANGELOG.md').includes(`\n## [${version}]`), `CHANGELOG.md has no heading "## [${version}]"`),
  'the manifests pin the image by the version': () => {
    const { images } = parse(read('manifests/base/kustomization.yaml')) as { images: { name: string; newTag?: string }[] };
    const tag = images.find((image) => image.name === name)?.newTag;
    return expect(tag === version, `manifests/base/kustomization.yaml has newTag ${tag}, package.json ${version}`);
  },
  'the chart has the version': () => {
    const chart = parse(read(`charts/${name}/Chart.yaml`)) as { version: string; appVersion: string };
    return expect(chart.version === version && chart.appVersion === version, `Chart.yaml has ${chart.version} and ${chart.appVersion}`);
  },
  'README and docs build and install that version': () =>
    ['README.md', 'docs/operations.md', 'docs/quickstart.md'].flatMap((path) =>
      [...read(path).matchAll(new RegExp(`${name}:(\\d+\\.\\d+\\.\\d+)`, 'g'))].flatMap(([found, tag]) =>
        expect(tag === version, `${path} names ${found}`),
      ),
    ),
  'the image carries its OCI annotations': () => {
    const dockerfile = read('Dockerfile');
    const [, built] = /^ARG VERSION=(.*)$/m.exec(dockerfile) ?? [];
    const labels = LABELS.flatMap((label) =>
      expect(dockerfile.includes(`org.opencontainers.image.${label}=`), `Dockerfile lacks ${label}`),
    );
    return [...labels, ...expect(built === version, `Dockerfile has VERSION ${built}`)];
  },
  'no image of the manifests is latest': () =>
    parseAllDocuments(read('manifests/base/deployment.yaml')).flatMap((document) =>
      expect(!/image: \S+:latest/.test(String(document)), 'manifests/base/deployment.yaml names an image as latest'),
    ),
  'the licences of all dependencies may be shipped': () =>
    components.flatMap(({ purl, licenses = [] }) => {
      const found = licenses.map(({ license: one, expression }) => one?.id ?? expression ?? '');
      const fits =
        found.length > 0 &&
        found.every((each) =>
          each
            .replaceAll(/[()]/g, '')
            .split(/ OR /)
            .some((id) => LICENCES.includes(id)),
        );
      return expect(fits, `${purl}: ${found.join(', ') || 'no licence'}`);
    }),
  'every dependency is pinned with its integrity': () => {
    const { packages } = JSON.parse(read('package-lock.json')) as { packages: Record<string, { integrity?: string; version?: string }> };
    return Object.entries(packages).flatMap(([path, { integrity }]) =>
      expect(path === '' || integrity !== undefined, `${path} has no integrity`),
    );
  },
  'the licence is the one that is there': () =>
    expect(read('LICENSE').includes('Apache License') && license === 'Apache-2.0', `${license} and LICENSE differ`),
};

let failed = 0;
for (const [what, check] of Object.entries(checks)) {
  const problems = check();
  failed += problems.length === 0 ? 0 : 1;
  console.log(`${problems.length === 0 ? '✓' : '✗'} ${what}`);
  for (const problem of problems) console.log(`    ${problem}`);
}
console.log(
  `\n${components.length} components in release/sbom.cdx.json; ${Object.keys(checks).length - failed} of ${Object.keys(checks).length} checks passed`,
);
process.exitCode = failed === 0 ? 0 : 1;
