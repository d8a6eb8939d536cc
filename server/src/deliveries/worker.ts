import type { Report } from '../facts/fact.ts'
import type { Clock } from '../platform/clock.ts'
import type { Db, Queryable } from '../platform/database/db.ts'
import { outageOf } from '../platform/database/errors.ts'
import { createFailureLog, type FailureLog } from '../platform/failure-log.ts'
import { installationId, newId } from '../platform/ids.ts'
import type { Logger } from '../platform/log.ts'
import { createLoop, type Loop } from '../platform/loop.ts'
import { within } from '../platform/within.ts'
import type { Hold } from '../restored/hold.ts'
import { type Channels, channelOf } from './channel.ts'
import {
  type AttemptResult,
  type Delivery,
  type EndedAttempt,
  endAttempt,
  holdBack,
  isGivenUp,
  leaseMs,
  type NewDelivery,
} from './delivery.ts'
import { createRecorder, type RecordAttempt } from './recorder.ts'
import * as store from './store.ts'
import {
  createTargets,
  type Observation,
  type Receiver,
  type Released,
  type TargetOptions,
  type Targets,
  weightOf,
} from './targets.ts'
import { createTroubles, type Troubles } from './troubles.ts'

const notRecorded = 'a delivery was not recorded; it is sent again when its lease ends'
const heartbeatMs = 2_000
/** How often it looks for deliveries that have waited for too long behind an open breaker. */
const holdBackMs = 1_000
/** The most that one claim takes; the next round follows at once when there are more. */
const claimMost = { perReceiver: 32, perOrganization: 64, total: 128 } as const

export interface DeliveryDependencies {
  readonly db: Db
  readonly clock: Clock
  readonly log: Logger
  readonly channels: Channels
  readonly report: Report
  /** Nothing is sent while a restored copy is held. */
  readonly hold: Hold
  readonly onAttempt?: ((channel: string, result: AttemptResult) => void) | undefined
  readonly random?: () => number
  readonly targets?: TargetOptions
  /** How often it looks for deliveries that nothing has woken it for. */
  readonly pollMs?: number
}

export type DeliveryWorker = ReturnType<typeof createDeliveryWorker>

interface Context extends Pick<DeliveryDependencies, 'clock' | 'log' | 'channels' | 'hold' | 'onAttempt'> {
  readonly random: () => number
  readonly troubles: Troubles
  /** Claims and leases go across organizations. */
  readonly outbox: Queryable
  readonly targets: Targets
  readonly record: RecordAttempt
  /** In an outage all that is under way is not recorded: one line, and not one for each. */
  readonly unrecorded: FailureLog
  readonly underWay: Map<Delivery, Promise<void>>
  /** What a breaker's opening or closing leads to. */
  readonly changes: Set<Promise<void>>
  readonly claims: Loop
  readonly renewals: Loop
  readonly holdsBack: Loop
  isStopping: boolean
  /** How many attempts were recorded: each may have made something due at once. */
  recorded: number
  /** More may be due than was claimed. */
  hasBacklog: boolean
  /** The last organization of the latest claim. */
  lastServed: string
}

export function createDeliveryWorker(options: DeliveryDependencies) {
  const { db, clock, log, channels, report, hold, targets, pollMs = 500, random = Math.random, onAttempt } = options
  const context: Context = {
    clock,
    log,
    channels,
    hold,
    onAttempt,
    random,
    outbox: db.within({ worker: true }),
    targets: createTargets({ now: () => clock.now().getTime(), ...targets }),
    troubles: createTroubles({ db, clock, log, report }),
    record: createRecorder(db, channels),
    unrecorded: createFailureLog(log, { failed: notRecorded, worked: 'deliveries are recorded again' }),
    underWay: new Map(),
    changes: new Set(),
    claims: createLoop('deliveries', pollMs, log, () => claimRound(context)),
    // Without back-off: after a failed renewal, the next one is what keeps the leases.
    renewals: createLoop('delivery leases', heartbeatMs, log, () => renewLeases(context), heartbeatMs),
    holdsBack: createLoop('deliveries that wait', holdBackMs, log, () => holdBackRound(context)),
    isStopping: false,
    recorded: 0,
    hasBacklog: false,
    lastServed: installationId,
  }
  hold.onRelease(context.claims.wake)
  return {
    reserve: reserve.bind(null, context),
    /** Releases the slot: the commit did not happen. */
    unreserve: (delivery: NewDelivery) => release(context, delivery, null),
    send: send.bind(null, context),
    start: (): void => {
      context.claims.start()
      context.renewals.start()
      context.holdsBack.start()
    },
    /** Looks for due deliveries now. */
    wake: context.claims.wake,
    /** Looks for those to these receivers now, even where a breaker is open: somebody asked for one. */
    probe: (receivers: readonly Receiver[]): void => {
      for (const receiver of receivers) context.targets.probe(receiver)
      context.claims.wake()
    },
    standing: () => ({ slotsInUse: context.targets.inUse(), openBreakers: context.targets.open().length }),
    drain: drain.bind(null, context),
    stop: stop.bind(null, context),
  }
}

