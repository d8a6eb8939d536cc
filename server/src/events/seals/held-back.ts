import type { Db, Statement } from '../../platform/database/db.ts'
import { createFailureLog } from '../../platform/failure-log.ts'
import type { Logger } from '../../platform/log.ts'
import { createLoop, type Loop } from '../../platform/loop.ts'

const everyMs = 2_000
const tooLongMs = 10_000

interface Holder {
  /** The oldest transaction that is still open; nothing that was written since can be sealed. Null: there is none. */
  readonly oldest: string | null
  /** Null where it is prepared (two-phase) and no session has it. */
  readonly pid: number | null
  readonly application: string | null
  readonly database: string | null
}

const holderStatement: Statement = {
  name: 'audit_seals_held_back',
  text: `
    select case when a.pid is not null or pg_snapshot_xmin(s) < pg_snapshot_xmax(s) then pg_snapshot_xmin(s)::text end as oldest,
      a.pid, a.application_name as application, a.datname as database
    from pg_current_snapshot() s left join pg_stat_activity a on a.backend_xid = pg_snapshot_xmin(s)::xid`,
}

/** Watches for a transaction, in whichever database of the server, that stays open and so holds back all seals. */
export function watchHeldBack(db: Db, log: Logger, now: () => number = () => performance.now()) {
  const lines = createFailureLog(log, {
    failed: 'seals of the audit are held back by a transaction that stays open: end its session',
    worked: 'seals of the audit are no longer held back',
  })
  let oldest: string | null = null
  let since = 0
  const heldForMs = (): number => (oldest === null ? 0 : now() - since)
  const loop: Loop = createLoop('held back seals', everyMs, log, async () => {
    const [found] = await db.within({ worker: true }).execute<Holder>(holderStatement, [])
    if (found === undefined || found.oldest !== oldest) since = now()
    oldest = found?.oldest ?? null
    if (heldForMs() < tooLongMs) lines.worked()
    else {
      const { pid, application, database } = found ?? {}
      lines.failed({ backend: pid, application, database, open_seconds: Math.round(heldForMs() / 1_000) })
    }
    return false
  })
  return {
    loop,
    /** Since when, once it is too long; otherwise null. */
    seconds: (): number | null => (heldForMs() < tooLongMs ? null : Math.round(heldForMs() / 1_000)),
  }
}
