import type { Fact, Report } from '../../facts/fact.ts'
import type { Clock } from '../../platform/clock.ts'
import { type Db, inTransaction } from '../../platform/database/db.ts'
import type { Logger } from '../../platform/log.ts'
import { createLoop, type Loop } from '../../platform/loop.ts'
import type { ApiKey } from './api-key-terms.ts'
import * as store from './store.ts'

export interface ExpiryWarningDependencies {
  /** For background work. */
  readonly db: Db
  readonly clock: Clock
  readonly log: Logger
  readonly report: Report
}

/** Days are left when it is told: a minute more or less is nothing. */
const everyMs = 60_000
const batchSize = 100

/** Says once of each key that it will expire. Every process may run one: who takes a key off the list tells of it. */
export function createExpiryWarnings({ db, clock, log, report }: ExpiryWarningDependencies): Loop {
  const warn = (organizationId: string, id: string): Promise<void> =>
    inTransaction(db, { organizationId }, async (tx) => {
      const key = await store.takeWarning(tx, organizationId, id)
      // A revoked one ends nobody's work any more.
      if (key?.isActive === true) await report(tx, [expiringFact(key, clock.now())])
    })

  return createLoop('expiring keys', everyMs, log, async () => {
    const due = await store.keysToWarnOf(db.within({ worker: true }), clock.now(), batchSize)
    for (const { organizationId, id } of due) await warn(organizationId, id)
    return due.length === batchSize
  })
}

function expiringFact(key: ApiKey, occurredAt: Date): Fact {
  return {
    organizationId: key.organizationId,
    kind: 'api_key.expiring',
    subjectKind: 'api_key',
    subjectId: key.id,
    actor: { kind: 'timer', id: null },
    httpRequestId: null,
    before: null,
    after: { agent_id: key.agentId, expires_at: key.expiresAt },
    occurredAt,
  }
}
