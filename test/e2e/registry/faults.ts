/** A server that plays a registry with one fault for each repository. */

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from './registries.ts';

const INDEX = 'application/vnd.oci.image.index.v1+json';
const MEBIBYTE = Buffer.alloc(1024 * 1024, ' ');

type Fault = (request: IncomingMessage, response: ServerResponse, count: number) => void;

const manifest = (response: ServerResponse, body: string, digest = `sha256:${'a'.repeat(64)}`): void =>
  void response.writeHead(200, { 'content-type': INDEX, 'docker-content-digest': digest }).end(body);

const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';
const digestOf = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`;
const CONFIG = JSON.stringify({ os: 'linux', architecture: 'amd64', config: { Cmd: ['recovered'] } });
const MANIFEST = JSON.stringify({
  schemaVersion: 2,
  mediaType: MANIFEST_TYPE,
  config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digestOf(CONFIG), size: CONFIG.length },
  layers: [],
});

/** What each repository does; HEAD for a digest succeeds where the fault is in what follows. */
const FAULTS: Readonly<Record<string, Fault>> = {
  'never-answers': () => undefined,
  slow: (_request, response) => {
    response.writeHead(200, { 'content-type': INDEX });
    const drip = setInterval(() => response.write(' '), 200);
    response.on('close', () => clearInterval(drip));
  },
  'wrong-digest': (_request, response) => manifest(response, '{"manifests":[]}'),
  huge: (request, response) => {
    if (request.method === 'HEAD') return manifest(response, '');
    response.writeHead(200, { 'content-type': INDEX });
    for (let n = 0; n < 8; n++) response.write(MEBIBYTE);
    response.end();
  },
  'redirects-manifest': (_request, response) => void response.writeHead(307, { location: 'http://127.0.0.1:1/' }).end(),
  'redirects-blob': (request, response) => {
    if (request.url?.includes('/blobs/')) return void response.writeHead(307, { location: 'http://127.0.0.1:1/' }).end();
    response.writeHead(200, { 'content-type': MANIFEST_TYPE, 'docker-content-digest': digestOf(MANIFEST) }).end(MANIFEST);
  },
  limited: (_request, response) => void response.writeHead(429).end(),
  broken: (_request, response) => void response.writeHead(500).end(),
  cut: (_request, response) => {
    response.writeHead(200, { 'content-type': INDEX, 'content-length': '1000' }).write('{');
    setTimeout(() => response.destroy(), 50);
  },
  'not-found': (_request, response) => void response.writeHead(404).end(),
  forbidden: (_request, response) => void response.writeHead(403).end(),
  /** Broken at first; the API server calls again. */
  recovers: (request, response, count) => {
    if (count === 1) return void response.writeHead(500).end();
    const body = request.url?.includes('/blobs/') ? CONFIG : MANIFEST;
    response.writeHead(200, { 'content-type': MANIFEST_TYPE, 'docker-content-digest': digestOf(body) }).end(body);
  },
};

/** Starts it, plain HTTP. */
export async function startFaults(): Promise<Registry & { readonly asked: (repository: string) => number }> {
  const counts = new Map<string, number>();
  const server = createServer((request, response) => {
    const [, repository = ''] = /^\/v2\/([^/]+)\//.exec(request.url ?? '') ?? [];
    const count = (counts.get(repository) ?? 0) + 1;
    counts.set(repository, count);
    const fault = FAULTS[repository];
    if (fault) fault(request, response, count);
    else response.writeHead(404).end();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const stop = async (): Promise<void> => {
    server.closeAllConnections();
    server.close();
  };
  return { host: `localhost:${(server.address() as AddressInfo).port}`, asked: (repository) => counts.get(repository) ?? 0, stop };
}
