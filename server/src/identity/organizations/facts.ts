import { type Fact, personalFields } from '../../facts/fact.ts'
import type { EventKind } from '../../facts/kinds.ts'
import { actorOf, type Caller, type Person } from '../principal.ts'
import type { Organization } from './organization.ts'

/** What the audit keeps of organizations: the name is people's words, so it can be erased. */
export function organizationFact(
  by: Caller<Person>,
  kind: EventKind,
  before: Organization | null,
  after: Organization,
  more: Partial<Pick<Fact, 'actor' | 'digest'>> & { readonly assurance?: object } = {},
): Fact {
  const { assurance, ...others } = more
  return {
    organizationId: after.organizationId,
    kind,
    subjectKind: 'organization',
    subjectId: after.organizationId,
    actor: actorOf(by.principal),
    httpRequestId: by.httpRequestId,
    network: by.network ?? null,
    before: before === null ? null : shown(before),
    after: { ...shown(after), ...(assurance === undefined ? {} : { assurance }) },
    ...personalFields(before && words(before), words(after)),
    occurredAt: after.updatedAt,
    ...others,
  }
}

function shown(organization: Organization) {
  return { require_step_up: organization.requireStepUp, delete_after: organization.deleteAfter }
}

function words(organization: Organization) {
  return { name: organization.name }
}
