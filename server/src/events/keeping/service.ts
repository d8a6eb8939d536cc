import type { Permit } from '../../identity/factors/step-ups/service.ts'
import { usePermit } from '../../identity/factors/step-ups/use-permit.ts'
import type { Caller } from '../../identity/principal.ts'
import { type Db, inTransaction, type Tx } from '../../platform/database/db.ts'
import type { Logger } from '../../platform/log.ts'
import { createLoop, type Loop } from '../../platform/loop.ts'
import { actFact, timerFact } from '../act.ts'
import { erase, eraseFrom, type KeepingContext } from './erasure.ts'
import * as store from './store.ts'

export interface PolicyChange {
  readonly retentionDays?: number | null | undefined
  readonly legalHold?: boolean | undefined
  readonly reason: string
}

export type Keeping = ReturnType<typeof createKeeping>

export function createKeeping(context: KeepingContext) {
  return {
    policy: policy.bind(null, context),
    changePolicy: changePolicy.bind(null, context),
    erase: erase.bind(null, context),
    eraseFrom: eraseFrom.bind(null, context),
    purge: purge.bind(null, context),
    isHeld,
  }
}

function policy({ db }: KeepingContext, organizationId: string): Promise<store.Policy> {
  return store.policy(db.within({ organizationId }), organizationId)
}

function changePolicy(
  { db, clock, report }: KeepingContext,
  by: Caller,
  { reason, ...change }: PolicyChange,
  permit: Permit | null,
): Promise<store.Policy> {
  const { organizationId } = by.principal
  return inTransaction(db, { organizationId }, async (tx) => {
    const before = await store.lockPolicy(tx, organizationId)
    const after: store.Policy = {
      retentionDays: change.retentionDays === undefined ? before.retentionDays : change.retentionDays,
      legalHold: change.legalHold ?? before.legalHold,
    }
    if (after.retentionDays === before.retentionDays && after.legalHold === before.legalHold) return before
    const now = clock.now()
    const { digest = null, ...assurance } = await usePermit(tx, permit)
    const fields = { before: auditedFields(before), after: { ...auditedFields(after), ...assurance } }
    const fact = actFact(by, { kind: 'audit.policy_changed', ...fields, erasable: { reason }, digest }, now)
    tx.last(Promise.all([store.savePolicy(tx, organizationId, after, now), report(tx, [fact])]))
    return after
  })
}

function auditedFields({ retentionDays, legalHold }: store.Policy) {
  return { retention_days: retentionDays, legal_hold: legalHold }
}

/** Whether a legal hold forbids deletions in this organization, whose row is locked; fixed until the transaction ends. */
async function isHeld(tx: Tx, organizationId: string): Promise<boolean> {
  return (await store.policyBehindLock(tx, organizationId)).legalHold
}

/** Purges a batch of one organization's events; returns whether there was any. */
function purge({ db, clock, report }: KeepingContext, organizationId: string, atMost: number): Promise<boolean> {
  return inTransaction(db, { organizationId }, async (tx) => {
    const purged = await store.purge(tx, atMost)
    if (purged === null) return false
    const after = { events: purged.events, up_to_seal: purged.upToSeal, up_to_position: purged.upToPosition }
    tx.last(report(tx, [timerFact(organizationId, 'audit.purged', after, clock.now())]))
    return true
  })
}

/** Retention is counted in days, so once an hour is often enough. */
const everyMs = 3_600_000
const purgedAtOnce = 5_000

/** Purges events that are older than their organization's retention. Any number of processes may do it. */
export function createPurgeWorker({ db, log, keeping }: { db: Db; log: Logger; keeping: Keeping }): Loop {
  return createLoop('audit retention', everyMs, log, async () => {
    for (const organizationId of await store.organizationsWithRetention(db.within({ worker: true }))) {
      while (await keeping.purge(organizationId, purgedAtOnce)) {}
    }
    return false
  })
}
