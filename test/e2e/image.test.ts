/** What the Dockerfile makes: how large it is, that nothing but the webhook can run in it, and that it does. */

import { execFileSync, spawnSync } from 'node:child_process';
import { accessSync, constants, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CA_FILE, ensureLocalCertificates } from '../../src/tls/local.ts';
import { namesOfService } from '../../src/tls/names.ts';
import { createClient, postReview } from '../fuzz/client.ts';
import { judge } from '../fuzz/oracle.ts';
import { sandbox } from '../pods.ts';
import { review } from '../reviews.ts';
import { ROOT_ENVIRONMENT } from './cluster/debian.ts';
import { freePorts, start, waitFor } from './cluster/process.ts';
import { buildWebhookImage } from './images/webhook-image.ts';
import { isReady } from './webhook.ts';

const MEGABYTE = 1e6;
const dir = mkdtempSync(join(tmpdir(), 'sideload-image-'));
const root = join(dir, 'root');
let layers: { unpacked: number; compressed: number; files: string[] }[];
let config: { config: { User: string; Entrypoint: string[] }; architecture: string };

beforeAll(() => {
  execFileSync('tar', ['-xf', buildWebhookImage(), '-C', dir]);
  const read = (file: string) => JSON.parse(readFileSync(join(dir, file), 'utf8'));
  const [{ Config, Layers }] = read('manifest.json') as [{ Config: string; Layers: string[] }];
  config = read(Config);
  mkdirSync(root);
  layers = Layers.map((name) => {
    const layer = join(dir, name);
    execFileSync('tar', ['-xf', layer, '-C', root]);
    const files = execFileSync('tar', ['-tf', layer], { encoding: 'utf8' }).split('\n');
    const bytes = readFileSync(layer);
    return { unpacked: bytes.length, compressed: gzipSync(bytes).length, files };
  });
});

afterAll(() => rmSync(dir, { recursive: true }));

/** chroot's arguments for the image's program, as its user. */
const inside = (args: readonly string[]): string[] => [`--userspec=${config.config.User}`, root, ...config.config.Entrypoint, ...args];

it('is small', () => {
  const sum = (of: 'unpacked' | 'compressed'): number => layers.reduce((total, layer) => total + layer[of], 0) / MEGABYTE;
  const app = layers.filter(({ files }) => files.includes('app/lib/main.js'));
  const compressed = (app[0]?.compressed ?? Number.NaN) / MEGABYTE;
  const figures = { unpacked: sum('unpacked'), compressed: sum('compressed'), app: compressed };
  process.stderr.write(
    `image, ${config.architecture}: ${Object.entries(figures)
      .map(([of, size]) => `${of} ${size.toFixed(1)} MB`)
      .join(', ')}\n`,
  );
  expect(app).toHaveLength(1);
  expect(figures.unpacked).toBeLessThan(150);
  expect(figures.compressed).toBeLessThan(60);
  expect(figures.app).toBeLessThan(2);
});

it('can run Node.js, and nothing else', () => {
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) => lstatSync(join(root, file)).isFile());
  const programs = files.filter((file) => {
    try {
      accessSync(join(root, file), constants.X_OK);
    } catch {
      return false;
    }
    return !/\.so(\.\d+)*$/.test(file);
  });
  expect(programs.sort()).toEqual(['app/lib/main.js', 'usr/local/bin/node']);
});

it('runs as a user that is not root, and owns nothing that it could write', () => {
  expect(config.config.User).toBe('65532:65532');
  const writable = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) => {
    const { uid, gid, mode } = lstatSync(join(root, file));
    return uid !== 0 || gid !== 0 || (mode & 0o002) !== 0;
  });
  expect(writable).toEqual([]);
  const run = (...args: string[]) => spawnSync('chroot', inside(args), { encoding: 'utf8', env: ROOT_ENVIRONMENT });
  const { version } = JSON.parse(readFileSync(join(root, 'app/package.json'), 'utf8'));
  expect(run('--version')).toMatchObject({ status: 0, stdout: `openshell-sideload ${version}\n`, stderr: '' });
  expect(run('backstop')).toMatchObject({ status: 0, stdout: expect.stringContaining('kind: ValidatingAdmissionPolicy'), stderr: '' });
});

it('tells scanners what it holds, with the licences', () => {
  const status = readdirSync(join(root, 'var/lib/dpkg/status.d'));
  expect(status.sort()).toEqual(['libc6', 'libgcc-s1', 'libstdc++6']);
  for (const name of status) {
    expect(readFileSync(join(root, 'var/lib/dpkg/status.d', name), 'utf8')).toMatch(
      new RegExp(`^Package: ${name.replaceAll('+', '\\+')}\n`),
    );
    expect(readFileSync(join(root, 'usr/share/doc', name, 'copyright'), 'utf8')).not.toBe('');
  }
  expect(readFileSync(join(root, 'usr/local/LICENSE'), 'utf8')).toMatch(/^Node\.js is licensed/);
  expect(JSON.parse(readFileSync(join(root, 'app/sbom.cdx.json'), 'utf8')).components).not.toEqual([]);
});

it('serves reviews', async () => {
  const tls = join(root, 'tls');
  await ensureLocalCertificates(tls, namesOfService('openshell-sideload', 'openshell-system'));
  execFileSync('chown', ['--recursive', config.config.User, tls]);
  const [port = 0, adminPort = 0] = await freePorts(2);
  const flags = ['--tls-cert-dir=/tls', '--bind-address=127.0.0.1', `--port=${port}`, `--admin-port=${adminPort}`, '--shutdown-delay=0'];
  const webhook = start('the image', 'chroot', inside(flags), join(dir, 'log'), ROOT_ENVIRONMENT);
  const client = createClient(port, readFileSync(join(tls, CA_FILE), 'utf8'), 1);
  try {
    await waitFor('a ready webhook', () => isReady(adminPort), [webhook]);
    const sent = postReview(Buffer.from(JSON.stringify(review(sandbox()))));
    expect(judge(sent, await client.send(sent)).patched).toBeDefined();
  } finally {
    client.close();
    await webhook.stop();
  }
});
