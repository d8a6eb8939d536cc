import { createFailureLog } from '../failure-log.ts'
import type { Logger } from '../log.ts'
import type { Db } from './db.ts'
import { type Outage, outageOf } from './errors.ts'
import { watchSlowStatements } from './slow.ts'

/** How long a write that worked counts for readiness. */
const writeEveryMs = 3_000
const lookAgainMs = 1_000

const sentences: Readonly<Record<Outage, string>> = {
  unavailable: 'the database does not respond',
  disk_full: "the database's disk is full: nothing can be saved until there is space",
  read_only: 'the database accepts no writes, like a standby server: DATABASE_URL must name the primary',
  too_many_connections: 'the database accepts no more connections: raise its max_connections or lower DATABASE_POOL',
}

export type DatabaseWatch = ReturnType<typeof watchDatabase>

/**
 * Knows whether the database can be used, for readiness and for the log: every pool reports its failures here, so that an
 * outage is one line and not one for each call and loop that runs into it.
 */
export function watchDatabase(log: Logger, now: () => number = () => performance.now()) {
  const lines = createFailureLog(
    log,
    { failed: sentences.unavailable, worked: 'the database can be used again' },
    {},
    now,
  )
  const slow = watchSlowStatements(log, now)
  let db: Db | null = null
  let outage: Outage | null = null
  let failedAt = Number.NEGATIVE_INFINITY
  let wroteAt = Number.NEGATIVE_INFINITY
  let timer: NodeJS.Timeout | null = null
  let stopped = false
  // Concurrent looks are one: checks need no credentials, and a flood of them must not take the pool's connections.
  let looking: Promise<Outage | null> | null = null

  const lookLater = (): void => {
    if (stopped || timer !== null) return
    timer = setTimeout(() => {
      timer = null
      void look().then(() => outage !== null && lookLater())
    }, lookAgainMs)
    timer.unref()
  }
  const found = (error: unknown, kind: Outage): void => {
    outage = kind
    failedAt = now()
    lines.failed(error, sentences[kind])
    lookLater()
  }
  const probe = async (): Promise<Outage | null> => {
    try {
      await db?.ping()
      if (outage !== null || now() - wroteAt >= writeEveryMs) {
        await db?.tryWriting()
        wroteAt = now()
      }
    } catch (error) {
      const kind = outageOf(error) ?? 'unavailable'
      if (!stopped) found(error, kind)
      return kind
    }
    // While calls still fail it is not over, although this look found nothing.
    if (outage !== null && now() - failedAt >= lookAgainMs / 2) {
      outage = null
      lines.worked()
    }
    return null
  }
  const look = (): Promise<Outage | null> => {
    looking ??= probe().finally(() => {
      looking = null
    })
    return looking
  }
  return {
    /** The pool to look through. */
    over: (pool: Db): void => {
      db = pool
    },
    /** A call, a loop or an idle connection failed. */
    failed: (error: unknown): void => {
      if (stopped) return
      slow.failed(error, db)
      const kind = outageOf(error)
      if (kind === null) return
      // The next look says whether it became another one: calls that fail in different ways would take turns in the log.
      if (outage === null) found(error, kind)
      else failedAt = now()
    },
    /** Null: it can be read and written. */
    look,
    stop: (): void => {
      stopped = true
      slow.stop()
      if (timer !== null) clearTimeout(timer)
    },
  }
}
