import { createFailureLog } from '../failure-log.ts'
import type { Logger } from '../log.ts'
import type { Db, Statement } from './db.ts'
import { tookTooLong } from './errors.ts'

/** Without a statement that took too long for this time, it is over. */
const quietMs = 15_000
const lookAgainMs = 400

interface Blocker {
  readonly backend: number
  readonly application: string | null
  readonly database: string | null
  readonly blocks: number
}

/** The session that most others wait for and that waits for none. Other roles' sessions show no more than this. */
const blockerStatement: Statement = {
  name: 'session_that_blocks',
  text: `
    with waits as materialized (
      select l.pid, unnest(pg_blocking_pids(l.pid)) as by from (select distinct pid from pg_locks where not granted) l)
    select w.by as backend, a.application_name as application, a.datname as database, count(*)::int as blocks
    from waits w left join pg_stat_activity a on a.pid = w.by
    where not exists (select from waits o where o.pid = w.by)
    group by 1, 2, 3 order by blocks desc, 1 limit 1`,
}

/** Says once, and not for each call, that statements are stopped, and which session holds the locks that they wait for. */
export function watchSlowStatements(log: Logger, now: () => number = () => performance.now()) {
  const lines = createFailureLog(
    log,
    {
      failed:
        'statements take longer than DATABASE_STATEMENT_SECONDS and are stopped; no session is seen to block them',
      worked: 'statements are no longer stopped for taking too long',
    },
    {},
    now,
  )
  let quiet: NodeJS.Timeout | null = null
  let next: NodeJS.Timeout | null = null
  let isOpen = false
  let looking = false

  const over = (): void => {
    if (quiet !== null) clearTimeout(quiet)
    if (next !== null) clearTimeout(next)
    quiet = null
    next = null
    isOpen = false
  }
  const look = async (error: unknown, db: Db | null): Promise<void> => {
    looking = true
    const found = await blocker(db)
    looking = false
    if (quiet === null) return
    if (found !== null) lines.failed(found, 'statements are stopped: they wait for locks that a session holds; end it')
    else {
      if (!isOpen) lines.failed(error)
      // A statement that was cancelled waits no longer, so the blocker shows only once the next one waits.
      next = setTimeout(() => void look(error, db), lookAgainMs)
      next.unref()
    }
    isOpen = true
  }

  return {
    failed: (error: unknown, db: Db | null): void => {
      if (!tookTooLong(error)) return
      if (quiet !== null) clearTimeout(quiet)
      quiet = setTimeout(() => {
        over()
        lines.worked()
      }, quietMs)
      quiet.unref()
      if (looking) return
      if (next !== null) clearTimeout(next)
      next = null
      void look(error, db)
    },
    stop: over,
  }
}

/** Null: none is found, or nobody can say. */
async function blocker(db: Db | null): Promise<Blocker | null> {
  const rows = await db
    ?.within({ worker: true })
    .execute<Blocker>(blockerStatement, [])
    .catch(() => [])
  return rows?.[0] ?? null
}
