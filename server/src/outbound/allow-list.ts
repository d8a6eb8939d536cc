import { embeddedIpv4, type IpAddress, isInRange, parseIpAddress } from './public-address.ts'

interface AllowedRange {
  readonly network: IpAddress
  readonly bits: number
  /** null: every port */
  readonly port: number | null
}

interface AllowedName {
  readonly name: string
  /** true for `*.name`: every name below it, not the name itself */
  readonly below: boolean
  readonly port: number | null
}

/** Where calls may go besides the public internet. */
export interface AllowList {
  readonly ranges: readonly AllowedRange[]
  readonly names: readonly AllowedName[]
}

const hostName = /^[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$/

/**
 * Parses CIDRs and single addresses (IPv4, IPv6), host names and `*.suffix`, each with an optional `:port`; an IPv6 address
 * with a port is in brackets. Throws an Error whose message names the bad entry and follows the setting's name.
 */
export function parseAllowList(entries: readonly string[]): AllowList {
  const ranges: AllowedRange[] = []
  const names: AllowedName[] = []
  for (const entry of entries) {
    const { host, port } = splitPort(entry)
    if (host.includes('/') || parseIpAddress(host) !== null) ranges.push({ ...parseRange(entry, host), port })
    else names.push({ ...parseName(entry, host), port })
  }
  return { ranges, names }
}

/** Whether an entry allows this address at this port, also when it is wrapped (`::ffff:10.0.0.1`, NAT64). */
export function allowsAddress(allow: AllowList, address: IpAddress, port: number): boolean {
  if (allow.ranges.length === 0) return false
  const inner = embeddedIpv4(address)
  return allow.ranges.some(
    (range) =>
      (range.port === null || range.port === port) &&
      (isInRange(address, range.network, range.bits) ||
        (inner !== null && isInRange(inner, range.network, range.bits))),
  )
}

/** Whether an entry allows this host name (lower case, no trailing dot) at this port; null: at any. */
export function allowsName(allow: AllowList, hostname: string, port: number | null): boolean {
  return allow.names.some(
    (entry) =>
      (entry.port === null || port === null || entry.port === port) &&
      (entry.below ? hostname.endsWith(`.${entry.name}`) : hostname === entry.name),
  )
}

function splitPort(entry: string): { readonly host: string; readonly port: number | null } {
  const bracketed = /^\[([^\]]*)\](\/\d+)?(?::(\d+))?$/.exec(entry)
  if (bracketed) return { host: `${bracketed[1]}${bracketed[2] ?? ''}`, port: parsePort(entry, bracketed[3]) }
  const single = /^([^:]*):([^:]*)$/.exec(entry)
  return single ? { host: single[1] ?? '', port: parsePort(entry, single[2]) } : { host: entry, port: null }
}

function parsePort(entry: string, text: string | undefined): number | null {
  if (text === undefined) return null
  const port = Number(text)
  if (!/^\d{1,5}$/.test(text) || port < 1 || port > 65_535) throw bad(entry, 'its port is not a number from 1 to 65535')
  return port
}

function parseRange(entry: string, cidr: string): { readonly network: IpAddress; readonly bits: number } {
  const [address = '', length, ...rest] = cidr.split('/')
  const network = parseIpAddress(address)
  if (network === null || rest.length > 0) throw bad(entry, 'it is not an address or a CIDR such as 10.0.0.0/8')
  const widest = network.toByteArray().length * 8
  if (length === undefined) return { network, bits: widest }
  const bits = Number(length)
  if (!/^\d{1,3}$/.test(length) || bits > widest) throw bad(entry, `its prefix length is not a number up to ${widest}`)
  if (hasBitsBeyond(network, bits)) throw bad(entry, `it has bits set beyond its prefix length of ${bits}`)
  return { network, bits }
}

// 10.0.0.1/8 may mean 10.0.0.1 or 10.0.0.0/8; the wider one is not opened on a guess.
function hasBitsBeyond(network: IpAddress, bits: number): boolean {
  return network
    .toByteArray()
    .some((byte, index) => (byte & (0xff >> Math.min(8, Math.max(0, bits - index * 8)))) !== 0)
}

function parseName(entry: string, host: string): { readonly name: string; readonly below: boolean } {
  const below = host.startsWith('*.')
  const written = below ? host.slice(2) : host
  const url = URL.canParse(`http://${written}/`) ? new URL(`http://${written}/`) : null
  const name = url?.host.replace(/\.$/, '') ?? ''
  // The URL parser turns 127.1 and 0x7f000001 into addresses: whatever it changes is not a name.
  if (!hostName.test(name) || parseIpAddress(name) !== null || /[/@?#\\%\s]/.test(written)) {
    throw bad(entry, 'write an address, a CIDR, a host name or *.suffix, each with an optional :port')
  }
  return { name, below }
}

function bad(entry: string, why: string): Error {
  return new Error(`has an entry that cannot be used, "${entry}": ${why}.`)
}
