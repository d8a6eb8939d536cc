import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'

/**
 * One spelling per address: IPv4 mapped into IPv6 (RFC 4291, 2.5.5.2, as sockets that listen on `::` report it) becomes
 * IPv4, IPv6 is written as in RFC 5952, a zone (`%eth0`) is left out. Null for anything else, such as names and the octal
 * and short forms that some parsers read as addresses.
 */
export function canonicalAddress(text: string): string | null {
  const zone = text.indexOf('%')
  const bare = zone < 0 ? text : text.slice(0, zone)
  const version = isIP(bare)
  if (version === 0 || (zone >= 0 && version === 4)) return null
  const address = ipaddr.process(bare)
  return address instanceof ipaddr.IPv6 ? address.toRFC5952String() : address.toString()
}

/** Whether a host of a URL, its brackets on or off, is a loopback address or `localhost`. */
export function isThisMachine(host: string): boolean {
  const name = host.replace(/^\[(.*)\]$/, '$1')
  if (name === 'localhost') return true
  return ipaddr.isValid(name) && ipaddr.process(name).range() === 'loopback'
}

/**
 * The network that counts as one caller, given a canonical address: an IPv4 address, or the /64 of an IPv6 address, because
 * a host with one address of a /64 usually has all of them (RFC 6177).
 */
export function networkOf(address: string): string {
  if (isIP(address) !== 6) return `${address}/32`
  const bytes = ipaddr.IPv6.parse(address).toByteArray()
  return `${new ipaddr.IPv6(bytes.fill(0, 8)).toRFC5952String()}/64`
}

/** The network of an address in any spelling; networks and the empty text stay as they are. */
export function callersNetwork(given: string | null): string {
  if (given === null || given === '' || given.includes('/')) return given ?? ''
  return networkOf(canonicalAddress(given) ?? given)
}

/** What one customer may have of IPv6 beside a /64 (RFC 6177): at home a /56, in a company a /48. */
const customerBits = [56, 48]

/** A caller's network and the wider ones around it that may all be the same caller's: whatever is counted by network is counted in each. */
export function networksOf(network: string): readonly string[] {
  const range = rangeOf(network)
  if (typeof range === 'string' || range.network instanceof ipaddr.IPv4) return [network]
  const bytes = range.network.toByteArray()
  const wider = customerBits.map((bits) => {
    const kept = bytes.map((byte, at) => (at < bits / 8 ? byte : 0))
    return `${new ipaddr.IPv6(kept).toRFC5952String()}/${bits}`
  })
  return [network, ...wider]
}

/** Whether a canonical address lies in one of some networks. */
export type NetworkMatcher = (address: string) => boolean

/** Throws an Error whose message completes "NAME ..." for an entry that is no network: see `canonicalNetwork`. */
export function parseNetworks(entries: readonly string[]): NetworkMatcher {
  const ranges = entries.map(callersRange)
  return (text) => {
    if (ranges.length === 0 || isIP(text) === 0) return false
    const address = ipaddr.parse(text)
    return ranges.some(({ network, bits }) => network.kind() === address.kind() && address.match(network, bits))
  }
}

/**
 * A CIDR or an address in one spelling, such as `10.1.0.0/16`. Throws an Error whose message completes "NAME ..." for one that
 * is neither, has bits beyond its prefix, or is every address there is.
 */
export function canonicalNetwork(entry: string): string {
  const { network, bits } = callersRange(entry)
  return `${network instanceof ipaddr.IPv6 ? network.toRFC5952String() : network.toString()}/${bits}`
}

function callersRange(entry: string): IpRange {
  const range = rangeOf(entry)
  if (typeof range === 'string') throw new Error(`has "${entry}", which ${range}`)
  // The whole internet is not a network: with such an entry, any caller could choose the address it is known by.
  if (range.bits === 0) throw new Error(`has "${entry}", which is every address there is`)
  return range
}

const everybody = ['0.0.0.0/0', '2000::/3'].map((entry) => rangeOf(entry) as IpRange)

