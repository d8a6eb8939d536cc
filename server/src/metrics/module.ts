import cluster from 'node:cluster'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Server } from 'node:http'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { FastifyInstance } from 'fastify'
import type { AttemptResult } from '../deliveries/delivery.ts'
import type { RateLimits } from '../http/rate-limits.ts'
import { type BatchBegun, batches } from '../platform/batch.ts'
import type { Clock } from '../platform/clock.ts'
import type { Connections, Db } from '../platform/database/db.ts'
import type { Logger } from '../platform/log.ts'
import { createLoop, failedRounds } from '../platform/loop.ts'
import type { MetricsSettings } from '../settings/metrics.ts'
import { watchBacklog } from './backlog.ts'
import { countCalls } from './calls.ts'
import { countChanges } from './changes.ts'
import { listenForMetrics, registerMetrics } from './endpoint.ts'
import { type CertificateSettings, watchExpiring } from './expiring.ts'
import { createInstruments, type Instruments } from './instruments.ts'
import { joinProcesses, together } from './processes.ts'

export interface MetricsDependencies {
  readonly workerDb: Db
  readonly clock: Clock
  readonly log: Logger
  readonly settings: MetricsSettings & CertificateSettings
  readonly version: string
  /** What other modules know at the moment. */
  readonly standing: () => {
    readonly pools: Readonly<Record<string, Connections>>
    readonly deliveries: { readonly slotsInUse: number; readonly openBreakers: number }
    readonly freeBytes: number | null
    readonly checks: Readonly<Record<'audit' | 'secrets' | 'sending', boolean>>
    /** Up to when every change can be found. */
    readonly searchedUntil: Date | null
  }
}

const nothing = async (): Promise<void> => {}

/** Without METRICS_TOKEN and METRICS_PORT nothing is counted. */
export function createMetricsModule(dependencies: MetricsDependencies) {
  const { METRICS_PORT, METRICS_TOKEN } = dependencies.settings
  return METRICS_PORT === null && METRICS_TOKEN === null ? silent : counting(dependencies)
}

const silent = {
  count: nothing,
  onAttempt: (_channel: string, _result: AttemptResult): void => {},
  serve: (_http: FastifyInstance, _limits: RateLimits): void => {},
  listen: nothing,
  loops: [],
  stop: nothing,
}

function counting({ workerDb: db, clock, log, settings, version, standing }: MetricsDependencies) {
  const { METRICS_HOST: host, METRICS_PORT: port, METRICS_TOKEN: token } = settings
  const instruments = createInstruments(version)
  const { registry, attempts, batchSize, loopFailures } = instruments
  const backlog = watchBacklog({ db, clock, log }, instruments, settings.METRICS_PER_ORGANIZATION)
  const expiring = watchExpiring({ db, clock, log }, instruments, settings)
  const delay = monitorEventLoopDelay()
  const delays = createLoop('event loop', 5_000, log, async () => showDelay(instruments, delay))
  const onBatch = (message: unknown): void => {
    const { name, size } = message as BatchBegun
    batchSize.observe({ batch: name }, size)
  }
  const onFailure = (loop: unknown): void => loopFailures.inc({ loop: loop as string })
  subscribe(batches.name, onBatch)
  subscribe(failedRounds.name, onFailure)

  const read = () => {
    backlog.show()
    showStanding(instruments, standing(), clock.now())
    return registry.getMetricsAsJSON()
  }
  const others = cluster.isWorker ? joinProcesses(read) : null
  const gather = async (): Promise<string> => together((await others?.all()) ?? [await read()])
  // Scrapes that come together are one.
  let gathering: Promise<string> | null = null
  const scrape = (): Promise<string> => {
    gathering ??= gather().finally(() => {
      gathering = null
    })
    return gathering
  }
  let server: Server | null = null
  return {
    /** For `events.append`. */
    count: countChanges(instruments),
    onAttempt: (channel: string, { durationMs, next }: AttemptResult): void => {
      if (channel === 'callback') attempts.observe({ outcome: next.kind }, durationMs / 1_000)
    },
    serve: (http: FastifyInstance, limits: RateLimits): void => {
      countCalls(http, instruments)
      if (port === null && token !== null) registerMetrics(http, limits, token, scrape)
    },
    /** Where the metrics have a port of their own. */
    listen: async (): Promise<void> => {
      if (port !== null) server = await listenForMetrics({ host, port, token }, scrape)
    },
    loops: [
      backlog.loop,
      expiring,
      {
        ...delays,
        start: () => {
          delay.enable()
          delays.start()
        },
      },
    ],
    stop: async (): Promise<void> => {
      delay.disable()
      others?.leave()
      unsubscribe(batches.name, onBatch)
      unsubscribe(failedRounds.name, onFailure)
      server?.closeAllConnections()
      server?.close()
    },
  }
}

function showDelay({ loopDelay }: Instruments, delay: ReturnType<typeof monitorEventLoopDelay>): boolean {
  // What it measures includes its own interval of 10 ms.
  loopDelay.set(Math.max(0, delay.percentile(99) / 1e9 - 0.01))
  delay.reset()
  return false
}

function showStanding(
  {
    openBreakers,
    slots,
    poolInUse,
    poolSize,
    poolWaiting,
    resident,
    heap,
    freeSpace,
    checks: checked,
    searchLag,
  }: Instruments,
  { pools, deliveries, freeBytes, checks, searchedUntil }: ReturnType<MetricsDependencies['standing']>,
  now: Date,
): void {
  openBreakers.set(deliveries.openBreakers)
  slots.set(deliveries.slotsInUse)
  for (const [pool, { inUse, most, waiting }] of Object.entries(pools)) {
    poolInUse.set({ pool }, inUse)
    poolSize.set({ pool }, most)
    poolWaiting.set({ pool }, waiting)
  }
  for (const [check, isOk] of Object.entries(checks)) checked.set({ check }, isOk ? 1 : 0)
  const { rss, heapUsed } = process.memoryUsage()
  resident.set(rss)
  heap.set(heapUsed)
  if (freeBytes !== null) freeSpace.set(freeBytes)
  if (searchedUntil !== null) searchLag.set(Math.max(0, now.getTime() - searchedUntil.getTime()) / 1_000)
}
