import type { Fact } from '../../facts/fact.ts'
import type { EventKind } from '../../facts/kinds.ts'
import { actorOf, type Caller, type Person } from '../principal.ts'

/** Who tries to sign in, before anybody is signed in. */
export interface Visitor {
  readonly httpRequestId: string
  readonly network: string
}

/** What happened to a person's own factors, told in the organization that they work in. */
export function factAbout(
  by: Caller<Person>,
  kind: EventKind,
  change: { readonly before?: Fact['before']; readonly after?: Fact['after'] },
  occurredAt: Date,
): Fact {
  return {
    organizationId: by.principal.organizationId,
    kind,
    subjectKind: 'user',
    subjectId: by.principal.userId,
    actor: actorOf(by.principal),
    httpRequestId: by.httpRequestId,
    network: by.network ?? null,
    before: change.before ?? null,
    after: change.after ?? null,
    occurredAt,
  }
}
