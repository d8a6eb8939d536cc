import { type Fact, factBy, personalFields } from '../../facts/fact.ts'
import type { EventKind } from '../../facts/kinds.ts'
import type { UsedPermit } from '../factors/step-ups/use-permit.ts'
import { byCaller, type Caller } from '../principal.ts'
import type { RegisteredAgent, Switch } from './agent.ts'

/** What the audit keeps of an agent. Names, descriptions and reasons are people's words, so they can be erased. */
export function agentFact(
  by: Caller,
  kind: EventKind,
  before: RegisteredAgent | null,
  after: RegisteredAgent,
  reason: string | null = null,
  { digest, ...assurance }: UsedPermit = {},
): Fact {
  const auditedFields = (agent: RegisteredAgent) => ({ owner_id: agent.ownerId, ...switchFields(agent.own) })
  const texts = ({ name, description }: RegisteredAgent) => ({ name, description })
  const { erasable } = personalFields(before && texts(before), texts(after))
  return factBy(byCaller(by), kind, ['agent', after.id], {
    before: before && auditedFields(before),
    after: { ...auditedFields(after), ...assurance },
    digest: digest ?? null,
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
  { digest, ...assurance }: UsedPermit,
  occurredAt: Date,
): Fact {
  return factBy(byCaller(by), kind, ['organization', by.principal.organizationId], {
    before: switchFields(before),
    after: { ...switchFields(after), ...assurance },
    digest: digest ?? null,
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
