import type { Event } from '../events/event.ts'
import type { Tx } from '../platform/database/db.ts'
import type { Instruments } from './instruments.ts'

/** What is read of one act on one request. */
export interface RequestSeen {
  readonly kind: 'request'
  readonly before: { readonly state: string; readonly nextActionAt: Date | null } | null
  readonly after: {
    readonly id: string
    readonly state: string
    readonly decidedBy: string | null
    readonly createdAt: Date
    readonly response: { readonly decision: string | null; readonly respondedAt: Date } | null
  }
}

/** Counts what the audit says, in the transaction that says it and once it is committed: so the two agree. */
export function countChanges({ events: counted, created, closed, decisionTime, lateness }: Instruments) {
  const countRequest = ({ before, after }: RequestSeen): void => {
    if (before?.state !== 'pending' || after.state === 'pending') return
    const { response, decidedBy, createdAt } = after
    const isDecided = after.state === 'responded' && response !== null
    const outcome = isDecided ? (response.decision ?? 'erased') : after.state
    closed.inc({ outcome, decided_by: decidedBy ?? 'agent' })
    if (isDecided) decisionTime.observe((response.respondedAt.getTime() - createdAt.getTime()) / 1_000)
  }
  const count = (events: readonly Event[], changes: readonly RequestSeen[]): void => {
    for (const { kind } of events) {
      counted.inc({ kind })
      if (kind === 'request.created') created.inc()
    }
    const due = new Map<string, Date>()
    for (const { kind, subjectId, occurredAt } of events)
      if (kind === 'request.timed_out' || kind === 'request.released') due.set(subjectId, occurredAt)
    for (const change of changes) {
      countRequest(change)
      const actedAt = due.get(change.after.id)
      const dueAt = change.before?.nextActionAt
      if (actedAt !== undefined && dueAt != null)
        lateness.observe(Math.max(0, actedAt.getTime() - dueAt.getTime()) / 1_000)
    }
  }
  return async (tx: Tx, events: readonly Event[], changes: readonly RequestSeen[]): Promise<void> =>
    tx.onCommit(() => count(events, changes))
}
