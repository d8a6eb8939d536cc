import type { ApiKey } from '../api-keys/api-key-terms.ts'
import { type IdentityFact, wordsOf } from '../fact.ts'
import type { Permit } from '../factors/step-ups/service.ts'
import { type Assurance, assuranceJson } from '../factors/step-ups/step-up.ts'
import { actorOf, type Caller } from '../principal.ts'
import type { RegisteredAgent, Switch } from './agent.ts'

/** What the audit keeps of agents and keys: names, descriptions and reasons are people's words, so they can be erased. */

/** The step-up behind an act: what it was for, and how it was earned. */
export interface Proof {
  readonly permit: Permit
  readonly assurance: Assurance
}

export function keyFact(
  by: Caller,
  kind: string,
  before: ApiKey | null,
  after: ApiKey,
  proof: Proof | null,
): IdentityFact {
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
    ...wordsOf(before === null ? null : words(before), words(after)),
    occurredAt: after.updatedAt,
  }
}

export function agentFact(
  by: Caller,
  kind: string,
  before: RegisteredAgent | null,
  after: RegisteredAgent,
): IdentityFact {
  const shown = (agent: RegisteredAgent) => ({ owner_id: agent.ownerId, ...switchShown(agent.own) })
  const words = (agent: RegisteredAgent) => ({ name: agent.name, description: agent.description })
  return {
    organizationId: after.organizationId,
    kind,
    subjectKind: 'agent',
    subjectId: after.id,
    actor: actorOf(by.principal),
    httpRequestId: by.httpRequestId,
    network: by.network ?? null,
    before: before === null ? null : shown(before),
    after: shown(after),
    ...wordsOf(before === null ? null : words(before), words(after)),
    occurredAt: after.updatedAt,
  }
}

export function organizationSwitchFact(
  by: Caller,
  kind: string,
  before: Switch,
  after: Switch,
  occurredAt: Date,
): IdentityFact {
  const { organizationId } = by.principal
  return {
    organizationId,
    kind,
    subjectKind: 'organization',
    subjectId: organizationId,
    actor: actorOf(by.principal),
    httpRequestId: by.httpRequestId,
    network: by.network ?? null,
    before: switchShown(before),
    after: switchShown(after),
    occurredAt,
  }
}

/** Why a switch was turned, in the words of whoever did it. */
export function withReason(fact: IdentityFact, reason: string | null): IdentityFact {
  return reason === null ? fact : { ...fact, erasable: { ...fact.erasable, reason } }
}

function switchShown({ status, since }: Switch) {
  return { status, paused_at: since }
}
