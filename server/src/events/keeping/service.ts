import { type Fact, factBy, type Report, system } from '../../facts/fact.ts'
import type { EventKind } from '../../facts/kinds.ts'
import { legalHold } from '../../facts/legal-hold.ts'
import type { Caller } from '../../identity/principal.ts'
import type { Clock } from '../../platform/clock.ts'
import { type Db, inTransaction, type Tx } from '../../platform/database/db.ts'
import type { Logger } from '../../platform/log.ts'
import { createLoop, type Loop } from '../../platform/loop.ts'
import { actFact } from '../act.ts'
import type { ChainKey } from '../seals/seal.ts'
import * as store from './store.ts'

export interface KeepingDependencies {
  readonly db: Db
  readonly clock: Clock
  readonly report: Report
}

export interface PolicyChange {
  readonly retentionDays?: number | null | undefined
  readonly legalHold?: boolean | undefined
  readonly reason: string
}

/**
 * Whose personal data: a user's, in what they did, what was done to them and what invited them; all that a request said; or the
 * address that an invitation was sent to, of somebody who may never have come.
 */
export interface ErasureSubject {
  readonly kind: 'user' | 'request' | 'invitation'
  readonly id: string
}

/** Ids that one `audit.erased` event lists: 40 KB of record. */
const erasedAtOnce = 1_000
/** Events that one statement looks at for an actor. */
const stepSize = 10_000

const nowhere: ChainKey = { era: -32_768, xact: '0', id: '00000000-0000-0000-0000-000000000000' }

export type Keeping = ReturnType<typeof createKeeping>

