/**
 * `npm run release:check`: whether this tree can be released. Prints a line for each check and ends with 1 when one fails.
 * It writes the bill of materials to release/sbom.cdx.json, for the release's attachments.
 */

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Component, releaseChecks } from './checks.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const filesIn = (folder: string): string[] =>
  readdirSync(join(ROOT, folder)).flatMap((entry) => {
    const path = join(folder, entry);
    return statSync(join(ROOT, path)).isDirectory() ? filesIn(path) : [path];
  });

function sbom(): { components: Component[] } {
  const text = execFileSync('npm', ['sbom', '--sbom-format=cyclonedx', '--omit=dev', '--package-lock-only'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  writeFileSync(new URL('./sbom.cdx.json', import.meta.url), text);
  return JSON.parse(text);
}

const { components } = sbom();
const checks = releaseChecks({ read, filesIn }, components);
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
