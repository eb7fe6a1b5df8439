import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer as createPlainServer } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { readConfig } from '../src/config/config.ts';
import { isPublic } from '../src/registry/addresses.ts';
import { readChallenges } from '../src/registry/authentication.ts';
import { Body, bodyMemory } from '../src/registry/body.ts';
import { type Attempt, attemptsFor, type FoundImage, findImage } from '../src/registry/client.ts';
import { type Credential, credentialsFor, type Keyring, readKeyring } from '../src/registry/credentials.ts';
import { digestOf } from '../src/registry/documents.ts';
import { ImageError } from '../src/registry/image-error.ts';
import { openLookups } from '../src/registry/lookups.ts';
import { repeatedMember } from '../src/registry/members.ts';
import { Recent } from '../src/registry/recent.ts';
import type { RegistryAccess } from '../src/registry/transport.ts';
import { openImageSources } from '../src/server/images.ts';
import { issueServing, makeAuthority } from '../src/tls/issue.ts';

const OCI = 'application/vnd.oci.image';
const DOCKER = 'application/vnd.docker';
const bytes = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** A registry that the test fills: what it holds by path below /v2/, and what it does instead. */
class Registry {
  readonly held = new Map<string, { readonly type: string; readonly body: Buffer }>();
  readonly asked: { readonly line: string; readonly authorization: string | undefined }[] = [];
  before: Handler | undefined;

  handle: Handler = (request, response) => {
    this.asked.push({ line: `${request.method} ${request.url}`, authorization: request.headers.authorization });
    this.before?.(request, response);
    if (response.headersSent || response.writableEnded || response.destroyed) return;
    const found = this.held.get((request.url ?? '').replace('/v2/', ''));
    if (!found) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, {
      'content-type': found.type,
      'docker-content-digest': digestOf(found.body),
      'content-length': found.body.length,
    });
    response.end(request.method === 'HEAD' ? undefined : found.body);
  };

  hold(repository: string, kind: 'manifests' | 'blobs', type: string, body: Buffer, ...tags: readonly string[]): string {
    const digest = digestOf(body);
    for (const name of [digest, ...tags]) this.held.set(`${repository}/${kind}/${name}`, { type, body });
    return digest;
  }

  /** Holds an image for one platform; returns the digest of its manifest. */
  image(repository: string, config: object, { architecture = 'amd64', family = OCI, tags = [] as readonly string[] } = {}): string {
    const [manifestType, configType] =
      family === OCI
        ? [`${OCI}.manifest.v1+json`, `${OCI}.config.v1+json`]
        : [`${DOCKER}.distribution.manifest.v2+json`, `${DOCKER}.container.image.v1+json`];
    const blob = bytes({ os: 'linux', architecture, config });
    const digest = this.hold(repository, 'blobs', 'application/octet-stream', blob);
    const manifest = {
      schemaVersion: 2,
      mediaType: manifestType,
      config: { mediaType: configType, digest, size: blob.length },
      layers: [],
    };
    return this.hold(repository, 'manifests', manifestType, bytes(manifest), ...tags);
  }

  /** Holds an index of manifests that are there; returns its digest. */
  index(repository: string, entries: readonly object[], tag: string, type = `${OCI}.index.v1+json`): string {
    return this.hold(repository, 'manifests', type, bytes({ schemaVersion: 2, mediaType: type, manifests: entries }), tag);
  }
}

let registry: Registry;
let server: Server;
let host: string;
let access: RegistryAccess;

beforeAll(async () => {
  const [now, end] = [new Date(), new Date(Date.now() + 3_600_000)];
  const ca = await makeAuthority('registry', now, end);
  const { cert, key } = await issueServing(ca, { dns: ['localhost'], ips: ['127.0.0.1'] }, now, end);
  server = createServer({ cert, key }, (request, response) => registry.handle(request, response));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  host = `localhost:${(server.address() as AddressInfo).port}`;
  access = { hosts: [host], plainHttp: [], mirrors: new Map(), ca: ca.cert, memory: bodyMemory(), nameServers: [] };
});
afterAll(() => {
  // Whatever was read, or broken off.
  expect(access.memory.taken).toBe(0);
  server.closeAllConnections();
  server.close();
});

const PROGRAM = { Entrypoint: ['/bin/agent', '--serve'], Cmd: ['--port', '80'], Env: ['PATH=/bin'], WorkingDir: '/srv', User: '1000' };
const READ = { entrypoint: PROGRAM.Entrypoint, cmd: PROGRAM.Cmd, env: PROGRAM.Env, workingDir: '/srv', user: '1000' };
const amd64 = (digest: string) => ({ digest, size: 1, platform: { os: 'linux', architecture: 'amd64' } });
const arm64 = (digest: string) => ({ digest, size: 1, platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } });
const secret = (username: string, password: string): Credential => ({ username, password, identityToken: '' });

/** Begins with an empty registry. */
function fresh(): Registry {
  registry = new Registry();
  return registry;
}

/** What an image may be read with: each credential for every registry. */
const keyringOf = (credential: Credential): Keyring => [{ host: new URL(`https://${host}`).host, path: '', credential }];

/** Finds an image and reads it. */
async function readImage(reference: string, credentials: readonly Credential[], how: RegistryAccess) {
  const { digest, read } = await findImage('agents', reference, attemptsFor(reference, credentials.map(keyringOf), how), how);
  return { digest, configs: await read() };
}

/** What goes wrong. */
async function problem(image: string, credentials: readonly Credential[] = [], other: Partial<RegistryAccess> = {}): Promise<ImageError> {
  const error = await readImage(image, credentials, { ...access, ...other }).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(ImageError);
  return error as ImageError;
}

