import type { Actor, Fact } from '../../facts/fact.ts'
import type { EventKind } from '../../facts/kinds.ts'

import type { Session } from './session.ts'

/** What the audit keeps of a session. */
export function sessionFact(
  session: Session,
  kind: EventKind,
  by: Pick<Fact, 'actor' | 'httpRequestId' | 'network'>,
  occurredAt: Date,
): Fact {
  return {
    organizationId: session.organizationId,
    kind,
    subjectKind: 'session',
    subjectId: session.id,
    ...by,
    before: null,
    after: { user_id: session.userId, session_kind: session.kind, signed_in_with: session.signedInWith },
    occurredAt,
  }
}

/** The person whose session it is. */
export function ownActor(session: Session): Actor {
  return { kind: 'person', id: session.userId, sessionId: session.id, signedInWith: session.signedInWith }
}
