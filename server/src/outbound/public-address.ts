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
  if (address instanceof ipaddr.IPv4) return network instanceof ipaddr.IPv4 && address.match(network, bits)
  return network instanceof ipaddr.IPv6 && address.match(network, bits)
}

type Block = readonly [network: IpAddress, bits: number, what: string]

function block(cidr: string, what: string): Block {
  const [network, bits] = ipaddr.parseCIDR(cidr)
  return [network, bits, what]
}

// IANA IPv4 Special-Purpose Address Registry (RFC 6890 and its updates), the multicast space (RFC 5771) and one
// address that looks public but is the platform's own: Azure's host agent at 168.63.129.16. The registry marks a few
// anycast services inside these blocks as globally reachable (192.0.0.9, 192.31.196.0/24 ...); no agent runs there,
// so they are refused with the rest.
const specialIpv4: readonly Block[] = [
  block('0.0.0.0/8', 'an address of "this network" (RFC 791)'),
  block('10.0.0.0/8', 'a private address (RFC 1918)'),
  block('100.64.0.0/10', 'a carrier-grade NAT address (RFC 6598)'),
  block('127.0.0.0/8', 'a loopback address (RFC 1122)'),
  block('168.63.129.16/32', 'the address of a cloud platform'),
  block('169.254.0.0/16', 'a link-local address, where cloud metadata lives (RFC 3927)'),
  block('172.16.0.0/12', 'a private address (RFC 1918)'),
  block('192.0.0.0/24', 'an IETF protocol address (RFC 6890)'),
  block('192.0.2.0/24', 'a documentation address (RFC 5737)'),
  block('192.31.196.0/24', 'an AS112 address (RFC 7535)'),
  block('192.52.193.0/24', 'an AMT address (RFC 7450)'),
  block('192.88.99.0/24', 'a 6to4 relay address (RFC 7526)'),
  block('192.168.0.0/16', 'a private address (RFC 1918)'),
  block('192.175.48.0/24', 'an AS112 address (RFC 7534)'),
  block('198.18.0.0/15', 'a benchmarking address (RFC 2544)'),
  block('198.51.100.0/24', 'a documentation address (RFC 5737)'),
  block('203.0.113.0/24', 'a documentation address (RFC 5737)'),
  block('224.0.0.0/4', 'a multicast address (RFC 5771)'),
  block('240.0.0.0/4', 'a reserved or broadcast address (RFC 1112)'),
]

// IPv6 is judged the other way round: only the global unicast space 2000::/3 (RFC 4291) is public, without these
// blocks of the IANA IPv6 Special-Purpose Address Registry.
const specialIpv6: readonly Block[] = [
  block('2001::/32', 'a Teredo address (RFC 4380)'),
  block('2001::/23', 'an IETF protocol address (RFC 2928)'),
  block('2001:db8::/32', 'a documentation address (RFC 3849)'),
  // Whatever IPv4 address it names: that is only a router, and the packets end wherever that router sends them.
  block('2002::/16', 'a 6to4 address (RFC 3056, out of use by RFC 7526)'),
  block('2620:4f:8000::/48', 'an AS112 address (RFC 7534)'),
  block('3fff::/20', 'a documentation address (RFC 9637)'),
]

// Only to name the reason: all of these lie outside 2000::/3 and are refused anyway.
const namedIpv6: readonly Block[] = [
  block('::/128', 'the unspecified address (RFC 4291)'),
  block('::1/128', 'a loopback address (RFC 4291)'),
  block('fc00::/7', 'a unique local address (RFC 4193)'),
  block('fe80::/10', 'a link-local address (RFC 4291)'),
  block('fec0::/10', 'a site-local address (RFC 3879)'),
  block('ff00::/8', 'a multicast address (RFC 4291)'),
]

const globalUnicast = block('2000::/3', '')
const mapped = block('::ffff:0:0/96', '')
const nat64 = block('64:ff9b::/96', '')

/**
 * The IPv4 address that packets to this IPv6 address end at, which is a reason to refuse and never one to allow: mapped (RFC 4291) and NAT64's well-known prefix (RFC 6052),
 * by which hosts without IPv4 reach public IPv4 receivers. Null for all others. A network may use a NAT64 prefix of its own
 * among public addresses; nothing in the address shows that, so its gateway has to block internal targets.
 */
function embeddedIpv4(address: IpAddress): ipaddr.IPv4 | null {
  if (address instanceof ipaddr.IPv4) return null
  const bytes = address.toByteArray()
  for (const [network, bits] of [mapped, nat64]) {
    if (isInRange(address, network, bits)) return new ipaddr.IPv4(bytes.slice(12, 16))
  }
  return null
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
  if (!isInRange(address, globalUnicast[0], globalUnicast[1])) {
    return whatIn(namedIpv6, address) ?? 'outside the global unicast space (RFC 4291)'
  }
  return isIsatap(address) ? 'an ISATAP address (RFC 5214)' : whatIn(specialIpv6, address)
}

function whatIn(blocks: readonly Block[], address: IpAddress): string | null {
  return blocks.find(([network, bits]) => isInRange(address, network, bits))?.[2] ?? null
}
