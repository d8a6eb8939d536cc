import type { Fact, Report } from '../../facts/fact.ts'
import type { EventKind } from '../../facts/kinds.ts'
import type { Clock } from '../../platform/clock.ts'
import { type Db, inTransaction } from '../../platform/database/db.ts'
import { Problem } from '../../platform/problem.ts'
import * as agents from '../agents/store.ts'
import { type Agent, actorOf, type Call, heldBack } from '../principal.ts'

export interface RefusalDependencies {
  readonly db: Db
  readonly clock: Clock
  /** Appends to the event log in the caller's transaction. */
  readonly report: Report
}

export type Refusals = ReturnType<typeof createRefusals>

/** A key that goes on being refused for one reason from one address is told of once an hour and process, not per call. */
const tellEveryMs = 3_600_000
const maxRemembered = 10_000

/** What the audit is told of calls that were refused. The call does not wait for it, and is refused whatever comes of it. */
export function createRefusals({ db, clock, report }: RefusalDependencies) {
  const told = new Map<string, number>()
  const acknowledging = new Set<string>()
  let writing: Promise<void> = Promise.resolve()

  const later = (work: () => Promise<void>, undo: () => void): void => {
    writing = writing.then(work).catch(undo)
  }

  const factOf = (agent: Agent, call: Call, kind: EventKind, about: Partial<Fact>): Fact => ({
    organizationId: agent.organizationId,
    kind,
    subjectKind: 'agent',
    subjectId: agent.agentId,
    actor: actorOf(agent),
    httpRequestId: call.httpRequestId,
    network: call.network ?? null,
    before: null,
    after: null,
    occurredAt: clock.now(),
    ...about,
  })

  return {
    /** A right key, at a time or from a place that it is not for. */
    keyRefused: (agent: Agent, reason: 'expired' | 'network', call: Call): void => {
      const name = `${agent.apiKeyId} ${reason} ${call.network}`
      const now = clock.now().getTime()
      if (now - (told.get(name) ?? Number.NEGATIVE_INFINITY) < tellEveryMs) return
      if (told.size >= maxRemembered) told.clear()
      told.set(name, now)
      const about = { subjectKind: 'api_key', subjectId: agent.apiKeyId, after: { reason } } as const
      const fact = factOf(agent, call, 'api_key.refused', about)
      later(
        () => inTransaction(db, { organizationId: agent.organizationId }, (tx) => report(tx, [fact])),
        () => void told.delete(name),
      )
    },

    /** The first refusal because of a pause says that the agent has met it. */
    rightRefused: (agent: Agent, error: unknown, call: Call): void => {
      const hold = agent.hold ?? null
      if (hold === null || hold.isAcknowledged) return
      if (!(error instanceof Problem) || error.code !== heldBack(hold).code) return
      const { on, status, since } = hold
      const pause = `${agent.agentId} ${on} ${status} ${since.getTime()}`
      if (acknowledging.has(pause)) return
      acknowledging.add(pause)
      const fact = factOf(agent, call, 'agent.pause_acknowledged', { after: { status, switch: on, since } })
      const scope = { organizationId: agent.organizationId }
      const done = (): void => void acknowledging.delete(pause)
      later(
        () =>
          inTransaction(db, scope, async (tx) => {
            if (await agents.acknowledgePause(tx, agent.organizationId, agent.agentId, hold, fact.occurredAt)) {
              await report(tx, [fact])
            }
          }).then(done),
        done,
      )
    },

    /** Resolves when everything is written. */
    settled: (): Promise<void> => writing,
  }
}
