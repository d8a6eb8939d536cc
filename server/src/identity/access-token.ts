import { createHash, createHmac, createSecretKey, hkdfSync, type KeyObject, timingSafeEqual } from 'node:crypto'
import { createBoundedMap } from '../platform/bounded-map.ts'
import type { KeyStanding, SigningKeys } from './signing-keys/service.ts'
import { encodeJson, splitJws } from './signing-keys/signing-key.ts'

export interface TokenSubject {
  readonly organizationId: string
  readonly userId: string
  /** The session that the token belongs to. */
  readonly sessionId?: string
}

export interface AccessTokens {
  sign(subject: TokenSubject, now: Date): Promise<{ readonly token: string; readonly expiresInSeconds: number }>
  /** The subject of a valid, unexpired token of ours; null for everything else. */
  verify(token: string, now: Date): Promise<TokenSubject | null>
}

export interface AccessTokenOptions {
  /** The former SECRET_KEY: its tokens stay valid until they expire. */
  readonly previousSecretKey?: string | null
  /** Given, tokens are signed with Ed25519 keys that rotate, and anybody can check them; else with HMAC. */
  readonly signingKeys?: SigningKeys | null
}

const issuer = 'hitl'
const audience = 'hitl-api'
/** RFC 9068, 2.1: so that nothing else we sign is ever taken for an access token. */
const type = 'at+jwt'
/** Hosts' clocks may differ by this much, or a new token would not be good on the next host. */
const skewSeconds = 10

const idPattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** Verified tokens remembered per process: saves the signature (about 100 µs with Ed25519) on every further call. */
const maxRemembered = 10_000

interface Remembered {
  readonly subject: TokenSubject
  readonly expiresAt: number
  /** Null with HMAC. */
  readonly kid: string | null
}

/**
 * Short-lived tokens of people: HS256 (RFC 7518, 3.2) with a key derived from SECRET_KEY, or EdDSA. Only the configured
 * algorithm is accepted, and only with exactly the header that this service writes for it: a forger cannot choose an `alg`,
 * `jwk`, `jku`, `x5u` or `crit` (RFC 8725, 3.1 and 3.10).
 */
export function createAccessTokens(
  secretKey: string,
  expireMinutes: number,
  { previousSecretKey = null, signingKeys = null }: AccessTokenOptions = {},
): AccessTokens {
  const scheme = signingKeys === null ? createHmacScheme(secretKey, previousSecretKey) : createEdDsaScheme(signingKeys)
  const remembered = createBoundedMap<string, Remembered>(maxRemembered)
  const expiresInSeconds = expireMinutes * 60

  return {
    sign: async ({ organizationId, userId, sessionId }, now) => {
      const iat = Math.floor(now.getTime() / 1000)
      const session = sessionId === undefined ? {} : { sid: sessionId }
      const claims = { iss: issuer, aud: audience, sub: userId, org: organizationId, ...session }
      return { token: await scheme.sign({ ...claims, iat, exp: iat + expiresInSeconds }), expiresInSeconds }
    },
    verify: async (token, now) => {
      // The digest, not the token: a memory dump of the map gives nobody a session.
      const digest = createHash('sha256').update(token).digest('base64')
      const known = remembered.get(digest)
      if (known !== undefined && known.expiresAt > now.getTime()) {
        return (await scheme.stillCounts(known.kid, now)) ? known.subject : null
      }
      remembered.delete(digest)
      const verified = await scheme.verify(token, now)
      const claims = verified === null ? null : readClaims(verified.payload, now, expiresInSeconds)
      if (verified === null || claims === null) return null
      remembered.set(digest, { ...claims, kid: verified.kid })
      return claims.subject
    },
  }
}

/** What makes and checks signatures; the claims are the same for both. */
interface Scheme {
  sign(claims: Readonly<Record<string, unknown>>): Promise<string>
  /** The payload segment of a token whose header and signature are ours. */
  verify(token: string, now: Date): Promise<{ readonly payload: string; readonly kid: string | null } | null>
  /** False when the key was taken out of use since. */
  stillCounts(kid: string | null, now: Date): Promise<boolean>
}

function createHmacScheme(secretKey: string, previousSecretKey: string | null): Scheme {
  const header = encodeJson({ alg: 'HS256', typ: type })
  const key = deriveKey(secretKey)
  const keys = previousSecretKey === null ? [key] : [key, deriveKey(previousSecretKey)]
  const mac = (signed: string, by: KeyObject): Buffer => createHmac('sha256', by).update(signed).digest()
  return {
    sign: async (claims) => {
      const signed = `${header}.${encodeJson(claims)}`
      return `${signed}.${mac(signed, key).toString('base64url')}`
    },
    verify: async (token) => {
      const parts = splitJws(token)
      if (parts === null || parts.header !== header || parts.signature.length !== 32) return null
      const fits = keys.some((by) => timingSafeEqual(mac(parts.signed, by), parts.signature))
      return fits ? { payload: parts.payload, kid: null } : null
    },
    stillCounts: async () => true,
  }
}

function createEdDsaScheme(signingKeys: SigningKeys): Scheme {
  // A day: longer than any token lives, so tokens signed before the rotation stay valid, and none signed after it are.
  const counts = (key: KeyStanding | null, now: Date): boolean =>
    key !== null && !key.isRevoked && (key.retiredAt === null || now.getTime() - key.retiredAt.getTime() <= 86_400_000)
  return {
    sign: (claims) => signingKeys.sign('access_token', claims, { typ: type }),
    verify: async (token, now) => {
      const signed = await signingKeys.verify('access_token', token, { typ: type })
      return signed !== null && counts(signed.key, now) ? { payload: signed.payload, kid: signed.key.kid } : null
    },
    stillCounts: async (kid, now) => kid !== null && counts(await signingKeys.find('access_token', kid), now),
  }
}

/** The claims of a token whose signature is ours; null when it is for something else, another time or in another form. */
function readClaims(payload: string, now: Date, lifeSeconds: number): Omit<Remembered, 'kid'> | null {
  const text = Buffer.from(payload, 'base64url').toString('utf8')
  const claims = parseObject(text)
  // What we write reads back the same: no claim appears twice, and nothing is spelled in another way.
  if (claims === null || encodeJson(claims) !== payload) return null
  const { iss, aud, sub, org, sid, iat, exp, nbf } = claims
  if (iss !== issuer || aud !== audience || nbf !== undefined) return null
  if (!isId(sub) || !isId(org) || (sid !== undefined && !isId(sid))) return null
  const seconds = now.getTime() / 1000
  if (!Number.isInteger(iat) || !Number.isInteger(exp)) return null
  if (Number(iat) > seconds + skewSeconds || Number(exp) <= seconds || Number(exp) - Number(iat) > lifeSeconds)
    return null
  const subject = { userId: sub, organizationId: org, ...(sid === undefined ? {} : { sessionId: sid }) }
  return { subject, expiresAt: Number(exp) * 1000 }
}

function parseObject(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : null
  } catch {
    return null
  }
}

function isId(value: unknown): value is string {
  return typeof value === 'string' && idPattern.test(value)
}

/** RFC 5869. A key of its own, so that no other key derived from SECRET_KEY can forge a token. */
function deriveKey(secretKey: string): KeyObject {
  return createSecretKey(Buffer.from(hkdfSync('sha256', secretKey, '', 'hitl access token v1', 32)))
}
