import pg from 'pg'
import type { Logger } from '../log.ts'
import type { Connection } from './db.ts'
import { asProblem, outageOf } from './errors.ts'

export type Hints = ReturnType<typeof createHints>

/** `payload`: of one NOTIFY; null when some may have been missed. */
export type OnHint = (payload: string | null) => void

/**
 * The process's one connection that listens for NOTIFY; it is opened for the first channel. A hint may be lost at any time (a
 * restart, a pooler that cannot LISTEN), so callers must poll as well. Reconnects after pauses of 1 to 30 s.
 */
export function createHints(connection: Connection, log: Logger) {
  const channels = new Map<string, OnHint>()
  let client: pg.Client | null = null
  let isConnected = false
  let timer: NodeJS.Timeout | null = null
  let stopped = false
  let failures = 0

  const reconnect = (): void => {
    isConnected = false
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
    next.on('notification', ({ channel, payload }) => channels.get(channel)?.(payload ?? ''))
    try {
      await next.connect()
      for (const channel of channels.keys()) await next.query(`listen ${pg.escapeIdentifier(channel)}`)
      isConnected = true
      failures = 0
      // For notifications that were missed meanwhile.
      for (const onHint of channels.values()) onHint(null)
    } catch (error) {
      // Where the whole database is away, its watch says so.
      if (failures === 0 && outageOf(asProblem(error)) === null)
        log.warn({ err: error, channels: [...channels.keys()] }, 'cannot listen for hints; polling goes on')
      reconnect()
    }
  }

  return {
    /** Calls `onHint` for every NOTIFY on `channel`, which one caller may have. */
    on: (channel: string, onHint: OnHint): void => {
      channels.set(channel, onHint)
      if (isConnected) client?.query(`listen ${pg.escapeIdentifier(channel)}`).catch(reconnect)
      else if (client === null && timer === null && !stopped) void connect()
    },
    stop: async (): Promise<void> => {
      stopped = true
      if (timer !== null) clearTimeout(timer)
      await client?.end().catch(() => {})
    },
  }
}
