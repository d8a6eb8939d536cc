import { timingSafeEqual } from 'node:crypto'
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
import type { Refusals } from './refusals.ts'

/** Keys whose id is remembered: 200 bytes each. */
const maxReadIds = 10_000

/** What is worked out once per look-up and not per call. */
interface Known {
  readonly credential: store.Credential
  readonly agent: Agent
  /** Null: from everywhere. */
  readonly isAllowed: NetworkMatcher | null
}

export type KeyAuthenticator = ReturnType<typeof createKeyAuthenticator>

/** From a raw API key to the agent that shows it. */
export function createKeyAuthenticator(db: Db, clock: Clock, refusals: Refusals) {
  const keys = createCredentialCache(async (id): Promise<Known | null> => {
    const credential = await store.findCredential(db.within({ lookUp: id }), id)
    return credential === null ? null : known(credential, clock.now())
  })
  // By the key's hash, for keys that were right: to read the id from the key takes four times as long as to hash it.
  const readIds = new Map<string, string>()
  const uses = createKeyUses(db, clock)

  return {
    /** Null for what is no key, or none any more. Throws 401 for one that has expired, 403 for one from elsewhere. */
    agentOf: async (raw: string, call: Call): Promise<Agent | null> => {
      const hash = hashApiKey(raw)
      const hashText = hash.toString('base64')
      const read = readIds.get(hashText)
      const id = read ?? apiKeyId(raw)
      const found = id === null ? null : await keys.get(id)
      if (id === null || found === null || !found.credential.isActive) return null
      if (!timingSafeEqual(found.credential.hash, hash)) return null
      if (read === undefined) {
        if (readIds.size >= maxReadIds) readIds.clear()
        readIds.set(hashText, id)
      }
      const { credential, agent, isAllowed } = found
      // Only from here on is it told apart what is wrong: whoever asks holds the key.
      if (isExpired(credential, clock.now())) {
        refusals.keyRefused(agent, 'expired', call)
        throw keyExpired(credential.expiresAt)
      }
      if (isAllowed !== null && !isAllowed(call.network ?? '')) {
        refusals.keyRefused(agent, 'network', call)
        throw networkRefused(call.network)
      }
      uses.used(agent, call.network ?? null)
      return agent
    },
    /** Why an agent is held back just now, for a call that passed while this process did not know of it. */
    refusalOf: async (agent: Agent, call: Call): Promise<Problem> => {
      keys.forget(agent.apiKeyId)
      const hold = (await keys.get(agent.apiKeyId))?.agent.hold ?? null
      if (hold === null) return unavailable('This agent was held back for a moment. Send the request again.')
      const refusal = heldBack(hold)
      refusals.rightRefused({ ...agent, hold }, refusal, call)
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