describe('an image', () => {
  it.each([OCI, DOCKER])('is read by its tag, and then by digests only: %s', async (family) => {
    const digest = fresh().image('team/agent', PROGRAM, { family, tags: ['1.0'] });
    expect(await readImage(`${host}/team/agent:1.0`, [], access)).toMatchObject({ digest, configs: [READ] });
    expect(registry.asked.map(({ line }) => line.replaceAll(/sha256:\w+/g, 'DIGEST'))).toEqual([
      'HEAD /v2/team/agent/manifests/1.0',
      'GET /v2/team/agent/manifests/DIGEST',
      'GET /v2/team/agent/blobs/DIGEST',
    ]);
  });

  it('that is named by a digest needs no tag, and one without a tag is latest', async () => {
    const digest = fresh().image('agent', PROGRAM, { tags: ['latest'] });
    expect(await readImage(`${host}/agent:gone@${digest}`, [], access)).toMatchObject({ digest, configs: [READ] });
    expect(await readImage(`${host}/agent`, [], access)).toMatchObject({ digest, configs: [READ] });
  });

  it('of several platforms is read for each of Linux, without attestations and Windows', async () => {
    const [one, other] = [fresh().image('agent', PROGRAM), registry.image('agent', { Cmd: ['other'] }, { architecture: 'arm64' })];
    const attestation = {
      ...{ digest: digestOf(bytes('x')), size: 1, platform: { os: 'unknown', architecture: 'unknown' } },
      annotations: { 'vnd.docker.reference.type': 'attestation-manifest' },
    };
    const windows = { digest: digestOf(bytes('y')), size: 1, platform: { os: 'windows', architecture: 'amd64' } };
    const digest = registry.index('agent', [amd64(one), arm64(other), attestation, windows], '1');
    const read = await readImage(`${host}/agent:1`, [], access);
    expect(read.digest).toBe(digest);
    expect(read.configs.map(({ platform, cmd }) => [platform.architecture, cmd])).toEqual([
      ['amd64', PROGRAM.Cmd],
      ['arm64', ['other']],
    ]);
  });

  it.each([
    // CRI-O takes it where nothing else fits.
    { why: 'no platform', platform: undefined, config: 'amd64', read: '' },
    { why: 'no system', platform: { architecture: 'arm64' }, config: 'arm64', read: 'arm64' },
    { why: 'another case', platform: { os: 'Linux', architecture: 'AMD64' }, config: 'amd64', read: 'amd64' },
    { why: 'an old name of its architecture', platform: { os: 'linux', architecture: 'armhf' }, config: 'amd64', read: 'arm' },
    { why: 'another name of its architecture', platform: { os: 'linux', architecture: 'x86_64' }, config: 'amd64', read: 'amd64' },
    {
      why: 'a platform that its configuration contradicts',
      platform: { os: 'linux', architecture: 'arm64' },
      config: 'amd64',
      read: 'arm64',
    },
  ])('in an index with $why is read as a node chooses it', async ({ platform, config, read }) => {
    const digest = fresh().image('agent', PROGRAM, { architecture: config });
    registry.index('agent', [{ digest, size: 1, ...(platform ? { platform } : {}) }], '1');
    const { configs } = await readImage(`${host}/agent:1`, [], access);
    expect(configs.map(({ platform: found }) => found.architecture)).toEqual([read]);
  });

  it.each([
    { why: 'no system', platform: { architecture: 'amd64' }, read: 'amd64' },
    { why: 'no platform', platform: undefined, read: '' },
  ])('in an index with $why counts, though its configuration says Windows', async ({ platform, read }) => {
    const [one, blob] = [fresh().image('agent', PROGRAM, { architecture: 'arm64' }), bytes({ os: 'windows', config: { Cmd: ['hidden'] } })];
    const config = { mediaType: `${OCI}.config.v1+json`, digest: registry.hold('agent', 'blobs', 'x', blob), size: blob.length };
    const other = registry.hold('agent', 'manifests', `${OCI}.manifest.v1+json`, bytes({ schemaVersion: 2, config }));
    registry.index('agent', [arm64(one), { digest: other, size: 1, ...(platform ? { platform } : {}) }], '1');
    const { configs } = await readImage(`${host}/agent:1`, [], access);
    expect(configs.map(({ platform: found, cmd }) => [found.os, found.architecture, cmd])).toEqual([
      ['linux', 'arm64', PROGRAM.Cmd],
      ['linux', read, ['hidden']],
    ]);
  });

  it('of a registry that tells no digest is read by the digest of what it sends', async () => {
    const digest = fresh().image('agent', PROGRAM, { tags: ['1'] });
    registry.before = (_request, response) => {
      const write = response.writeHead.bind(response);
      response.writeHead = ((status: number, headers?: Record<string, string>) =>
        write(
          status,
          Object.fromEntries(Object.entries(headers ?? {}).filter(([name]) => name !== 'docker-content-digest')),
        )) as typeof response.writeHead;
    };
    expect(await readImage(`${host}/agent:1`, [], access)).toMatchObject({ digest, configs: [READ] });
  });

  it('with neither ENTRYPOINT nor CMD has no words', async () => {
    fresh().image('agent', {}, { tags: ['1'] });
    expect((await readImage(`${host}/agent:1`, [], access)).configs[0]).toMatchObject({ entrypoint: [], cmd: [], env: [], user: '' });
  });
});

