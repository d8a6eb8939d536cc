import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import type { IpAddress } from '../platform/network-address.ts'

/**
 * Parses an address; null when `text` is not one. Only full spellings pass: `ipaddr.js` alone also reads octal,
 * hexadecimal and short IPv4 forms, so `isIP` checks first. An address with a zone (`fe80::1%eth0`) is never public and
 * does not count as an address here.
 */
export function parseIpAddress(text: string): IpAddress | null {
  if (isIP(text) === 0 || text.includes('%')) return null
  return ipaddr.parse(text)
}

/** Whether `address` lies in `network/bits`; an address of the other family never does. */
export function isInRange(address: IpAddress, network: IpAddress, bits: number): boolean {
  return address.kind() === network.kind() && address.match(network, bits)
}

const blocks = (...cidrs: readonly string[]) => cidrs.map((cidr) => ipaddr.parseCIDR(cidr))

// IANA IPv4 Special-Purpose Address Registry (RFC 6890 and its updates), the multicast space (RFC 5771) and one
// address that looks public but is the platform's own: Azure's host agent at 168.63.129.16. The registry marks a few
// anycast services inside these blocks as globally reachable (192.0.0.9, 192.31.196.0/24 ...); no agent runs there,
// so they are refused with the rest.
const specialIpv4 = {
  'an address of "this network" (RFC 791)': blocks('0.0.0.0/8'),
  'a private address (RFC 1918)': blocks('10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'),
  'a carrier-grade NAT address (RFC 6598)': blocks('100.64.0.0/10'),
  'a loopback address (RFC 1122)': blocks('127.0.0.0/8'),
  'the address of a cloud platform': blocks('168.63.129.16/32'),
  'a link-local address, where cloud metadata lives (RFC 3927)': blocks('169.254.0.0/16'),
  'an IETF protocol address (RFC 6890)': blocks('192.0.0.0/24'),
  'a documentation address (RFC 5737)': blocks('192.0.2.0/24', '198.51.100.0/24', '203.0.113.0/24'),
  'an AS112 address (RFC 7535)': blocks('192.31.196.0/24'),
  'an AMT address (RFC 7450)': blocks('192.52.193.0/24'),
  'a 6to4 relay address (RFC 7526)': blocks('192.88.99.0/24'),
  'an AS112 address (RFC 7534)': blocks('192.175.48.0/24'),
  'a benchmarking address (RFC 2544)': blocks('198.18.0.0/15'),
  'a multicast address (RFC 5771)': blocks('224.0.0.0/4'),
  'a reserved or broadcast address (RFC 1112)': blocks('240.0.0.0/4'),
}

// IPv6 is judged the other way round: only the global unicast space 2000::/3 (RFC 4291) is public, without these
// blocks of the IANA IPv6 Special-Purpose Address Registry.
const specialIpv6 = {
  'a Teredo address (RFC 4380)': blocks('2001::/32'),
  'an IETF protocol address (RFC 2928)': blocks('2001::/23'),
  'a documentation address (RFC 3849)': blocks('2001:db8::/32'),
  // Whichever IPv4 address it contains: that is only a router, and packets go wherever that router sends them.
  'a 6to4 address (RFC 3056, out of use by RFC 7526)': blocks('2002::/16'),
  'an AS112 address (RFC 7534)': blocks('2620:4f:8000::/48'),
  'a documentation address (RFC 9637)': blocks('3fff::/20'),
}

// Only to name the reason: all of these lie outside 2000::/3 and are refused anyway.
const namedIpv6 = {
  'the unspecified address (RFC 4291)': blocks('::/128'),
  'a loopback address (RFC 4291)': blocks('::1/128'),
  'a unique local address (RFC 4193)': blocks('fc00::/7'),
  'a link-local address (RFC 4291)': blocks('fe80::/10'),
  'a site-local address (RFC 3879)': blocks('fec0::/10'),
  'a multicast address (RFC 4291)': blocks('ff00::/8'),
}

const globalUnicast = ipaddr.IPv6.parseCIDR('2000::/3')
/** Mapped addresses, and NAT64. */
const wrappings = { wrapping: blocks('::ffff:0:0/96', '64:ff9b::/96') }

/**
 * The IPv4 address that packets to this IPv6 address end at, which is a reason to refuse and never one to allow: mapped (RFC 4291) and NAT64's well-known prefix (RFC 6052),
 * by which hosts without IPv4 reach public IPv4 receivers. Null for all others. A network may use a NAT64 prefix of its own
 * among public addresses; nothing in the address shows that, so its gateway has to block internal targets.
 */
function embeddedIpv4(address: IpAddress): ipaddr.IPv4 | null {
  if (address instanceof ipaddr.IPv4) return null
  return whatIn(wrappings, address) === null ? null : new ipaddr.IPv4(address.toByteArray().slice(12, 16))
}

// ISATAP (RFC 5214): an interface identifier ::0:5efe:a.b.c.d or ::200:5efe:a.b.c.d tunnels to that IPv4 address.
function isIsatap(address: ipaddr.IPv6): boolean {
  const [high, low] = address.parts.slice(4, 6)
  return (high === 0 || high === 0x200) && low === 0x5efe
}

/** Why the address is not public, as the end of "It is ..."; null when it is public unicast. */
export function specialUse(address: IpAddress): string | null {
  const embedded = embeddedIpv4(address)
  if (embedded !== null) {
    const inner = specialUse(embedded)
    return inner === null ? null : `a wrapping of ${embedded.toString()}, ${inner}`
  }
  if (address instanceof ipaddr.IPv4) return whatIn(specialIpv4, address)
  if (!address.match(globalUnicast)) {
    return whatIn(namedIpv6, address) ?? 'outside the global unicast space (RFC 4291)'
  }
  return isIsatap(address) ? 'an ISATAP address (RFC 5214)' : whatIn(specialIpv6, address)
}

function whatIn(table: Parameters<typeof ipaddr.subnetMatch>[1], address: IpAddress): string | null {
  return ipaddr.subnetMatch(address, table, '') || null
}
