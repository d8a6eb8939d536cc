import type { FastifyInstance } from 'fastify'
import type { Guard } from '../identity/guard.ts'
import type { Clock } from '../platform/clock.ts'
import type { Db } from '../platform/database/db.ts'
import type { Hints } from '../platform/database/listen.ts'
import { createByteBudget } from '../platform/limits/byte-budget.ts'
import { createSlots } from '../platform/limits/slots.ts'
import type { Logger } from '../platform/log.ts'
import { type BackgroundWork, createLoop } from '../platform/loop.ts'
import { Problem } from '../platform/problem.ts'
import type { HttpSettings } from '../settings/http.ts'
import type { RealtimeSettings } from '../settings/realtime.ts'
import { createChanges } from './changes.ts'
import { createFeed, type FeedSource } from './feed.ts'
import { createHub } from './hub.ts'
import { createPersonStreams } from './person-streams.ts'
import { createPresence } from './presence.ts'
import { registerPresenceRoutes } from './presence-routes.ts'
import { type RealtimeRoutes, registerRealtimeRoutes } from './routes.ts'
import { registerStreamRoutes, type StreamRoutes } from './stream-routes.ts'
import type { WaitContext } from './waits.ts'

export interface RealtimeModuleDependencies
  extends Pick<RealtimeRoutes, 'showRefusals' | 'requestExample'>,
    Pick<StreamRoutes, 'requestSchema'> {
  /** For background work. */
  readonly workerDb: Db
  readonly clock: Clock
  readonly log: Logger
  readonly hints: Hints
  readonly settings: RealtimeSettings & HttpSettings
  readonly show: WaitContext['show']
  /** What open inboxes are told of. */
  readonly source: FeedSource
  /** Whether other processes use this database. */
  readonly hasOthers: () => Promise<boolean>
}

/** Those that are woken together and look at once; as many again as one statement reads. */
const looksAtOnce = 128
/** With the 800 ms that a credential is kept, a wait ends within a second of its revocation: see credential-cache.ts. */
const allowedForMs = 200
const checksAtOnce = 16

/** Long waits and streams: readers of what commits report. */
export function createRealtimeModule(dependencies: RealtimeModuleDependencies) {
  const {
    workerDb: db,
    clock,
    log,
    hints,
    settings,
    show,
    source,
    hasOthers,
    showRefusals,
    requestExample,
  } = dependencies
  const { requestSchema } = dependencies
  const hub = createHub()
  const feed = createFeed({ source, presence: createPresence(), clock, log })
  const changes = createChanges({
    hub,
    inboxes: feed.changed,
    looks: ({ organizationId, requestId, ...who }) => void feed.look(organizationId, who, requestId),
    db,
    log,
    hints,
    hasOthers,
  })
  const budget = createByteBudget(settings.MOST_WAITS)
  const streams = createPersonStreams({ feed, budget, log })
  const waits: WaitContext = { hub, show, budget, lookInTurn: createSlots(looksAtOnce) }

  const check = createSlots(checksAtOnce)
  const checking = createLoop('the credentials of waits', allowedForMs, log, async () => {
    const checkOne = (place: ReturnType<typeof hub.credentials>[number]) =>
      place.allowAgain().catch((error: unknown) => {
        // While the database is away, nobody is refused.
        if (error instanceof Problem && error.status < 500) hub.refuse(place.credential, error)
      })
    await Promise.all(hub.credentials().map((place) => check(() => checkOne(place))))
    return false
  })

  const loops: readonly BackgroundWork[] = [checking, feed, ...streams.loops]
  const work: BackgroundWork = {
    start: () => {
      changes.start()
      for (const loop of loops) loop.start()
    },
    drain: async () => {
      await changes.drain()
      for (const loop of loops) await loop.drain()
    },
    stop: async (graceMs) => void (await Promise.all([changes.stop(), ...loops.map((loop) => loop.stop(graceMs))])),
  }
  return {
    announce: changes.announce,
    countsChanged: changes.countsChanged,
    /** How many calls wait. */
    waiting: () => hub.size,
    /** How many streams of inboxes are open. */
    streaming: () => streams.size,
    routes: (api: FastifyInstance, guard: Guard): void => {
      api.addHook('preClose', async () => {
        hub.stop()
        streams.stop()
      })
      const longestWaitSeconds = settings.LONGEST_WAIT_SECONDS
      const stalledAfterMs = settings.REQUEST_TIMEOUT_SECONDS * 1_000
      registerRealtimeRoutes(api, { waits, guard, longestWaitSeconds, stalledAfterMs, showRefusals, requestExample })
      registerStreamRoutes(api, { streams, guard, stalledAfterMs, requestSchema })
      registerPresenceRoutes(api, {
        guard,
        show,
        showRefusals,
        look: (look) => {
          const { organizationId, requestId, ...who } = look
          feed.look(organizationId, who, requestId)
          // Also what is no news here, so that others know that it still holds.
          changes.tellLook(look)
        },
      })
    },
    /** Of every process that serves calls. */
    loops: [work],
  }
}
