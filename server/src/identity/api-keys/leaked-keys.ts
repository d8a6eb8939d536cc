import type { Fact, Report } from '../../facts/fact.ts'
import { type Clock, later } from '../../platform/clock.ts'
import { type Db, inTransaction } from '../../platform/database/db.ts'
import type { Call } from '../principal.ts'
import type { Attempts } from '../throttle/attempts.ts'
import { apiKeyId, hashApiKey } from './api-key.ts'
import type { ApiKey } from './api-key-terms.ts'
import { findCredential } from './credential-store.ts'
import * as store from './store.ts'

export interface LeakedKeyDependencies {
  readonly db: Db
  readonly clock: Clock
  readonly attempts: Attempts
  readonly report: Report
  readonly forget: (id: string) => void
}

export type LeakedKeys = ReturnType<typeof createLeakedKeys>

/** Whoever holds a key that they should not have may end it: a secret scanner, a finder, its own agent. */
export function createLeakedKeys({ db, clock, attempts, report, forget }: LeakedKeyDependencies) {
  const revoke = async (raw: string, call: Call): Promise<boolean> => {
    const id = apiKeyId(raw)
    const hash = hashApiKey(raw)
    const found = id === null ? null : await findCredential(db.within({ lookUp: id }), id)
    if (found === null || !found.hash.equals(hash)) return false
    const { organizationId, apiKeyId: keyId } = found
    await inTransaction(db, { organizationId }, async (tx) => {
      const before = await store.apiKeyById(tx, organizationId, keyId, true)
      // Told once: the key is dead already, and its people know.
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
      await report(tx, [leakedFact(before, after, call)])
    })
    forget(keyId)
    return true
  }

  return {
    /**
     * The same answer whether there is such a key or not, and revoked when it is given. Who names keys at random is slowed
     * down, as everybody who guesses.
     */
    revoke: async (raw: string, network: string, call: Call): Promise<void> => {
      await attempts.prove({ kind: 'token', subject: null, network }, () => revoke(raw, call))
    },
  }
}

function leakedFact(before: ApiKey, after: ApiKey, call: Call): Fact {
  return {
    organizationId: after.organizationId,
    kind: 'api_key.leaked',
    subjectKind: 'api_key',
    subjectId: after.id,
    actor: { kind: 'anonymous', id: null },
    httpRequestId: call.httpRequestId,
    network: call.network ?? null,
    before: { is_active: before.isActive },
    after: { agent_id: after.agentId, is_active: false, leaked_at: after.leakedAt },
    occurredAt: after.updatedAt,
  }
}
