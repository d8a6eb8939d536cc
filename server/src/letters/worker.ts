import { bySystem, factBy, type Report } from '../facts/fact.ts'
import type { Clock } from '../platform/clock.ts'
import { type Db, inTransaction, type Queryable } from '../platform/database/db.ts'
import { outageOf } from '../platform/database/errors.ts'
import { createFailureLog, type FailureLog } from '../platform/failure-log.ts'
import { installationId } from '../platform/ids.ts'
import type { Logger } from '../platform/log.ts'
import { type BackgroundWork, createLoop, type Loop } from '../platform/loop.ts'
import type { Email, Mail, MailFailure } from '../platform/mail.ts'
import type { Sealer } from '../platform/secrets/sealed-text.ts'
import { within } from '../platform/within.ts'
import type { Hold } from '../restored/hold.ts'
import { afterFailure, bodyPlace, dailyShares, type Letter, leaseMs, type Outcome } from './letter.ts'
import * as store from './store.ts'

/** Relays take few connections at once. Letters of organizations leave one slot to those about accounts. */
const slots = { all: 4, ofOrganizations: 3 } as const
const notRecorded = 'a letter was not recorded; it is sent again when its lease ends'
const dayMs = 86_400_000
const sweptAtOnce = 1_000

export interface LetterWorkerDependencies {
  readonly db: Db
  readonly clock: Clock
  readonly log: Logger
  readonly mail: Mail
  readonly sealer: Sealer
  readonly report: Report
  /** Nothing is sent while a restored copy is held. */
  readonly hold: Hold
}

export interface LetterWorker extends BackgroundWork {
  readonly wake: () => void
}

interface Context extends LetterWorkerDependencies {
  /** Claims and counts go across organizations. */
  readonly outbox: Queryable
  readonly underWay: Map<Letter, Promise<void>>
  readonly claims: Loop
  /** In an outage all that is under way is not recorded: one line, and not one for each. */
  readonly unrecorded: FailureLog
  /** The last organization of the latest claim. */
  lastServed: string
  isStopping: boolean
  /** More may be due than was claimed. */
  hasBacklog: boolean
}

export function createLetterWorker(dependencies: LetterWorkerDependencies): LetterWorker {
  const { db, clock, log } = dependencies
  const outbox = db.within({ worker: true })
  const sweeps = createLoop('settled letters', 600_000, log, () =>
    // Until then they are counted.
    store.sweep(outbox, new Date(clock.now().getTime() - dayMs), sweptAtOnce),
  )
  const context: Context = {
    ...dependencies,
    outbox,
    underWay: new Map(),
    claims: createLoop('letters', 1_000, log, () => claimRound(context)),
    unrecorded: createFailureLog(log, { failed: notRecorded, worked: 'letters are recorded again' }),
    lastServed: installationId,
    isStopping: false,
    hasBacklog: false,
  }
  dependencies.hold.onRelease(context.claims.wake)
  return {
    wake: context.claims.wake,
    start: () => {
      context.claims.start()
      sweeps.start()
    },
    drain: async () => {
      await drain(context)
      await sweeps.drain()
    },
    stop: async (graceMs) => void (await Promise.all([sweeps.stop(), stop(context, graceMs)])),
  }
}

async function claimRound(context: Context): Promise<boolean> {
  const { clock, hold, outbox, underWay, lastServed: after } = context
  const atMost = slots.all - underWay.size
  context.hasBacklog = !context.isStopping && hold.held() === null
  if (!context.hasBacklog || atMost <= 0) return false
  const busy = [...underWay.keys()].filter((letter) => letter.organizationId !== installationId).length
  const now = clock.now()
  const ofOrganizations = Math.min(atMost, slots.ofOrganizations - busy)
  const leaseUntil = new Date(now.getTime() + leaseMs)
  const claimed = await store.claim(outbox, { now, leaseUntil, atMost, ofOrganizations, after })
  const served = claimed.map(({ organizationId }) => organizationId).filter((id) => id !== installationId)
  // When the last one had its turn, it begins again with the first.
  context.lastServed = served.length < ofOrganizations ? installationId : (served.sort().at(-1) ?? after)
  for (const letter of claimed) underWay.set(letter, deliver(context, letter))
  context.hasBacklog = claimed.length > 0 || ofOrganizations === 0 || context.lastServed !== after
  return context.hasBacklog && ofOrganizations > 0 && claimed.length < atMost
}