/** Canonical networks as they are. Throws as `canonicalNetwork` does where they are everybody together: all of IPv4, or of the public IPv6. */
export function notEverybody(entries: readonly string[]): readonly string[] {
  const ranges = entries.map(callersRange)
  for (const whole of everybody) {
    if (!cover(ranges, whole)) continue
    const is = whole.network.kind() === 'ipv4' ? 'every IPv4 address there is' : 'every public IPv6 address there is'
    throw new Error(`is ${is}, taken together: name the networks you know`)
  }
  return entries
}

/** Whether the ranges together have every address of `whole`. */
function cover(ranges: readonly IpRange[], whole: IpRange): boolean {
  const related = ranges.filter(({ network }) => network.kind() === whole.network.kind())
  if (related.some(({ network, bits }) => bits <= whole.bits && whole.network.match(network, bits))) return true
  const inside = related.filter(({ network }) => network.match(whole.network, whole.bits))
  return inside.length > 1 && halvesOf(whole).every((half) => cover(inside, half))
}

function halvesOf({ network, bits }: IpRange): readonly IpRange[] {
  const bytes = network.toByteArray()
  const at = bits >> 3
  const upper = bytes.map((byte, index) => (index === at ? byte | (0x80 >> (bits & 7)) : byte))
  return [bytes, upper].map((one) => ({ network: ipaddr.fromByteArray(one), bits: bits + 1 }))
}

export type IpAddress = ipaddr.IPv4 | ipaddr.IPv6

export interface IpRange {
  readonly network: IpAddress
  readonly bits: number
}

/** The range that a CIDR or an address names, in canonical form; or what is wrong with it, as the end of "it ...". */
export function rangeOf(entry: string): IpRange | string {
  const [text = '', length, ...rest] = entry.split('/')
  if (text.includes('%')) return 'names an interface: leave out what follows the %'
  const address = isIP(text) === 0 || rest.length > 0 ? null : ipaddr.parse(text)
  if (address === null) return 'is not an address or a CIDR such as 10.0.0.0/8'
  const widest = address.toByteArray().length * 8
  const bits = length === undefined ? widest : Number(length)
  if ((length !== undefined && !/^\d{1,3}$/.test(length)) || bits > widest) {
    return `has a prefix length that is not a number up to ${widest}`
  }
  // 10.0.0.1/8 may mean 10.0.0.1 or 10.0.0.0/8; the wider one is not opened on a guess.
  if (hasBitsBeyond(address, bits)) return `has bits set beyond its prefix length of ${bits}`
  const network = unmapped(address)
  return { network, bits: network === address ? bits : bits - 96 }
}

/** IPv4 that is mapped into IPv6 as IPv4; everything else as it is. */
export function unmapped(address: IpAddress): IpAddress {
  return address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() ? address.toIPv4Address() : address
}

function hasBitsBeyond(address: IpAddress, bits: number): boolean {
  return address
    .toByteArray()
    .some((byte, index) => (byte & (0xff >> Math.min(8, Math.max(0, bits - index * 8)))) !== 0)
}

/**
 * The address that a call came from. Each proxy appends to X-Forwarded-For on the right, so it is read from there, and only
 * as far as our own proxies wrote it: the first address that is not theirs is the caller. Everything left of it is only the
 * caller's claim. An entry that is not an address ends the reading at the proxy that passed it on.
 */
export function clientAddress(
  peer: string | undefined,
  forwardedFor: string | undefined,
  isTrusted: NetworkMatcher,
): string {
  let client = canonicalAddress(peer ?? '') ?? 'unknown'
  if (forwardedFor === undefined) return client
  const hops = forwardedFor.split(',')
  while (isTrusted(client)) {
    const hop = hops.pop()
    const address = hop === undefined ? null : canonicalAddress(withoutPort(hop.trim()))
    if (address === null) return client
    client = address
  }
  return client
}

/** Some proxies add the port: `192.0.2.1:4711`, `[2001:db8::1]:4711`. */
function withoutPort(hop: string): string {
  const bracketed = /^\[([^\]]+)\](?::\d{1,5})?$/.exec(hop)
  if (bracketed !== null) return bracketed[1] ?? ''
  return /^[\d.]+:\d{1,5}$/.test(hop) ? hop.slice(0, hop.indexOf(':')) : hop
}
