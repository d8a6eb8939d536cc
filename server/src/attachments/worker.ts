import type { Clock } from '../platform/clock.ts'
import type { Db } from '../platform/database/db.ts'
import type { Logger } from '../platform/log.ts'
import { createLoop, type Loop } from '../platform/loop.ts'
import type { Hold } from '../restored/hold.ts'
import { keyOf } from './contents.ts'
import type { ObjectStore } from './s3.ts'
import * as store from './store.ts'

const everyMs = 60_000
/** Up to 25 MiB each are deleted with a row. */
const rowsAtOnce = 10
const objectsAtOnce = 100

/**
 * Deletes uploads that did not end, files that no answer took, and the objects of files that are gone. A restored copy that is held
 * deletes nothing: what its backup calls unfinished may be finished where it was made, and both may use one bucket.
 */
export function createAttachmentSweeper(dependencies: {
  readonly db: Db
  readonly clock: Clock
  readonly log: Logger
  readonly objects: ObjectStore | null
  readonly hold: Hold
}): Loop {
  const { db, clock, log, objects, hold } = dependencies
  const rows = db.within({ worker: true })
  return createLoop('attachments', everyMs, log, async () => {
    if ((await hold.look()) !== null) return false
    const swept = await store.sweep(rows, clock.now(), rowsAtOnce)
    // Without a store they stay noted: it may be configured again.
    const discarded = objects === null ? [] : await store.discardedObjects(rows, objectsAtOnce)
    for (const object of discarded) {
      await objects?.remove(keyOf(object))
      // Only now: an object that is deleted twice does no harm, one that is forgotten stays for ever.
      await store.forgetObject(rows, object)
    }
    return swept === rowsAtOnce || discarded.length === objectsAtOnce
  })
}
