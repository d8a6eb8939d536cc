import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'

// An export as a structure, and back: with all positions, hashes and signatures made anew, as somebody does who rewrites it.

export type Claims = Readonly<Record<string, unknown>>

export interface Event {
  readonly record: string
  readonly erasable: string | null
}

export interface Batch {
  readonly events: readonly Event[]
  readonly claims: Claims
}

export interface History {
  readonly header: Claims
  readonly batches: readonly Batch[]
  readonly end: Claims
}

export interface Signer {
  readonly kid: string
  sign(text: string): Buffer
}

export function parse(text: string): History {
  const [first = '', ...lines] = text.trimEnd().split('\n')
  const batches: Batch[] = []
  let events: Event[] = []
  let end: Claims = {}
  for (const line of lines) {
    const value = JSON.parse(line)
    if (value.seal !== undefined) {
      batches.push({ events, claims: claimsOf(value.seal) })
      events = []
    } else if (value.end !== undefined) end = claimsOf(value.end)
    // Records are canonical, and JSON.stringify keeps the order of members.
    else events.push({ record: JSON.stringify(value.record), erasable: erasableOf(value) })
  }
  return { header: JSON.parse(first), batches, end }
}

const erasableOf = ({ erasable }: { readonly erasable?: object }): string | null =>
  erasable === undefined ? null : JSON.stringify(erasable)

export const claimsOf = (jws: string): Claims =>
  JSON.parse(Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString())

export interface Remake {
  readonly signer: Signer | ((number: number) => Signer)
  readonly endSigner?: Signer
  /** The last word on the claims of each head, after everything was computed. */
  readonly head?: (claims: Claims, number: number) => unknown
  readonly end?: (claims: Claims) => unknown
  readonly header?: (header: Claims) => Claims
  readonly jwsHeader?: (header: Claims) => unknown
  readonly line?: (line: string) => string
}

export function remake({ header, batches, end }: History, options: Remake): string {
  const { signer, head = (claims) => claims, line = (text) => text } = options
  const of = typeof signer === 'function' ? signer : () => signer
  const jwsHeader = options.jwsHeader ?? ((given) => given)
  const previous = typeof header.previous === 'string' ? header.previous : null
  let link: Buffer = previous === null ? Buffer.alloc(32) : Buffer.from(String(claimsOf(previous).link), 'hex')
  let position = Number(header.first_position)
  let number = Number(header.first_seal)
  let last = previous
  const lines: string[] = []
  for (const { events, claims } of batches) {
    const first = position
    const leaves: Buffer[] = []
    for (const { record, erasable } of events) {
      leaves.push(sha256('\0', record))
      link = sha256(link, record)
      const part = erasable === null ? '' : `,"erasable":${erasable}`
      lines.push(`{"position":${position},"record":${record}${part}}`)
      position += 1
    }
    const made = {
      ...claims,
      number,
      first,
      last: position - 1,
      root: merkleRoot(leaves).toString('hex'),
      link: link.toString('hex'),
      previous_seal_sha256: last === null ? null : sha256(last).toString('hex'),
    }
    last = jws('hitl-audit-head+jws', head(made, number), of(number), jwsHeader)
    lines.push(`{"seal":"${last}","leaves":"${Buffer.concat(leaves).toString('base64')}"}`)
    number += 1
  }
  const says = {
    ...end,
    first_seal: header.first_seal,
    last_seal: number - 1,
    last_position: position - 1,
    last_seal_sha256: last === null ? null : sha256(last).toString('hex'),
  }
  const signed = options.end === undefined ? says : options.end(says)
  const endSigner = options.endSigner ?? of(number)
  lines.push(`{"end":"${jws('hitl-audit-export+jws', signed, endSigner, jwsHeader)}"}`)
  const begin = options.header === undefined ? header : options.header(header)
  return [JSON.stringify(begin), ...lines].map((text) => `${line(text)}\n`).join('')
}

export function jws(
  typ: string,
  claims: unknown,
  signer: Signer,
  header: (given: Claims) => unknown = (given) => given,
): string {
  const part = (value: unknown) =>
    Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
  const signed = `${part(header({ alg: 'EdDSA', typ, kid: signer.kid }))}.${part(claims)}`
  return `${signed}.${signer.sign(signed).toString('base64url')}`
}

/** RFC 6962, section 2.1. */
export function merkleRoot(leaves: readonly Buffer[]): Buffer {
  if (leaves.length === 0) return sha256('')
  if (leaves.length === 1) return leaves[0] as Buffer
  let left = 1
  while (left * 2 < leaves.length) left *= 2
  return sha256('\x01', merkleRoot(leaves.slice(0, left)), merkleRoot(leaves.slice(left)))
}

export function sha256(...parts: readonly (string | Buffer)[]): Buffer {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest()
}

export interface OwnKey extends Signer {
  /** Its entry in a key set. */
  entry(more?: Claims): Claims
}

export function createKey(): OwnKey {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const { x } = publicKey.export({ format: 'jwk' })
  const kid = sha256(`{"crv":"Ed25519","kty":"OKP","x":"${x}"}`).toString('base64url')
  const fixed = { kty: 'OKP', crv: 'Ed25519', x, kid, alg: 'EdDSA', use: 'sig', purpose: 'audit_head' }
  const period = { active_at: '2026-01-01T00:00:00.000Z', retired_at: null, revoked_at: null }
  return { kid, sign: (text) => signWith(privateKey, text), entry: (more = {}) => ({ ...fixed, ...period, ...more }) }
}

const signWith = (key: KeyObject, text: string): Buffer => sign(null, Buffer.from(text), key)

/** Random bytes in place of a signature. */
export const forger = (kid: string): Signer => ({ kid, sign: () => randomBytes(64) })

/** A key set with more keys. */
export const setOf = (keys: string, ...more: readonly Claims[]): string =>
  JSON.stringify({ keys: [...JSON.parse(keys).keys, ...more] })
