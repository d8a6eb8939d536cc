// Addresses and names that no callback may reach, in every spelling that has fooled URL parsers, resolvers or readers. Each is
// refused for its meaning or for its spelling; the tests check the meaning with the URL parser.

/** Ways to turn the plain form into a URL's host, or into a whole URL. */
type Spellings = Readonly<Record<string, (plain: string) => string>>

const ipv4: Readonly<Record<string, string>> = {
  '127.0.0.1': 'loopback',
  '127.255.255.254': 'the other end of loopback',
  '0.0.0.0': 'this host',
  '10.0.0.1': 'private (10/8)',
  '172.16.0.1': 'private (172.16/12)',
  '192.168.0.1': 'private (192.168/16)',
  '100.100.100.200': 'Alibaba Cloud metadata, in carrier-grade NAT space',
  '168.63.129.16': "Azure's host agent",
  '169.254.169.254': 'cloud metadata',
  '169.254.170.2': 'ECS task credentials',
  '192.0.0.192': 'Oracle Cloud metadata, in IETF protocol space',
  '198.18.0.1': 'benchmarking',
  '224.0.0.251': 'multicast DNS',
  '255.255.255.255': 'broadcast',
}

const ipv6: Readonly<Record<string, string>> = {
  '0:0:0:0:0:0:0:0': 'this host',
  '0:0:0:0:0:0:0:1': 'loopback',
  '64:ff9b:1:0:0:0:808:808': 'local-use NAT64 (RFC 8215), whatever it wraps',
  '100:0:0:0:0:0:0:1': 'discard-only (RFC 6666)',
  '100:0:0:1:0:0:0:1': 'dummy prefix (RFC 9780)',
  '2001:0:4136:e378:8000:63bf:3fff:fdd2': 'Teredo (RFC 4380)',
  '2001:2:0:0:0:0:0:1': 'benchmarking (RFC 5180)',
  '2001:10:0:0:0:0:0:1': 'ORCHID (RFC 4843)',
  '2001:20:0:0:0:0:0:1': 'ORCHIDv2 (RFC 7343)',
  '2001:db8:0:0:0:0:0:1': 'documentation (RFC 3849)',
  '2002:808:808:0:0:0:0:1': '6to4 (RFC 3056), whatever it wraps',
  '3fff:0:0:0:0:0:0:1': 'documentation (RFC 9637)',
  '5f00:0:0:0:0:0:0:1': 'SRv6 segments (RFC 9602)',
  'fc00:0:0:0:0:0:0:1': 'unique local (RFC 4193)',
  'fd00:ec2:0:0:0:0:0:254': 'EC2 metadata',
  'fd20:ce:0:0:0:0:0:254': 'Google Cloud metadata',
  'fd00:42:0:0:0:0:0:42': 'Scaleway metadata',
  'fe80:0:0:0:0:0:0:1': 'link-local',
  'fec0:0:0:0:0:0:0:1': 'site-local (RFC 3879)',
  'ff02:0:0:0:0:0:0:1': 'multicast, link',
  'ff0e:0:0:0:0:0:0:1': 'multicast, global',
}

const names: Readonly<Record<string, string>> = {
  localhost: 'loopback by name',
  'api.localhost': 'loopback by name (RFC 6761)',
  'localhost.localdomain': 'loopback by name',
  'ip6-localhost': 'loopback by name',
  'metadata.google.internal': 'cloud metadata by name',
  'metadata.azure.internal': 'cloud metadata by name',
  'instance-data': 'EC2 metadata by name',
  'kubernetes.default.svc.cluster.local': 'the cluster itself',
  'host.docker.internal': "the container's host",
  'printer.local': 'multicast DNS (RFC 6762)',
  'router.home.arpa': 'home network (RFC 8375)',
  'nas.lan': 'inside name',
  'wiki.corp': 'inside name',
}

