import { type Fact, factBy, type Origin, personalFields } from '../../facts/fact.ts'
import type { EventKind } from '../../facts/kinds.ts'
import type { UsedPermit } from '../factors/step-ups/use-permit.ts'
import type { Organization } from './organization.ts'

/** People chose the name, so the audit keeps it where it can be erased. */
export function organizationFact(
  origin: Origin,
  kind: EventKind,
  before: Organization | null,
  after: Organization,
  { digest, assurance }: UsedPermit = {},
): Fact {
  return factBy(origin, kind, ['organization', after.organizationId], {
    before: before && auditedFields(before),
    after: { ...auditedFields(after), ...(assurance === undefined ? {} : { assurance }) },
    ...personalFields(before && { name: before.name }, { name: after.name }),
    ...(digest === undefined ? {} : { digest }),
    occurredAt: after.updatedAt,
  })
}

function auditedFields({ requireStepUp, deleteAfter }: Organization) {
  return { require_step_up: requireStepUp, delete_after: deleteAfter }
}