export function createKeeping({ db, clock, report }: KeepingDependencies) {
  const eraseSome = (by: Caller, subject: ErasureSubject, reason: string, keys: readonly ChainKey[]): Promise<number> =>
    inTransaction(db, { organizationId: by.principal.organizationId }, async (tx) => {
      const { organizationId } = by.principal
      requireNoHold(await store.policyBehindLock(tx, organizationId))
      const ids = await store.erase(tx, keys)
      if (ids.length === 0) return 0
      // The ids are what a verifier holds the gaps to: a part that is missing without them was cut out.
      const act = { kind: 'audit.erased', after: { events: ids, reason }, subject } as const
      tx.last(report(tx, [actFact(by, act, clock.now())]))
      return ids.length
    })

  const eraseAbout = async (by: Caller, subject: ErasureSubject, reason: string): Promise<number> => {
    const { organizationId } = by.principal
    let erased = 0
    for (;;) {
      const keys = await store.erasableOf(db.within({ organizationId }), organizationId, subject.id, erasedAtOnce)
      const count = keys.length === 0 ? 0 : await eraseSome(by, subject, reason, keys)
      erased += count
      if (count < erasedAtOnce) return erased
    }
  }

  const eraseBy = async (by: Caller, subject: ErasureSubject, reason: string): Promise<number> => {
    const { organizationId } = by.principal
    const rows = db.within({ organizationId })
    // What people erase of themselves is an act of theirs as well: only what is there now, or there would be no end.
    const until = await store.newest(rows, organizationId)
    let erased = 0
    for (let from: ChainKey | null = until === null ? null : nowhere; from !== null && until !== null; ) {
      const step = await store.stepForActor(rows, organizationId, subject.id, from, until, stepSize)
      for (let at = 0; at < step.wanted.length; at += erasedAtOnce) {
        erased += await eraseSome(by, subject, reason, step.wanted.slice(at, at + erasedAtOnce))
      }
      from = step.last
    }
    return erased
  }

  return {
    policy: (organizationId: string): Promise<store.Policy> =>
      store.policy(db.within({ organizationId }), organizationId),

    changePolicy: (by: Caller, change: PolicyChange): Promise<store.Policy> => {
      const { organizationId } = by.principal
      return inTransaction(db, { organizationId }, async (tx) => {
        const before = await store.lockPolicy(tx, organizationId)
        const after: store.Policy = {
          retentionDays: change.retentionDays === undefined ? before.retentionDays : change.retentionDays,
          legalHold: change.legalHold ?? before.legalHold,
        }
        if (after.retentionDays === before.retentionDays && after.legalHold === before.legalHold) return before
        const now = clock.now()
        const auditedFields = ({ retentionDays, legalHold }: store.Policy) => ({
          retention_days: retentionDays,
          legal_hold: legalHold,
        })
        const erasable = { reason: change.reason }
        const act = {
          kind: 'audit.policy_changed',
          before: auditedFields(before),
          after: auditedFields(after),
          erasable,
        } as const
        tx.last(Promise.all([store.savePolicy(tx, organizationId, after, now), report(tx, [actFact(by, act, now)])]))
        return after
      })
    },

    /** Erases the erasable parts of a subject's events and returns how many. Commits in batches, so it can be repeated. */
    erase: async (by: Caller, subject: ErasureSubject, reason: string): Promise<number> => {
      const { organizationId } = by.principal
      // Also where there is nothing to erase.
      requireNoHold(await store.policy(db.within({ organizationId }), organizationId))
      let erased = await eraseAbout(by, subject, reason)
      if (subject.kind !== 'user') return erased
      for (const id of await store.invitationsOf(db.within({ organizationId }), organizationId, subject.id)) {
        erased += await eraseAbout(by, { kind: 'invitation', id }, reason)
      }
      return erased + (await eraseBy(by, subject, reason))
    },

    /** Whether nothing of the organization, whose row is locked, may be deleted; nobody changes that until the transaction ends. */
    isHeld: async (tx: Tx, organizationId: string): Promise<boolean> =>
      (await store.policyBehindLock(tx, organizationId)).legalHold,

    /**
     * For an organization that is being deleted: erases what can be erased of the next events behind `from`, and returns where
     * to go on; null at the end of the chain.
     */
    eraseFrom: (organizationId: string, from?: string): Promise<string | null> =>
      inTransaction(db, { organizationId }, async (tx) => {
        const key = from === undefined ? nowhere : (JSON.parse(from) as ChainKey)
        const { wanted, last } = await store.stepOverErasable(tx, organizationId, key, erasedAtOnce)
        const ids = wanted.length === 0 ? [] : await store.erase(tx, wanted)
        if (ids.length > 0) {
          const after = { events: ids, reason: 'the organization was deleted' }
          tx.last(report(tx, [timerFact(organizationId, 'audit.erased', after, clock.now())]))
        }
        return last === null ? null : JSON.stringify({ era: last.era, xact: last.xact, id: last.id })
      }),

    /** Purges a batch of one organization's events; returns whether there was any. */
    purge: (organizationId: string, atMost: number): Promise<boolean> =>
      inTransaction(db, { organizationId }, async (tx) => {
        const purged = await store.purge(tx, atMost)
        if (purged === null) return false
        const after = { events: purged.events, up_to_seal: purged.upToSeal, up_to_position: purged.upToPosition }
        tx.last(report(tx, [timerFact(organizationId, 'audit.purged', after, clock.now())]))
        return true
      }),
  }
}

function requireNoHold(policy: store.Policy): void {
  if (policy.legalHold) throw legalHold()
}

/** What the service does with an organization's audit because a time is up. */
function timerFact(organizationId: string, kind: EventKind, after: Fact['after'], occurredAt: Date): Fact {
  const origin = { organizationId, actor: { ...system, kind: 'timer' }, httpRequestId: null } as const
  return factBy(origin, kind, ['organization', organizationId], { before: null, after, occurredAt })
}

/** Retention is counted in days: once an hour is often. */
const everyMs = 3_600_000
const purgedAtOnce = 5_000

/** Purges what is older than its organization's policy says. Any number of processes may do it. */
export function createPurgeWorker({ db, log, keeping }: { db: Db; log: Logger; keeping: Keeping }): Loop {
  return createLoop('audit retention', everyMs, log, async () => {
    for (const organizationId of await store.organizationsWithRetention(db.within({ worker: true }))) {
      while (await keeping.purge(organizationId, purgedAtOnce)) {}
    }
    return false
  })
}
