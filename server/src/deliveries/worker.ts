import type { Clock } from '../platform/clock.ts'
import type { Db, Queryable } from '../platform/database/db.ts'
import { installationId, newId } from '../platform/ids.ts'
import type { Logger } from '../platform/log.ts'
import { createLoop, type Loop } from '../platform/loop.ts'
import { within } from '../platform/within.ts'
import { type Channels, channelOf } from './channel.ts'
import { type AttemptResult, type Delivery, endAttempt, leaseMs, type NewDelivery } from './delivery.ts'
import { createRecorder, type RecordAttempt } from './recorder.ts'
import * as store from './store.ts'
import { createTargets, type TargetOptions, type Targets, weightOf } from './targets.ts'

const heartbeatMs = 2_000
/** The most that one claim takes; the next round follows at once when there are more. */
const claimMost = { perReceiver: 32, perOrganization: 64, total: 128 } as const

export interface DeliveryDependencies {
  readonly db: Db
  readonly clock: Clock
  readonly log: Logger
  readonly channels: Channels
  readonly targets?: TargetOptions
  /** How often it looks for deliveries that nothing has woken it for. */
  readonly pollMs?: number
}

export type DeliveryWorker = ReturnType<typeof createDeliveryWorker>

interface Context extends Omit<DeliveryDependencies, 'db' | 'targets' | 'pollMs'> {
  /** Claims and leases go across organizations. */
  readonly outbox: Queryable
  readonly targets: Targets
  readonly record: RecordAttempt
  readonly underWay: Map<Delivery, Promise<void>>
  readonly claims: Loop
  readonly renewals: Loop
  isStopping: boolean
  /** More may be due than was claimed. */
  hasBacklog: boolean
  /** The last organization of the latest claim. */
  lastServed: string
}

export function createDeliveryWorker(options: DeliveryDependencies) {
  const { db, targets, pollMs = 500, ...dependencies } = options
  const { log, channels } = dependencies
  const context: Context = {
    ...dependencies,
    outbox: db.within({ worker: true }),
    targets: createTargets(targets),
    record: createRecorder(db, channels),
    underWay: new Map(),
    claims: createLoop('deliveries', pollMs, log, () => claimRound(context)),
    // Without back-off: after a failed renewal, the next one is what keeps the leases.
    renewals: createLoop('delivery leases', heartbeatMs, log, () => renewLeases(context), heartbeatMs),
    isStopping: false,
    hasBacklog: false,
    lastServed: installationId,
  }
  return {
    reserve: reserve.bind(null, context),
    /** Releases the slot: the commit did not happen. */
    unreserve: (delivery: NewDelivery) => release(context, delivery, null),
    send: send.bind(null, context),
    start: (): void => {
      context.claims.start()
      context.renewals.start()
    },
    /** Looks for due deliveries now. */
    wake: context.claims.wake,
    drain: drain.bind(null, context),
    stop: stop.bind(null, context),
  }
}

/** Takes a slot for a delivery that is about to be committed; false when it has to wait its turn. */
function reserve(context: Context, delivery: NewDelivery): boolean {
  if (!context.isStopping && context.targets.reserve(delivery, weightOf(delivery))) return true
  context.hasBacklog = true
  return false
}

function release(context: Context, delivery: NewDelivery, isInTrouble: boolean | null): void {
  if (context.targets.release(delivery, isInTrouble, weightOf(delivery)) || context.hasBacklog) context.claims.wake()
}

/** Sends a committed delivery whose slot was reserved. */
function send(context: Context, delivery: Delivery): void {
  context.underWay.set(delivery, deliver(context, delivery))
}

async function deliver(context: Context, delivery: Delivery): Promise<void> {
  const { clock, log, record, underWay } = context
  const startedAt = clock.now()
  try {
    const result = await attempt(context, delivery, startedAt)
    if (result === null) return
    const ended = endAttempt(delivery, result, { id: newId(), startedAt, endedAt: clock.now() })
    await record(ended)
    if (ended.dueAt !== null) wakeAt(context, ended.dueAt)
  } catch (error) {
    log.error(
      { err: error, delivery_id: delivery.id },
      'a delivery was not recorded; it is sent again when its lease ends',
    )
  } finally {
    underWay.delete(delivery)
  }
}

/** The slot protects the receiver: recording needs none. */
async function attempt(context: Context, delivery: Delivery, startedAt: Date): Promise<AttemptResult | null> {
  let result: AttemptResult | null = null
  try {
    result = await channelOf(context.channels, delivery).attempt(delivery, startedAt)
    return result
  } finally {
    release(context, delivery, result?.isTargetInTrouble ?? null)
  }
}

async function claimRound(context: Context): Promise<boolean> {
  const { clock, outbox, targets } = context
  const total = Math.min(claimMost.total, targets.free())
  if (context.isStopping || total <= 0) return false
  const now = clock.now()
  const leaseUntil = new Date(now.getTime() + leaseMs)
  const wanted = { ...claimMost, now, leaseUntil, total, limits: targets.limits(), after: context.lastServed }
  const claimed = await store.claim(outbox, wanted)
  context.lastServed = lastOf(claimed, context.lastServed)
  context.hasBacklog = claimed.length > 0
  const unwanted = claimed.filter((delivery) => {
    if (context.isStopping || !targets.reserve(delivery, weightOf(delivery))) return true
    send(context, delivery)
    return false
  })
  if (unwanted.length > 0) await store.moveLeases(outbox, unwanted, now)
  return claimed.length > unwanted.length
}

/** The last organization of a claim, in the order that begins after `after` and wraps around. */
function lastOf(claimed: readonly Delivery[], after: string): string {
  const served = claimed.map(({ organizationId }) => organizationId).sort()
  return served.findLast((organizationId) => organizationId <= after) ?? served.at(-1) ?? after
}

async function renewLeases({ clock, outbox, underWay }: Context): Promise<boolean> {
  const held = [...underWay.keys()]
  if (held.length > 0) await store.moveLeases(outbox, held, new Date(clock.now().getTime() + leaseMs))
  return false
}

/** A retry due within a minute is made on time; later ones are found by polling. */
function wakeAt({ clock, claims, isStopping }: Context, at: Date): void {
  const ms = at.getTime() - clock.now().getTime()
  if (ms < 60_000 && !isStopping) setTimeout(() => claims.wake(), Math.max(0, ms)).unref()
}

/** Claims and delivers until nothing is due and nothing under way; for tests. */
async function drain(context: Context): Promise<void> {
  do {
    // First: a delivery that ends now may be due again at once.
    await Promise.all(context.underWay.values())
    await context.claims.drain()
  } while (context.hasBacklog || context.underWay.size > 0)
}

/** Claims nothing more, waits at most `graceMs` for deliveries under way, releases the rest to other workers. */
async function stop(context: Context, graceMs: number): Promise<void> {
  const { channels, claims, clock, outbox, renewals, underWay } = context
  context.isStopping = true
  await claims.stop()
  await within(graceMs, Promise.all(underWay.values()))
  const abandoned = [...underWay.keys()]
  const ending = [...underWay.values()]
  await Promise.all([...channels.values()].map((channel) => channel.close()))
  await Promise.all(ending)
  await renewals.stop()
  if (abandoned.length > 0) await store.moveLeases(outbox, abandoned, clock.now())
}
