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
  let waiting: string | null = null
  let since = 0
  return createLoop('progress of the seals', everyMs, log, async () => {
    const worker = db.within({ worker: true })
    const [organizationId] = await store.unsealed(worker, null, 1)
    const [last] = organizationId === undefined ? [] : await store.lastHeads(worker, organizationId, 1)
    const number = last?.organizationId === organizationId ? last?.number : 0
    const found = organizationId === undefined ? null : `${organizationId} ${number}`
    if (found !== waiting) {
      waiting = found
      since = now()
      lines.worked()
    } else if (found !== null && now() - since >= tooLongMs) {
      lines.failed({ waiting_seconds: Math.round((now() - since) / 1_000) })
    }
    return false
  })
}
