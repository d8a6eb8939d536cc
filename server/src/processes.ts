import cluster, { type Worker } from 'node:cluster'
import { once } from 'node:events'
import type { Logger } from './platform/log.ts'

/** A process that dies at its start must not be restarted in a tight circle. */
const restartMs = 1_000

/**
 * Runs `count` copies of this program on one port (node:cluster); one that dies is replaced. Resolves when all listen,
 * with a function that stops them gracefully.
 */
export async function runCluster(count: number, log: Logger): Promise<() => Promise<void>> {
  let stopping = false
  const fork = (): Worker => {
    const worker = cluster.fork()
    worker.on('exit', (code, signal) => {
      if (stopping) return
      log.error({ worker: worker.process.pid, code, signal }, 'a process died and is replaced')
      setTimeout(() => {
        if (!stopping) fork()
      }, restartMs).unref()
    })
    return worker
  }
  await Promise.all(Array.from({ length: count }, () => once(fork(), 'listening')))
  return async () => {
    stopping = true
    const alive = Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined)
    const gone = alive.map((worker) => once(worker, 'exit'))
    for (const worker of alive) worker.process.kill('SIGTERM')
    await Promise.all(gone)
  }
}
