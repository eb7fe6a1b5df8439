/** What is known of an image: the operator's map, the registry with the pod's credentials, and what goes wrong. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { parse } from 'yaml';
import { watchFile } from '../src/observe/watched-file.ts';
import { bodyMemory } from '../src/registry/body.ts';
import type { Attempt, FoundImage } from '../src/registry/client.ts';
import { readKeyring } from '../src/registry/credentials.ts';
import { mapped, readEntrypointMap } from '../src/registry/entrypoint-map.ts';
import { ImageError } from '../src/registry/image-error.ts';
import { type ImageRequest, type ImageSources, openImages } from '../src/registry/images.ts';
import { openLookups } from '../src/registry/lookups.ts';
import { imageOf } from './pods.ts';

const DIGEST = `sha256:${'d'.repeat(64)}`;
const [config] = imageOf({ entrypoint: ['/bin/agent'], cmd: ['--serve'], workingDir: '/srv', env: ['A=1'] }).configs;
if (!config) throw new Error('no config');
const access = { hosts: [], plainHttp: [], mirrors: new Map(), ca: '', memory: bodyMemory(), nameServers: [] };
const dockerConfig = (host: string, password: string): string => JSON.stringify({ auths: { [host]: { username: 'user', password } } });

/** Registries that have every image, and note with which credentials they were asked; `fails` says otherwise. */
function sources(parts: Partial<ImageSources> & { readonly fails?: () => Error | undefined } = {}) {
  const asked: (string | undefined)[][] = [];
  const find = async (_owner: string, _reference: string, attempts: readonly Attempt[]): Promise<FoundImage> => {
    asked.push(attempts.map(({ credential }) => credential?.password));
    const failure = parts.fails?.();
    if (failure) throw failure;
    return { digest: DIGEST, read: async () => [config as NonNullable<typeof config>] };
  };
  const lookUp = openImages({
    ...{ map: () => [], operatorKeyring: () => [], readPullSecret: undefined, pullSecretsRole: 'the-role' },
    registry: { access, lookups: openLookups(access, find) },
    ...parts,
  });
  return { asked, lookUp };
}
const request = (parts: Partial<ImageRequest> = {}): ImageRequest => ({
  ...{ image: 'registry.example/agent:1', forVariables: false, namespace: 'agents', pullSecrets: [] },
  ...parts,
});

describe("the operator's map", () => {
  const map = readEntrypointMap(
    parse(`
- {image: "registry.example/agents/*", entrypoint: [/bin/agent], workingDir: /srv}
- {image: "registry.example/slow/*-*-*-*-*-*:1", cmd: [slow]}
- {image: "registry.example/**", cmd: [other]}
- {image: "docker.io/library/python:3.*", cmd: [python3]}
- {image: "docker.io/library/nginx", cmd: [nginx]}
- {image: "redis:latest", cmd: [redis-server]}
`),
  );
  it.each([
    ['registry.example/agents/one:1', ['/bin/agent'], []],
    ['registry.example/agents/deep/one:1', [], ['other']],
    ['registry.example/one', [], ['other']],
    ['python:3.12', [], ['python3']],
    ['docker.io/library/python:3.12', [], ['python3']],
    [`python:3.12@${DIGEST}`, [], ['python3']],
    ['nginx', [], ['nginx']],
    ['nginx:1.25', [], ['nginx']],
    ['redis', undefined, undefined],
    [`registry.example/slow/${'-'.repeat(900)}`, [], ['other']],
  ])('%s: the first entry that matches', (image, entrypoint, cmd) => {
    const found = mapped(map, image);
    expect([found?.entrypoint, found?.cmd]).toEqual([entrypoint, cmd]);
  });

  it.each([
    ['{}', 'expected a list of entries'],
    ['[x]', 'entry 1: expected an object'],
    ['[{image: a, cmd: [b]}, {cmd: [b]}]', 'entry 2: image is missing'],
    ['[{image: a}]', 'entry 1: it names no program'],
    ['[{image: a, cmd: b}]', 'entry 1: cmd is no list of words'],
    ['[{image: a, entrypoint: [1]}]', 'entry 1: entrypoint is no list of words'],
    ['[{image: a, cmd: [b], workingDir: c}]', 'entry 1: workingDir is no absolute path'],
    ['[{image: "a**b", cmd: [b]}]', 'entry 1: ** stands for all that follows'],
    ['[{image: a, command: [b]}]', 'entry 1: "command" is unknown: expected image, entrypoint, cmd, workingDir'],
  ])('is refused: %s', (text, says) => {
    expect(() => readEntrypointMap(parse(text))).toThrow(says);
  });

  it('is asked before any registry', async () => {
    const { asked, lookUp } = sources({ map: () => map });
    expect(await lookUp(request({ image: 'python:3.12' }))).toMatchObject({ source: 'map', image: { from: 'map', digest: undefined } });
    expect(asked).toEqual([]);
  });

  it('says what to run where the variables of the image have to be seen too', async () => {
    const { lookUp } = sources({ map: () => map });
    const { image } = await lookUp(request({ image: 'registry.example/agents/one:1', forVariables: true }));
    expect(image).toMatchObject({
      from: 'map',
      digest: DIGEST,
      configs: [{ entrypoint: ['/bin/agent'], cmd: [], env: ['A=1'], workingDir: '/srv' }],
    });
  });

  it('is all there is without registries', async () => {
    const { lookUp } = sources({ map: () => map, registry: undefined });
    expect((await lookUp(request({ image: 'nginx' }))).image).toMatchObject({ from: 'map' });
    expect(await lookUp(request({ image: 'busybox' }))).toMatchObject({
      outcome: 'not-mapped',
      image: { reason: 'entrypoint-unknown', problem: expect.stringContaining('image "busybox" is not in the operator\'s map') },
    });
  });
});

