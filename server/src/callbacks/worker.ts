import type { Transport } from '../outbound/transport.ts'
import { createBatcher } from '../platform/batch.ts'
import type { Clock } from '../platform/clock.ts'
import { type Db, inTransaction, type Tx } from '../platform/database/db.ts'
import { provesRollback } from '../platform/database/errors.ts'
import { installationId, newId } from '../platform/ids.ts'
import type { Logger } from '../platform/log.ts'
import { createLoop } from '../platform/loop.ts'
import { type AttemptResult, isTargetInTrouble, nextStep, secretUnreadable } from './callback.ts'
import { signatureHeaders } from './signature.ts'
import * as store from './store.ts'
import { createTargets, type Receiver, type TargetOptions } from './targets.ts'

/** A lease outlives three missed heartbeats; a dead worker's callbacks are taken over 8.5 s after its last one. */
export const leaseMs = 8_000
const heartbeatMs = 2_000
const pollMs = 500
/** Most that one claim takes (bodies may be large): more comes with the next round, at once. */
const claimMost = { perReceiver: 32, perOrganization: 64, total: 128 } as const

/** What came of an attempt, told in the transaction that records it. */
export interface SettledAttempt {
  readonly organizationId: string
  /** The consultation's id. */
  readonly id: string
  readonly outcome:
    | { readonly kind: 'sent'; readonly at: Date }
    | { readonly kind: 'retry'; readonly at: Date; readonly error: string; readonly nextAttemptAt: Date }
    | { readonly kind: 'failed'; readonly at: Date; readonly error: string }
}

export interface DeliveryDependencies {
  readonly db: Db
  readonly clock: Clock
  readonly transport: Transport
  readonly log: Logger
  /** The secret of a callback, opened. */
  readonly secretOf: (lease: store.Lease) => Promise<string> | string | null
  /** Locks what the attempts are about, then lets it be told how they ended, both in the recording transaction. */
  readonly holdSubjects: (
    tx: Tx,
    subjects: readonly { readonly organizationId: string; readonly id: string }[],
  ) => (attempts: readonly SettledAttempt[]) => Promise<void>
  readonly targets?: TargetOptions
  readonly random?: () => number
}

export interface DeliveryWorker {
  /** Takes a slot for a callback that is about to be committed; false when it has to wait its turn. */
  reserve(receiver: Receiver): boolean
  /** Gives the slot back: the commit did not happen. */
  unreserve(receiver: Receiver): void
  /** Sends a committed callback whose slot was reserved. */
  send(lease: store.Lease): void
  start(): void
  /** Looks for due callbacks now. */
  wake(): void
  /** Claims and delivers until nothing is due and nothing under way; for tests. */
  drain(): Promise<void>
  /** Claims nothing more, waits at most `graceMs` for what is under way, gives the rest back to other workers. */
  stop(graceMs: number): Promise<void>
}

