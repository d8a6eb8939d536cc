import { type IpAddress, type IpRange, rangeOf, unmapped } from '../platform/network-address.ts'
import { isInRange, parseIpAddress } from './public-address.ts'

interface AllowedRange extends IpRange {
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

/** An entry as it is. Throws as `parseAllowList` does. */
export function allowEntry(entry: string): string {
  parseAllowList([entry])
  return entry
}

/**
 * Whether an entry allows this address at this port; null: at any. An entry means that address, and `::ffff:` with it, which is
 * another spelling. What else wraps it (NAT64) leads there through somebody's gateway and needs an entry of its own.
 */
export function allowsAddress(allow: AllowList, address: IpAddress, port: number | null): boolean {
  const plain = unmapped(address)
  return allow.ranges.some(
    (range) =>
      (range.port === null || port === null || range.port === port) && isInRange(plain, range.network, range.bits),
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

function parseRange(entry: string, cidr: string): IpRange {
  const range = rangeOf(cidr)
  if (typeof range === 'string') throw bad(entry, `it ${range}`)
  return range
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
