import { createPublicKey, hash, type KeyObject, verify } from 'node:crypto'

/** A JSON Web Key Set (RFC 7517) as in `/.well-known/jwks.json`. Only its Ed25519 keys are used. */
export interface KeySet {
  readonly keys: readonly Readonly<Record<string, unknown>>[]
}

export type KeyRing = ReadonlyMap<string, KeyObject>

/** Keys for another purpose are ignored: a key for certificates must not vouch for the audit. */
export function keyRing({ keys }: KeySet): KeyRing {
  const fitting = keys.filter(
    (key) => key.kty === 'OKP' && key.crv === 'Ed25519' && (key.purpose === undefined || key.purpose === 'audit_head'),
  )
  return new Map(
    fitting.map(({ kty, crv, x, kid }) => [
      String(kid),
      createPublicKey({ key: { kty, crv, x } as never, format: 'jwk' }),
    ]),
  )
}

/** The claims of a batch's head (docs/audit.md). */
export interface Head {
  readonly organization_id: string
  readonly number: number
  readonly first: number
  readonly last: number
  readonly root: string
  readonly link: string
  readonly previous_seal_sha256: string | null
  readonly sealed_at: string
}

/** The claims of the last line of an export. */
export interface End {
  readonly organization_id: string
  readonly exported_at: string
  readonly first_seal: number
  readonly last_seal: number
  readonly last_position: number
  readonly last_seal_sha256: string | null
  readonly unsealed_events: number
  readonly unsealed_erasures: number
}

/** A well-formed compact JWS whose signature is not checked yet. */
export interface Jws<T> {
  readonly text: string
  readonly kid: string
  readonly payload: T
  readonly sha256: string
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const sha256 = /^[0-9a-f]{64}$/
const count = (value: unknown): boolean => Number.isSafeInteger(value) && Number(value) >= 0
const text = (pattern: RegExp) => (value: unknown) => typeof value === 'string' && pattern.test(value)
const orNull = (fits: (value: unknown) => boolean) => (value: unknown) => value === null || fits(value)
const time = text(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)

type Shape = Readonly<Record<string, (value: unknown) => boolean>>

const headShape: Shape = {
  organization_id: text(uuid),
  number: count,
  first: count,
  last: count,
  root: text(sha256),
  link: text(sha256),
  previous_seal_sha256: orNull(text(sha256)),
  sealed_at: time,
}

const endShape: Shape = {
  organization_id: text(uuid),
  exported_at: time,
  first_seal: count,
  last_seal: count,
  last_position: count,
  last_seal_sha256: orNull(text(sha256)),
  unsealed_events: count,
  unsealed_erasures: count,
}

/** The `typ` of the protected header keeps heads and ends from being mistaken for each other or for anything else. */
export const readHead = (jws: string): Jws<Head> | null => read<Head>(jws, 'hitl-audit-head+jws', headShape)
export const readEnd = (jws: string): Jws<End> | null => read<End>(jws, 'hitl-audit-export+jws', endShape)

function read<T>(jws: string, typ: string, shape: Shape): Jws<T> | null {
  const parts = jws.split('.')
  const decoded = parts.map((part) => Buffer.from(part, 'base64url'))
  // A lenient base64 decoder accepts several spellings of the same bytes. Only the canonical one is valid here.
  if (parts.length !== 3 || decoded.some((bytes, place) => bytes.toString('base64url') !== parts[place])) return null
  const header = parseObject(decoded[0])
  const payload = parseObject(decoded[1])
  if (header === null || payload === null) return null
  const { alg, kid } = header
  if ((alg !== 'EdDSA' && alg !== 'Ed25519') || header.typ !== typ || typeof kid !== 'string') return null
  if (header.crit !== undefined || decoded[2]?.length !== 64) return null
  if (Object.entries(shape).some(([name, fits]) => !fits(payload[name]))) return null
  return { text: jws, kid, payload: payload as T, sha256: hash('sha256', jws) }
}

function parseObject(bytes: Buffer | undefined): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(bytes?.toString() ?? '')
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null
  } catch {
    return null
  }
}

/** Null if the key is not in the set. */
export function signatureHolds(jws: Jws<unknown>, keys: KeyRing): boolean | null {
  const key = keys.get(jws.kid)
  if (key === undefined) return null
  const dot = jws.text.lastIndexOf('.')
  return verify(null, Buffer.from(jws.text.slice(0, dot)), key, Buffer.from(jws.text.slice(dot + 1), 'base64url'))
}
