import { type Fact, factBy, type Origin, personalFields } from '../../facts/fact.ts'
import type { EventKind } from '../../facts/kinds.ts'
import { byCaller, type Caller, type Person } from '../principal.ts'
import type { User } from './user.ts'

/** A caller who has just become a member of another organization, as that one knows them: their session is not of it. */
export function byNewMember(by: Caller<Person>, { organizationId, id }: User): Origin {
  const actor = { kind: 'person', id, signedInWith: by.principal.signIn?.methods ?? [] } as const
  return { ...byCaller(by), organizationId, actor }
}

/** The audit keeps a member's rights for good, and the name where it can be erased. */
export function memberFact(
  origin: Origin,
  kind: EventKind,
  before: User | null,
  after: User,
  more: { readonly digest?: string; readonly assurance?: object; readonly invitationId?: string } = {},
): Fact {
  const { digest, assurance, invitationId } = more
  return factBy(origin, kind, ['user', after.id], {
    before: before && auditedFields(before),
    after: {
      ...auditedFields(after),
      ...(assurance === undefined ? {} : { assurance }),
      ...(invitationId === undefined ? {} : { invitation_id: invitationId }),
    },
    ...(before === null ? {} : personalFields({ name: before.name }, { name: after.name })),
    ...(digest === undefined ? {} : { digest }),
    occurredAt: after.updatedAt,
  })
}

function auditedFields({ role, isActive }: User) {
  return { role, is_active: isActive }
}
