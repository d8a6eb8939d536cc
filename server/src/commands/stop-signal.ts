import cluster from 'node:cluster'
import { isatty } from 'node:tty'
import type { Logger } from '../platform/log.ts'
import { npmHasGone } from './npm-parent.ts'

/**
 * Resolves when the service should stop: with the first signal, or when npm has gone that started it. A second signal, at
 * least a second later, exits at once. Not in a cluster's child: Ctrl-C and service managers signal all processes, and the
 * parent then signals its children again.
 */
export function stopSignal(log: Logger): Promise<undefined> {
  return new Promise((resolve) => {
    let stoppingSince: number | null = null
    const stop = (reason: string): void => {
      // Ctrl-C on `npm start` reaches this process twice, from the terminal and from npm: signals close together count as one.
      const again = stoppingSince !== null && performance.now() - stoppingSince > 1_000
      if (again && cluster.isPrimary) process.exit(1)
      if (stoppingSince !== null) return
      stoppingSince = performance.now()
      log.info({ reason }, 'stopping: no new calls; those under way are finished')
      resolve(undefined)
    }
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop(signal))
    process.on('SIGHUP', hangUpStops ? () => stop('SIGHUP') : () => log.info('SIGHUP ignored: no terminal is attached'))
    // Node itself ends a cluster's children with their parent.
    if (!cluster.isPrimary) return
    // Others that start a service with a channel may close it to leave it alone.
    if (process.env.HITL_PARENT !== undefined) process.once('disconnect', () => stop('the hitl command has gone'))
    void npmHasGone().then(() => stoppingSince === null && stop('npm has gone'))
  })
}

/**
 * When a terminal is closed, what runs in it ends. What was started with nohup, or by a service manager, has no terminal and
 * goes on. Asked at the start, when the terminal is still there.
 */
const hangUpStops = [0, 1, 2].some(isatty)
