import { type Fact, factBy, personalFields } from '../../facts/fact.ts'
import type { EventKind } from '../../facts/kinds.ts'
import { byCaller, type Caller } from '../principal.ts'
import type { RegisteredAgent, Switch } from './agent.ts'

/** What the audit keeps of an agent. Names, descriptions and reasons are people's words, so they can be erased. */
export function agentFact(
  by: Caller,
  kind: EventKind,
  before: RegisteredAgent | null,
  after: RegisteredAgent,
  reason: string | null = null,
): Fact {
  const auditedFields = (agent: RegisteredAgent) => ({ owner_id: agent.ownerId, ...switchFields(agent.own) })
  const texts = ({ name, description }: RegisteredAgent) => ({ name, description })
  const { erasable } = personalFields(before && texts(before), texts(after))
  return factBy(byCaller(by), kind, ['agent', after.id], {
    before: before && auditedFields(before),
    after: auditedFields(after),
    ...withReason(erasable, reason),
    occurredAt: after.updatedAt,
  })
}

export function organizationSwitchFact(
  by: Caller,
  kind: EventKind,
  before: Switch,
  after: Switch,
  reason: string | null,
  occurredAt: Date,
): Fact {
  return factBy(byCaller(by), kind, ['organization', by.principal.organizationId], {
    before: switchFields(before),
    after: switchFields(after),
    ...withReason(undefined, reason),
    occurredAt,
  })
}

function withReason(erasable: Fact['erasable'], reason: string | null): Pick<Fact, 'erasable'> {
  if (reason !== null) return { erasable: { ...erasable, reason } }
  return erasable === undefined ? {} : { erasable }
}

function switchFields({ status, since }: Switch) {
  return { status, paused_at: since }
}
