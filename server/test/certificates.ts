import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { isIPv4 } from 'node:net'

/** A certificate with its key, as `tls.createServer` takes them; `cert` of an authority is what a client trusts. */
export interface Certificate {
  readonly cert: string
  readonly key: string
}

interface Issuer {
  readonly name: string
  readonly key: KeyObject
}

const HOUR_MS = 3_600_000
const ECDSA_SHA256 = '1.2.840.10045.4.3.2'

/**
 * A certificate authority for one test, so that the repository contains no private key and no openssl is needed. Writes the few
 * DER structures of an X.509 v3 certificate (RFC 5280 4.1) with P-256 keys.
 */
export function createAuthority(name = 'Test Authority') {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const issuer = { name, key: privateKey }
  const cert = certificate({
    issuer,
    subject: name,
    publicKey,
    hosts: [],
    isAuthority: true,
    untilMs: Date.now() + HOUR_MS,
  })
  /** A server certificate for host names and IPv4 addresses. */
  function issue(hosts: readonly string[], untilMs = Date.now() + HOUR_MS): Certificate {
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const subject = hosts[0] ?? 'nobody'
    return {
      cert: certificate({ issuer, subject, publicKey: pair.publicKey, hosts, isAuthority: false, untilMs }),
      key: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    }
  }
  return { cert, issue }
}

/** A self-signed server certificate. */
export function selfSigned(hosts: readonly string[]): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const subject = hosts[0] ?? 'nobody'
  const issuer = { name: subject, key: privateKey }
  return {
    cert: certificate({ issuer, subject, publicKey, hosts, isAuthority: false, untilMs: Date.now() + HOUR_MS }),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

function certificate(of: {
  readonly issuer: Issuer
  readonly subject: string
  readonly publicKey: KeyObject
  readonly hosts: readonly string[]
  readonly isAuthority: boolean
  readonly untilMs: number
}): string {
  const algorithm = sequence(oid(ECDSA_SHA256))
  const toBeSigned = sequence(
    der(0xa0, integer(Buffer.of(2))),
    integer(Buffer.concat([Buffer.of(1), randomBytes(15)])),
    algorithm,
    distinguishedName(of.issuer.name),
    sequence(time(of.untilMs - 24 * HOUR_MS), time(of.untilMs)),
    distinguishedName(of.subject),
    of.publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...extensions(of.hosts, of.isAuthority))),
  )
  const signed = sequence(toBeSigned, algorithm, bitString(sign('sha256', toBeSigned, of.issuer.key)))
  const lines = signed.toString('base64').match(/.{1,64}/g) ?? []
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n')
}

function extensions(hosts: readonly string[], isAuthority: boolean): readonly Buffer[] {
  const basicConstraints = extension('2.5.29.19', sequence(...(isAuthority ? [der(0x01, Buffer.of(0xff))] : [])))
  if (hosts.length === 0) return [basicConstraints]
  const names = hosts.map((host) =>
    isIPv4(host) ? der(0x87, Buffer.from(host.split('.').map(Number))) : der(0x82, Buffer.from(host)),
  )
  return [basicConstraints, extension('2.5.29.17', sequence(...names))]
}

function extension(id: string, value: Buffer): Buffer {
  return sequence(oid(id), der(0x04, value))
}

function distinguishedName(commonName: string): Buffer {
  return sequence(der(0x31, sequence(oid('2.5.4.3'), der(0x0c, Buffer.from(commonName)))))
}

function time(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, '')
  return der(0x18, Buffer.from(digits))
}

function integer(bytes: Buffer): Buffer {
  return der(0x02, bytes)
}

function bitString(bytes: Buffer): Buffer {
  return der(0x03, Buffer.of(0), bytes)
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return der(0x30, ...parts)
}

function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  return der(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]))
}

function base128(value: number): readonly number[] {
  const digits = [value & 0x7f]
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) digits.unshift((rest & 0x7f) | 0x80)
  return digits
}

function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts)
  const length = content.length < 128 ? [content.length] : longLength(content.length)
  return Buffer.concat([Buffer.from([tag, ...length]), content])
}

function longLength(length: number): readonly number[] {
  const bytes = length < 256 ? [length] : [length >>> 8, length & 0xff]
  return [0x80 | bytes.length, ...bytes]
}