export function createDeliveryWorker(dependencies: DeliveryDependencies): DeliveryWorker {
  const { db, clock, transport, log, secretOf, holdSubjects, random = Math.random } = dependencies
  const targets = createTargets(dependencies.targets)
  // Claims and leases go over organizations; what came of an attempt is recorded in its own one.
  const outbox = db.within({ worker: true })
  const underWay = new Map<store.Lease, Promise<void>>()
  let stopping = false
  let backlog = false
  let lastServed = installationId

  /** Attempts that end together are recorded together: log, callback, request and event in one commit. */
  const record = createBatcher<Recorded, void>({
    lanes: 2,
    maxSize: 64,
    rolledBack: provesRollback,
    groupOf: ({ settled }) => settled.organizationId,
    perform: (recorded) =>
      inTransaction(db, { organizationId: recorded[0]?.settled.organizationId ?? '' }, async (tx) => {
        // Requests are locked before outbox rows here as everywhere, so two transactions never wait for each other.
        const tell = holdSubjects(
          tx,
          recorded.map((entry) => entry.settled),
        )
        const settled = await store.settle(
          tx,
          recorded.map(({ attempt }) => attempt),
        )
        const told = recorded.filter(({ attempt }) => settled.has(attempt.id)).map((entry) => entry.settled)
        await tell(told)
        return recorded.map(() => ({ value: undefined }))
      }),
  })

  /** The attempt was made, so its record is worth insisting on, as long as the lease is ours. */
  const recordPersistently = async (recorded: Recorded): Promise<void> => {
    const until = Date.now() + leaseMs
    for (let pause = 100; ; pause = Math.min(2_000, pause * 2)) {
      try {
        return await record(recorded)
      } catch (error) {
        // The database will not have this record, now or later: then the plain fact must do, or it would be sent for ever.
        if (provesRollback(error) && recorded.attempt.reply !== '') return record(withoutReply(recorded))
        if (Date.now() + pause > until) throw error
        await new Promise((resolve) => setTimeout(resolve, pause))
      }
    }
  }

  const attempt = async (lease: store.Lease, startedAt: Date): Promise<AttemptResult> => {
    let secret: string | null
    try {
      secret = await secretOf(lease)
    } catch (error) {
      // An attempt like any other: it is logged and counted, and a process with the right key may make the next one.
      log.error(
        { err: error, callback_id: lease.id },
        'a callback secret cannot be read: check SECRET_KEY and KEY_ENCRYPTION_KEYS',
      )
      return secretUnreadable
    }
    const headers = {
      'content-type': 'application/json',
      'user-agent': 'hitl-callback/1',
      ...signatureHeaders(lease.id, lease.body, secret, startedAt),
    }
    return transport.post({ owner: lease.organizationId, url: lease.url, body: lease.body, headers })
  }

  const deliver = async (lease: store.Lease): Promise<void> => {
    const startedAt = clock.now()
    // The slot is for the receiver's sake: recording needs none.
    const release = (trouble: boolean | null): void => {
      if (targets.release(lease, trouble) || backlog) loop.wake()
    }
    try {
      const result = await attempt(lease, startedAt).catch((error: unknown) => {
        release(null)
        throw error
      })
      release(result.error?.code === 'stopped' ? null : isTargetInTrouble(result))
      // Stopped by us, not by the receiver: no attempt to hold against anybody. Another worker makes it anew.
      if (result.error?.code === 'stopped') return
      const recorded = toRecord(lease, result, startedAt, clock.now(), random())
      await recordPersistently(recorded)
      if (recorded.settled.outcome.kind === 'retry') wakeAt(recorded.settled.outcome.nextAttemptAt)
    } catch (error) {
      log.error(
        { err: error, callback_id: lease.id },
        'a delivery was not recorded; it is made again when its lease ends',
      )
    } finally {
      underWay.delete(lease)
    }
  }

  const send = (lease: store.Lease): void => void underWay.set(lease, deliver(lease))

  const claimRound = async (): Promise<boolean> => {
    const total = Math.min(claimMost.total, targets.free())
    if (stopping || total <= 0) return false
    const now = clock.now()
    const leaseUntil = new Date(now.getTime() + leaseMs)
    const limits = targets.limits()
    const leases = await store.claim(outbox, { ...claimMost, now, leaseUntil, total, limits, after: lastServed })
    lastServed = lastOf(leases, lastServed)
    backlog = leases.length > 0
    const unwanted = leases.filter((lease) => {
      if (stopping || !targets.reserve(lease)) return true
      send(lease)
      return false
    })
    if (unwanted.length > 0) await store.moveLeases(outbox, unwanted, now)
    return leases.length > unwanted.length
  }

  const loop = createLoop('callbacks', pollMs, log, claimRound)

  const beat = async (): Promise<boolean> => {
    const held = [...underWay.keys()]
    if (held.length > 0) await store.moveLeases(outbox, held, new Date(clock.now().getTime() + leaseMs))
    return false
  }
  // Never slower than its rhythm: after a failed beat the next one is what keeps the leases.
  const heartbeat = createLoop('callback leases', heartbeatMs, log, beat, heartbeatMs)

  /** A retry due within the minute is met on time; later ones are found by polling. */
  const wakeAt = (at: Date): void => {
    const ms = at.getTime() - clock.now().getTime()
    if (ms < 60_000 && !stopping) setTimeout(() => loop.wake(), Math.max(0, ms)).unref()
  }

  return {
    reserve: (receiver) => {
      if (!stopping && targets.reserve(receiver)) return true
      backlog = true
      return false
    },
    unreserve: (receiver) => {
      if (targets.release(receiver, null) || backlog) loop.wake()
    },
    send,
    start: () => {
      loop.start()
      heartbeat.start()
    },
    wake: () => loop.wake(),
    drain: async () => {
      do {
        // First: what ends now may be due again at once.
        await Promise.all(underWay.values())
        await loop.drain()
      } while (backlog || underWay.size > 0)
    },
    stop: async (graceMs) => {
      stopping = true
      await loop.stop()
      let timer: NodeJS.Timeout | undefined
      const patience = new Promise((resolve) => {
        timer = setTimeout(resolve, graceMs)
      })
      await Promise.race([Promise.all(underWay.values()), patience])
      clearTimeout(timer)
      const abandoned = [...underWay.keys()]
      const ending = [...underWay.values()]
      await transport.close()
      await Promise.all(ending)
      await heartbeat.stop()
      if (abandoned.length > 0) await store.moveLeases(outbox, abandoned, clock.now())
    },
  }
}

/** The organization that a claim came to last: the order begins behind `after` and goes round. */
function lastOf(leases: readonly store.Lease[], after: string): string {
  const served = leases.map((lease) => lease.organizationId).sort()
  return served.findLast((organizationId) => organizationId <= after) ?? served.at(-1) ?? after
}

interface Recorded {
  readonly attempt: store.Attempt
  readonly settled: SettledAttempt
}

function withoutReply({ attempt, settled }: Recorded): Recorded {
  return { attempt: { ...attempt, id: newId(), reply: '', error: attempt.error && 'The attempt failed.' }, settled }
}

function toRecord(lease: store.Lease, result: AttemptResult, startedAt: Date, endedAt: Date, random: number): Recorded {
  const step = nextStep(result, lease.tries + 1, lease.retrySeconds, random)
  const nextAttemptAt = step.kind === 'retry' ? new Date(endedAt.getTime() + step.afterMs) : null
  const attempt: store.Attempt = {
    lease,
    id: newId(),
    startedAt,
    endedAt,
    durationMs: Math.round(result.durationMs),
    statusCode: result.status,
    reply: result.reply,
    errorCode: result.error?.code ?? null,
    error: result.error?.message ?? null,
    status: step.kind === 'retry' ? 'pending' : step.kind,
    dueAt: nextAttemptAt,
  }
  const outcome: SettledAttempt['outcome'] =
    step.kind === 'sent'
      ? { kind: 'sent', at: endedAt }
      : nextAttemptAt === null
        ? { kind: 'failed', at: endedAt, error: step.error }
        : { kind: 'retry', at: endedAt, error: step.error, nextAttemptAt }
  return { attempt, settled: { organizationId: lease.organizationId, id: lease.consultationId, outcome } }
}
