import type { Report } from '../facts/fact.ts'
import type { Clock } from '../platform/clock.ts'
import type { Db, Tx } from '../platform/database/db.ts'
import type { Hints } from '../platform/database/listen.ts'
import type { Logger } from '../platform/log.ts'
import type { BackgroundWork } from '../platform/loop.ts'
import type { Hold } from '../restored/hold.ts'
import type { ServiceSettings } from '../settings/service.ts'
import type { Channel } from './channel.ts'
import type { AttemptResult, Subject } from './delivery.ts'
import { type DeliveryFilter, list } from './list-store.ts'
import { enqueue } from './service.ts'
import { attempts, dueNotification, erase, withdraw } from './store.ts'
import { createDeliveryWorker } from './worker.ts'

export interface DeliveryModuleDependencies {
  readonly db: Db
  /** For background work. */
  readonly workerDb: Db
  readonly clock: Clock
  readonly log: Logger
  readonly hints: Hints
  readonly settings: ServiceSettings
  readonly report: Report
  readonly hold: Hold
  /** Is given every attempt that was made, once it is recorded. */
  readonly onAttempt?: (channel: string, result: AttemptResult) => void
}

export type DeliveryModule = ReturnType<typeof createDeliveryModule>

export function createDeliveryModule(dependencies: DeliveryModuleDependencies) {
  const { db, workerDb, clock, log, hints, settings, report, hold, onAttempt } = dependencies
  const channels = new Map<string, Channel>()
  const worker = createDeliveryWorker({ db: workerDb, clock, log, channels, report, hold, onAttempt })
  const work: BackgroundWork = {
    start: () => {
      worker.start()
      hints.on(dueNotification, worker.wake)
    },
    drain: worker.drain,
    stop: worker.stop,
  }
  return {
    /** With this process's own worker, unless another process delivers. */
    enqueue: enqueue.bind(null, { clock, worker: settings.ROLE === 'api' ? null : worker }),
    /** Every attempt, newest first. */
    attempts: (subject: Subject) => attempts(db.within({ organizationId: subject.organizationId }), subject),
    /** A page of deliveries, newest first. */
    list: (filter: DeliveryFilter) => list(db.within({ organizationId: filter.organizationId }), filter),
    /** Ends what is not to be sent any more, in the caller's transaction. */
    withdraw: (tx: Tx, subject: Subject, shownId: string | null, reason: string) =>
      withdraw(tx, subject, { shownId, reason, now: clock.now() }),
    /** Empties what was sent about a subject, in the caller's transaction. */
    erase,
    /** For the modules above: their deliveries name a channel that they have added. */
    addChannel: (name: string, channel: Channel): void => void channels.set(name, channel),
    /** Of this process, now. */
    standing: worker.standing,
    loops: [work],
  }
}