const bytesOf = (address: string): readonly number[] => address.split('.').map(Number)
const numberOf = (address: string): number => bytesOf(address).reduce((number, byte) => number * 256 + byte, 0)
const hex = (number: number): string => number.toString(16)
const octal = (number: number): string => `0${number.toString(8)}`
const two = (byte: number | undefined): string => hex(byte ?? 0).padStart(2, '0')
const spellParts =
  (...spell: readonly ((byte: number) => string)[]) =>
  (address: string): string =>
    bytesOf(address)
      .map((byte, at) => (spell[at % spell.length] ?? String)(byte))
      .join('.')
const digitsFrom =
  (zero: string) =>
  (text: string): string =>
    text.replace(/\d/g, (digit) => String.fromCodePoint((zero.codePointAt(0) ?? 0) + Number(digit)))
const lettersFrom =
  (a: string) =>
  (text: string): string =>
    text.replace(/[a-z]/g, (letter) => String.fromCodePoint((a.codePointAt(0) ?? 0) + letter.charCodeAt(0) - 97))
const percentEncoded = (text: string): string => [...Buffer.from(text)].map((byte) => `%${two(byte)}`).join('')
/** Two groups of an IPv6 address. */
const groups = (address: string): string => {
  const [a, b, c, d] = bytesOf(address)
  return `${two(a)}${two(b)}:${two(c)}${two(d)}`
}
const inverted = (address: string): string =>
  groups(
    bytesOf(address)
      .map((byte) => 255 - byte)
      .join('.'),
  )

/** The URL parser reads each of these as the IPv4 address. */
const ipv4Hosts: Spellings = {
  'plain dotted': (plain) => plain,
  'trailing dot': (plain) => `${plain}.`,
  'with a port': (plain) => `${plain}:8080`,
  'with an empty port': (plain) => `${plain}:`,
  'one decimal number': (plain) => String(numberOf(plain)),
  'one decimal number and a dot': (plain) => `${numberOf(plain)}.`,
  'one hexadecimal number': (plain) => `0x${hex(numberOf(plain))}`,
  'one hexadecimal number in capitals': (plain) => `0X${hex(numberOf(plain)).toUpperCase()}`,
  'one hexadecimal number, padded': (plain) => `0x${hex(numberOf(plain)).padStart(16, '0')}`,
  'one octal number': (plain) => octal(numberOf(plain)),
  'one octal number, padded': (plain) => `00000${octal(numberOf(plain))}`,
  'hexadecimal parts': spellParts((byte) => `0x${hex(byte)}`),
  'padded hexadecimal parts': spellParts((byte) => `0x00${two(byte)}`),
  'octal parts': spellParts(octal),
  'padded octal parts': spellParts((byte) => `000${octal(byte)}`),
  'hexadecimal and decimal parts': spellParts((byte) => `0x${hex(byte)}`, String),
  'octal and decimal parts': spellParts(octal, String),
  'decimal, hexadecimal, octal, decimal': spellParts(String, (byte) => `0X${two(byte)}`, octal, String),
  'two parts': (plain) => `${bytesOf(plain)[0]}.${numberOf(plain) % 2 ** 24}`,
  'two hexadecimal parts': (plain) => `0x${hex(bytesOf(plain)[0] ?? 0)}.0x${hex(numberOf(plain) % 2 ** 24)}`,
  'three parts': (plain) => `${bytesOf(plain).slice(0, 2).join('.')}.${numberOf(plain) % 2 ** 16}`,
  'three octal parts': (plain) =>
    `${bytesOf(plain).slice(0, 2).map(octal).join('.')}.${octal(numberOf(plain) % 2 ** 16)}`,
  'full-width digits': digitsFrom('０'),
  'full-width digits and dots': (plain) => digitsFrom('０')(plain).replaceAll('.', '．'),
  'ideographic full stops': (plain) => plain.replaceAll('.', '。'),
  'half-width ideographic full stops': (plain) => plain.replaceAll('.', '｡'),
  'circled digits': (plain) => plain.replace(/\d/g, (digit) => '⓪①②③④⑤⑥⑦⑧⑨'.charAt(Number(digit))),
  'superscript digits': (plain) => plain.replace(/\d/g, (digit) => '⁰¹²³⁴⁵⁶⁷⁸⁹'.charAt(Number(digit))),
  'subscript digits': digitsFrom('₀'),
  'mathematical bold digits': digitsFrom('𝟎'),
  'mathematical monospace digits': digitsFrom('𝟶'),
  'full-width hexadecimal number': (plain) => digitsFrom('０')(`０ｘ${hex(numberOf(plain))}`),
  'percent-encoded': percentEncoded,
  'percent-encoded dots': (plain) => plain.replaceAll('.', '%2e'),
  'percent-encoded dots in capitals': (plain) => plain.replaceAll('.', '%2E'),
  'percent-encoded last digit': (plain) => `${plain.slice(0, -1)}${percentEncoded(plain.slice(-1))}`,
  'percent-encoded full-width digits': (plain) => percentEncoded(digitsFrom('０')(plain)),
  'percent-encoded ideographic full stops': (plain) => plain.replaceAll('.', percentEncoded('。')),
  'soft hyphens': (plain) => plain.replaceAll('.', '\u00AD.\u00AD'),
  'zero-width spaces': (plain) => `${plain}\u200B`,
  'word joiners': (plain) => plain.replaceAll('.', '.\u2060'),
  'variation selectors': (plain) => `${plain}\uFE0F`,
}

