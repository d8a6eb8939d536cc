import { factBy } from '../../facts/fact.ts'
import { inTransaction } from '../../platform/database/db.ts'
import type { Logger } from '../../platform/log.ts'
import { createLoop, type Loop } from '../../platform/loop.ts'
import type { IdentityContext } from '../context.ts'
import * as store from './store.ts'

export interface ExpiryWarningDependencies extends IdentityContext {
  readonly log: Logger
}

/** The warning is days ahead, so a minute's delay is fine. */
const everyMs = 60_000
const batchSize = 100

const timer = { kind: 'timer', id: null } as const

/** Warns once of each key that it will expire. Every process may run this: the one that takes a key off the list reports it. */
export function createExpiryWarnings({ db, clock, log, report }: ExpiryWarningDependencies): Loop {
  const warn = (organizationId: string, id: string): Promise<void> =>
    inTransaction(db, { organizationId }, async (tx) => {
      const key = await store.takeWarning(tx, organizationId, id)
      // Nobody depends on a revoked key.
      if (key?.isActive !== true) return
      const { agentId, expiresAt } = key
      const origin = { organizationId, actor: timer, httpRequestId: null }
      const change = { before: null, after: { agent_id: agentId, expires_at: expiresAt }, occurredAt: clock.now() }
      await report(tx, [factBy(origin, 'api_key.expiring', ['api_key', id], change)])
    })

  return createLoop('expiring keys', everyMs, log, async () => {
    const due = await store.keysToWarnOf(db.within({ worker: true }), clock.now(), batchSize)
    for (const { organizationId, id } of due) await warn(organizationId, id)
    return due.length === batchSize
  })
}
