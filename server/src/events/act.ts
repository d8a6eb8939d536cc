import { type Fact, factBy, type Report, system } from '../facts/fact.ts'
import type { EventKind } from '../facts/kinds.ts'
import { byCaller, type Caller } from '../identity/principal.ts'
import type { Clock } from '../platform/clock.ts'
import { type Db, inTransaction } from '../platform/database/db.ts'

/** An act on the audit itself; about the organization unless a subject is given. */
export interface AuditAct extends Pick<Fact, 'after' | 'erasable' | 'digest'> {
  readonly kind: EventKind & `audit.${string}`
  readonly before?: Fact['before']
  readonly subject?: { readonly kind: Fact['subjectKind']; readonly id: string }
}

/** Appends the event of an act that changes nothing else. */
export type RecordAct = (by: Caller, act: AuditAct) => Promise<void>

export function createRecordAct(db: Db, report: Report, clock: Clock): RecordAct {
  return (by, act) =>
    inTransaction(db, { organizationId: by.principal.organizationId }, async (tx) => {
      tx.last(report(tx, [actFact(by, act, clock.now())]))
    })
}

export function actFact(by: Caller, { kind, subject, before = null, ...change }: AuditAct, occurredAt: Date): Fact {
  const about = subject ?? { kind: 'organization', id: by.principal.organizationId }
  return factBy(byCaller(by), kind, [about.kind, about.id], { before, ...change, occurredAt })
}

/** What the service does with an organization's audit because a time is up. */
export function timerFact(
  organizationId: string,
  kind: AuditAct['kind'],
  after: Fact['after'],
  occurredAt: Date,
): Fact {
  const origin = { organizationId, actor: { ...system, kind: 'timer' }, httpRequestId: null } as const
  return factBy(origin, kind, ['organization', organizationId], { before: null, after, occurredAt })
}