/** The URL parser reads each of these as an IPv6 address. */
const ipv4InIpv6: Spellings = {
  mapped: (plain) => `[::ffff:${plain}]`,
  'mapped, hexadecimal': (plain) => `[::ffff:${groups(plain)}]`,
  'mapped, in capitals and full length': (plain) => `[0000:0000:0000:0000:0000:FFFF:${groups(plain).toUpperCase()}]`,
  'mapped, half compressed': (plain) => `[0:0::0:ffff:${plain}]`,
  'compatible (RFC 4291)': (plain) => `[::${plain}]`,
  'compatible, hexadecimal': (plain) => `[0::0:${groups(plain)}]`,
  'translated (RFC 2765)': (plain) => `[::ffff:0:${plain}]`,
  'translated, hexadecimal': (plain) => `[::ffff:0:${groups(plain)}]`,
  'NAT64 (RFC 6052)': (plain) => `[64:ff9b::${plain}]`,
  'NAT64, hexadecimal': (plain) => `[64:ff9b:0:0:0:0:${groups(plain)}]`,
  'local-use NAT64 (RFC 8215), /96': (plain) => `[64:ff9b:1::${plain}]`,
  'local-use NAT64, another /96': (plain) => `[64:ff9b:1:fffe:1:2:${groups(plain)}]`,
  'local-use NAT64, /48': (plain) => {
    const [a, b, c, d] = bytesOf(plain)
    return `[64:ff9b:1:${two(a)}${two(b)}:${two(c)}:${two(d)}00::]`
  },
  'local-use NAT64, /64': (plain) => {
    const [a, b, c, d] = bytesOf(plain)
    return `[64:ff9b:1:0:${two(a)}:${two(b)}${two(c)}:${two(d)}00:0]`
  },
  '6to4': (plain) => `[2002:${groups(plain)}::]`,
  '6to4, a host in it': (plain) => `[2002:${groups(plain)}:0:0:0:0:1]`,
  'ISATAP behind a public 6to4 router': (plain) => `[2002:808:808::5efe:${plain}]`,
  'Teredo server': (plain) => `[2001:0:${groups(plain)}::1]`,
  'Teredo client': (plain) => `[2001:0:4136:e378:8000:63bf:${inverted(plain)}]`,
  'ISATAP (RFC 5214)': (plain) => `[2a00:1450::5efe:${plain}]`,
  'ISATAP, universal': (plain) => `[2a00:1450::200:5efe:${groups(plain)}]`,
  'ISATAP, link-local': (plain) => `[fe80::5efe:${plain}]`,
  'unique local': (plain) => `[fd00::${plain}]`,
  'site-local': (plain) => `[fec0::${plain}]`,
  multicast: (plain) => `[ff0e::${plain}]`,
  'discard-only': (plain) => `[100::${plain}]`,
  'SRv6 segment': (plain) => `[5f00::${plain}]`,
  ORCHIDv2: (plain) => `[2001:20::${plain}]`,
  documentation: (plain) => `[2001:db8::${plain}]`,
}

