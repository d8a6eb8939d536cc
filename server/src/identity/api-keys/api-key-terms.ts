import { later } from '../../platform/clock.ts'
import { canonicalNetwork, notEverybody } from '../../platform/network-address.ts'
import { invalid, refusal } from '../../platform/problem.ts'
import { type KeyScope, keyScopes } from '../principal.ts'

/** The rules of an agent's keys: what each may be used for, for how long, and from where. Pure. */

export interface ApiKey {
  readonly organizationId: string
  readonly id: string
  readonly agentId: string
  readonly name: string
  readonly description: string | null
  readonly isActive: boolean
  readonly scopes: readonly KeyScope[]
  readonly expiresAt: Date
  /** Canonical CIDRs; none means anywhere. */
  readonly allowedNetworks: readonly string[]
  readonly lastUsedAt: Date | null
  readonly lastUsedAddress: string | null
  /** The key that this one replaces. */
  readonly rotatedFrom: string | null
  readonly revokedAt: Date | null
  readonly revokedBy: string | null
  /** When somebody reported it who should not have it. */
  readonly leakedAt: Date | null
  readonly createdAt: Date
  readonly updatedAt: Date
}

export const apiKeyNotFound = refusal(404, 'api_key.not_found', 'API key not found')

export const keyRevoked = refusal(
  409,
  'api_key.revoked',
  'This key is revoked, so there is nothing to replace. Make a new key.',
)

export const alreadyRotated = refusal(
  409,
  'api_key.rotated',
  (successor: string) => ({
    detail: `This key was already replaced by the key ${successor}. Rotate that one, or make another key.`,
    extra: { replaced_by: successor },
  }),
  '01890f3e-5c2a-7bbb-8a3b-5f1d2c3b4a60',
)

export const keyLeaked = refusal(
  409,
  'api_key.leaked',
  'This key was reported as leaked and stays revoked. Make a new key, or rotate another one of the agent.',
)

export const keyExpired = refusal(
  401,
  'auth.key_expired',
  (expiresAt: Date) => ({
    detail: `This API key expired on ${expiresAt.toISOString()}. Ask an administrator to rotate it.`,
    extra: { how: 'An administrator sends POST /api/v1/api-keys/{id}/rotate.' },
    // RFC 6750, 3.1: expired is an invalid token, as revoked is; `code` tells them apart.
    headers: {
      'www-authenticate': 'Bearer realm="hitl", error="invalid_token", error_description="The API key has expired"',
    },
  }),
  new Date('2026-01-31T09:00:00Z'),
)

export const networkRefused = refusal(
  403,
  'auth.network_refused',
  (address: string | undefined) =>
    `This API key may not be used from ${address ?? 'where this call comes from'}. Call from one of its networks, or ask an administrator to change them.`,
  '203.0.113.7',
)

const dayMs = 86_400_000
export const defaultLifeDays = 365
/** Three years, one of them a leap year. Longer, or for ever, is refused: keys that are never replaced are forgotten. */
export const maxLifeDays = 1_096
export const soonDays = 30
export const maxNetworks = 50
export const defaultOverlapMinutes = 1_440
export const maxOverlapMinutes = 43_200

/** When a new key expires. Throws 422 for a time that no key may have. */
export function expiryOf(asked: Date | undefined, now: Date): Date {
  const expiresAt = asked ?? new Date(now.getTime() + defaultLifeDays * dayMs)
  if (expiresAt <= now) throw invalid('expires_at', 'must lie in the future')
  if (expiresAt.getTime() > now.getTime() + maxLifeDays * dayMs) {
    throw invalid('expires_at', `must lie within ${maxLifeDays} days from now`)
  }
  return expiresAt
}

export function isExpired(key: Pick<ApiKey, 'expiresAt'>, now: Date): boolean {
  return key.expiresAt <= now
}

/** Time to replace it; true as well once it has expired. */
export function expiresSoon(key: Pick<ApiKey, 'expiresAt'>, now: Date): boolean {
  return key.expiresAt.getTime() - now.getTime() <= soonDays * dayMs
}

/**
 * When to warn that it will expire: 30 days before, but never in the first half of its life. A person who makes a key for a
 * week knows that, and needs no warning at once.
 */
export function warnAtOf(key: Pick<ApiKey, 'expiresAt' | 'createdAt'>): Date {
  const [born, ends] = [key.createdAt.getTime(), key.expiresAt.getTime()]
  return new Date(Math.max(ends - soonDays * dayMs, born + (ends - born) / 2))
}

/** In the order of `keyScopes`, each once. */
export function scopesOf(asked: readonly string[] | undefined): readonly KeyScope[] {
  return asked === undefined ? keyScopes : keyScopes.filter((scope) => asked.includes(scope))
}

/** In canonical spelling, without duplicates. Throws 422 for an entry that is not a network, and where they are everybody. */
export function networksOf(asked: readonly string[] | undefined): readonly string[] {
  const networks = [
    ...new Set(
      (asked ?? []).map((entry, index) => {
        try {
          return canonicalNetwork(entry)
        } catch (error) {
          throw invalid(`allowed_networks.${index}`, (error as Error).message)
        }
      }),
    ),
  ]
  try {
    return notEverybody(networks)
  } catch (error) {
    throw invalid('allowed_networks', (error as Error).message)
  }
}

/**
 * The key that replaces `before`, with its agent, scopes, networks and length of life. `before` goes on until the overlap
 * ends, so that nobody has to replace it everywhere at one moment.
 */
export function rotate(
  before: ApiKey,
  id: string,
  terms: { readonly overlapMinutes: number; readonly expiresAt: Date | undefined },
  now: Date,
): { readonly old: ApiKey; readonly fresh: ApiKey } {
  if (!before.isActive) throw keyRevoked()
  const life = before.expiresAt.getTime() - before.createdAt.getTime()
  const asLong = new Date(now.getTime() + Math.min(life, maxLifeDays * dayMs))
  const overlapEnds = new Date(now.getTime() + terms.overlapMinutes * 60_000)
  const ends = before.expiresAt > overlapEnds ? overlapEnds : before.expiresAt
  return {
    old: { ...before, expiresAt: ends, updatedAt: later(before, now) },
    fresh: {
      ...before,
      id,
      expiresAt: expiryOf(terms.expiresAt ?? asLong, now),
      lastUsedAt: null,
      lastUsedAddress: null,
      rotatedFrom: before.id,
      createdAt: now,
      updatedAt: now,
    },
  }
}

/** Revokes or restores a key. One that was reported as leaked is never restored. */
export function setActive(before: ApiKey, isActive: boolean, by: string, now: Date): ApiKey {
  if (before.isActive === isActive) return before
  if (isActive && before.leakedAt !== null) throw keyLeaked()
  return isActive
    ? { ...before, isActive, revokedAt: null, revokedBy: null }
    : { ...before, isActive, revokedAt: now, revokedBy: by }
}