describe('credentials', () => {
  const users = { right: secret('user', 'right'), wrong: secret('user', 'wrong') };
  const isRight = (authorization: string | undefined): boolean => authorization === `Basic ${Buffer.from('user:right').toString('base64')}`;

  it('are sent as Basic where the registry asks, and only then', async () => {
    fresh().image('agent', PROGRAM, { tags: ['1'] });
    registry.before = ({ headers }, response) => {
      if (!isRight(headers.authorization)) response.writeHead(401, { 'www-authenticate': 'Basic realm="registry"' }).end();
    };
    expect(await readImage(`${host}/agent:1`, [users.right], access)).toMatchObject({ configs: [READ] });
    expect(registry.asked[0]?.authorization).toBeUndefined();
    expect(await problem(`${host}/agent:1`, [users.wrong])).toMatchObject({
      problem: 'unauthorized',
      message: expect.stringContaining('(401)'),
    });
    expect(await problem(`${host}/agent:1`)).toMatchObject({ message: expect.stringContaining('refuses anonymous access') });
  });

  it('are tried in order until one is accepted', async () => {
    fresh().image('agent', PROGRAM, { tags: ['1'] });
    registry.before = ({ headers }, response) => {
      if (!isRight(headers.authorization)) response.writeHead(401, { 'www-authenticate': 'Basic realm="registry"' }).end();
    };
    expect(await readImage(`${host}/agent:1`, [users.wrong, users.right], access)).toMatchObject({ configs: [READ] });
  });

  it.each([
    { why: 'a password', credential: users.right, line: /^GET \/token\?service=reg&scope=repository%3Aagent%3Apull$/, basic: true },
    { why: 'an identity token', credential: { ...users.right, identityToken: 'id' }, line: /^POST \/token$/, basic: false },
    { why: 'nothing', credential: undefined, line: /^GET \/token\?/, basic: false },
  ])('are exchanged for a token: $why', async ({ credential, line, basic }) => {
    fresh().image('agent', PROGRAM, { tags: ['1'] });
    registry.before = ({ url = '', headers }, response) => {
      if (url.startsWith('/token')) response.end('{"token": "t0ken"}');
      else if (headers.authorization !== 'Bearer t0ken')
        response.writeHead(401, { 'www-authenticate': `Bearer realm="https://${host}/token",service="reg"` }).end();
    };
    expect(await readImage(`${host}/agent:1`, credential ? [credential] : [], access)).toMatchObject({ configs: [READ] });
    const [token] = registry.asked.filter(({ line: asked }) => asked.includes('/token'));
    expect(token?.line).toMatch(line);
    expect(isRight(token?.authorization)).toBe(basic);
  });

  it('never go where a blob is sent on to', async () => {
    fresh().image('agent', PROGRAM, { tags: ['1'] });
    registry.before = ({ url = '', headers }, response) => {
      if (url.startsWith('/cdn/')) {
        const blob = registry.held.get(url.replace('/cdn/', 'agent/blobs/'));
        response.end(blob?.body);
      } else if (!isRight(headers.authorization)) response.writeHead(401, { 'www-authenticate': 'Basic realm="r"' }).end();
      else if (url.includes('/blobs/')) response.writeHead(307, { location: `/cdn/${url.split('/').at(-1)}` }).end();
    };
    expect(await readImage(`${host}/agent:1`, [users.right], access)).toMatchObject({ configs: [READ] });
    const sent = registry.asked.filter(({ line }) => line.includes('/cdn/'));
    expect(sent.map(({ authorization }) => authorization)).toEqual([undefined]);
  });
});

describe('a host with *', () => {
  it.each([
    ['*.example.com', 'a.example.com', true],
    ['*.example.com', 'example.com', false],
    ['*.example.com', 'a.b.example.com', false],
    ['r*y.example', 'registry.example', true],
    ['r*y.example', 'ry.example', true],
    ['r*ry.example', 'ry.example', false],
    ['*i*t*.example', 'registry.example', true],
    ['*t*i*.example', 'registry.example', false],
    ['registry.example', 'registryxexample', false],
    [`${'*a'.repeat(200)}b.example`, `${'a'.repeat(5000)}.example`, false],
  ])('%s fits %s: %s', (pattern, name, fits) => {
    const keyring = readKeyring(JSON.stringify({ auths: { [pattern]: { username: 'u', password: 'p' } } }));
    expect(credentialsFor(`${name}/agent`, [keyring])).toHaveLength(fits ? 1 : 0);
  });

  it('is one of a thousand at most', () => {
    const auths = Object.fromEntries(Array.from({ length: 1001 }, (_, n) => [`r${n}.example`, { username: 'u', password: 'p' }]));
    expect(() => readKeyring(JSON.stringify({ auths }))).toThrow('it holds more than 1000 registries');
  });
});

describe('a name that a URL would read as another host', () => {
  it.each([
    'evil%2ecom\\.azurecr.io/a',
    'evil.com?.azurecr.io/a',
    'evil.com#.azurecr.io/a',
    'evil.com\\.azurecr.io/a',
    'user@evil.com.azurecr.io/a',
    'evil。com.azurecr.io/a',
    '134744072\\.azurecr.io/a',
    '2130706433:80/a',
    '[::ffff:127.0.0.1]/a',
  ])('is asked nowhere, least of all with credentials: %s', async (image) => {
    fresh();
    const keyring = readKeyring(JSON.stringify({ auths: { '*.azurecr.io': { username: 'u', password: 'p' } } }));
    const anywhere = { ...access, hosts: [] };
    const error = await findImage('agents', image, attemptsFor(image, [keyring], anywhere), anywhere).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ problem: 'broken', message: expect.stringContaining('is no image name') });
  });
});

