import { bySystem, factBy, type Report } from '../facts/fact.ts'
import type { Clock } from '../platform/clock.ts'
import { type Db, inTransaction } from '../platform/database/db.ts'
import { installationId } from '../platform/ids.ts'
import type { Logger } from '../platform/log.ts'
import { type BackgroundWork, createLoop } from '../platform/loop.ts'
import * as store from './store.ts'

/** Whether this installation is a restored copy that must not send callbacks and mail yet. */
export interface Hold {
  /** The copy that is held; null: everything is sent. As of the last look. */
  readonly held: () => store.RestoredCopy | null
  /** Reads it from the database: before anything is sent, and then until it is released. */
  readonly look: () => Promise<store.RestoredCopy | null>
  /** Does this once what was held is released. */
  readonly onRelease: (act: () => void) => void
}

export interface HoldDependencies {
  readonly db: Db
  readonly clock: Clock
  readonly log: Logger
  readonly report: Report
}

/** A release is noticed by every process within a second. */
const lookEveryMs = 1_000

const scope = { organizationId: installationId }

/** Only `hitl restore` begins a hold, in a database that no process uses yet: so only a held installation needs to look again. */
export function createHold({ db, clock, log, report }: HoldDependencies) {
  let held: store.RestoredCopy | null = null
  const acts: (() => void)[] = []
  const look = async () => {
    const before = held
    held = await store.findHeld(db.within(scope))
    if (before !== null && held === null) {
      log.info('the restored copy was released: callbacks and mail are sent')
      for (const act of acts) act()
    }
    return held
  }
  const loop = createLoop('restored copy', lookEveryMs, log, async () => {
    if ((await look()) === null) void loop.stop()
    return false
  })
  const work: BackgroundWork = {
    start: () => {
      if (held === null) return
      const { backedUpAt, restoredAt } = held
      log.warn(
        { backed_up_at: backedUpAt, restored_at: restoredAt },
        'this is a restored copy: callbacks and mail are held until "hitl restore --release"',
      )
      loop.start()
    },
    drain: async () => void (await look()),
    stop: loop.stop,
  }
  const hold: Hold = { held: () => held, look, onRelease: (act) => void acts.push(act) }
  return {
    ...hold,
    /** Returns whether anything was held. */
    release: () =>
      inTransaction(db, scope, async (tx) => {
        const occurredAt = clock.now()
        if (!(await store.release(tx, occurredAt))) return false
        const subject = ['organization', installationId] as const
        await report(tx, [factBy(bySystem(installationId), 'restored_copy.released', subject, { occurredAt })])
        return true
      }),
    /** How many callbacks and letters wait. */
    waiting: () => store.countWaiting(db.within({ worker: true })),
    loops: [work],
  }
}
