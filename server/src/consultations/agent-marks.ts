import type { Event } from '../events/event.ts'
import type { Events } from '../events/service.ts'
import { system } from '../identity/principal.ts'
import type { Clock } from '../platform/clock.ts'
import { type Db, inTransaction, type Tx } from '../platform/database/db.ts'
import { newId } from '../platform/ids.ts'
import type { Logger } from '../platform/log.ts'
import { createLoop, type Loop } from '../platform/loop.ts'
import * as store from './agent-mark-store.ts'

export interface AgentToMark {
  readonly id: string
  readonly isPaused: boolean
  /** Another one: its switch was turned in between. */
  readonly version: string
}

/** The identity module's side: which agents' requests have to be marked. */
export interface AgentsToMark {
  organizations(): Promise<readonly string[]>
  /** Locked until the transaction ends; from then on every request that they may still have made can be seen. */
  lock(tx: Tx, organizationId: string): Promise<readonly AgentToMark[]>
  done(tx: Tx, organizationId: string, ids: readonly string[]): Promise<void>
}

export interface AgentMarkDependencies {
  readonly db: Db
  readonly clock: Clock
  readonly log: Logger
  readonly events: Events
  readonly agents: AgentsToMark
}

export interface AgentMarks {
  /** Marks what can be marked now; what is left, because it is much or held by others, the loop does. */
  mark(organizationId: string): Promise<void>
  readonly loop: Loop
}

/** What is left over after a switch was turned is looked for this often. */
const everyMs = 1_000
/** A caller who turned a switch waits no longer than this, and one portion, for the marks. */
const patienceMs = 1_000

const firstId = '00000000-0000-0000-0000-000000000000'

/**
 * Keeps `agent_paused` of open requests in line with their agents' switches. Apart from the switch's own commit, and in
 * portions: a kill switch must not wait for a hundred thousand rows.
 */
export function createAgentMarks({ db, clock, log, events, agents }: AgentMarkDependencies): AgentMarks {
  /** One portion; answers whether there is more to do at once. */
  const portion = (organizationId: string, run: Run): Promise<boolean> =>
    inTransaction(db, { organizationId }, async (tx) => {
      const found = await agents.lock(tx, organizationId)
      // Those that the run began with, and are as they were: only of them it is known that nothing was passed over.
      run.agents ??= found
      const known = new Set(run.agents.map(nameOf))
      const same = found.filter((agent) => known.has(nameOf(agent)))
      // One of the two at a time: a transaction locks its requests in the order of their ids, as acts do.
      const isPaused = same.some((agent) => agent.isPaused)
      const ids = same.filter((agent) => agent.isPaused === isPaused).map(({ id }) => id)
      if (ids.length === 0) return false
      const now = clock.now()
      const changed = isPaused
        ? await store.markOpen(tx, organizationId, ids, now, run.after)
        : await store.unmark(tx, organizationId, ids, now)
      if (isPaused && changed.last !== null) run.after = changed.last
      if (changed.requests === store.marksAtOnce) return true
      await agents.done(tx, organizationId, ids)
      if (isPaused) {
        const counts = await store.countMarked(tx, organizationId, ids)
        await events.append(
          tx,
          counts.map(({ agentId, requests }) => markedFact(organizationId, agentId, requests, now)),
        )
      }
      return ids.length < same.length
    })

  const mark = async (organizationId: string, patience: number): Promise<void> => {
    const run: Run = { agents: null, after: firstId }
    const until = performance.now() + patience
    while ((await portion(organizationId, run)) && performance.now() < until) {}
  }

  return {
    mark: async (organizationId) => {
      try {
        await mark(organizationId, patienceMs)
      } catch (error) {
        // The switch is turned, which is what counts; the loop finds what is left.
        log.warn({ err: error }, 'open requests could not be marked at once')
      }
    },
    loop: createLoop('marks of agents', everyMs, log, async () => {
      for (const organizationId of await agents.organizations()) await mark(organizationId, Number.POSITIVE_INFINITY)
      return false
    }),
  }
}

/** What one run has done so far. */
interface Run {
  agents: readonly AgentToMark[] | null
  /** Up to this id everything is marked. */
  after: string
}

function nameOf({ id, isPaused, version }: AgentToMark): string {
  return `${id} ${isPaused} ${version}`
}

/** How many requests an agent that is held back leaves open. */
function markedFact(organizationId: string, agentId: string, requests: number, occurredAt: Date): Event {
  return {
    organizationId,
    id: newId(),
    kind: 'agent.requests_marked',
    subjectKind: 'agent',
    subjectId: agentId,
    actor: system,
    httpRequestId: null,
    before: null,
    after: { requests },
    occurredAt,
  }
}