describe('pull secrets', () => {
  const secrets: Readonly<Record<string, string>> = {
    'agents/mine': dockerConfig('registry.example', 'mine'),
    'agents/elsewhere': dockerConfig('other.example', 'elsewhere'),
    'agents/broken': 'no JSON, but p4ssword',
  };
  const read = vi.fn(async (namespace: string, name: string) => {
    const text = secrets[`${namespace}/${name}`];
    if (name === 'closed') return 'forbidden' as const;
    return text === undefined ? ('missing' as const) : { text };
  });

  it("are those of the pod, after the operator's, and only for their registry", async () => {
    const { asked, lookUp } = sources({
      readPullSecret: read,
      operatorKeyring: () => readKeyring(dockerConfig('registry.example', 'operator')),
    });
    await lookUp(request({ pullSecrets: ['mine', 'elsewhere', 'gone'] }));
    expect(asked).toEqual([['operator', 'mine']]);
  });

  it('are read once for many pods', async () => {
    read.mockClear();
    const { lookUp } = sources({ readPullSecret: read });
    for (let n = 0; n < 5; n++) await lookUp(request({ image: `registry.example/agent:${n}`, pullSecrets: ['mine'] }));
    expect(read).toHaveBeenCalledTimes(1);
  });

  it.each([
    { name: 'closed', says: 'bind ClusterRole the-role in namespace agents: pull secret "closed" may not be read' },
    { name: 'broken', says: 'pull secret "broken" is of no use: it is not JSON' },
  ])('that cannot be used leave the lookup anonymous, and the message says so: $name', async ({ name, says }) => {
    const { asked, lookUp } = sources({
      readPullSecret: read,
      fails: () => new ImageError('unauthorized', 'registry registry.example refuses anonymous access (401)'),
    });
    const { image } = await lookUp(request({ pullSecrets: [name] }));
    expect(asked).toEqual([[undefined]]);
    expect(image).toMatchObject({
      reason: 'entrypoint-unknown',
      problem: `registry registry.example refuses anonymous access (401); ${says}`,
    });
    expect(JSON.stringify(image)).not.toContain('p4ssword');
  });

  it('that the API server does not give are no reason to ask anonymously', async () => {
    const { asked, lookUp } = sources({
      readPullSecret: async () => {
        throw new ImageError('unavailable', 'cannot read Secret agents/mine: no answer within 10 s');
      },
    });
    expect((await lookUp(request({ pullSecrets: ['mine'] }))).image).toMatchObject({ reason: 'entrypoint-unavailable' });
    expect(asked).toEqual([]);
  });
});

describe('what goes wrong', () => {
  it.each([
    ['not-found', 'entrypoint-unknown'],
    ['unauthorized', 'entrypoint-unknown'],
    ['untrusted', 'entrypoint-unknown'],
    ['forbidden-host', 'entrypoint-unknown'],
    ['no-linux', 'entrypoint-unknown'],
    ['broken', 'entrypoint-unknown'],
    ['limited', 'entrypoint-unavailable'],
    ['unavailable', 'entrypoint-unavailable'],
  ] as const)('%s is %s', async (problem, reason) => {
    const { lookUp } = sources({ fails: () => new ImageError(problem, 'it says so') });
    expect(await lookUp(request())).toEqual({
      image: { from: 'nowhere', reason, problem: 'it says so' },
      source: 'none',
      outcome: problem,
    });
  });

  it('a defect is not hidden', async () => {
    const { lookUp } = sources({ fails: () => new TypeError('a defect') });
    await expect(lookUp(request())).rejects.toThrow('a defect');
  });
});

describe('a watched file', () => {
  const dir = mkdtempSync(join(tmpdir(), 'sideload-watched-'));
  afterAll(() => rmSync(dir, { recursive: true }));

  it('is read again when it changes, and keeps its last good content', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const file = join(dir, 'map.yaml');
    writeFileSync(file, '1');
    const events: string[] = [];
    const number = (text: string): number => {
      if (!/^\d+$/.test(text)) throw new Error('it is no number');
      return Number(text);
    };
    const watched = await watchFile('--number', file, number, {
      onChange: (value) => void events.push(`is ${value}`),
      onProblem: (error) => void events.push(error.message),
    });
    const write = async (text: string): Promise<void> => {
      writeFileSync(file, text);
      const before = events.length;
      await vi.waitFor(() => {
        vi.advanceTimersByTime(10_000);
        if (events.length === before) throw new Error('not seen yet');
      });
    };
    await write('2');
    await write('x');
    expect(watched.current()).toBe(2);
    await write('3');
    expect(events).toEqual(['is 2', `--number ${file}: it is no number`, 'is 3']);
    watched.stop();
    vi.useRealTimers();
  });

  it('that cannot be read at first is an error that names option and file', async () => {
    const none = { onChange: () => undefined, onProblem: () => undefined };
    await expect(watchFile('--entrypoint-map', join(dir, 'gone'), (text) => text, none)).rejects.toThrow(
      `--entrypoint-map ${join(dir, 'gone')}: ENOENT`,
    );
  });
});
