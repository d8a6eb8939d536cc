import { type Fact, personalFields } from '../../facts/fact.ts'
import type { EventKind } from '../../facts/kinds.ts'
import { Problem } from '../../platform/problem.ts'
import { actorOf, type Caller, type Person } from '../principal.ts'
import type { User } from './user.ts'

/** What the audit keeps of a member: rights as they are, the name where it can be erased. */
export function memberFact(
  by: Caller<Person>,
  kind: EventKind,
  before: User | null,
  after: User,
  more: Partial<Pick<Fact, 'actor' | 'digest'>> & {
    readonly assurance?: object
    readonly invitationId?: string
  } = {},
): Fact {
  const { assurance, invitationId, ...others } = more
  return {
    organizationId: after.organizationId,
    kind,
    subjectKind: 'user',
    subjectId: after.id,
    actor: actorOf(by.principal),
    httpRequestId: by.httpRequestId,
    network: by.network ?? null,
    before: before === null ? null : shown(before),
    after: {
      ...shown(after),
      ...(assurance === undefined ? {} : { assurance }),
      ...(invitationId === undefined ? {} : { invitation_id: invitationId }),
    },
    ...(before === null ? {} : personalFields({ name: before.name }, { name: after.name })),
    occurredAt: after.updatedAt,
    ...others,
  }
}

function shown({ role, isActive }: User) {
  return { role, is_active: isActive }
}

export function userNotFound(): Problem {
  return new Problem(404, 'user.not_found', 'User not found')
}