/** Takes a slot for a delivery that is about to be committed; false when it has to wait its turn. */
function reserve(context: Context, delivery: NewDelivery | Delivery): boolean {
  if (context.hold.held() !== null) return false
  if (!context.isStopping && context.targets.reserve(delivery, weightOf(delivery))) return true
  context.hasBacklog = true
  return false
}

function release(context: Context, delivery: NewDelivery | Delivery, seen: Observation | null): void {
  const { targets, claims, changes } = context
  const { wasFull, breaker } = targets.release(delivery, seen, weightOf(delivery))
  if (breaker !== undefined) {
    const { organizationId, target } = delivery
    const changed = changeBreaker(context, { organizationId, target }, breaker)
    changes.add(changed)
    void changed.finally(() => changes.delete(changed))
  }
  if (wasFull || context.hasBacklog) claims.wake()
}

async function changeBreaker(
  context: Context,
  receiver: Receiver,
  change: NonNullable<Released['breaker']>,
): Promise<void> {
  const { outbox, clock, claims, log, troubles } = context
  try {
    if (change.openMs !== null) await store.bringForward(outbox, receiver, clock.now())
  } catch (error) {
    log.error(
      { err: error, target: receiver.target },
      'waiting deliveries were not brought forward: they keep their time',
    )
  }
  claims.wake()
  await troubles.breakerChanged(receiver, change)
}

/** Sends a committed delivery whose slot was reserved. */
function send(context: Context, delivery: Delivery): void {
  context.underWay.set(delivery, deliver(context, delivery))
}

async function deliver(context: Context, delivery: Delivery): Promise<void> {
  const { clock, log, underWay } = context
  const startedAt = clock.now()
  try {
    const result = await attempt(context, delivery, startedAt)
    if (result === null) return
    await settle(context, endAttempt(delivery, result, { id: newId(), startedAt, endedAt: clock.now() }))
  } catch (error) {
    const which = { delivery_id: delivery.id }
    // In an outage the database's watch has said why, and each that is sent twice is a line at debug.
    if (outageOf(error) === null) log.error({ ...which, err: error }, notRecorded)
    else {
      log.debug(which, notRecorded)
      context.unrecorded.failed(which)
    }
  } finally {
    underWay.delete(delivery)
  }
}

async function settle(context: Context, ended: EndedAttempt): Promise<void> {
  await context.record(ended)
  context.unrecorded.worked()
  context.recorded += 1
  const { delivery, result, dueAt, isHeld } = ended
  if (isHeld !== true) context.onAttempt?.(delivery.channel, result)
  const { next } = result
  if (next.kind !== 'sent' && isGivenUp(ended)) context.troubles.givenUp(delivery, next.error, dueAt === null)
  if (dueAt !== null) wakeAt(context, dueAt)
}

/** What waits behind an open breaker for longer than its quick retries take says that it failed, without an attempt. */
async function holdBackRound(context: Context): Promise<boolean> {
  const { clock, outbox, targets, random, isStopping } = context
  const receivers = targets.open()
  if (isStopping || receivers.length === 0) return false
  const now = clock.now()
  const waiting = await store.leaseWaiting(outbox, receivers, now, new Date(now.getTime() + leaseMs))
  await Promise.all(waiting.map((delivery) => settle(context, holdBack(delivery, newId(), now, random()))))
  // A breaker that closed meanwhile could not bring forward what was leased here.
  const closed = receivers.filter((receiver) => !targets.isOpen(receiver))
  for (const receiver of closed) await store.bringForward(outbox, receiver, clock.now())
  if (closed.length > 0) context.claims.wake()
  return waiting.length >= store.heldAtOnce
}

/** The slot protects the receiver: recording needs none. */
async function attempt(context: Context, delivery: Delivery, startedAt: Date): Promise<AttemptResult | null> {
  let result: AttemptResult | null = null
  try {
    result = await channelOf(context.channels, delivery).attempt(delivery, startedAt)
    return result
  } finally {
    release(context, delivery, result)
  }
}

async function claimRound(context: Context): Promise<boolean> {
  const { clock, outbox, targets } = context
  const total = Math.min(claimMost.total, targets.free())
  if (context.isStopping || context.hold.held() !== null || total <= 0) return false
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
  let recorded: number
  do {
    // First: a delivery that ends now may be due again at once.
    await Promise.all([...context.underWay.values(), ...context.changes])
    recorded = context.recorded
    await context.claims.drain()
    await context.holdsBack.drain()
    // One that ended while a claim looked was not seen by it.
  } while (context.recorded > recorded || context.hasBacklog || context.underWay.size > 0 || context.changes.size > 0)
}

/** Claims nothing more, waits at most `graceMs` for deliveries under way, releases the rest to other workers. */
async function stop(context: Context, graceMs: number): Promise<void> {
  const { channels, claims, clock, holdsBack, outbox, renewals, underWay } = context
  context.isStopping = true
  await Promise.all([claims.stop(), holdsBack.stop()])
  await within(graceMs, Promise.all(underWay.values()))
  const abandoned = [...underWay.keys()]
  const ending = [...underWay.values()]
  await Promise.all([...channels.values()].map((channel) => channel.close()))
  await Promise.all([...ending, ...context.changes])
  await renewals.stop()
  if (abandoned.length > 0) await store.moveLeases(outbox, abandoned, clock.now())
}
