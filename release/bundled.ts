/** Which packages are in the bundle, and what has to go along with them. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Metafile } from 'esbuild';

/** A package of which something is in the bundle. */
export interface BundledPackage {
  readonly name: string;
  readonly version: string;
  /** SPDX expression. */
  readonly license: string;
  /** The texts of its licence and its notice files; where there are none, that. */
  readonly texts: readonly string[];
}

/** A bill of materials in CycloneDX, as far as it is read here. */
interface Bill {
  readonly serialNumber?: string;
  readonly metadata: { readonly timestamp?: string; readonly component: { readonly 'bom-ref': string; readonly name: string } };
  readonly components: readonly { readonly 'bom-ref': string }[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

/**
 * The packages of which esbuild took something.
 *
 * @param root the folder that the paths of its inputs start from
 */
export function bundledPackages(outputs: readonly Metafile['outputs'][string][], root: string): BundledPackage[] {
  const inputs = outputs.flatMap(({ inputs }) =>
    Object.entries(inputs).flatMap(([path, { bytesInOutput }]) => (bytesInOutput > 0 ? [path] : [])),
  );
  const folders = new Set(inputs.flatMap((path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path) ?? []));
  return [...folders].sort().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'));
    const files = readdirSync(join(root, folder)).filter((file) => /^(licen[cs]e|copying|notice)/i.test(file));
    const texts = files.sort().map((file) => readFileSync(join(root, folder, file), 'utf8').trim());
    return { name, version, license, texts: texts.length > 0 ? texts : ['The package holds no text of its licence.'] };
  });
}

/** The licences ask for it: copyright and terms of everything that is handed on. */
export function notices(packages: readonly BundledPackage[]): string {
  return packages
    .map(({ name, version, license, texts }) => [`${name} ${version} (${license})`, ...texts].join('\n\n'))
    .join(`\n\n${'-'.repeat(80)}\n\n`);
}

/**
 * A bill of materials of what is in the bundle, the same for the same tree.
 *
 * @param bill of all packages of the lockfile: with --omit=dev npm leaves out what a development dependency needs too
 * @throws Error when it lacks one that is bundled
 */
export function onlyBundled(bill: Bill, product: string, packages: readonly BundledPackage[]): object {
  const { serialNumber: _random, metadata, ...rest } = bill;
  const { timestamp: _now, component, ...known } = metadata;
  const refs = new Set([component['bom-ref'], ...packages.map(({ name, version }) => `${name}@${version}`)]);
  const components = bill.components.filter((each) => refs.has(each['bom-ref']));
  const missing = packages.filter(({ name, version }) => !components.some((each) => each['bom-ref'] === `${name}@${version}`));
  if (missing.length > 0) throw new Error(`bundled and not in the lockfile: ${missing.map(({ name }) => name).join(', ')}; run npm ci`);
  return {
    ...rest,
    // npm takes the folder's name.
    metadata: { ...known, component: { ...component, name: product } },
    components,
    dependencies: bill.dependencies
      .filter(({ ref }) => refs.has(ref))
      .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter((each) => refs.has(each)) })),
  };
}
