import { later } from '../../platform/clock.ts'
import { inTransaction } from '../../platform/database/db.ts'
import * as organizations from '../organizations/store.ts'
import type { Caller, Person, Principal } from '../principal.ts'
import { agentNotFound, type RegisteredAgent, type Switch, type SwitchAct, turn } from './agent.ts'
import { agentFact, organizationSwitchFact, withReason } from './facts.ts'
import type { AgentDependencies } from './service.ts'
import * as store from './store.ts'

export interface SwitchDependencies extends AgentDependencies {
  /** What keys stood for changed: this process must not remember it. */
  readonly forgetAll: () => void
}

export type Switches = ReturnType<typeof createSwitches>

const pastTense = { pause: 'paused', resume: 'resumed', stop: 'stopped' } as const

/**
 * Pause and kill switch. The commit that turns a switch waits for no create and touches no request: it must work at once,
 * also while an agent runs wild. From that commit on no request is created any more (the insert reads the agent's row),
 * here the agent is known to be held from the next call on, elsewhere within a second.
 */
export function createSwitches(dependencies: SwitchDependencies) {
  const { db, clock, report, forgetAll } = dependencies

  return {
    turnAgent: async (
      by: Caller<Person>,
      id: string,
      act: SwitchAct,
      reason: string | null,
    ): Promise<RegisteredAgent> => {
      const { organizationId, userId } = by.principal
      const after = await inTransaction(db, { organizationId }, async (tx) => {
        const before = await store.agentById(tx, organizationId, id, true)
        if (before === null) throw agentNotFound()
        const now = clock.now()
        const own = turn(before.own, act, { userId, reason }, now, 'agent')
        if (own === before.own) return before
        const changed = { ...before, own, pauseAcknowledgedAt: null, updatedAt: later(before, now) }
        await store.saveSwitch(tx, changed)
        await report(tx, [withReason(agentFact(by, `agent.${pastTense[act]}`, before, changed), reason)])
        return changed
      })
      forgetAll()
      return after
    },

    turnOrganization: async (by: Caller<Person>, act: SwitchAct, reason: string | null): Promise<Switch> => {
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
        const fact = organizationSwitchFact(by, `organization.${pastTense[act]}`, before, changed, now)
        await report(tx, [withReason(fact, reason)])
        return changed
      })
      forgetAll()
      return after
    },

    organizationSwitch: ({ organizationId }: Principal): Promise<Switch> =>
      organizations.agentsSwitch(db.within({ organizationId }), organizationId),
  }
}
