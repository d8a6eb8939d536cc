import { type Fact, personalFields } from '../../facts/fact.ts'
import type { EventKind } from '../../facts/kinds.ts'
import { type Assurance, assuranceJson } from '../factors/step-up.ts'
import type { Permit } from '../factors/step-ups/service.ts'
import { actorOf, type Caller } from '../principal.ts'
import type { ApiKey } from './api-key-terms.ts'

/** The step-up behind an act: what it was for, and how it was earned. */
export interface Proof {
  readonly permit: Permit
  readonly assurance: Assurance
}

export function keyFact(by: Caller, kind: EventKind, before: ApiKey | null, after: ApiKey, proof: Proof | null): Fact {
  const shown = (key: ApiKey) => ({
    agent_id: key.agentId,
    is_active: key.isActive,
    scopes: key.scopes,
    expires_at: key.expiresAt,
    rotated_from: key.rotatedFrom,
    leaked_at: key.leakedAt,
  })
  const words = (key: ApiKey) => ({
    name: key.name,
    description: key.description,
    allowed_networks: key.allowedNetworks,
  })
  return {
    organizationId: after.organizationId,
    kind,
    subjectKind: 'api_key',
    subjectId: after.id,
    actor: actorOf(by.principal),
    httpRequestId: by.httpRequestId,
    network: by.network ?? null,
    digest: proof?.permit.digest ?? null,
    before: before === null ? null : shown(before),
    after: { ...shown(after), ...(proof === null ? {} : { assurance: assuranceJson(proof.assurance) }) },
    ...personalFields(before === null ? null : words(before), words(after)),
    occurredAt: after.updatedAt,
  }
}
