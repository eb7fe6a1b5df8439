/**
 * `npm run build`: writes dist/, which needs nothing beside it: the program and everything that it depends on, as ES modules that
 * are loaded when they are needed. It is published as the npm package, and is what the image holds.
 *
 * `lib/` takes the place of `src/`, so that the program finds package.json and manifests/ where it finds them in the tree.
 */

import { execFileSync } from 'node:child_process';
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type BuildOptions, build, type Plugin } from 'esbuild';
import { bundledPackages, notices, onlyBundled } from './bundled.ts';
import { ownLines } from './own-lines.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const DIST = `${ROOT}dist`;
/** Modules in CommonJS call it for those of Node.js; an ES module has none of its own. */
const REQUIRE = "import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);";

/** The client's package does not say so: its files only define things, but for one, and those that nobody names are left out. */
const PURE_CLIENT: Plugin = {
  name: 'the files of the Kubernetes client have no side effects',
  setup: ({ onResolve, resolve }) => {
    onResolve({ filter: /^\.\.?\// }, async ({ path, pluginData, ...from }) => {
      if (pluginData === PURE_CLIENT || !from.importer.includes('/@kubernetes/client-node/dist/')) return undefined;
      const resolved = await resolve(path, { ...from, pluginData: PURE_CLIENT });
      return { ...resolved, sideEffects: resolved.path.endsWith('/polyfill.js') };
    });
  },
};

const manifest = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8'));
const oldestNode = manifest.engines.node.replace(/^>=/, '');

/** esbuild splits by files: in one bundle, what serving takes of the client would be in a chunk with what the command line takes. */
const OWN_BUNDLE: Plugin = {
  name: 'what serving takes of the Kubernetes client is a bundle of its own',
  setup: ({ onResolve }) => onResolve({ filter: /\/kubernetes-core\.ts$/ }, () => ({ path: './kubernetes-core.js', external: true })),
};

const OPTIONS = {
  absWorkingDir: ROOT,
  ...{ bundle: true, splitting: true, format: 'esm', platform: 'node', target: `node${oldestNode}`, banner: { js: REQUIRE } },
  // Names stay, for stack traces; the lines come from the source maps.
  ...{ minifyWhitespace: true, minifySyntax: true, sourcemap: 'linked', sourcesContent: false },
  // For development only; without it the log is JSON.
  external: ['pino-pretty'],
  metafile: true,
  logLevel: 'warning',
} satisfies BuildOptions;

rmSync(DIST, { recursive: true, force: true });
const program = {
  entryPoints: ['src/main.ts', 'src/library.ts'],
  outdir: `${DIST}/lib`,
  chunkNames: 'chunks/[name]-[hash]',
  plugins: [PURE_CLIENT, OWN_BUNDLE],
};
const core = { entryPoints: ['src/cluster/kubernetes-core.ts'], outdir: `${DIST}/lib/chunks`, plugins: [PURE_CLIENT] };
const bundles = [await build({ ...OPTIONS, ...program }), await build({ ...OPTIONS, ...core })];
const outputs = bundles.flatMap(({ metafile }) => Object.entries(metafile.outputs));

// The types of the library.
execFileSync(`${ROOT}node_modules/.bin/tsc`, ['-p', 'tsconfig.build.json'], { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] });

const packages = bundledPackages(
  outputs.map(([, output]) => output),
  ROOT,
);
const bill = execFileSync('npm', ['sbom', '--sbom-format=cyclonedx', '--package-lock-only'], { cwd: ROOT, encoding: 'utf8' });
const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
for (const [file] of outputs.filter(([path]) => path.endsWith('.map')))
  writeFileSync(`${ROOT}${file}`, JSON.stringify(ownLines(JSON.parse(readFileSync(`${ROOT}${file}`, 'utf8')))));

const { name, version, description, license, repository, type, engines } = manifest;
// Paths of the tree, seen from dist/.
const { bin, exports } = JSON.parse(JSON.stringify({ bin: manifest.bin, exports: manifest.exports }).replaceAll('dist/', ''));
// What it depends on is in it: whoever installs it gets nothing else, and nothing that the lockfile does not pin.
const published = { name, version, description, license, repository, type, bin, exports, engines };
writeFileSync(`${DIST}/package.json`, json(published));
writeFileSync(`${DIST}/THIRD-PARTY-NOTICES.txt`, notices(packages));
writeFileSync(`${DIST}/sbom.cdx.json`, json(onlyBundled(JSON.parse(bill), name, packages)));
for (const file of ['LICENSE', 'README.md', 'manifests/components/backstop'])
  cpSync(`${ROOT}${file}`, `${DIST}/${file}`, { recursive: true });
