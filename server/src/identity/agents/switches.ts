import { later } from '../../platform/clock.ts'
import { inTransaction } from '../../platform/database/db.ts'
import { withContext } from '../../platform/with-context.ts'
import type { IdentityContext } from '../context.ts'
import type { Permit } from '../factors/step-ups/service.ts'
import { usePermit } from '../factors/step-ups/use-permit.ts'
import * as organizations from '../organizations/store.ts'
import type { Caller, Person, Principal } from '../principal.ts'
import { agentNotFound, type RegisteredAgent, type Switch, type SwitchAct, turn } from './agent.ts'
import { agentFact, organizationSwitchFact } from './facts.ts'
import * as store from './store.ts'

export interface SwitchContext extends IdentityContext {
  /** The rights of keys have changed: this process must drop what it has cached about them. */
  readonly forgetAll: () => void
}

export type Switches = ReturnType<typeof createSwitches>

/**
 * Pause and kill switch. The commit that turns a switch waits for no create and touches no request: it must work at once,
 * even while an agent runs wild. After that commit no request is created any more (the insert reads the agent's row). This
 * process holds the agent back from its next call on, the others within a second.
 */
export function createSwitches(context: SwitchContext) {
  return withContext(context, { turnAgent, turnOrganization, organizationSwitch })
}

const pastTense = { pause: 'paused', resume: 'resumed', stop: 'stopped' } as const

async function turnAgent(
  { db, clock, report, forgetAll }: SwitchContext,
  by: Caller<Person>,
  id: string,
  act: SwitchAct,
  reason: string | null,
  permit: Permit | null,
): Promise<RegisteredAgent> {
  const { organizationId, userId } = by.principal
  const after = await inTransaction(db, { organizationId }, async (tx) => {
    const before = await store.agentById(tx, organizationId, id, true)
    if (before === null) throw agentNotFound()
    const now = clock.now()
    const own = turn(before.own, act, { userId, reason }, now, 'agent')
    if (own === before.own) return before
    const changed = { ...before, own, pauseAcknowledgedAt: null, updatedAt: later(before, now) }
    await store.saveSwitch(tx, changed)
    const used = await usePermit(tx, permit)
    await report(tx, [agentFact(by, `agent.${pastTense[act]}`, before, changed, reason, used)])
    return changed
  })
  forgetAll()
  return after
}

async function turnOrganization(
  { db, clock, report, forgetAll }: SwitchContext,
  by: Caller<Person>,
  act: SwitchAct,
  reason: string | null,
  permit: Permit | null,
): Promise<Switch> {
  const { organizationId, userId } = by.principal
  const after = await inTransaction(db, { organizationId }, async (tx) => {
    const before = await organizations.agentsSwitch(tx, organizationId, true)
    const now = clock.now()
    const changed = turn(before, act, { userId, reason }, now, 'organization')
    if (changed === before) return before
    await Promise.all([
      organizations.saveAgentsSwitch(tx, organizationId, changed),
      store.copyOrganizationSwitch(tx, organizationId, changed.status),
    ])
    const used = await usePermit(tx, permit)
    const kind = `organization.${pastTense[act]}` as const
    await report(tx, [organizationSwitchFact(by, kind, before, changed, reason, used, now)])
    return changed
  })
  forgetAll()
  return after
}

function organizationSwitch({ db }: SwitchContext, { organizationId }: Principal): Promise<Switch> {
  return organizations.agentsSwitch(db.within({ organizationId }), organizationId)
}
