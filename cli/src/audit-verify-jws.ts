import { createPublicKey, hash, type KeyObject, verify } from 'node:crypto'

/** A JSON Web Key Set (RFC 7517) as in `/.well-known/jwks.json`. Only its Ed25519 keys are used. */
export interface KeySet {
  readonly keys: readonly Readonly<Record<string, unknown>>[]
}

interface PublicKey {
  readonly key: KeyObject
  /** Milliseconds since 1970, from when on it signs nothing; null: not in this copy of the key set. */
  readonly retiredAt: number | null
  /** When it was revoked because it leaked, as the key set has it. */
  readonly revokedAt: string | null
}

export type KeyRing = ReadonlyMap<string, PublicKey>

/** Keys for another purpose are ignored: a key for certificates must not vouch for the audit. */
export function keyRing({ keys }: KeySet): KeyRing {
  const fitting = keys.filter(
    ({ kty, crv, purpose, kid }) =>
      kty === 'OKP' && crv === 'Ed25519' && purpose === 'audit_head' && typeof kid === 'string',
  )
  return new Map(
    fitting.map(({ kty, crv, x, kid, retired_at: retiredAt, revoked_at: revokedAt }) => [
      String(kid),
      {
        key: createPublicKey({ key: { kty, crv, x } as never, format: 'jwk' }),
        retiredAt: (retiredAt ?? null) === null ? null : timeOf(retiredAt, kid),
        revokedAt: (revokedAt ?? null) === null ? null : String(revokedAt),
      },
    ]),
  )
}

function timeOf(value: unknown, kid: unknown): number {
  if (!time(value)) throw new Error(`In the key set, retired_at of the key ${kid} is no time.`)
  return Date.parse(value as string)
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
  /** The seal behind which the export was asked to begin; null: everything was asked for. */
  readonly after: number | null
  /** The last seal that was purged, when the export begins behind it for that reason. */
  readonly purged_up_to: number | null
  readonly first_seal: number
  readonly last_seal: number
  readonly last_position: number
  readonly last_seal_sha256: string | null
  readonly unsealed_events: number
  readonly unsealed_erasures: number
  readonly unsealed_purges: number
  readonly misplaced_events: number
  readonly mismatched_columns: number
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
/** The one spelling of a time that there is: the 30th of February and a 60th second are not. */
function time(value: unknown): boolean {
  const at = typeof value === 'string' ? new Date(value) : null
  return at !== null && !Number.isNaN(at.getTime()) && at.toISOString() === value
}

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
  after: orNull(count),
  purged_up_to: orNull(count),
  first_seal: count,
  last_seal: count,
  last_position: count,
  last_seal_sha256: orNull(text(sha256)),
  unsealed_events: count,
  unsealed_erasures: count,
  unsealed_purges: count,
  misplaced_events: count,
  mismatched_columns: count,
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
  if (alg !== 'EdDSA' || header.typ !== typ || typeof kid !== 'string') return null
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

/** The clocks of two hosts may differ by this much: a key can still sign so long after it retired. */
const skewMs = 60_000

/** `revoked`: the signature holds, but others have the key too. */
export interface Standing {
  readonly standing: 'good' | 'forged' | 'unknown' | 'revoked'
  /** The end of a sentence about the key or the signature; empty when good. */
  readonly why: string
}

/** What the signature is worth; `signedAt` is the time that the payload says it was made. */
export function standingOf(jws: Jws<unknown>, signedAt: string, keys: KeyRing): Standing {
  const known = keys.get(jws.kid)
  if (known === undefined) return { standing: 'unknown', why: 'is not in the key set' }
  const dot = jws.text.lastIndexOf('.')
  const signature = Buffer.from(jws.text.slice(dot + 1), 'base64url')
  if (!verify(null, Buffer.from(jws.text.slice(0, dot)), known.key, signature)) {
    return { standing: 'forged', why: 'its signature is invalid' }
  }
  if (known.retiredAt !== null && Date.parse(signedAt) > known.retiredAt + skewMs) {
    return { standing: 'forged', why: 'its key had been retired before it was signed' }
  }
  if (known.revokedAt === null) return { standing: 'good', why: '' }
  return { standing: 'revoked', why: `was revoked at ${known.revokedAt} because it leaked` }
}
