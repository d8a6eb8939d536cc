import { factBy } from '../../facts/fact.ts'
import { createBoundedMap } from '../../platform/bounded-map.ts'
import { inTransaction } from '../../platform/database/db.ts'
import { Problem } from '../../platform/problem.ts'
import * as agents from '../agents/store.ts'
import type { IdentityContext } from '../context.ts'
import { type Agent, byCaller, type Call, heldBack } from '../principal.ts'

export type RefusedCalls = ReturnType<typeof createRefusedCalls>

/** Report each key, reason and address at most once per hour and process. */
const reportEveryMs = 3_600_000
const maxRemembered = 10_000

/** Reports refused calls of agents to the audit. The call does not wait for it, and is refused even if reporting fails. */
export function createRefusedCalls({ db, clock, report }: IdentityContext) {
  const reportedAt = createBoundedMap<string, number>(maxRemembered)
  const acknowledging = new Set<string>()
  let writing: Promise<void> = Promise.resolve()

  const later = (work: () => Promise<void>, undo: () => void): void => {
    writing = writing.then(work).catch(undo)
  }

  return {
    /** A key that was revoked, has expired, or was used from an address it is not for. */
    keyRefused: (agent: Agent, reason: 'revoked' | 'expired' | 'network', call: Call): void => {
      const { organizationId, apiKeyId } = agent
      const name = `${apiKeyId} ${reason} ${call.network}`
      const occurredAt = clock.now()
      const now = occurredAt.getTime()
      if (now - (reportedAt.get(name) ?? Number.NEGATIVE_INFINITY) < reportEveryMs) return
      reportedAt.set(name, now)
      const change = { before: null, after: { reason }, occurredAt }
      const fact = factBy(byCaller({ principal: agent, ...call }), 'api_key.refused', ['api_key', apiKeyId], change)
      later(
        () => inTransaction(db, { organizationId }, (tx) => report(tx, [fact])),
        () => void reportedAt.delete(name),
      )
    },

    /** The first refusal because of a pause shows that the agent has noticed it. */
    rightRefused: (agent: Agent, error: unknown, call: Call): void => {
      const hold = agent.hold ?? null
      if (hold === null || hold.isAcknowledged) return
      if (!(error instanceof Problem) || error.code !== heldBack(hold).code) return
      const { on, status, since } = hold
      const { organizationId, agentId } = agent
      const pause = `${agentId} ${on} ${status} ${since.getTime()}`
      if (acknowledging.has(pause)) return
      acknowledging.add(pause)
      const occurredAt = clock.now()
      const change = { before: null, after: { status, switch: on, since }, occurredAt }
      const fact = factBy(
        byCaller({ principal: agent, ...call }),
        'agent.pause_acknowledged',
        ['agent', agentId],
        change,
      )
      const done = (): void => void acknowledging.delete(pause)
      later(
        () =>
          inTransaction(db, { organizationId }, async (tx) => {
            if (await agents.acknowledgePause(tx, organizationId, agentId, hold, occurredAt)) await report(tx, [fact])
          }).then(done),
        done,
      )
    },

    /** Resolves when everything is written. */
    settled: (): Promise<void> => writing,
  }
}
