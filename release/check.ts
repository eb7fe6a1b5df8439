/**
 * `npm run release:check`: whether this tree can be released. Prints a line for each check and ends with 1 when one fails.
 * It builds dist/, whose bill of materials says what is shipped.
 */

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
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

execFileSync('npm', ['run', '--silent', 'build'], { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] });
const { components } = JSON.parse(read('dist/sbom.cdx.json')) as { components: Component[] };
const checks = releaseChecks({ read, filesIn }, components);
let failed = 0;
for (const [what, check] of Object.entries(checks)) {
  const problems = check();
  failed += problems.length === 0 ? 0 : 1;
  console.log(`${problems.length === 0 ? '✓' : '✗'} ${what}`);
  for (const problem of problems) console.log(`    ${problem}`);
}
console.log(
  `\n${components.length} components in dist/sbom.cdx.json; ${Object.keys(checks).length - failed} of ${Object.keys(checks).length} checks passed`,
);
process.exitCode = failed === 0 ? 0 : 1;
