import type { EventKind } from '../facts/kinds.ts'
import { actorOf, type Caller } from '../identity/principal.ts'
import type { Clock } from '../platform/clock.ts'
import { type Db, inTransaction, type Tx } from '../platform/database/db.ts'
import { newId } from '../platform/ids.ts'
import type { Event } from './event.ts'
import type { Events } from './service.ts'

/** Something that a person did with the audit itself; about the organization, unless a subject is given. */
export interface AuditAct {
  readonly kind: EventKind & `audit.${string}`
  readonly before?: Event['before']
  readonly after: Event['after']
  readonly erasable?: Event['erasable']
  readonly subject?: { readonly kind: Event['subjectKind']; readonly id: string }
}

/** Appends the event of an act that changes nothing else. */
export type RecordAct = (by: Caller, act: AuditAct) => Promise<void>

export function createRecordAct(db: Db, events: Events, clock: Clock): RecordAct {
  return (by, act) =>
    inTransaction(db, { organizationId: by.principal.organizationId }, async (tx: Tx) => {
      tx.last(events.append(tx, [actEvent(by, act, clock.now())]))
    })
}

export function actEvent(by: Caller, act: AuditAct, occurredAt: Date): Event {
  const { organizationId } = by.principal
  return {
    id: newId(),
    organizationId,
    kind: act.kind,
    subjectKind: act.subject?.kind ?? 'organization',
    subjectId: act.subject?.id ?? organizationId,
    actor: actorOf(by.principal),
    httpRequestId: by.httpRequestId,
    network: by.network ?? null,
    before: act.before ?? null,
    after: act.after,
    ...(act.erasable === undefined ? {} : { erasable: act.erasable }),
    occurredAt,
  }
}
