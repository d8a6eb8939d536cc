import { type DestinationStream, type Logger, pino } from 'pino'

export type { Logger }

/**
 * JSON lines on standard output; pretty on a terminal. Callers keep secrets out of their lines; none are cut out here: a
 * list of names to cut is never complete, and searching for them took as long as writing the line. A test calls every
 * operation with known secrets and searches the log for them.
 */
export function createLog(level: string, pretty: boolean, destination?: DestinationStream): Logger {
  const options = {
    level,
    base: { pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { err: shownError },
  }
  if (destination !== undefined) return pino(options, destination)
  if (pretty) {
    return pino({
      ...options,
      formatters: {},
      transport: { target: 'pino-pretty', options: { ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss.l' } },
    })
  }
  return pino(options, pino.destination({ dest: 1, sync: false, minLength: 4096, periodicFlush: 500 }))
}

/** PostgreSQL's errors carry whole rows in `detail` and `where`: only the fields that name the fault are written. */
function shownError(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const { type, message, stack } = pino.stdSerializers.err(error)
  const { code, table, constraint } = error as { code?: unknown; table?: unknown; constraint?: unknown }
  return { type, message, code, table, constraint, stack }
}
