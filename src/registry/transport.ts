/** Requests to registries, bounded in time and size, to addresses that they may go to. */

import { lookup as resolve } from 'node:dns';
import { type IncomingHttpHeaders, type RequestOptions, request as requestPlain } from 'node:http';
import { request as requestTls } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls';
import { isPublic } from './addresses.ts';
import { ImageError } from './image-error.ts';

const CONNECT_MS = 1_000;
const REQUEST_MS = 3_000;

/** All bodies that are being received from registries, together: the webhook's memory is bounded. */
const ALL_BODIES_BYTES = 32 * 1024 * 1024;

/** Which registries may be asked, and how. Hosts are written with their port, if it is not the default. */
export interface RegistryAccess {
  /** These and no others, also at private addresses; empty: every one on the Internet. What they send on to has to be on the Internet. */
  readonly hosts: readonly string[];
  /** Asked without TLS, also at private addresses. */
  readonly plainHttp: readonly string[];
  /** Registries that are asked before others, for the images of those: `docker.io` -> `mirror.example/hub`. */
  readonly mirrors: ReadonlyMap<string, string>;
  /** CAs in PEM, beside those of Node.js. */
  readonly ca: string;
  /** Bytes of bodies that are being received, of all requests. */
  readonly held: { bytes: number };
}

export interface RegistryRequest {
  readonly method: 'GET' | 'HEAD' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** A longer response ends the request. */
  readonly maxBytes: number;
  /** Ends it from outside: the time for all requests of one image. */
  readonly signal: AbortSignal;
  /** Whether a registry that may be asked has named this host: it is on the Internet, or listed, like every other. */
  readonly isNamed?: boolean;
  /** Whether that registry is one of those that are listed. */
  readonly namedByListed?: boolean;
}

export interface RegistryResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** The URL scheme by which a host is asked. */
export function schemeOf(host: string, { plainHttp }: RegistryAccess): 'http' | 'https' {
  return plainHttp.includes(host) ? 'http' : 'https';
}

/** Making one takes milliseconds: once for each text of the file. */
let trusted: { readonly ca: string; readonly context: SecureContext } | undefined;
function trusting(ca: string): SecureContext {
  if (trusted?.ca !== ca) trusted = { ca, context: createSecureContext({ ca: [...rootCertificates, ca] }) };
  return trusted.context;
}

/** Whether an operator has listed a host. */
export function isListed(host: string, { hosts, plainHttp }: RegistryAccess): boolean {
  return hosts.includes(host) || plainHttp.includes(host);
}

/** Addresses on the Internet only; decided on the address that is connected to, so that no name can hide one. */
const lookupPublic: LookupFunction = (hostname, options, callback) => {
  resolve(hostname, { ...options, all: true }, (error, addresses) => {
    const allowed = error ? [] : addresses.filter(({ address }) => isPublic(address));
    const [first] = allowed;
    if (error) callback(error, '');
    else if (first === undefined) callback(forbiddenAddress(hostname, addresses[0]?.address ?? ''), '');
    else if (options.all) callback(null, allowed);
    else callback(null, first.address, first.family);
  });
};

function forbiddenAddress(host: string, address: string): ImageError {
  return new ImageError(
    'forbidden-host',
    `registry ${host} is at ${address}, which is not on the Internet: the operator has to list it in --registry-hosts`,
  );
}

/**
 * Sends one request. It follows no redirect.
 *
 * @throws ImageError when the host may not be asked, does not respond in time, is not trusted, or sends too much
 */
export function send(
  url: URL,
  { method, headers, body, maxBytes, signal, isNamed = false, namedByListed = false }: RegistryRequest,
  access: RegistryAccess,
): Promise<RegistryResponse> {
  const { host } = url;
  // A registry that is not listed sends on to the Internet only.
  const listed = isListed(host, access) && (!isNamed || namedByListed);
  const hostname = url.hostname.replace(/^\[|\]$/g, '');
  if (url.protocol !== `${schemeOf(host, access)}:`)
    throw new ImageError(
      'forbidden-host',
      `registry ${host} would be asked by ${url.protocol}//, which is allowed for hosts in --registry-plain-http only`,
    );
  if (access.hosts.length > 0 && !listed && !isNamed) throw new ImageError('forbidden-host', `registry ${host} is not in --registry-hosts`);
  // A name of digits is connected to without a lookup.
  if (!listed && isIP(hostname) !== 0 && !isPublic(hostname)) throw forbiddenAddress(host, hostname);

  const options: RequestOptions = {
    method,
    headers: { 'user-agent': 'openshell-sideload', ...headers },
    agent: false,
    signal: AbortSignal.any([signal, AbortSignal.timeout(REQUEST_MS)]),
    ...(listed ? {} : { lookup: lookupPublic }),
  };
  return new Promise((accept, reject) => {
    const fail = (error: unknown): void => reject(problemOf(host, error));
    const request =
      url.protocol === 'http:'
        ? requestPlain(url, options)
        : requestTls(url, { ...options, ...(access.ca === '' ? {} : { secureContext: trusting(access.ca) }) });
    const connecting = setTimeout(
      () => request.destroy(new ImageError('unavailable', `registry ${host} does not accept a connection within ${CONNECT_MS / 1000} s`)),
      CONNECT_MS,
    );
    request.on('socket', (socket) => socket.once(url.protocol === 'http:' ? 'connect' : 'secureConnect', () => clearTimeout(connecting)));
    request.on('close', () => {
      clearTimeout(connecting);
      // Whatever ended it: nobody may wait for ever.
      fail(new ImageError('unavailable', `registry ${host} ends the connection without a response`));
    });
    // A response of another protocol has no body, and no end.
    request.on('upgrade', (_response, socket) => {
      socket.destroy();
      fail(new ImageError('broken', `registry ${host} changes the protocol`));
    });
    request.on('error', fail).on('response', (response) => {
      const chunks: Buffer[] = [];
      let length = 0;
      response.on('data', (chunk: Buffer) => {
        length += chunk.length;
        access.held.bytes += chunk.length;
        if (length > maxBytes)
          response.destroy(new ImageError('broken', `registry ${host} sends more than ${maxBytes} bytes for ${url.pathname}`));
        else if (access.held.bytes > ALL_BODIES_BYTES)
          response.destroy(new ImageError('unavailable', `registries send more than ${ALL_BODIES_BYTES} bytes at once`));
        else chunks.push(chunk);
      });
      response.on('close', () => {
        access.held.bytes -= length;
      });
      response.on('error', fail).on('end', () => {
        accept({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) });
      });
    });
    request.end(body);
  });
}

const UNREACHABLE = ['ECONNREFUSED', 'ECONNRESET', 'EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT', 'EAI_AGAIN', 'EPIPE'];

/** What went wrong, in words that name the host. A name that does not exist will not by itself. */
function problemOf(host: string, cause: unknown): ImageError {
  if (cause instanceof ImageError) return cause;
  const { name = '', code = '', message = String(cause) } = (cause ?? {}) as { name?: string; code?: string; message?: string };
  if (name === 'AbortError' || name === 'TimeoutError' || code === 'ABORT_ERR')
    return new ImageError('unavailable', `registry ${host} does not respond in time`);
  if (code === 'ENOTFOUND') return new ImageError('not-found', `registry ${host} does not exist (DNS)`);
  if (UNREACHABLE.includes(code) || message === 'aborted')
    return new ImageError('unavailable', `registry ${host} is unavailable: ${code || message}`);
  return new ImageError('untrusted', `registry ${host} cannot be asked: ${message}`);
}
