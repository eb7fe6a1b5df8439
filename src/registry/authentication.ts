/**
 * How a client proves who it is. Source: RFC 9110, section 11.6.1 (challenges); distribution/distribution,
 * docs/content/spec/auth/token.md (tokens) and oauth.md (identity tokens).
 */

import type { Credential } from './credentials.ts';
import { ImageError } from './image-error.ts';
import { type RegistryAccess, type RegistryRequest, send } from './transport.ts';

const MAX_TOKEN_BYTES = 64 * 1024;

export interface Challenge {
  /** In lower case. */
  readonly scheme: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** One word, and the value that follows `=`, if it is a parameter. */
const PART = /([!#$%&'*+.^_`|~\w-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+)))?/g;

/** Reads the value of WWW-Authenticate, which may hold several challenges: a word without a value begins one. */
export function readChallenges(header: string): Challenge[] {
  const challenges: { scheme: string; parameters: Record<string, string> }[] = [];
  for (const [, word = '', quoted, plain] of header.matchAll(PART)) {
    const value = quoted?.replaceAll(/\\(.)/g, '$1') ?? plain;
    if (value === undefined) challenges.push({ scheme: word.toLowerCase(), parameters: {} });
    else Object.assign(challenges.at(-1)?.parameters ?? {}, { [word.toLowerCase()]: value });
  }
  return challenges;
}

function basic({ username, password }: Credential): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

/** What all requests for one image have in common. */
type Asker = Pick<RegistryRequest<unknown>, 'owner' | 'signal'>;

/**
 * The value of Authorization that responds to a registry's challenge.
 *
 * @param header WWW-Authenticate
 * @param credential undefined: anonymous
 * @param namedByListed whether the registry that sent the challenge is one that the operator listed
 * @returns undefined where nothing could be sent
 * @throws ImageError when the authorization server refuses or does not respond
 */
export async function authorize(
  header: string,
  scope: string,
  credential: Credential | undefined,
  asker: Asker,
  access: RegistryAccess,
  namedByListed: boolean,
): Promise<string | undefined> {
  const challenges = readChallenges(header);
  const bearer = challenges.find(({ scheme }) => scheme === 'bearer');
  if (bearer) return `Bearer ${await fetchToken(bearer.parameters, scope, credential, asker, access, namedByListed)}`;
  return credential && credential.username !== '' && challenges.some(({ scheme }) => scheme === 'basic') ? basic(credential) : undefined;
}

async function fetchToken(
  { realm = '', service = '', scope: asked = '' }: Challenge['parameters'],
  scope: string,
  credential: Credential | undefined,
  asker: Asker,
  access: RegistryAccess,
  namedByListed: boolean,
): Promise<string> {
  if (!URL.canParse(realm))
    throw new ImageError('broken', `the registry asks for a token of ${JSON.stringify(realm.slice(0, 100))}, which is no URL`);
  const url = new URL(realm);
  const parameters = { ...(service === '' ? {} : { service }), scope: asked === '' ? scope : asked };
  const common = { ...asker, maxBytes: MAX_TOKEN_BYTES, read: readToken, isNamed: true, namedByListed };
  const exchanged = credential !== undefined && credential.identityToken !== '';
  const form = {
    ...parameters,
    grant_type: 'refresh_token',
    client_id: 'openshell-sideload',
    refresh_token: credential?.identityToken ?? '',
  };
  if (!exchanged) for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  const response = exchanged
    ? await send(
        url,
        {
          ...common,
          method: 'POST',
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
          body: String(new URLSearchParams(form)),
        },
        access,
      )
    : await send(url, { ...common, method: 'GET', headers: credential ? { authorization: basic(credential) } : {} }, access);
  const where = `the authorization server ${url.host}`;
  const { status } = response;
  if (status === 429) throw new ImageError('limited', `${where} limits requests (429)`);
  if (status >= 500) throw new ImageError('unavailable', `${where} responds with ${status}`);
  if (!('content' in response))
    throw new ImageError('unauthorized', `${where} refuses ${credential ? 'the credentials' : 'anonymous access'} (${status})`);
  if (response.content !== undefined) return response.content;
  throw new ImageError('broken', `${where} sends no token`);
}

/** Reads the response of an authorization server; undefined where it holds no token. */
function readToken(body: Buffer): string | undefined {
  try {
    const { token, access_token: other } = JSON.parse(body.toString()) as { token?: unknown; access_token?: unknown };
    const found = [token, other].find((value) => typeof value === 'string' && value !== '');
    // A line break would end the header.
    return typeof found === 'string' && /^[\x21-\x7e]+$/.test(found) ? found : undefined;
  } catch {
    // Its message would repeat the body, which may hold a token.
    return undefined;
  }
}
