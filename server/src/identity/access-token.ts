import { createHash, hkdfSync } from 'node:crypto'
import { jwtVerify, SignJWT } from 'jose'

export interface TokenSubject {
  readonly organizationId: string
  readonly userId: string
}

export interface AccessTokens {
  sign(subject: TokenSubject, now: Date): Promise<{ readonly token: string; readonly expiresInSeconds: number }>
  /** The subject of a valid, unexpired token of ours; null for everything else. */
  verify(token: string, now: Date): Promise<TokenSubject | null>
}

const issuer = 'hitl'
const audience = 'hitl-api'

/** Verified tokens remembered per process: saves the HMAC and its promise hops (about 60 µs) on every further call. */
const maxRemembered = 10_000

/** HS256 (RFC 7518, 3.2) with a key derived from SECRET_KEY; algorithm, issuer and audience are pinned (RFC 8725). */
export function createAccessTokens(secretKey: string, expireMinutes: number): AccessTokens {
  const key = new Uint8Array(hkdfSync('sha256', secretKey, '', 'hitl access token v1', 32))
  const remembered = new Map<string, { readonly subject: TokenSubject; readonly expiresAt: number }>()
  const expiresInSeconds = expireMinutes * 60

  return {
    sign: async (subject, now) => {
      const issuedAt = Math.floor(now.getTime() / 1000)
      const token = await new SignJWT({ org: subject.organizationId })
        .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
        .setSubject(subject.userId)
        .setIssuer(issuer)
        .setAudience(audience)
        .setIssuedAt(issuedAt)
        .setExpirationTime(issuedAt + expiresInSeconds)
        .sign(key)
      return { token, expiresInSeconds }
    },
    verify: async (token, now) => {
      // The digest, not the token: a memory dump of the map gives nobody a session.
      const digest = createHash('sha256').update(token).digest('base64')
      const known = remembered.get(digest)
      if (known !== undefined) {
        if (known.expiresAt > now.getTime()) return known.subject
        remembered.delete(digest)
        return null
      }
      try {
        const { payload } = await jwtVerify(token, key, {
          algorithms: ['HS256'],
          issuer,
          audience,
          currentDate: now,
          requiredClaims: ['sub', 'exp', 'iat', 'org'],
        })
        if (typeof payload.sub !== 'string' || typeof payload.org !== 'string') return null
        const subject = { userId: payload.sub, organizationId: payload.org }
        if (remembered.size >= maxRemembered) remembered.clear()
        remembered.set(digest, { subject, expiresAt: Number(payload.exp) * 1000 })
        return subject
      } catch {
        return null
      }
    },
  }
}
