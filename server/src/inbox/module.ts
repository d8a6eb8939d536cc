import type { FastifyInstance } from 'fastify'
import type { Guard } from '../identity/guard.ts'
import type { Db } from '../platform/database/db.ts'
import type { Logger } from '../platform/log.ts'
import { createLoop } from '../platform/loop.ts'
import { registerInboxRoutes } from './routes.ts'
import { createInbox, type InboxContext } from './service.ts'
import { erasePerson, sweepSnoozes } from './store.ts'
import { registerViewRoutes } from './view-routes.ts'
import { createViews } from './views.ts'

export interface InboxModuleDependencies extends InboxContext {
  /** For background work. */
  readonly workerDb: Db
  readonly log: Logger
}

const sweptAtOnce = 1_000

/** What one person puts aside and begins to answer, and the lists that they named. */
export function createInboxModule({ workerDb, log, ...context }: InboxModuleDependencies) {
  const { clock, requests } = context
  const rows = workerDb.within({ worker: true })
  return {
    erasePerson,
    routes: (api: FastifyInstance, guard: Guard): void => {
      registerInboxRoutes(api, { inbox: createInbox(context), guard, requests })
      registerViewRoutes(api, { views: createViews(context), guard })
    },
    loops: [
      // Nothing depends on it: what is over counts for nothing.
      createLoop('ended snoozes', 300_000, log, async () => {
        return (await sweepSnoozes(rows, clock.now(), sweptAtOnce)) === sweptAtOnce
      }),
    ],
  }
}
