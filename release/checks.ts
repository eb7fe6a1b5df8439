/** What has to hold of a tree before it is released: each check reads files, and says what is wrong. */

import { parse } from 'yaml';

/** Licences that may be shipped in an image under Apache-2.0 (SPDX identifiers). */
const LICENCES = ['Apache-2.0', 'MIT', 'ISC', 'BSD-2-Clause', 'BSD-3-Clause', '0BSD', 'BlueOak-1.0.0', 'PSF-2.0', 'Unlicense'];
/** https://github.com/opencontainers/image-spec/blob/main/annotations.md */
const LABELS = ['title', 'description', 'version', 'licenses', 'source', 'documentation', 'base.name'];

/** A dependency that is shipped, as a bill of materials in CycloneDX names it. */
export interface Component {
  readonly purl: string;
  readonly licenses?: readonly { readonly license?: { readonly id?: string }; readonly expression?: string }[];
}

/** The tree: the text of a file, and the files below a folder. */
export interface Tree {
  readonly read: (path: string) => string;
  readonly filesIn: (folder: string) => readonly string[];
}

interface LockedPackage {
  readonly integrity?: string;
  readonly hasInstallScript?: boolean;
}

const expect = (holds: boolean, problem: string): string[] => (holds ? [] : [problem]);

/**
 * All checks, by what they look at.
 *
 * @param components what is shipped
 * @returns functions that return the problems that they find
 */
export function releaseChecks({ read, filesIn }: Tree, components: readonly Component[]): Readonly<Record<string, () => string[]>> {
  const { name, version, license, repository } = JSON.parse(read('package.json')) as {
    name: string;
    version: string;
    license: string;
    repository: { url: string };
  };
  const locked = (): [string, LockedPackage][] => {
    const { packages } = JSON.parse(read('package-lock.json')) as { packages: Record<string, LockedPackage> };
    return Object.entries(packages).filter(([path]) => path.includes('node_modules/'));
  };
  return {
    'the version is a semantic version': () =>
      expect(/^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/.test(version), `package.json has version ${JSON.stringify(version)}`),
    'CHANGELOG.md has an entry for the version': () =>
      expect(read('CHANGELOG.md').includes(`\n## [${version}]`), `CHANGELOG.md has no heading "## [${version}]"`),
    'manifests and chart name the image that a release pushes': () => {
      const released = `ghcr.io/${new URL(repository.url).pathname.replace(/^\/|\.git$/g, '')}`;
      const [, deployed] = /^ *image: (.*)$/m.exec(read('manifests/base/deployment.yaml')) ?? [];
      const { image } = parse(read(`charts/${name}/values.yaml`)) as { image: { repository: string } };
      return [
        ...expect(
          deployed === `${released}:${version}`,
          `manifests/base/deployment.yaml has image ${deployed}, not ${released}:${version}`,
        ),
        ...expect(image.repository === released, `charts/${name}/values.yaml has image.repository ${image.repository}, not ${released}`),
      ];
    },
    'the chart has the version': () => {
      const chart = parse(read(`charts/${name}/Chart.yaml`)) as { version: string; appVersion: string };
      return expect(chart.version === version && chart.appVersion === version, `Chart.yaml has ${chart.version} and ${chart.appVersion}`);
    },
    'README, docs and examples build and install that version': () =>
      ['README.md', 'docs/operations.md', 'docs/quickstart.md', 'examples/gitops/argo-cd.yaml', 'examples/gitops/flux.yaml'].flatMap(
        (path) =>
          [...read(path).matchAll(new RegExp(`(?:${name}:|ref=v|newTag: |tag: v|targetRevision: v)(\\d+\\.\\d+\\.\\d+)`, 'g'))].flatMap(
            ([found, tag]) => expect(tag === version, `${path} names ${found}`),
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
    'the image is built on a base by digest': () => {
      const dockerfile = read('Dockerfile');
      const [, base = ''] = /^ARG BASE=(.*)$/m.exec(dockerfile) ?? [];
      const froms = [...dockerfile.matchAll(/^FROM (?:--platform=\S+ )?(\S+)/gm)].map(([, from = '']) => from);
      const others = froms.filter((from) => !/^(\$\{BASE\}|scratch)$/.test(from));
      return [
        ...expect(/@sha256:[0-9a-f]{64}$/.test(base), `Dockerfile has BASE ${base || 'nowhere'}`),
        ...others.map((from) => `Dockerfile has FROM ${from}`),
      ];
    },
    'no image of manifests and chart is latest': () =>
      ['manifests', `charts/${name}`]
        .flatMap(filesIn)
        .flatMap((path) =>
          [...read(path).matchAll(/\b(?:image|newTag|tag): *['"]?(\S*:latest|latest)\b/g)].map(([found]) => `${path} has ${found}`),
        ),
    'the licences of all dependencies may be shipped': () =>
      components.flatMap(({ purl, licenses = [] }) => {
        const found = licenses.map(({ license: one, expression }) => one?.id ?? expression ?? '');
        const may = (each: string): boolean =>
          each
            .replaceAll(/[()]/g, '')
            .split(/ OR /)
            .some((id) => LICENCES.includes(id));
        return expect(found.length > 0 && found.every(may), `${purl}: ${found.join(', ') || 'no licence'}`);
      }),
    'every dependency is pinned with its integrity': () =>
      locked().flatMap(([path, { integrity }]) => expect(integrity !== undefined, `${path} has no integrity`)),
    // An install script fetches what the lockfile does not know. esbuild has one, which it does not need.
    'no dependency runs a script when it is installed': () =>
      /^ignore-scripts=true$/m.test(read('.npmrc'))
        ? []
        : locked().flatMap(([path, { hasInstallScript }]) => expect(hasInstallScript !== true, `${path} has an install script`)),
    'the licence is the one that is there': () =>
      expect(read('LICENSE').includes('Apache License') && license === 'Apache-2.0', `${license} and LICENSE differ`),
  };
}