describe('a hostile registry', () => {
  const heapBefore = getHeapStatistics().used_heap_size;

  it('that changes the protocol is broken off', async () => {
    fresh();
    registry.before = (request) => {
      request.socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n');
    };
    expect(await problem(`${host}/agent:1`)).toMatchObject({ problem: 'broken', message: expect.stringContaining('changes the protocol') });
    registry.before = undefined;
  });

  it.each([
    { why: 'many words', config: { Cmd: Array.from({ length: 2_001 }, () => 'x') }, says: 'more than 2000 words' },
    { why: 'a long word', config: { Cmd: ['x'.repeat(200_000)] }, says: 'characters in them' },
    { why: 'long variables', config: { Env: [`A=${'$'.repeat(200_000)}`] }, says: 'characters in them' },
    {
      why: 'another spelling of ENV',
      config: { Entrypoint: ['x'], env: ['LD_PRELOAD=/x'] },
      says: 'a member "env", which programs read differently',
    },
    { why: 'a spelling that Go folds', config: { Entrypoint: ['x'], WorKingDir: '/x' }, says: 'which programs read differently' },
  ])('cannot bring a configuration with $why', async ({ config, says }) => {
    fresh().image('agent', config, { tags: ['1'] });
    expect(await problem(`${host}/agent:1`)).toMatchObject({ problem: 'broken', message: expect.stringContaining(says) });
  });

  it('cannot hide an entry behind a digest that is not read', async () => {
    const digest = fresh().image('agent', PROGRAM);
    registry.index('agent', [{ ...amd64(`sha512:${'a'.repeat(128)}`) }, amd64(digest)], '1');
    expect((await problem(`${host}/agent:1`)).message).toContain('an entry without size or sha256 digest');
  });

  const hidden = '{"os":"linux","architecture":"amd64","config":{"Env":["LD_PRELOAD=/x"]},"config":{"Cmd":["x"]}}';
  it.each([
    { why: 'a configuration twice', config: hidden, says: 'has two members "config" in one object' },
    {
      why: 'variables twice, once in other letters',
      config: '{"config":{"Env":["LD_PRELOAD=/x"],"Cmd":["x"],"\\u0045nv":[]}}',
      says: 'has two members "Env" in one object',
    },
    { why: 'a label twice', config: '{"config":{"Labels":{"a":"1","a":"2"}}}', says: 'has two members "a" in one object' },
  ])('cannot hide $why', async ({ config, says }) => {
    const blob = Buffer.from(config);
    const digest = fresh().hold('agent', 'blobs', 'application/octet-stream', blob);
    const descriptor = { mediaType: `${OCI}.config.v1+json`, digest, size: blob.length };
    registry.hold('agent', 'manifests', `${OCI}.manifest.v1+json`, bytes({ schemaVersion: 2, config: descriptor }), '1');
    expect(await problem(`${host}/agent:1`)).toMatchObject({ problem: 'broken', message: expect.stringContaining(says) });
  });

  it.each([
    { why: 'the platform of an entry', entry: (entry: object) => ({ ...entry, platform: { os: 'windows', OS: 'linux' } }), says: '"OS"' },
    { why: 'an entry', entry: (entry: object) => ({ ...entry, Digest: 'x' }), says: '"Digest"' },
  ])('cannot hide $why behind another spelling', async ({ entry, says }) => {
    const [one, other] = [fresh().image('agent', PROGRAM), registry.image('agent', { Cmd: ['other'] })];
    registry.index('agent', [amd64(one), entry(amd64(other))], '1');
    expect((await problem(`${host}/agent:1`)).message).toContain(`${says}, which programs read differently`);
  });

  it('fills no memory with the name of a platform', async () => {
    const digest = fresh().image('agent', PROGRAM);
    registry.index('agent', [{ digest, size: 1, platform: { architecture: 'x'.repeat(1_000_000) } }], '1');
    expect((await problem(`${host}/agent:1`)).message).toContain('has a platform of more than 50 characters');
  });

  it('that sends no end with an error is not waited for', async () => {
    fresh();
    registry.before = ({ method }, response) => {
      if (method === 'HEAD') response.writeHead(200).end();
      else response.writeHead(404).write('x');
    };
    expect(await problem(`${host}/agent:1@sha256:${'0'.repeat(64)}`)).toMatchObject({ problem: 'not-found' });
  });

  it('cannot hide the config of a manifest behind another spelling', async () => {
    fresh();
    const config = { mediaType: `${OCI}.config.v1+json`, digest: digestOf(bytes('x')), Digest: digestOf(bytes('y')), size: 1 };
    registry.hold('agent', 'manifests', `${OCI}.manifest.v1+json`, bytes({ schemaVersion: 2, config }), '1');
    expect((await problem(`${host}/agent:1`)).message).toContain('"Digest", which programs read differently');
  });

  it('may name labels as it likes', async () => {
    fresh().image('agent', { ...PROGRAM, Labels: { os: '1', OS: '2', env: '3' }, Size: 1 }, { tags: ['1'] });
    expect(await readImage(`${host}/agent:1`, [], access)).toMatchObject({ configs: [READ] });
  });

  it('has the last of several variables of a name, as for a runtime', async () => {
    fresh().image('agent', { Cmd: ['x'], Env: ['A=1', 'B=2', 'A=3'] }, { tags: ['1'] });
    expect((await readImage(`${host}/agent:1`, [], access)).configs[0]?.env).toEqual(['A=3', 'B=2']);
  });

  it('fills no memory with what it writes into messages', async () => {
    fresh();
    const type = 'x'.repeat(1_000_000);
    registry.hold('agent', 'manifests', `${OCI}.index.v1+json`, bytes({ mediaType: type, manifests: [] }), '1');
    expect((await problem(`${host}/agent:1`)).message.length).toBeLessThanOrEqual(500);
  });

  it('keeps nothing in memory of which a message shows the beginning', () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const errors = Array.from({ length: 100 }, (_, n) => new ImageError('broken', String(n).padEnd(2 ** 20, 'x')));
    collect();
    expect(errors).toHaveLength(100);
    expect(getHeapStatistics().used_heap_size).toBeLessThan(heapBefore + 50 * 2 ** 20);
  });
});

describe('Docker Hub', () => {
  it.each(['nginx', 'docker.io/library/nginx:1', 'index.docker.io/library/nginx'])('is asked at its registry: %s', async (image) => {
    expect((await problem(image)).message).toBe('registry registry-1.docker.io is not in --registry-hosts');
  });

  it('is listed by the name that its images have', async () => {
    const none = { onChange: () => undefined, onProblem: () => undefined };
    const { access: opened } = await openImageSources(readConfig(['--registry-hosts=docker.io,ghcr.io'], {}), undefined, none);
    expect(opened.hosts).toEqual(['registry-1.docker.io', 'ghcr.io']);
  });
});

