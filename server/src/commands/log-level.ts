import cluster from 'node:cluster'
import type { Logger } from '../platform/log.ts'

interface NewLevel {
  readonly hitlLogLevel: string
}

const isNewLevel = (message: unknown): message is NewLevel =>
  typeof message === 'object' && message !== null && 'hitlLogLevel' in message

/**
 * SIGUSR2: debug is logged too until the next SIGUSR2, without a restart that would end what is to be watched. The parent of
 * WORKERS passes it on to its processes, and to those that replace them.
 */
export function changeLevelOnSignal(log: Logger): void {
  if (process.platform === 'win32') return
  const configured = log.level
  const other = ['debug', 'trace'].includes(configured) ? 'info' : 'debug'
  const set = (level: string): void => {
    if (level === log.level) return
    // While the more talkative of the two is in effect.
    const say = (): void => log.info({ log_level: level }, 'the level of the log was changed')
    if (level === configured) say()
    log.level = level
    if (level !== configured) say()
    for (const worker of Object.values(cluster.workers ?? {})) worker?.send({ hitlLogLevel: level } satisfies NewLevel)
  }
  process.on('SIGUSR2', () => set(log.level === configured ? other : configured))
  if (cluster.isWorker) process.on('message', (message) => isNewLevel(message) && set(message.hitlLogLevel))
  else
    cluster.on('listening', (worker) => {
      if (log.level !== configured) worker.send({ hitlLogLevel: log.level } satisfies NewLevel)
    })
}
