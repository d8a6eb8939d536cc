import cluster, { type Worker } from 'node:cluster'
import { once } from 'node:events'
import type { Logger } from './platform/log.ts'

/** A process that dies at its start must not be restarted in a tight loop. */
const restartMs = 1_000

/**
 * Runs `count` copies of this program on one port (node:cluster) and replaces any that dies. Resolves when all listen, with
 * a function that stops them gracefully. Rejects when one of the first ones ends before it listens.
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
  const stop = async (): Promise<void> => {
    stopping = true
    const alive = Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined)
    const gone = alive.map((worker) => once(worker, 'exit'))
    for (const worker of alive) worker.process.kill('SIGTERM')
    await Promise.all(gone)
  }
  try {
    await Promise.all(Array.from({ length: count }, () => listening(fork())))
  } catch (error) {
    await stop()
    throw error
  }
  return stop
}

function listening(worker: Worker): Promise<void> {
  return new Promise((resolve, reject) => {
    worker.once('listening', () => resolve())
    worker.once('exit', (code, signal) => {
      reject(new Error(`one of its processes ended with ${signal ?? `code ${code}`}; its output is above.`))
    })
  })
}