/** Refused for their spelling; some parsers read them as the address. */
const ipv4Tricks: Spellings = {
  'mapped with a zone': (plain) => `[::ffff:${plain}%25eth0]`,
  'in brackets': (plain) => `[${plain}]`,
  'in brackets twice': (plain) => `[[::ffff:${plain}]]`,
  'brackets and more': (plain) => `[::ffff:${plain}].example.com`,
  'behind a user name': (plain) => `example.com@${plain}`,
  'behind a user name and password': (plain) => `example.com:80@${plain}`,
  'behind an encoded user name': (plain) => `example.com%40x@${plain}`,
  'as a user name': (plain) => `${plain}@example.com`,
  'behind a backslash': (plain) => `example.com\\@${plain}`,
  'before a backslash': (plain) => `${plain}\\@example.com`,
  'before a backslash and a name': (plain) => `${plain}\\.example.com`,
  'behind a fragment': (plain) => `example.com#@${plain}`,
  'before a fragment': (plain) => `${plain}#.example.com`,
  'before a query': (plain) => `${plain}?.example.com`,
  'before a semicolon': (plain) => `${plain};.example.com`,
  'before a comma': (plain) => `${plain},example.com`,
  'before NUL': (plain) => `${plain}%00.example.com`,
  'before an encoded slash': (plain) => `${plain}%2f.example.com`,
  'before an encoded line end': (plain) => `${plain}%0d%0a.example.com`,
  'with a tab': (plain) => plain.replace('.', '\t.'),
  'with a line end': (plain) => plain.replace('.', '.\n'),
  'with a carriage return': (plain) => plain.replace('.', '\r.'),
  'with two dots': (plain) => `${plain}..`,
  'with a dot in front': (plain) => `.${plain}`,
  'with a fifth part': (plain) => `${plain}.0`,
  'with port 0': (plain) => `${plain}:0`,
  'with a port too many': (plain) => `${plain}:80:80`,
  'with no number for a port': (plain) => `${plain}:8a`,
}

/** The same, as whole URLs. */
const ipv4Urls: Spellings = {
  'with three slashes': (plain) => `http:///${plain}/`,
  'with one slash': (plain) => `http:/${plain}/`,
  'with no slash': (plain) => `http:${plain}/`,
  'with backslashes for slashes': (plain) => `http:\\\\${plain}/`,
  'with white space in front': (plain) => ` http://${plain}/`,
  'without a scheme': (plain) => `//${plain}/`,
  'by gopher': (plain) => `gopher://${plain}:6379/_FLUSHALL`,
  'by dict': (plain) => `dict://${plain}:11211/stats`,
  'by ftp': (plain) => `ftp://${plain}/`,
  'by file': (plain) => `file://${plain}/etc/passwd`,
  'by ldap': (plain) => `ldap://${plain}/`,
  'by WebSocket': (plain) => `ws://${plain}/`,
  'by a scheme in a scheme': (plain) => `url:http://${plain}/`,
  'by a jar': (plain) => `jar:http://${plain}!/`,
}

/** The URL parser reads each of these as the IPv6 address. The plain form has all eight groups. */
const ipv6Hosts: Spellings = {
  plain: (plain) => `[${plain}]`,
  'in capitals': (plain) => `[${plain.toUpperCase()}]`,
  'full length': (plain) =>
    `[${plain
      .split(':')
      .map((group) => group.padStart(4, '0'))
      .join(':')}]`,
  compressed: (plain) => new URL(`http://[${plain}]`).hostname,
  'its end dotted': (plain) => {
    const parts = plain.split(':')
    const [high = 0, low = 0] = parts.slice(6).map((group) => Number.parseInt(group, 16))
    return `[${parts.slice(0, 6).join(':')}:${high >> 8}.${high & 255}.${low >> 8}.${low & 255}]`
  },
  'with a port': (plain) => `[${plain}]:8080`,
}

