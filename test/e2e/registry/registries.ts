/** Real registries: Debian's docker-registry (distribution), open or with authentication, and go-containerregistry's. */

import { execFileSync } from 'node:child_process';
import { createSign, randomUUID, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { issueServing, makeAuthority } from '../../../src/tls/issue.ts';
import { requirePrograms } from '../cluster/debian.ts';
import { builtPrograms } from '../cluster/go-build.ts';
import { freePorts, type Process, start, waitFor } from '../cluster/process.ts';

const MODULE = fileURLToPath(new URL('./program/', import.meta.url));
const HOUR = 3_600_000;

/** A registry that runs. */
export interface Registry {
  /** As images name it. */
  readonly host: string;
  readonly stop: () => Promise<void>;
}

async function listens(url: string, process: Process): Promise<void> {
  const responds = (): Promise<boolean> =>
    fetch(url).then(
      () => true,
      (error) => String(error.cause?.code ?? '').includes('CERT') || String(error.cause).includes('certificate'),
    );
  await waitFor(`a registry at ${url}`, responds, [process]);
}

/** Starts the registry of go-containerregistry: in memory, plain HTTP, open. */
export async function startOpenRegistry(dir: string): Promise<Registry> {
  const programs = { module: MODULE, packages: ['github.com/google/go-containerregistry/cmd/registry'], output: 'registry' };
  const folder = builtPrograms('registry', 'the registry of go-containerregistry', [programs]);
  const [port = 0] = await freePorts(1);
  const process = start('registry', join(folder, 'registry'), [`-port=${port}`], join(dir, `registry-${port}.log`));
  await listens(`http://localhost:${port}/v2/`, process);
  return { host: `localhost:${port}`, stop: () => process.stop('SIGKILL') };
}

/** Starts distribution; those of one `dir` have the same images. */
async function startDistribution(dir: string, name: string, http: object = {}, auth?: object, address = 'localhost'): Promise<Registry> {
  const { 'docker-registry': program } = requirePrograms({ 'docker-registry': 'docker-registry' });
  const [port = 0] = await freePorts(1);
  const config = {
    version: 0.1,
    log: { level: 'error' },
    storage: { filesystem: { rootdirectory: join(dir, 'images') } },
    http: { addr: `${address}:${port}`, ...http },
    ...(auth ? { auth } : {}),
  };
  const file = join(dir, `${name}.yaml`);
  writeFileSync(file, stringify(config));
  const process = start(name, program, ['serve', file], join(dir, `${name}.log`));
  await listens(`${'tls' in http ? 'https' : 'http'}://${address}:${port}/v2/`, process);
  return { host: `${address}:${port}`, stop: () => process.stop('SIGKILL') };
}

/** Starts distribution without TLS and authentication: what is pushed to it, the others of `dir` have too. */
export const startPushRegistry = (dir: string): Promise<Registry> => startDistribution(dir, 'push-registry');

export const USER = { name: 'puller', password: 'p4ssword' };

/** The part of distribution's configuration that asks USER for his password, for everything. */
function passwordFor(dir: string): object {
  const { htpasswd } = requirePrograms({ htpasswd: 'apache2-utils' });
  const path = join(dir, 'passwords');
  writeFileSync(path, execFileSync(htpasswd, ['-Bbn', USER.name, USER.password], { encoding: 'utf8' }));
  return { htpasswd: { realm: 'registry', path } };
}

/** Starts distribution with a password and without TLS, at an address that a node reaches. */
export const startPlainPasswordRegistry = (dir: string, address: string): Promise<Registry> =>
  startDistribution(dir, 'plain-password-registry', {}, passwordFor(dir), address);

/** Starts distribution with TLS by a CA of its own, and a password. */
export async function startPasswordRegistry(dir: string): Promise<Registry & { readonly ca: string }> {
  const [now, end] = [new Date(Date.now() - HOUR), new Date(Date.now() + HOUR)];
  const authority = await makeAuthority('registry', now, end);
  const { cert, key } = await issueServing(authority, { dns: ['localhost'], ips: ['127.0.0.1'] }, now, end);
  const file = (name: string, text: string): string => {
    const path = join(dir, name);
    writeFileSync(path, text);
    return path;
  };
  const tls = { certificate: file('registry.crt', cert), key: file('registry.key', key) };
  const registry = await startDistribution(dir, 'password-registry', { tls }, passwordFor(dir));
  return { ...registry, ca: authority.cert };
}

/** Starts distribution whose tokens the test issues: to USER by his password or his identity token. */
export async function startTokenRegistry(dir: string): Promise<Registry & { readonly tokenHost: string; readonly issued: string[] }> {
  const [now, end] = [new Date(Date.now() - HOUR), new Date(Date.now() + HOUR)];
  const { cert, key } = await makeAuthority('tokens', now, end);
  const bundle = join(dir, 'tokens.crt');
  writeFileSync(bundle, cert);
  const issued: string[] = [];
  const server: Server = createServer(async (request, response) => {
    const url = new URL(request.url ?? '', 'http://localhost');
    let body = '';
    for await (const chunk of request) body += chunk;
    const form = request.method === 'POST' ? new URLSearchParams(body) : url.searchParams;
    const basic = `Basic ${Buffer.from(`${USER.name}:${USER.password}`).toString('base64')}`;
    const known =
      form.get('grant_type') === 'refresh_token' ? form.get('refresh_token') === IDENTITY_TOKEN : request.headers.authorization === basic;
    if (!known) {
      response.writeHead(401).end();
      return;
    }
    issued.push(`${request.method} ${form.get('scope')}`);
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ token: tokenFor(form.get('scope') ?? '', cert, key) }));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const tokenHost = `localhost:${(server.address() as AddressInfo).port}`;
  const token = { realm: `http://${tokenHost}/token`, service: 'registry', issuer: 'test', rootcertbundle: bundle };
  const registry = await startDistribution(dir, 'token-registry', {}, { token });
  const stop = async (): Promise<void> => {
    server.closeAllConnections();
    server.close();
    await registry.stop();
  };
  return { host: registry.host, tokenHost, issued, stop };
}

export const IDENTITY_TOKEN = 'an-identity-token';

/** A token of distribution (docs/content/spec/auth/jwt.md), signed with ES256. */
function tokenFor(scope: string, certificate: string, key: string): string {
  const [type, name, actions = ''] = scope.split(':');
  const seconds = Math.floor(Date.now() / 1000);
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const header = encode({ typ: 'JWT', alg: 'ES256', x5c: [new X509Certificate(certificate).raw.toString('base64')] });
  const claims = encode({
    ...{ iss: 'test', sub: USER.name, aud: 'registry', exp: seconds + 300, nbf: seconds - 60, iat: seconds, jti: randomUUID() },
    access: [{ type, name, actions: actions.split(',') }],
  });
  const signature = createSign('SHA256').update(`${header}.${claims}`).sign({ key, dsaEncoding: 'ieee-p1363' });
  return `${header}.${claims}.${signature.toString('base64url')}`;
}
