/** What `npm pack` makes: installed into an empty folder, the command runs. */

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const dir = mkdtempSync(join(tmpdir(), 'sideload-package-'));
/** The Node.js of the machine, not the one that the scripts bring. */
const env = {
  ...process.env,
  PATH: (process.env.PATH ?? '')
    .split(delimiter)
    .filter((folder) => !folder.includes('node_modules'))
    .join(delimiter),
};
let packed: { filename: string; files: { path: string }[] };

const run = (args: readonly string[]) =>
  spawnSync('npx', ['--no-install', 'openshell-sideload', ...args], { cwd: dir, env, encoding: 'utf8' });

beforeAll(() => {
  const printed = execFileSync('npm', ['pack', '--json', '--pack-destination', dir], { cwd: ROOT, env, encoding: 'utf8' });
  // npm 11 lists the packages, a later one may name them.
  [packed] = Object.values(JSON.parse(printed.slice(printed.search(/^[[{]/m)))) as [typeof packed];
  writeFileSync(join(dir, 'package.json'), '{"private": true}');
  execFileSync('npm', ['install', '--no-audit', '--no-fund', join(dir, packed.filename)], { cwd: dir, env, stdio: 'pipe' });
});

afterAll(() => rmSync(dir, { recursive: true }));

describe('the package', () => {
  it('holds what runs, its licence and its README, and no sources or tests', () => {
    const folders = new Set(packed.files.map(({ path }) => path.split('/')[0]));
    expect([...folders].sort()).toEqual(['LICENSE', 'README.md', 'dist', 'package.json']);
    expect(packed.files.filter(({ path }) => path.startsWith('dist/') && !path.endsWith('.js'))).toEqual([]);
  });

  it('tells its version', () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    expect(run(['--version']).stdout).toBe(`openshell-sideload ${version}\n`);
  });

  it('injects', () => {
    const { status, stdout, stderr } = run(['inject', '-f', join(ROOT, 'examples/agent.yaml')]);
    expect(status, stderr).toBe(0);
    expect(parse(stdout).spec.containers[0].command[0]).toBe('/opt/openshell/bin/openshell-sandbox');
  });

  it('says what is wrong with the command line', () => {
    const { status, stderr } = run(['inject']);
    expect([status, stderr]).toEqual([2, expect.stringContaining('-f is missing')]);
  });
});