async function deliver(context: Context, letter: Letter): Promise<void> {
  const { log, underWay, claims } = context
  try {
    await settle(context, letter, await attempt(context, letter))
    context.unrecorded.worked()
  } catch (error) {
    const which = { letter_id: letter.id }
    // In an outage the database's watch has said why, and each that is sent twice is a line at debug.
    if (outageOf(error) === null) log.error({ ...which, err: error }, notRecorded)
    else {
      log.debug(which, notRecorded)
      context.unrecorded.failed(which)
    }
  } finally {
    underWay.delete(letter)
    claims.wake()
  }
}

async function attempt(context: Context, letter: Letter): Promise<Outcome> {
  const { clock, mail, outbox } = context
  const now = clock.now()
  if (now > letter.usefulUntil) return { status: 'failed', reason: 'too_late' }
  const share = dailyShares[letter.kind]
  const since = new Date(now.getTime() - dayMs)
  if ((await store.countFor(outbox, letter, since, share)) >= share) return { status: 'failed', reason: 'too_many' }
  const email = await opened(context, letter)
  if (email === null) return { status: 'failed', reason: 'unreadable' }
  try {
    await mail.send(email)
    return { status: 'sent' }
  } catch (error) {
    const { code } = error as MailFailure
    if (code === 'address' || code === 'refused') return { status: 'failed', reason: code }
    // Another process sends it at once.
    if (code === 'stopped') return { status: 'pending', dueAt: clock.now() }
    return afterFailure(letter, clock.now())
  }
}

/** Null: it was not sealed here. Throws when its key is not available now. */
async function opened({ sealer, log }: Context, { organizationId, id, body }: Letter): Promise<Email | null> {
  try {
    return JSON.parse(await sealer.open(body, bodyPlace(organizationId, id)))
  } catch (error) {
    if ((error as { code?: unknown }).code === 'service.key_unavailable') throw error
    log.error({ err: error, letter_id: id }, 'a letter does not open')
    return null
  }
}

async function settle({ db, clock, log, report }: Context, letter: Letter, outcome: Outcome): Promise<void> {
  const { organizationId, id, kind, subjectKind, subjectId, attempts } = letter
  const occurredAt = clock.now()
  await inTransaction(db, { organizationId }, async (tx) => {
    if (!(await store.settle(tx, letter, outcome, occurredAt)) || outcome.status !== 'failed') return
    const { reason } = outcome
    log.warn({ letter_id: id, organization_id: organizationId, kind, reason, tries: attempts }, 'a letter was not sent')
    const after = { letter: kind, reason, attempts }
    await report(tx, [
      factBy(bySystem(organizationId), 'letter.not_sent', [subjectKind, subjectId], { after, occurredAt }),
    ])
  })
}

/** Sends until nothing is due and nothing under way; for tests. */
async function drain(context: Context): Promise<void> {
  const { claims, underWay } = context
  do {
    await Promise.all(underWay.values())
    await claims.drain()
  } while (context.hasBacklog || underWay.size > 0)
}

/** Claims nothing more, waits at most `graceMs` for letters under way, and leaves the rest to other workers. */
async function stop(context: Context, graceMs: number): Promise<void> {
  const { claims, mail, underWay } = context
  context.isStopping = true
  await claims.stop()
  await within(graceMs, Promise.all(underWay.values()))
  await mail.close()
  await Promise.all(underWay.values())
}
