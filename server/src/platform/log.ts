import { type DestinationStream, type Logger, pino } from 'pino'

export type { Logger }

/**
 * JSON lines on standard output; pretty on a terminal. Values that could be secrets are cut out wherever they stand:
 * a second line of defence, the first is never to log them.
 */
export function createLog(level: string, pretty: boolean, destination?: DestinationStream): Logger {
  const options = {
    level,
    base: { pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: {
      paths: [
        'authorization',
        'password',
        'callback_secret',
        'key',
        'token',
        '*.authorization',
        '*.password',
        '*.callback_secret',
        '*.key',
        '*.token',
        'req.headers',
      ],
      censor: '[redacted]',
    },
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
