import { timingSafeEqual } from 'node:crypto'
import { createBoundedMap } from '../../platform/bounded-map.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Db } from '../../platform/database/db.ts'
import { type NetworkMatcher, parseNetworks } from '../../platform/network-address.ts'
import { type Problem, unavailable } from '../../platform/problem.ts'
import { holdOf } from '../agents/agent.ts'
import { createCredentialCache } from '../credential-cache.ts'
import { type Agent, type Call, heldBack } from '../principal.ts'
import { apiKeyId, hashApiKey } from './api-key.ts'
import { expiresSoon, isExpired, keyExpired, networkRefused } from './api-key-terms.ts'
import * as store from './credential-store.ts'
import { createKeyUses } from './key-uses.ts'
import type { RefusedCalls } from './refused-calls.ts'

/** Keys whose id is remembered: 200 bytes each. */
const maxReadIds = 10_000

/** What is worked out once per look-up, not per call. */
interface Known {
  readonly credential: store.Credential
  readonly agent: Agent
  /** Null: from everywhere. */
  readonly isAllowed: NetworkMatcher | null
}

export type KeyAuthenticator = ReturnType<typeof createKeyAuthenticator>

/** Finds the agent behind a raw API key. */
export function createKeyAuthenticator(db: Db, clock: Clock, refusedCalls: RefusedCalls) {
  const keys = createCredentialCache(async (id): Promise<Known | null> => {
    const credential = await store.findCredential(db.within({ lookUp: id }), id)
    return credential === null ? null : known(credential, clock.now())
  })
  // By the key's hash, for keys that were valid: reading the id from a key takes four times as long as hashing it.
  const readIds = createBoundedMap<string, string>(maxReadIds)
  const uses = createKeyUses(db, clock)

  return {
    /** Null unless it is a valid key. Throws 401 if it has expired, 403 if it is used from an address it is not for. */
    refusals: [keyExpired, networkRefused],
    agentOf: async (raw: string, call: Call): Promise<Agent | null> => {
      const hash = hashApiKey(raw)
      const hashText = hash.toString('base64')
      const read = readIds.get(hashText)
      const id = read ?? apiKeyId(raw)
      const found = id === null ? null : await keys.get(id)
      if (id === null || found === null || !timingSafeEqual(found.credential.hash, hash)) return null
      if (!found.credential.isActive) {
        // The reply does not tell, but the organization should know that somebody still has the key.
        refusedCalls.keyRefused(found.agent, 'revoked', call)
        return null
      }
      if (read === undefined) readIds.set(hashText, id)
      const { credential, agent, isAllowed } = found
      // Only from here on does the refusal say what is wrong: the caller holds the key.
      if (isExpired(credential, clock.now())) {
        refusedCalls.keyRefused(agent, 'expired', call)
        throw keyExpired(credential.expiresAt)
      }
      if (isAllowed !== null && !isAllowed(call.network ?? '')) {
        refusedCalls.keyRefused(agent, 'network', call)
        throw networkRefused(call.network)
      }
      uses.used(agent, call.network ?? null)
      return agent
    },
    /** Why an agent is held back now, for a call that was let through before this process knew of it. */
    refusalOf: async (agent: Agent, call: Call): Promise<Problem> => {
      keys.forget(agent.apiKeyId)
      const hold = (await keys.get(agent.apiKeyId))?.agent.hold ?? null
      if (hold === null) return unavailable('This agent was held back for a moment. Send the request again.')
      const refusal = heldBack(hold)
      refusedCalls.rightRefused({ ...agent, hold }, refusal, call)
      return refusal
    },
    forget: keys.forget,
    forgetAll: keys.forgetAll,
    close: uses.close,
  }
}

function known(credential: store.Credential, now: Date): Known {
  const { organizationId, agentId, apiKeyId: keyId, scopes, expiresAt, allowedNetworks } = credential
  const hold = holdOf(credential.own, credential.organization, credential.pauseAcknowledgedAt !== null)
  const keyExpiring = expiresSoon(credential, now) ? expiresAt : null
  return {
    credential,
    agent: { kind: 'agent', organizationId, agentId, apiKeyId: keyId, scopes, hold, keyExpiring },
    isAllowed: allowedNetworks.length === 0 ? null : parseNetworks(allowedNetworks),
  }
}
