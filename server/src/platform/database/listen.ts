import pg from 'pg'
import type { Logger } from '../log.ts'
import type { Connection } from './db.ts'
import { asProblem, outageOf } from './errors.ts'

export type Listener = ReturnType<typeof listen>

/**
 * Calls `onHint` for every NOTIFY on `channel`. A hint may be lost at any time (a restart, a pooler that cannot LISTEN), so
 * callers must poll as well. Reconnects after pauses of 1 to 30 s.
 */
export function listen(connection: Connection, channel: string, log: Logger, onHint: () => void) {
  let client: pg.Client | null = null
  let timer: NodeJS.Timeout | null = null
  let stopped = false
  let failures = 0

  const reconnect = (): void => {
    if (stopped || timer !== null) return
    client?.end().catch(() => {})
    client = null
    failures += 1
    timer = setTimeout(
      () => {
        timer = null
        void connect()
      },
      Math.min(30_000, 1_000 * 2 ** Math.min(failures - 1, 5)),
    )
    timer.unref()
  }
  const connect = async (): Promise<void> => {
    const next = new pg.Client({
      ...connection,
      keepAlive: true,
      connectionTimeoutMillis: 5_000,
    })
    client = next
    next.on('error', reconnect)
    next.on('end', reconnect)
    next.on('notification', onHint)
    try {
      await next.connect()
      await next.query(`listen ${pg.escapeIdentifier(channel)}`)
      failures = 0
      // For notifications that were missed meanwhile.
      onHint()
    } catch (error) {
      // Where the whole database is away, its watch says so.
      if (failures === 0 && outageOf(asProblem(error)) === null)
        log.warn({ err: error, channel }, 'cannot listen for hints; polling goes on')
      reconnect()
    }
  }
  void connect()

  return {
    stop: async (): Promise<void> => {
      stopped = true
      if (timer !== null) clearTimeout(timer)
      await client?.end().catch(() => {})
    },
  }
}
