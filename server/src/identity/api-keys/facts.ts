import { type Fact, factBy, personalFields } from '../../facts/fact.ts'
import type { EventKind } from '../../facts/kinds.ts'
import { type Assurance, assuranceJson } from '../factors/step-up.ts'
import { byCaller, type Caller } from '../principal.ts'
import type { ApiKey } from './api-key-terms.ts'

/** The step-up that an act used up. */
export interface UsedStepUp {
  /** The digest of the act, in hex. */
  readonly digest: string
  readonly assurance: Assurance
}

export function keyFact(
  by: Caller,
  kind: EventKind,
  before: ApiKey | null,
  after: ApiKey,
  stepUp: UsedStepUp | null,
): Fact {
  return factBy(byCaller(by), kind, ['api_key', after.id], {
    digest: stepUp?.digest ?? null,
    before: before && auditedFields(before),
    after: { ...auditedFields(after), ...(stepUp === null ? {} : { assurance: assuranceJson(stepUp.assurance) }) },
    ...personalFields(before && texts(before), texts(after)),
    occurredAt: after.updatedAt,
  })
}

function auditedFields(key: ApiKey) {
  return {
    agent_id: key.agentId,
    is_active: key.isActive,
    scopes: key.scopes,
    expires_at: key.expiresAt,
    rotated_from: key.rotatedFrom,
    leaked_at: key.leakedAt,
  }
}

function texts({ name, description, allowedNetworks }: ApiKey) {
  return { name, description, allowed_networks: allowedNetworks }
}
