import type { Db } from '../../platform/database/db.ts'
import { createFailureLog } from '../../platform/failure-log.ts'
import type { Logger } from '../../platform/log.ts'
import { createLoop, type Loop } from '../../platform/loop.ts'
import * as store from './store.ts'

const everyMs = 10_000
/** A worker seals within seconds, and one that was replaced within a few more. */
const tooLongMs = 60_000

/**
 * For a process without workers: whether another one works. Every installation has events to seal, so where none is sealed
 * although some could be, callbacks, mail and time limits wait as well, and nothing else would say so.
 */
export function watchProgress(db: Db, log: Logger, now: () => number = () => performance.now()): Loop {
  const lines = createFailureLog(
    log,
    {
      failed:
        'no worker seems to run, for no events are sealed: callbacks, mail and time limits wait too; start a process with ROLE=worker or all, or read its log',
      worked: 'events are sealed again: a worker runs',
    },
    {},
    now,
  )
  /** An organization with events to seal, and its last seal when it was first seen. */
  let waiting: { readonly organizationId: string; readonly number: number } | null = null
  let since = 0
  return createLoop('progress of the seals', everyMs, log, async () => {
    const worker = db.within({ worker: true })
    const lastNumber = async (organizationId: string): Promise<number> => {
      const [last] = await store.lastHeads(worker, organizationId, 1)
      return last?.organizationId === organizationId ? last.number : 0
    }
    const [first] = await store.unsealed(worker, null, 1)
    if (waiting !== null) {
      // Another one before it proves nothing: it may just have got its first event.
      const { organizationId, number } = waiting
      const isSealed = first === undefined || first > organizationId || (await lastNumber(organizationId)) > number
      if (!isSealed) {
        const waited = now() - since
        if (waited >= tooLongMs) lines.failed({ waiting_seconds: Math.round(waited / 1_000) })
        return false
      }
      lines.worked()
    }
    waiting = first === undefined ? null : { organizationId: first, number: await lastNumber(first) }
    since = now()
    return false
  })
}
