import type { Clock } from '../../platform/clock.ts'
import type { Db } from '../../platform/database/db.ts'
import type { Agent } from '../principal.ts'
import * as store from './credential-store.ts'

/** Uses that are not written at once are written after this long, so `last_used_at` is at most a minute stale. */
const everyMs = 30_000
/** Per key, process and `everyMs`: the first use, and a few from an address other than the last one written. */
const maxWritesAtOnce = 4
/** Keys whose last use is remembered: 300 bytes each. */
const maxMarks = 50_000

interface Mark {
  readonly organizationId: string
  last: store.KeyUse
  /** The one of `last` that was handed to the database; null when that failed. */
  written: store.KeyUse | null
  since: number
  /** Since `since`. */
  writes: number
}

export type KeyUses = ReturnType<typeof createKeyUses>

/** Runs `work` once after `ms`, without keeping the process alive. */
export type Schedule = (work: () => void, ms: number) => void

const byTimer: Schedule = (work, ms) => void setTimeout(work, ms).unref()

/** Writes down when and from where keys were last used. No call waits for it. */
export function createKeyUses(db: Db, clock: Clock, schedule: Schedule = byTimer) {
  const marks = new Map<string, Mark>()
  let writing: Promise<void> = Promise.resolve()
  let isScheduled = false
  let isClosed = false

  const write = (organizationId: string, given: readonly Mark[]): void => {
    const uses = given.map((mark) => {
      mark.written = mark.last
      return mark.last
    })
    writing = writing
      .then(() => store.markUsed(db.within({ organizationId }), organizationId, uses))
      // They are written at the next turn, with the uses that are not due yet.
      .catch(() => {
        for (const mark of given) mark.written = null
      })
  }

  /** Writes what is left to write, and forgets keys that are no longer in use. */
  const flush = (): void => {
    const now = clock.now().getTime()
    const late = new Map<string, Mark[]>()
    for (const [id, mark] of marks) {
      if (mark.written === mark.last) {
        if (now - mark.since >= everyMs) marks.delete(id)
        continue
      }
      mark.since = now
      mark.writes = 1
      const together = late.get(mark.organizationId)
      if (together === undefined) late.set(mark.organizationId, [mark])
      else together.push(mark)
    }
    for (const [organizationId, given] of late) write(organizationId, given)
  }

  const flushLater = (): void => {
    if (isScheduled || isClosed) return
    isScheduled = true
    schedule(() => {
      isScheduled = false
      flush()
      if (marks.size > 0) flushLater()
    }, everyMs)
  }

  const newMark = (organizationId: string, last: store.KeyUse): Mark => {
    if (marks.size >= maxMarks) {
      flush()
      marks.clear()
    }
    const mark: Mark = { organizationId, last, written: null, since: Number.NEGATIVE_INFINITY, writes: 0 }
    marks.set(last.apiKeyId, mark)
    return mark
  }

  return {
    /** Notes a use. A new address is written at once, so that a later crash cannot hide it. */
    used: ({ organizationId, apiKeyId }: Agent, address: string | null): void => {
      const at = clock.now()
      const last = { apiKeyId, at, address }
      const mark = marks.get(apiKeyId) ?? newMark(organizationId, last)
      mark.last = last
      flushLater()
      if (at.getTime() - mark.since >= everyMs) {
        mark.since = at.getTime()
        mark.writes = 0
      } else if (mark.written?.address === address || mark.writes >= maxWritesAtOnce) return
      mark.writes += 1
      write(organizationId, [mark])
    },
    /** Writes what is left, at the end. */
    close: (): Promise<void> => {
      isClosed = true
      flush()
      return writing
    },
  }
}
