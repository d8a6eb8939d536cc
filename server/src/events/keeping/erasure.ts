import type { Report } from '../../facts/fact.ts'
import { legalHold } from '../../facts/legal-hold.ts'
import type { Permit } from '../../identity/factors/step-ups/service.ts'
import { type UsedPermit, usePermit } from '../../identity/factors/step-ups/use-permit.ts'
import type { Caller } from '../../identity/principal.ts'
import type { Clock } from '../../platform/clock.ts'
import { type Db, inTransaction, type Tx } from '../../platform/database/db.ts'
import { Problem } from '../../platform/problem.ts'
import { actFact, type RecordAct, timerFact } from '../act.ts'
import type { ChainKey } from '../seals/seal.ts'
import * as store from './store.ts'

export interface KeepingContext {
  readonly db: Db
  readonly clock: Clock
  readonly report: Report
  readonly record: RecordAct
  readonly rows: ErasableRows
}

/** What other modules keep of the same texts. */
export interface ErasableRows {
  /** Throws 409 while the request is open. */
  readonly eraseRequest: (tx: Tx, organizationId: string, requestId: string) => Promise<void>
  readonly eraseComments: (
    tx: Tx,
    organizationId: string,
    requestIds: readonly string[],
    userId: string,
  ) => Promise<void>
  /** What a person keeps for themselves, such as unfinished answers. */
  readonly erasePerson: (tx: Tx, organizationId: string, userId: string) => Promise<void>
  /** Replies that are kept for repeated calls: any of them may say what is erased. */
  readonly forgetReplies: (tx: Tx, organizationId: string) => Promise<void>
}

/**
 * What to erase: the personal data of a user in the events they caused, the events about them and their invitation; everything
 * that a request said; or the address of an invitation that may never have been used.
 */
export interface ErasureSubject {
  readonly kind: 'user' | 'request' | 'invitation'
  readonly id: string
}

/** As the event keeps it: the reason, and the step-up behind the call. */
type Cause = UsedPermit & { readonly reason: string }

/** Ids that one `audit.erased` event lists: 40 KB of record. */
const erasedAtOnce = 1_000
/** Events that one statement looks at for an actor. */
const stepSize = 10_000

const nowhere: ChainKey = { era: -32_768, xact: '0', id: '00000000-0000-0000-0000-000000000000' }

/** Erases the erasable parts of a subject's events and returns how many. Commits in batches, so it can be repeated. */
export async function erase(
  context: KeepingContext,
  by: Caller,
  subject: ErasureSubject,
  reason: string,
  permit: Permit,
): Promise<number> {
  try {
    return await eraseAll(context, by, subject, reason, permit)
  } catch (error) {
    // Who asked, and for what: under a hold that is itself evidence.
    if (error instanceof Problem && error.code === legalHold.code) {
      await context.record(by, { kind: 'audit.erasure_refused', after: { code: error.code, reason }, subject })
    }
    throw error
  }
}

async function eraseAll(
  context: KeepingContext,
  by: Caller,
  subject: ErasureSubject,
  reason: string,
  permit: Permit,
): Promise<number> {
  const { organizationId } = by.principal
  const rows = context.db.within({ organizationId })
  // Also where there is nothing to erase.
  requireNoHold(await store.policy(rows, organizationId))
  const used = await inTransaction(context.db, { organizationId }, async (tx) => {
    await context.rows.forgetReplies(tx, organizationId)
    if (subject.kind === 'user') await context.rows.erasePerson(tx, organizationId, subject.id)
    return usePermit(tx, permit)
  })
  const cause = { reason, ...used }
  if (subject.kind === 'request') await eraseRow(context, organizationId, subject.id)
  let erased = await eraseAbout(context, by, subject, cause)
  if (subject.kind !== 'user') return erased
  for (const id of await store.invitationsOf(rows, organizationId, subject.id)) {
    erased += await eraseAbout(context, by, { kind: 'invitation', id }, cause)
  }
  return erased + (await eraseBy(context, by, subject, cause))
}

function eraseRow({ db, rows }: KeepingContext, organizationId: string, requestId: string): Promise<void> {
  return inTransaction(db, { organizationId }, async (tx) => {
    requireNoHold(await store.policyBehindLock(tx, organizationId))
    await rows.eraseRequest(tx, organizationId, requestId)
  })
}

async function eraseAbout(context: KeepingContext, by: Caller, subject: ErasureSubject, cause: Cause): Promise<number> {
  const { organizationId } = by.principal
  let erased = 0
  for (;;) {
    const keys = await store.erasableOf(context.db.within({ organizationId }), organizationId, subject.id, erasedAtOnce)
    const count = keys.length === 0 ? 0 : await eraseSome(context, by, subject, cause, keys)
    erased += count
    if (count < erasedAtOnce) return erased
  }
}

async function eraseBy(context: KeepingContext, by: Caller, subject: ErasureSubject, cause: Cause): Promise<number> {
  const { organizationId } = by.principal
  const rows = context.db.within({ organizationId })
  // What people erase of themselves is an act of theirs as well: only what is there now, or there would be no end.
  const until = await store.newest(rows, organizationId)
  let erased = 0
  for (let from: ChainKey | null = until === null ? null : nowhere; from !== null && until !== null; ) {
    const step = await store.stepForActor(rows, organizationId, subject.id, from, until, stepSize)
    for (let at = 0; at < step.wanted.length; at += erasedAtOnce) {
      erased += await eraseSome(context, by, subject, cause, step.wanted.slice(at, at + erasedAtOnce))
    }
    from = step.last
  }
  return erased
}

function eraseSome(
  { db, clock, report, rows }: KeepingContext,
  by: Caller,
  subject: ErasureSubject,
  cause: Cause,
  keys: readonly (ChainKey & { readonly decided?: string | null })[],
): Promise<number> {
  const { organizationId } = by.principal
  return inTransaction(db, { organizationId }, async (tx) => {
    requireNoHold(await store.policyBehindLock(tx, organizationId))
    const ids = await store.erase(tx, keys)
    const decided = keys.flatMap((key) => key.decided ?? [])
    if (decided.length > 0) await rows.eraseComments(tx, organizationId, decided, subject.id)
    if (ids.length === 0) return 0
    // The ids are what a verifier holds the gaps to: a part that is missing without them was cut out.
    const { digest = null, ...said } = cause
    const act = { kind: 'audit.erased', after: { events: ids, ...said }, subject, digest } as const
    tx.last(report(tx, [actFact(by, act, clock.now())]))
    return ids.length
  })
}

/**
 * For an organization that is being deleted: erases what can be erased of the next events after `from`, and returns where
 * to go on; null at the end of the chain.
 */
export function eraseFrom(
  { db, clock, report }: KeepingContext,
  organizationId: string,
  from?: string,
): Promise<string | null> {
  return inTransaction(db, { organizationId }, async (tx) => {
    const key = from === undefined ? nowhere : (JSON.parse(from) as ChainKey)
    const { wanted, last } = await store.stepOverErasable(tx, organizationId, key, erasedAtOnce)
    const ids = wanted.length === 0 ? [] : await store.erase(tx, wanted)
    if (ids.length > 0) {
      const after = { events: ids, reason: 'the organization was deleted' }
      tx.last(report(tx, [timerFact(organizationId, 'audit.erased', after, clock.now())]))
    }
    return last === null ? null : JSON.stringify({ era: last.era, xact: last.xact, id: last.id })
  })
}

function requireNoHold(policy: store.Policy): void {
  if (policy.legalHold) throw legalHold()
}
