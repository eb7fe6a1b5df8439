import { readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

/** A folder may import those of lower rows: docs/architecture.md draws them. Folders of one row know nothing of each other. */
const ROWS = [['main.ts', 'library.ts'], ['cli'], ['server'], ['cluster', 'registry', 'config'], ['tls'], ['observe'], ['sideload']];

const src = fileURLToPath(new URL('../src', import.meta.url));
const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
const folderOf = (file: string): string => file.split('/')[0] ?? '';
const rowOf = (folder: string): number => ROWS.findIndex((row) => row.includes(folder));

/** Relative imports, of types too, and those that wait for their use. */
function importsOf(file: string): string[] {
  const text = readFileSync(`${src}/${file}`, 'utf8');
  return [...text.matchAll(/(?:from |import\(|import )'(\.[^']+)'/g)].map(([, path = '']) => posix.join(posix.dirname(file), path));
}

/** Imports that go up, or across. */
function wrongImports(file: string): string[] {
  const [from, own] = [rowOf(folderOf(file)), folderOf(file)];
  return importsOf(file).filter((target) => folderOf(target) !== own && rowOf(folderOf(target)) <= from);
}

describe('no import runs up', () => {
  it('in folders that all have a place', () => {
    expect([...new Set(files.map(folderOf))].sort()).toEqual(ROWS.flat().sort());
  });

  it.each(files)('in src/%s', (file) => {
    expect(wrongImports(file)).toEqual([]);
  });

  it('and the test sees imports', () => {
    expect(importsOf('cli/main.ts')).toContain('config/config.ts');
    expect(importsOf('server/start.ts')).toEqual(expect.arrayContaining(['cluster/client.ts', 'config/config.ts', 'tls/source.ts']));
  });
});

/** Pure, both of them. */
const PURE = ['fast-json-patch', 'node:util'];

it('the core imports nothing that does I/O', () => {
  const core = files.filter((file) => folderOf(file) === 'sideload');
  const imports = core.flatMap((file) =>
    [...readFileSync(`${src}/${file}`, 'utf8').matchAll(/from '([^.][^']*)'/g)].map(([, name]) => name),
  );
  expect([...new Set(imports)].sort()).toEqual(PURE);
});
