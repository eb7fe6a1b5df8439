/** Addresses that a reference in a pod must not make the webhook connect to. */

import { BlockList, isIP, isIPv6 } from 'node:net';

/** Special-purpose addresses (IANA registries, RFC 6890), which are not on the Internet, or are many hosts. */
const SPECIAL = new BlockList();
for (const [address, prefix] of [
  ...([
    ['0.0.0.0', 8],
    ['10.0.0.0', 8],
    ['100.64.0.0', 10],
    ['127.0.0.0', 8],
    ['169.254.0.0', 16],
    ['172.16.0.0', 12],
  ] as const),
  ...([
    ['192.0.0.0', 24],
    ['192.0.2.0', 24],
    ['192.88.99.0', 24],
    ['192.168.0.0', 16],
    ['198.18.0.0', 15],
  ] as const),
  ...([
    ['198.51.100.0', 24],
    ['203.0.113.0', 24],
    ['224.0.0.0', 4],
    ['240.0.0.0', 4],
  ] as const),
])
  SPECIAL.addSubnet(address, prefix, 'ipv4');

/** The only addresses that IANA has given to hosts of the Internet so far (RFC 4291, section 2.4). */
const GLOBAL_UNICAST = new BlockList();
GLOBAL_UNICAST.addSubnet('2000::', 3, 'ipv6');
/** Addresses in it that stand for IPv4 addresses, or for no host: Teredo, 6to4, documentation, benchmarking. */
for (const [address, prefix] of [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
] as const)
  SPECIAL.addSubnet(address, prefix, 'ipv6');

/** IPv4 addresses that are written as IPv6 ones (RFC 4291, section 2.5.5.2). */
const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;

/** Whether an address is one of a host on the Internet. What is no address is not. */
export function isPublic(address: string): boolean {
  const plain = MAPPED.exec(address)?.[1] ?? address;
  if (isIP(plain) === 0) return false;
  if (isIPv6(plain)) return GLOBAL_UNICAST.check(plain, 'ipv6') && !SPECIAL.check(plain, 'ipv6');
  return !SPECIAL.check(plain, 'ipv4');
}
