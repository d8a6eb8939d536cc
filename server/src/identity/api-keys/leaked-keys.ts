import { factBy } from '../../facts/fact.ts'
import { later } from '../../platform/clock.ts'
import { inTransaction } from '../../platform/database/db.ts'
import type { IdentityContext } from '../context.ts'
import { byNobody, type Call } from '../principal.ts'
import type { Attempts } from '../throttle/attempts.ts'
import { apiKeyId, hashApiKey } from './api-key.ts'
import type { ApiKey } from './api-key-terms.ts'
import { findCredential } from './credential-store.ts'
import * as store from './store.ts'

export interface LeakedKeyDependencies extends IdentityContext {
  readonly attempts: Attempts
  readonly forget: (id: string) => void
}

export type LeakedKeys = ReturnType<typeof createLeakedKeys>

/** Anybody who holds a key that they should not have can revoke it: a secret scanner, a finder, the agent itself. */
export function createLeakedKeys({ db, clock, attempts, report, forget }: LeakedKeyDependencies) {
  const revoke = async (raw: string, call: Call): Promise<boolean> => {
    const id = apiKeyId(raw)
    const hash = hashApiKey(raw)
    const found = id === null ? null : await findCredential(db.within({ lookUp: id }), id)
    if (found === null || !found.hash.equals(hash)) return false
    const { organizationId, apiKeyId: keyId } = found
    await inTransaction(db, { organizationId }, async (tx) => {
      const before = await store.apiKeyById(tx, organizationId, keyId, true)
      // Reported once: the key is revoked already, and its organization knows.
      if (before === null || before.leakedAt !== null) return
      const now = clock.now()
      const after: ApiKey = {
        ...before,
        isActive: false,
        revokedAt: before.revokedAt ?? now,
        leakedAt: now,
        updatedAt: later(before, now),
      }
      await store.saveApiKey(tx, after, null)
      const { agentId, leakedAt, updatedAt: occurredAt } = after
      const change = {
        before: { is_active: before.isActive },
        after: { agent_id: agentId, is_active: false, leaked_at: leakedAt },
        occurredAt,
      }
      await report(tx, [factBy(byNobody(organizationId, call), 'api_key.leaked', ['api_key', keyId], change)])
    })
    forget(keyId)
    return true
  }

  return {
    /**
     * Returns the same whether or not there is such a key; if there is, it is revoked by then. Callers that send keys at
     * random are slowed down like every guesser.
     */
    revoke: async (raw: string, network: string, call: Call): Promise<void> => {
      await attempts.prove({ kind: 'token', subject: null, network }, () => revoke(raw, call))
    },
  }
}
