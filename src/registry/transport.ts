/** Requests to registries, bounded in time and size, to addresses that they may go to. */

import { type IncomingHttpHeaders, type RequestOptions, request as requestPlain } from 'node:http';
import { request as requestTls } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls';
import { isPublic } from './addresses.ts';
import { Body } from './body.ts';
import { addressesOf } from './dns.ts';
import { ImageError } from './image-error.ts';
import type { Shares } from './shares.ts';

const CONNECT_MS = 1_000;
const REQUEST_MS = 3_000;
/** More addresses than a registry needs: each may be tried within CONNECT_MS. */
const MOST_ADDRESSES = 8;

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
  /** For the bodies of all requests. */
  readonly memory: Shares;
  /** Name servers, with ports, for hosts that are not listed; empty: those of the system. */
  readonly nameServers: readonly string[];
}

export interface RegistryRequest<T> {
  readonly method: 'GET' | 'HEAD' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** The namespace for which the request is sent: the body counts as its own. */
  readonly owner: string;
  /** A longer response ends the request. */
  readonly maxBytes: number;
  /** Takes what counts from the body of a response of 200, which is then gone. */
  readonly read: (body: Buffer, headers: IncomingHttpHeaders) => T;
  /** Ends it from outside: the time for all requests of one image. */
  readonly signal: AbortSignal;
  /** Whether a registry that may be asked has named this host: it is on the Internet, or listed, like every other. */
  readonly isNamed?: boolean;
  /** Whether that registry is one of those that are listed. */
  readonly namedByListed?: boolean;
}

/** The content is what was read of a response of 200. */
export type RegistryResponse<T> =
  | { readonly status: number; readonly headers: IncomingHttpHeaders }
  | { readonly status: 200; readonly headers: IncomingHttpHeaders; readonly content: T };

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
function publicLookup({ nameServers }: RegistryAccess): LookupFunction {
  return (hostname, options, callback) => {
    addressesOf(hostname, nameServers).then(
      (addresses) => {
        const allowed = addresses.filter(({ address }) => isPublic(address)).slice(0, MOST_ADDRESSES);
        const [first] = allowed;
        if (first === undefined) callback(forbiddenAddress(hostname, addresses[0]?.address ?? ''), '');
        else if (options.all) callback(null, allowed);
        else callback(null, first.address, first.family);
      },
      (error: Error) => callback(error, ''),
    );
  };
}

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
 * @throws what `read` throws
 */
export function send<T>(
  url: URL,
  { method, headers, body, owner, maxBytes, read, signal, isNamed = false, namedByListed = false }: RegistryRequest<T>,
  access: RegistryAccess,
): Promise<RegistryResponse<T>> {
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
    ...(listed ? {} : { lookup: publicLookup(access) }),
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
      const { statusCode: status = 0, headers: received } = response;
      if (status !== 200) {
        // Nothing of its body counts, and the connection is not used again.
        accept({ status, headers: received });
        response.destroy();
        return;
      }
      const receiving = new Body(access.memory, owner, maxBytes);
      response.on('data', (part: Buffer) => {
        try {
          if (receiving.add(part)) return;
          response.destroy(new ImageError('broken', `registry ${host} sends more than ${maxBytes} bytes for ${url.pathname}`));
        } catch (error) {
          response.destroy(error as Error);
        }
      });
      response.on('close', () => receiving.release());
      response.on('error', fail).on('end', () => {
        try {
          accept({ status, headers: received, content: read(receiving.bytes, received) });
        } catch (error) {
          reject(error);
        }
        receiving.release();
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
