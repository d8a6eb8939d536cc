import cluster from 'node:cluster'
import prometheus from 'prom-client'
import { within } from '../platform/within.ts'

/** What a process has counted, as prom-client passes it on. */
export type Snapshot = Awaited<ReturnType<prometheus.Registry['getMetricsAsJSON']>>

type Message =
  | { readonly hitlMetrics: 'ask'; readonly id: number }
  | { readonly hitlMetrics: 'collect'; readonly id: number }
  | { readonly hitlMetrics: 'snapshot'; readonly id: number; readonly snapshot: Snapshot }
  | { readonly hitlMetrics: 'all'; readonly id: number; readonly snapshots: readonly Snapshot[] }

const isMessage = (message: unknown): message is Message =>
  typeof message === 'object' && message !== null && 'hitlMetrics' in message

/** A process that does not reply is left out of this scrape. */
const replyMs = 1_000

/** One text over all processes; each metric says whether it is added up. */
export const together = (snapshots: readonly Snapshot[]): Promise<string> =>
  prometheus.AggregatorRegistry.aggregate(snapshots as unknown as object[]).metrics()

/**
 * In the parent of WORKERS: passes the counts of all its processes to the one that was scraped. What a process had counted at the
 * last scrape stays after its end, or else a restart would look as if everything had been counted anew.
 */
export function passMetricsOn(): void {
  const latest = new Map<number, Snapshot>()
  let ended: Snapshot = []
  let next = 1
  const waiting = new Map<number, (worker: number, snapshot: Snapshot) => void>()
  const collect = async (): Promise<readonly Snapshot[]> => {
    const id = next++
    const asked = Object.values(cluster.workers ?? {}).filter((worker) => worker?.isConnected() === true)
    const found = new Map<number, Snapshot>()
    await within(
      replyMs,
      new Promise<void>((resolve) => {
        waiting.set(id, (worker, snapshot) => {
          found.set(worker, snapshot)
          if (found.size === asked.length) resolve()
        })
        for (const worker of asked) worker?.send({ hitlMetrics: 'collect', id } satisfies Message)
      }),
    )
    waiting.delete(id)
    for (const [worker, snapshot] of found) if (cluster.workers?.[worker] !== undefined) latest.set(worker, snapshot)
    return [...found.values(), ended]
  }
  let collecting: Promise<readonly Snapshot[]> | null = null
  cluster.on('message', (worker, message: unknown) => {
    if (!isMessage(message)) return
    if (message.hitlMetrics === 'snapshot') waiting.get(message.id)?.(worker.id, message.snapshot)
    if (message.hitlMetrics !== 'ask') return
    collecting ??= collect().finally(() => {
      collecting = null
    })
    void collecting.then((snapshots) => {
      if (worker.isConnected()) worker.send({ hitlMetrics: 'all', id: message.id, snapshots } satisfies Message)
    })
  })
  cluster.on('exit', (worker) => {
    const last = latest.get(worker.id)
    latest.delete(worker.id)
    if (last === undefined) return
    const counted = last.filter(({ type }) => ['counter', 'histogram'].includes(String(type)))
    const sum = prometheus.AggregatorRegistry.aggregate([ended, counted] as unknown as object[])
    void sum.getMetricsAsJSON().then((snapshot) => {
      ended = snapshot
    })
  })
}

/** In a process of WORKERS: replies to its parent, and asks it for the counts of all. */
export function joinProcesses(read: () => Promise<Snapshot>) {
  const asked = new Map<number, (snapshots: readonly Snapshot[]) => void>()
  let next = 1
  const listen = (message: unknown): void => {
    if (!isMessage(message)) return
    if (message.hitlMetrics === 'collect') {
      void read().then((snapshot) =>
        process.send?.({ hitlMetrics: 'snapshot', id: message.id, snapshot } satisfies Message),
      )
    }
    if (message.hitlMetrics === 'all') asked.get(message.id)?.(message.snapshots)
  }
  process.on('message', listen)
  return {
    /** Null: the parent did not reply. */
    all: async (): Promise<readonly Snapshot[] | null> => {
      const id = next++
      const reply = new Promise<readonly Snapshot[]>((resolve) => asked.set(id, resolve))
      process.send?.({ hitlMetrics: 'ask', id } satisfies Message)
      const snapshots = await within(2 * replyMs, reply)
      asked.delete(id)
      return snapshots ?? null
    },
    leave: (): void => void process.off('message', listen),
  }
}