describe('any image name', () => {
  /** Parts of names, and what no name has. */
  const part = fc.constantFrom(
    'a',
    'A',
    'docker.io',
    'localhost',
    '127.0.0.1',
    '[::1]',
    ':',
    '/',
    '//',
    '@',
    '#',
    '?',
    '%2e',
    '..',
    ' ',
    '\0',
    '\n',
    '�',
    'sha256:',
    '80',
    '-',
    '_',
  );

  it('asks a host that is listed, or is an error', async () => {
    const nowhere = { ...access, hosts: ['registry.example'] };
    await fc.assert(
      fc.asyncProperty(fc.array(part, { maxLength: 9 }), async (parts) => {
        const image = parts.join('');
        const error = await findImage('agents', image, attemptsFor(image, [], nowhere), nowhere).catch((thrown: unknown) => thrown);
        expect(error, image).toBeInstanceOf(ImageError);
        expect((error as ImageError).message).not.toMatch(/[\0\n]/);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('a mirror', () => {
  const mirrored = (mirror: string): RegistryAccess => ({ ...access, mirrors: new Map([['registry.example', mirror]]) });

  it('is asked first, below its path, with the credentials for it', async () => {
    const digest = fresh().image('hub/agent', PROGRAM, { tags: ['1'] });
    const read = await readImage('registry.example/agent:1', [secret('user', 'right')], mirrored(`${host}/hub`));
    expect(read).toMatchObject({ digest, configs: [READ] });
    const keyrings = [readKeyring(JSON.stringify({ auths: { 'registry.example': { username: 'u', password: 'origin' } } }))];
    expect(attemptsFor('registry.example/agent:1', keyrings, mirrored(`${host}/hub`))).toEqual([
      { repository: `${host}/hub/agent`, credential: undefined },
      { repository: 'registry.example/agent', credential: secret('u', 'origin') },
    ]);
  });

  it('that fails leaves it to the registry, whose answer counts', async () => {
    fresh();
    const error = await problem('registry.example/agent:1', [], mirrored(`${host}/hub`));
    expect(error.message).toBe('registry registry.example is not in --registry-hosts');
  });
});

describe('what cannot be read', () => {
  const reply =
    (status: number, headers: Record<string, string> = {}, body = ''): Handler =>
    (_request, response) =>
      void response.writeHead(status, headers).end(body);

  it.each([
    { why: 'an image that does not exist', before: reply(404), problem: 'not-found', says: '(404)' },
    { why: 'a limit of requests', before: reply(429), problem: 'limited', says: '429' },
    { why: 'a broken registry', before: reply(503), problem: 'unavailable', says: '503' },
    { why: 'a refusal', before: reply(403), problem: 'unauthorized', says: 'refuses anonymous access' },
    {
      why: 'a redirect of a manifest',
      before: reply(302, { location: 'https://example.com/' }),
      problem: 'broken',
      says: 'which is not followed',
    },
    { why: 'a challenge of no scheme', before: reply(401, { 'www-authenticate': 'Negotiate' }), problem: 'unauthorized', says: '(401)' },
    { why: 'a realm that is no URL', before: reply(401, { 'www-authenticate': 'Bearer realm="x"' }), problem: 'broken', says: 'no URL' },
    {
      why: 'a realm of another host',
      before: reply(401, { 'www-authenticate': 'Bearer realm="https://169.254.169.254/token"' }),
      problem: 'forbidden-host',
      says: '169.254.169.254, which is not on the Internet',
    },
    {
      why: 'a connection that is cut',
      before: ((_request, response) => void response.destroy()) as Handler,
      problem: 'unavailable',
      says: 'ECONNRESET',
    },
  ])('$why is $problem', async ({ before, problem: expected, says }) => {
    fresh().image('agent', PROGRAM, { tags: ['1'] });
    registry.before = before;
    expect(await problem(`${host}/agent:1`)).toMatchObject({ problem: expected, message: expect.stringContaining(says) });
  });

  it.each([
    { why: 'a manifest of another digest', path: '/manifests/sha256', body: '{}', says: 'has digest sha256:' },
    { why: 'a config of another digest', path: '/blobs/', body: '{}', says: 'has digest sha256:' },
    { why: 'a config of 9 MiB', path: '/blobs/', body: 'x'.repeat(9 * 2 ** 20), says: 'more than 8388608 bytes' },
    { why: 'a manifest of 5 MiB', path: '/manifests/sha256', body: 'x'.repeat(5 * 2 ** 20), says: 'more than 4194304 bytes' },
  ])('$why is broken', async ({ path, body, says }) => {
    fresh().image('agent', PROGRAM, { tags: ['1'] });
    registry.before = ({ url = '' }, response) => {
      if (url.includes(path)) response.writeHead(200).end(body);
    };
    expect(await problem(`${host}/agent:1`)).toMatchObject({ problem: 'broken', message: expect.stringContaining(says) });
  });

  it.each([
    { why: 'no JSON', type: `${OCI}.manifest.v1+json`, document: 'x', says: 'is not a JSON object' },
    {
      why: 'an artifact',
      type: `${OCI}.manifest.v1+json`,
      document: { config: { mediaType: 'application/vnd.example', digest: `sha256:${'0'.repeat(64)}`, size: 1 } },
      says: 'which no image has',
    },
    {
      why: 'a signed manifest of schema 1',
      type: `${DOCKER}.distribution.manifest.v1+prettyjws`,
      document: { schemaVersion: 1 },
      says: 'which is no index and no manifest',
    },
    { why: 'an index without Linux', type: `${OCI}.index.v1+json`, document: { manifests: [] }, says: 'has no image for Linux' },
    {
      why: 'an index of nine platforms',
      type: `${OCI}.index.v1+json`,
      document: { manifests: Array.from({ length: 9 }, (_, n) => amd64(digestOf(bytes(n)))) },
      says: '9 images for Linux',
    },
  ])('$why says so', async ({ type, document, says }) => {
    fresh().hold('agent', 'manifests', type, bytes(document), '1');
    expect((await problem(`${host}/agent:1`)).message).toContain(says);
  });

  it('an index in an index says so', async () => {
    const inner = fresh().index('agent', [amd64(digestOf(bytes('x')))], 'inner');
    registry.index('agent', [amd64(inner)], '1');
    expect((await problem(`${host}/agent:1`)).message).toContain('has an index in its index');
  });

  it('a registry that never responds is unavailable', async () => {
    fresh().before = (_request, response) => void response.writeHead(200, { 'content-length': '10' }).write('{');
    expect(await problem(`${host}/agent:1@sha256:${'0'.repeat(64)}`)).toMatchObject({ problem: 'unavailable', passes: true });
  });

  it('a registry without TLS, one that is not trusted, and one that does not exist say so', async () => {
    fresh();
    expect(await problem(`${host}/agent:1`, [], { ca: '' })).toMatchObject({ problem: 'untrusted' });
    expect(await problem('registry.invalid/agent:1', [], { hosts: [] })).toMatchObject({
      message: expect.stringContaining('registry.invalid'),
    });
    const closed = createPlainServer().listen(0, '127.0.0.1');
    await once(closed, 'listening');
    const { port } = closed.address() as AddressInfo;
    await new Promise((done) => closed.close(done));
    const gone = `localhost:${port}`;
    expect(await problem(`${gone}/agent:1`, [], { hosts: [gone] })).toMatchObject({ problem: 'unavailable', passes: true });
  });

  it.each(['127.0.0.1:5000', '10.0.0.1', '169.254.169.254', '[::1]:5000', 'localhost:5000', '0.0.0.0:5000'])(
    'a registry at %s is not asked unless it is listed',
    async (name) => {
      fresh();
      expect(await problem(`${name}/agent:1`, [], { hosts: [] })).toMatchObject({ problem: 'forbidden-host' });
      expect(registry.asked).toEqual([]);
    },
  );

  it('a registry that is not listed is not asked', async () => {
    expect(await problem('registry.example/agent:1')).toMatchObject({ message: 'registry registry.example is not in --registry-hosts' });
  });

  it('a blob that is sent on to a private address is not read', async () => {
    fresh().image('agent', PROGRAM, { tags: ['1'] });
    registry.before = ({ url = '' }, response) => {
      if (url.includes('/blobs/')) response.writeHead(307, { location: 'https://169.254.169.254/latest' }).end();
    };
    expect(await problem(`${host}/agent:1`)).toMatchObject({ problem: 'forbidden-host' });
  });
});

describe('addresses on the Internet', () => {
  it.each(['8.8.8.8', '1.1.1.1', '2606:4700::1111', '::ffff:8.8.8.8'])('%s is one', (address) => expect(isPublic(address)).toBe(true));
  it.each([
    ...['127.0.0.1', '10.1.2.3', '172.31.0.1', '192.168.1.1', '169.254.169.254', '100.64.0.1', '0.0.0.0', '224.0.0.1', '255.255.255.255'],
    ...['::1', '::', 'fe80::1', 'fd00::1', '::ffff:127.0.0.1', '64:ff9b::7f00:1', '2002:7f00:1::', '2001:db8::1', 'localhost', ''],
  ])('%s is none', (address) => expect(isPublic(address)).toBe(false));
});

describe('challenges', () => {
  it.each([
    ['Basic realm="r"', [{ scheme: 'basic', parameters: { realm: 'r' } }]],
    [
      'Bearer realm="https://a/t",service="s, t",scope=x',
      [{ scheme: 'bearer', parameters: { realm: 'https://a/t', service: 's, t', scope: 'x' } }],
    ],
    [
      'Negotiate, Basic realm="a\\"b", charset="UTF-8"',
      [
        { scheme: 'negotiate', parameters: {} },
        { scheme: 'basic', parameters: { realm: 'a"b', charset: 'UTF-8' } },
      ],
    ],
    ['', []],
  ])('%s', (header, expected) => expect(readChallenges(header)).toEqual(expected));
});

describe('a keyring', () => {
  const auth = (text: string): string => Buffer.from(text).toString('base64');
  const passwords = (repository: string, ...texts: object[]): string[] =>
    credentialsFor(
      repository,
      texts.map((text) => readKeyring(JSON.stringify(text))),
    ).map(({ password }) => password);

  it('is read from .dockerconfigjson and .dockercfg, and gives the longest prefix first', () => {
    const config = {
      auths: {
        'registry.example': { auth: auth('u:host') },
        'registry.example/team': { username: 'u', password: 'team' },
        'https://registry.example/v2/': { auth: auth('u:url') },
        'registry.example/team-b': { auth: auth('u:other') },
      },
    };
    expect(passwords('registry.example/team/agent', config)).toEqual(['team', 'host', 'url']);
    expect(passwords('registry.example/team/agent', { 'registry.example': { auth: auth('u:old:with:colons') } })).toEqual([
      'old:with:colons',
    ]);
  });

  it('knows the names of Docker Hub, and globs in a host', () => {
    expect(passwords('docker.io/library/nginx', { auths: { 'https://index.docker.io/v1/': { auth: auth('u:hub') } } })).toEqual(['hub']);
    expect(passwords('a.registry.example/x', { auths: { '*.registry.example': { auth: auth('u:glob') } } })).toEqual(['glob']);
    expect(passwords('a.b.registry.example/x', { auths: { '*.registry.example': { auth: auth('u:glob') } } })).toEqual([]);
  });

  it('leaves out what is no credential, and gives equal ones once', () => {
    expect(passwords('registry.example/x', { auths: { 'registry.example': {}, 'registry.example/x': null } })).toEqual([]);
    const one = { auths: { 'registry.example': { auth: auth('u:p') } } };
    expect(passwords('registry.example/x', one, one)).toEqual(['p']);
  });

  it.each(['', '[]', 'null', '"x"'])('that is %j says so, and repeats nothing', (text) => {
    expect(() => readKeyring(text)).toThrow(/^it (is not JSON|holds no registries)$/);
  });
});

describe('what a registry sends', () => {
  it('is not parsed where it holds more values than anything that is read here', async () => {
    fresh();
    const many = bytes({ schemaVersion: 2, manifests: Array.from({ length: 200_000 }, () => 1) });
    registry.hold('agent', 'manifests', `${OCI}.index.v1+json`, many, 'many');
    expect(await problem(`${host}/agent:many`)).toMatchObject({
      problem: 'broken',
      message: expect.stringContaining('more than 70000 values'),
    });
  });

  /** Sends as much as one document may have, and no end. */
  const flood =
    (mebibytes: number): Handler =>
    ({ method, url = '' }, response) => {
      if (!url.includes('/manifests/large')) return;
      response.writeHead(200, { 'content-type': `${OCI}.index.v1+json` });
      if (method === 'HEAD') response.end();
      else response.write(Buffer.alloc(mebibytes * 1024 * 1024, ' '));
    };

  it('takes memory for one namespace only, which is free again after', async () => {
    fresh().image('agent', PROGRAM, { tags: ['1'] });
    registry.before = flood(3);
    const memory = bodyMemory();
    const how = { ...access, memory };
    const large = (owner: string, n: number) =>
      findImage(owner, `${host}/agent:large${n}`, attemptsFor(`${host}/agent:large${n}`, [], how), how).catch((thrown: unknown) => thrown);
    const flooding = Array.from({ length: 6 }, (_, n) => large('hostile', n));
    await vi.waitFor(() => expect(memory.taken).toBeGreaterThan(4 * 1024 * 1024));
    // Its own large document finds no room, those of another namespace do.
    expect(memory.hasRoom('hostile', 8 * 1024 * 1024)).toBe(false);
    expect(memory.hasRoom('others', 8 * 1024 * 1024)).toBe(true);
    const errors = await Promise.all(flooding);
    expect(errors.map((error) => (error as ImageError).problem)).toEqual(Array.from({ length: 6 }, () => 'unavailable'));
    expect(errors.map((error) => (error as ImageError).message)).toContain(
      'registries send more than 8 MiB at once for one namespace, or 32 MiB for all',
    );
    await vi.waitFor(() => expect(memory.taken).toBe(0));
  });

  it('is read where nothing is left, if it is as short as documents of images are', async () => {
    fresh().image('agent', PROGRAM, { tags: ['1'] });
    const memory = bodyMemory();
    for (const owner of ['a', 'b', 'c', 'd']) memory.take(owner, 8 * 1024 * 1024);
    expect(await readImage(`${host}/agent:1`, [], { ...access, memory })).toMatchObject({ configs: [READ] });
    registry.image('agent', { ...PROGRAM, Labels: { text: 'x'.repeat(100_000) } }, { tags: ['2'] });
    expect(await problem(`${host}/agent:2`, [], { memory })).toMatchObject({ problem: 'unavailable' });
    await vi.waitFor(() => expect(memory.taken).toBe(32 * 1024 * 1024));
  });

  it('takes no more memory in parts of a byte than as a whole', () => {
    const memory = bodyMemory();
    const body = new Body(memory, 'agents', 1024 * 1024);
    const part = Buffer.from('x');
    let added = 0;
    while (body.add(part)) added++;
    expect(added).toBe(1024 * 1024);
    expect(body.bytes.toString()).toBe('x'.repeat(1024 * 1024));
    expect(memory.taken).toBe(1024 * 1024 - 64 * 1024);
    body.release();
    body.release();
    expect([memory.taken, body.bytes.length]).toEqual([0, 0]);
  });

  it('is read no further once one platform cannot be read', async () => {
    const [good, gone] = [fresh().image('agent', PROGRAM), digestOf(bytes('gone'))];
    registry.index('agent', [amd64(good), arm64(gone)], '1');
    const memory = bodyMemory();
    registry.before = ({ url = '' }, response) => {
      const isConfig = url.includes('/blobs/');
      if (!isConfig && !url.includes(gone)) return;
      response.writeHead(200).write(isConfig ? Buffer.alloc(1024 * 1024) : '{');
      if (!isConfig) void vi.waitFor(() => expect(memory.taken).toBeGreaterThan(0)).then(() => response.end());
    };
    expect(await problem(`${host}/agent:1`, [], { memory })).toMatchObject({ message: expect.stringContaining('has digest') });
    // The connection to the other is closed within a few turns, and not at its time limit.
    for (let turn = 0; turn < 100 && memory.taken > 0; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(memory.taken).toBe(0);
  });
});

describe('lookups', () => {
  const config = {
    platform: { os: 'linux', architecture: 'amd64', variant: undefined },
    entrypoint: ['x'],
    cmd: [],
    env: [],
    workingDir: '',
    user: '',
  };
  const anyAccess: RegistryAccess = { hosts: [], plainHttp: [], mirrors: new Map(), ca: '', memory: bodyMemory(), nameServers: [] };

  const as = (password: string): Attempt => ({ repository: 'r/agent', credential: secret('u', password) });

  /** Lookups at a registry that counts: it has every image, under the digest of its name, unless `fails` says otherwise. */
  function counted({ fails = (): ImageError | undefined => undefined } = {}) {
    const calls = { found: 0, read: 0 };
    let now = 0;
    const find = async (_owner: string, reference: string): Promise<FoundImage> => {
      calls.found++;
      const failure = fails();
      if (failure) throw failure;
      const read = async () => {
        calls.read++;
        return [config];
      };
      return { digest: digestOf(bytes(reference.replace(/^.*\//, ''))), read };
    };
    const wait = (milliseconds: number): void => {
      now += milliseconds;
    };
    return { calls, wait, lookups: openLookups(anyAccess, find, () => now) };
  }

  it('ask once for all that wait for the same image, and not again for half a minute', async () => {
    const { calls, wait, lookups } = counted();
    const found = await Promise.all(Array.from({ length: 100 }, () => lookups.find('agents', 'r/agent:1', [])));
    expect(new Set(found.map(({ digest }) => digest)).size).toBe(1);
    expect([calls, lookups.inFlight()]).toEqual([{ found: 1, read: 1 }, 0]);
    expect((await lookups.find('agents', 'r/agent:1', [])).source).toBe('cache');
    wait(30_000);
    expect((await lookups.find('agents', 'r/agent:1', [])).source).toBe('digest');
    expect(calls).toEqual({ found: 2, read: 1 });
  });

  it('ask again for another namespace and for other credentials, and read a digest once', async () => {
    const { calls, lookups } = counted();
    await lookups.find('agents', 'r/agent:1', [as('a')]);
    expect((await lookups.find('others', 'r/agent:1', [as('a')])).source).toBe('digest');
    expect((await lookups.find('agents', 'r/agent:1', [as('b')])).source).toBe('digest');
    expect((await lookups.find('agents', 'r/agent:1', [])).source).toBe('digest');
    expect(calls).toEqual({ found: 4, read: 1 });
  });

  it('take what an image runs from its own repository, whatever digest another registry claims', async () => {
    const { calls, lookups } = counted();
    await lookups.find('agents', 'private.example/agent:1', [as('a')]);
    expect((await lookups.find('others', 'attacker.example/agent:1', [])).source).toBe('registry');
    expect(calls).toEqual({ found: 2, read: 2 });
  });

  it.each([
    { problem: 'not-found', milliseconds: 15_000 },
    { problem: 'limited', milliseconds: 15_000 },
    // An API server that got a 503 calls again within 10 s.
    { problem: 'unavailable', milliseconds: 1_000 },
  ] as const)('remember a failure for a while: $problem', async ({ problem, milliseconds }) => {
    let broken = true;
    const { calls, wait, lookups } = counted({ fails: () => (broken ? new ImageError(problem, 'down') : undefined) });
    for (let i = 0; i < 3; i++) await expect(lookups.find('agents', 'r/agent:1', [])).rejects.toThrow('down');
    wait(milliseconds - 1);
    await expect(lookups.find('agents', 'r/agent:1', [])).rejects.toThrow('down');
    expect(calls.found).toBe(1);
    broken = false;
    wait(1);
    expect((await lookups.find('agents', 'r/agent:1', [])).source).toBe('registry');
  });

  it('know an image that was looked up by its digest too', async () => {
    const { calls, lookups } = counted();
    const { digest } = await lookups.find('agents', 'r/agent:1', []);
    expect((await lookups.find('agents', `r/agent:1@${digest}`, [])).source).toBe('cache');
    expect(calls).toEqual({ found: 1, read: 1 });
  });

  it('are 32 at a time, 8 of one namespace, and the rest wait', async () => {
    const held: (() => void)[] = [];
    let now = 0;
    const find = async (_owner: string, reference: string): Promise<FoundImage> => {
      await new Promise<void>((release) => held.push(release));
      return { digest: digestOf(bytes(reference)), read: async () => [config] };
    };
    const lookups = openLookups(anyAccess, find, () => now++);
    const all = ['a', 'b', 'c', 'd', 'e'].flatMap((owner) =>
      Array.from({ length: 10 }, (_, n) => lookups.find(owner, `r/${owner}:${n}`, [])),
    );
    await new Promise((resolve) => setImmediate(resolve));
    expect([held.length, lookups.inFlight()]).toEqual([32, 32]);
    for (let done = 0; done < 50; done++) {
      held.shift()?.();
      await new Promise((resolve) => setImmediate(resolve));
      expect(lookups.inFlight()).toBeLessThanOrEqual(32);
    }
    expect((await Promise.all(all)).length).toBe(50);
    expect(lookups.inFlight()).toBe(0);
  });

  it('are bounded in memory', async () => {
    const { calls, wait, lookups } = counted();
    wait(30_000);
    for (let n = 0; n < 1100; n++) await lookups.find('agents', `r/agent:${n}`, []);
    const before = calls.read;
    wait(30_000);
    await lookups.find('agents', 'r/agent:0', []);
    await lookups.find('agents', 'r/agent:1099', []);
    expect(calls.read - before).toBe(1);
  });

  it('of one namespace leave places for those of others, where many wait', async () => {
    const held: (() => void)[] = [];
    const find = async (_owner: string, reference: string): Promise<FoundImage> => {
      await new Promise<void>((release) => held.push(release));
      return { digest: digestOf(bytes(reference)), read: async () => [config] };
    };
    const lookups = openLookups(anyAccess, find);
    const ask = (owner: string, count: number) =>
      Array.from({ length: count }, (_, n) => lookups.find(owner, `r/${owner}:${n}`, []).catch((error: unknown) => error));
    const hostile = ask('hostile', 1_100);
    const others = ['b', 'c', 'd', 'e'].flatMap((owner) => ask(owner, 8));
    for (let left = 50; left > 0; left--) {
      held.shift()?.();
      await new Promise((resolve) => setImmediate(resolve));
    }
    const refused = await Promise.race(hostile.slice(-1));
    expect(refused).toMatchObject({ problem: 'unavailable', message: expect.stringContaining('250 of one namespace') });
    for (const each of await Promise.all(others)) expect(each).not.toBeInstanceOf(Error);
    const ends = setInterval(() => held.shift()?.(), 0);
    await Promise.all(hostile);
    clearInterval(ends);
  });
});

describe('what is remembered', () => {
  it('is dropped once it has expired, before anything that still counts', () => {
    let now = 0;
    const recent = new Recent<string>(
      10,
      () => 1,
      () => now,
    );
    recent.set('kept', 'x', 60_000);
    for (let n = 0; n < 9; n++) recent.set(`failure ${n}`, 'x', 1_000);
    now = 2_000;
    for (let n = 0; n < 9; n++) recent.set(`later ${n}`, 'x', 60_000);
    expect(recent.get('kept')).toBe('x');
    expect(recent.get('failure 0')).toBeUndefined();
    now = 60_000;
    expect(recent.get('kept')).toBeUndefined();
  });

  it('of failures is bounded by their length', async () => {
    const { calls, lookups } = failing('x'.repeat(500));
    const fill = async (count: number): Promise<void> => {
      for (let n = 0; n < count; n++) await expect(lookups.find('agents', `r/agent:${n}`, [])).rejects.toThrow('x');
    };
    await fill(2_000);
    await fill(1);
    // The first was forgotten: 2 MiB hold some 1,400 of these.
    expect(calls.found).toBe(2_001);
  });

  it('of a failure does not hold what was under way', async () => {
    const { lookups } = failing('down');
    const [first, second] = [
      await lookups.find('agents', 'r/agent:1', []).catch((e: unknown) => e),
      await lookups.find('agents', 'r/agent:1', []).catch((e: unknown) => e),
    ];
    expect(second).toEqual(first);
    expect(second).not.toBe(first);
  });

  function failing(message: string) {
    const calls = { found: 0 };
    const find = async (): Promise<FoundImage> => {
      calls.found++;
      throw new ImageError('not-found', message);
    };
    return { calls, lookups: openLookups(access, find, () => 0) };
  }
});

describe('a member of JSON', () => {
  /** Text of JSON, and whether an object in it has a name twice; names are escaped in several ways. */
  const name = fc.constantFrom('a', 'b', '', '"', '\\', 'Env', '\u212a', '__proto__', '{', ',');
  const escaped = (text: string): string =>
    `"${[...text].map((character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')}"`;
  type Written = { readonly text: string; readonly repeats: boolean };
  const { value } = fc.letrec<{ value: Written; list: Written; object: Written; plain: Written }>((tie) => ({
    value: fc.oneof({ depthSize: 'small', withCrossShrink: true }, tie('plain'), tie('list'), tie('object')),
    plain: fc.oneof(fc.string(), fc.integer(), fc.constant(null)).map((each) => ({ text: JSON.stringify(each), repeats: false })),
    list: fc.array(tie('value'), { maxLength: 4 }).map((values) => ({
      text: `[${values.map(({ text }) => text).join(', ')}]`,
      repeats: values.some(({ repeats }) => repeats),
    })),
    object: fc.array(fc.tuple(name, fc.boolean(), tie('value')), { maxLength: 4 }).map((members) => ({
      text: `{${members.map(([each, escapes, { text }]) => `${escapes ? escaped(each) : JSON.stringify(each)} : ${text}`).join(',')}}`,
      repeats: new Set(members.map(([each]) => each)).size < members.length || members.some(([, , { repeats }]) => repeats),
    })),
  }));

  it('that an object has twice is found, and no other', () => {
    fc.assert(
      fc.property(value, ({ text, repeats }) => {
        JSON.parse(text);
        expect(repeatedMember(text) !== undefined, text).toBe(repeats);
      }),
      { numRuns: 5_000 },
    );
  });

  it('is found however deep it is, and among many', () => {
    const deep = `${'{"a":['.repeat(20_000)}{"x":1,"x":2}${']}'.repeat(20_000)}`;
    expect(repeatedMember(deep)).toBe('x');
    const many = `{${Array.from({ length: 60_000 }, (_, n) => `"${n}":0`).join(',')},"7":1}`;
    expect(repeatedMember(many)).toBe('7');
    expect(repeatedMember(`{"a":"${'\\\\\\"'.repeat(1_000_000)}","b":"x"}`)).toBeUndefined();
  });
});
