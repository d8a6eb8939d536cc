import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import { createLoop, type Loop } from '../loop.ts'
import type { Db, Statement } from './db.ts'

const everyMs = 5_000

/** More than this, and the other processes refuse the access tokens that this one makes. */
const tolerableMs = 10_000

const clockStatement: Statement = {
  name: 'database_clock',
  text: 'select extract(epoch from clock_timestamp())::text as seconds',
}

/** Says once when this machine's clock leaves the database's, with which every process compares its own, and once when it is back. */
export function watchClock(db: Db, clock: Clock, log: Logger): Loop & { secondsAhead(): number | null } {
  let differs = false
  let secondsAhead: number | null = null
  const loop = createLoop('clock', everyMs, log, async () => {
    const askedAt = performance.now()
    const rows = await db.within({}).execute<{ seconds: string }>(clockStatement, [])
    const ahead = clock.now().getTime() - Number(rows[0]?.seconds) * 1_000
    // A reply that took long says nothing about the time of its arrival.
    const tookMs = performance.now() - askedAt
    const isFar = Math.abs(ahead) > tolerableMs + tookMs
    secondsAhead = isFar ? Math.round(ahead / 1_000) : null
    if (isFar === differs) return false
    differs = isFar
    if (!isFar) {
      log.info("this machine's clock agrees with the database's again")
      return false
    }
    log.warn(
      { seconds_ahead: secondsAhead },
      "this machine's clock is not the database's: until they agree, callbacks and time limits may come early or late and access tokens be refused",
    )
    return false
  })
  /** Null: it agrees. */
  return { ...loop, secondsAhead: () => secondsAhead }
}
