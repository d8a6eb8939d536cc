import { type Fact, personalFields } from '../../facts/fact.ts'
import type { EventKind } from '../../facts/kinds.ts'
import { actorOf, type Caller } from '../principal.ts'
import type { RegisteredAgent, Switch } from './agent.ts'

/** What the audit keeps of agents: names, descriptions and reasons are people's words, so they can be erased. */

export function agentFact(by: Caller, kind: EventKind, before: RegisteredAgent | null, after: RegisteredAgent): Fact {
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
    ...personalFields(before === null ? null : words(before), words(after)),
    occurredAt: after.updatedAt,
  }
}

export function organizationSwitchFact(
  by: Caller,
  kind: EventKind,
  before: Switch,
  after: Switch,
  occurredAt: Date,
): Fact {
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
export function withReason(fact: Fact, reason: string | null): Fact {
  return reason === null ? fact : { ...fact, erasable: { ...fact.erasable, reason } }
}

function switchShown({ status, since }: Switch) {
  return { status, paused_at: since }
}