const ipv6Tricks: Spellings = {
  'with a zone': (plain) => `[${plain}%25eth0]`,
  'with a numbered zone': (plain) => `[${plain}%251]`,
  'with an unencoded zone': (plain) => `[${plain}%eth0]`,
  'without brackets': (plain) => plain,
  'in brackets twice': (plain) => `[[${plain}]]`,
  'in encoded brackets': (plain) => `%5b${plain}%5d`,
  'with encoded colons': (plain) => `[${plain.replaceAll(':', '%3a')}]`,
  'in full-width digits': (plain) => `[${digitsFrom('０')(plain)}]`,
  'with a ninth group': (plain) => `[${plain}:0]`,
  'behind a user name': (plain) => `example.com@[${plain}]`,
}

/** The URL parser reads each of these as the name or as one below it. */
const nameHosts: Spellings = {
  plain: (plain) => plain,
  'in capitals': (plain) => plain.toUpperCase(),
  'trailing dot': (plain) => `${plain}.`,
  'with a port': (plain) => `${plain}:8080`,
  'full-width letters': lettersFrom('ａ'),
  'circled letters': lettersFrom('ⓐ'),
  'mathematical bold letters': lettersFrom('𝐚'),
  'mathematical monospace letters': lettersFrom('𝚊'),
  'full-width capitals': (plain) => lettersFrom('Ａ')(plain),
  'soft hyphen': (plain) => `${plain.slice(0, 2)}\u00AD${plain.slice(2)}`,
  'zero-width space': (plain) => `${plain.slice(0, 3)}\u200B${plain.slice(3)}`,
  'percent-encoded': percentEncoded,
  'percent-encoded first letter': (plain) => `${percentEncoded(plain.slice(0, 1))}${plain.slice(1)}`,
}

const nameTricks: Spellings = {
  'two trailing dots': (plain) => `${plain}..`,
  'a dot in front': (plain) => `.${plain}`,
  'behind a user name': (plain) => `example.com@${plain}`,
  'before a backslash': (plain) => `${plain}\\.example.com`,
  'before an encoded slash': (plain) => `${plain}%2f.example.com`,
  'before NUL': (plain) => `${plain}%00.example.com`,
  'with a tab': (plain) => `${plain.slice(0, 2)}\t${plain.slice(2)}`,
}

/** A URL that no callback may go to, and what it is about. */
export interface HostileUrl {
  readonly url: string
  readonly why: string
}

export interface SpelledUrl extends HostileUrl {
  /** The host that the URL parser reads from it; null if it may read anything or nothing. */
  readonly meant: string | null
}

function spell(
  plains: Readonly<Record<string, string>>,
  spellings: Spellings,
  meant: (plain: string) => string | null = () => null,
  urlOf = (host: string) => `http://${host}/`,
): readonly SpelledUrl[] {
  return Object.entries(plains).flatMap(([plain, what]) =>
    Object.entries(spellings).map(([how, write]) => ({
      url: urlOf(write(plain)),
      why: `${what}: ${plain}, ${how}`,
      meant: meant(plain),
    })),
  )
}

const itself = (text: string) => text

export const spelledUrls: readonly SpelledUrl[] = [
  ...spell(ipv4, ipv4Hosts, itself),
  ...spell(ipv4, ipv4InIpv6),
  ...spell(ipv4, ipv4Tricks),
  ...spell(ipv4, ipv4Urls, undefined, itself),
  ...spell(ipv6, ipv6Hosts, (plain) => new URL(`http://[${plain}]`).hostname),
  ...spell(ipv6, ipv6Tricks),
  ...spell(names, nameHosts, itself),
  ...spell(names, nameTricks),
]

/** An IPv4 address as each host that the URL parser reads as it. */
export function ipv4Spelled(address: string): readonly string[] {
  return Object.values(ipv4Hosts).map((write) => write(address))
}

/** What a hostile name server may return: every address of the tables, and addresses that embed one. */
export const hostileAddresses: readonly string[] = [
  ...Object.keys(ipv4),
  ...Object.keys(ipv6),
  ...Object.keys(ipv4).flatMap((plain) => Object.values(ipv4InIpv6).map((write) => write(plain).slice(1, -1))),
]
