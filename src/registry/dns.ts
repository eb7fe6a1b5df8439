/**
 * Names of hosts that the operator has not listed, which authors of pods choose. The system's resolver takes a thread for each name,
 * and there are few: names whose zone does not respond would hold up those of all others. Here each name has a socket of its own.
 * It takes names as they are written: it reads no /etc/hosts, and appends no search domains.
 */

import type { LookupAddress } from 'node:dns';
import { Resolver } from 'node:dns/promises';
import { isPublic } from './addresses.ts';
import { ImageError } from './image-error.ts';

/** A server that does not respond is asked again, or the next one is; all within the second that a connection may take. */
const [TRY_MS, TRIES, ALL_MS] = [400, 2, 900];
/** How long addresses of the other family may take longer, once there is one to connect to (RFC 8305, section 3). */
const OTHER_FAMILY_MS = 50;
/** No name of it is ever asked for (RFC 6761, section 6.3). */
const LOOPBACK = /(?:^|\.)localhost\.?$/i;
/** Errors that say that there is no such name, or none with an address; all others may be gone at the next try. */
const NO_NAME = ['ENOTFOUND', 'ENODATA', 'EBADNAME'];
const NO_RESPONSE = ['ETIMEOUT', 'ECANCELLED'];

/**
 * Asks DNS for the addresses of a host, first those of IPv4.
 *
 * @param servers addresses of name servers, with ports; empty: those of the system
 * @returns at least one
 * @throws ImageError `not-found` when it has none, `unavailable` when that cannot be told
 */
export async function addressesOf(hostname: string, servers: readonly string[]): Promise<LookupAddress[]> {
  if (LOOPBACK.test(hostname)) return [{ address: '127.0.0.1', family: 4 }];
  const resolver = new Resolver({ timeout: TRY_MS, tries: TRIES });
  if (servers.length > 0) resolver.setServers(servers);
  const cancel = (): void => resolver.cancel();
  const timers = [setTimeout(cancel, ALL_MS)];
  const asked = [resolver.resolve4(hostname), resolver.resolve6(hostname)];
  for (const each of asked)
    each.then(
      (addresses) => addresses.some(isPublic) && timers.push(setTimeout(cancel, OTHER_FAMILY_MS)),
      () => undefined,
    );
  const [ipv4, ipv6] = await Promise.allSettled(asked);
  for (const timer of timers) clearTimeout(timer);
  const found = [
    ...(ipv4?.status === 'fulfilled' ? ipv4.value.map((address) => ({ address, family: 4 })) : []),
    ...(ipv6?.status === 'fulfilled' ? ipv6.value.map((address) => ({ address, family: 6 })) : []),
  ];
  if (found.length > 0) return found;
  const codes = [ipv4, ipv6].map((each) => (each?.status === 'rejected' ? String(each.reason?.code) : 'ENODATA'));
  const temporary = codes.find((code) => !NO_NAME.includes(code));
  if (temporary === undefined) throw new ImageError('not-found', `registry ${hostname} does not exist (DNS)`);
  const what = NO_RESPONSE.includes(temporary) ? 'no response in time' : temporary;
  throw new ImageError('unavailable', `registry ${hostname} is unavailable: DNS has ${what} for its name`);
}
