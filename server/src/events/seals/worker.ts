import type { Clock } from '../../platform/clock.ts'
import { type Db, inTransaction } from '../../platform/database/db.ts'
import type { Logger } from '../../platform/log.ts'
import { createLoop } from '../../platform/loop.ts'
import type { OutsidePlace } from './outside.ts'
import { type Batch, headOf, headType, type PublicHead, type Seal, type SignAudit } from './seal.ts'
import * as store from './store.ts'

/** Events are sealed within 2 s of the commit: a round is at most this late, and takes milliseconds. */
const everyMs = 500
/** The most events of a batch: 128 KiB of leaf hashes. At 5 000 events a second, one round finds 2 500. */
const maxEvents = 4_096
/** The most organizations in one transaction. */
const maxOrganizations = 64
/** After this long, heads not yet written outside are retried: their process died, or the place did not respond. */
const leftAfterMs = 10_000
const publishEveryMs = 5_000
const publishAtOnce = 500

export interface SealingDependencies {
  readonly db: Db
  readonly clock: Clock
  readonly log: Logger
  readonly sign: SignAudit
  readonly outside: readonly OutsidePlace[]
}

export interface Sealing {
  start(): void
  /** Seals everything that is settled, and writes the heads outside; for tests. */
  drain(): Promise<void>
  /** Seals what one organization has; returns whether there was anything. */
  sealOne(organizationId: string): Promise<boolean>
  stop(): Promise<void>
}

/**
 * Seals events into their organization's chain. Any number of processes may run it: an organization is sealed by one at a
 * time, under a lock of the transaction. PostgreSQL computes the hashes (docs/decisions/0009-audit-chain.md).
 */
export function createSealing({ db, clock, log, sign, outside }: SealingDependencies): Sealing {
  const signed = async (batch: Batch): Promise<Seal> => {
    const sealedAt = clock.now()
    return { ...batch, sealedAt, head: await sign(headOf(batch, sealedAt), headType) }
  }

  const seal = (choose: (tx: Parameters<typeof store.unsealed>[0]) => Promise<readonly string[]>) =>
    inTransaction(db, { worker: true }, async (tx) => {
      const organizations = await choose(tx)
      if (organizations.length === 0) return { seals: [], full: false }
      const batches = await store.nextBatches(tx, organizations, maxEvents)
      const seals = await Promise.all(batches.map(signed))
      if (seals.length > 0) tx.last(store.insertSeals(tx, seals))
      const full = batches.some((batch) => batch.lastPosition - batch.firstPosition + 1 === maxEvents)
      return { seals, full }
    })

  const publish = async (heads: readonly PublicHead[]): Promise<void> => {
    if (heads.length === 0 || outside.length === 0) return
    for (const write of outside) await write(heads)
    await store.markPublished(db.within({ worker: true }), heads, clock.now())
  }

  /** Starts at once and is not awaited: a place that does not respond must not delay sealing. */
  let publishing: Promise<void> = Promise.resolve()
  let waiting: PublicHead[] = []
  const publishSoon = (heads: readonly PublicHead[]): void => {
    // Heads that do not fit are found in the table later.
    if (outside.length === 0 || waiting.length + heads.length > publishAtOnce) return
    waiting.push(...heads)
    publishing = publishing
      .then(() => {
        const taken = waiting
        waiting = []
        return publish(taken)
      })
      .catch((error: unknown) => log.warn({ err: error }, 'heads of the audit were not written outside; trying again'))
  }

  /** How far the walk over the organizations has got; null: at the beginning. */
  let reached: string | null = null
  let leftFull = false
  const sealing = createLoop('audit seals', everyMs, log, async () => {
    const after = reached
    reached = null
    let found: readonly string[] = []
    const { seals, full } = await seal(async (tx) => {
      found = await store.unsealed(tx, after, maxOrganizations)
      return found
    })
    publishSoon(seals)
    leftFull = full || (after !== null && leftFull)
    if (found.length === maxOrganizations) reached = found.at(-1) ?? null
    return reached !== null || leftFull
  })

  const publishLeft = async (before: Date): Promise<boolean> => {
    const heads = await store.unpublished(db.within({ worker: true }), before, publishAtOnce)
    await publish(heads)
    return heads.length === publishAtOnce
  }
  const leftovers = createLoop('audit heads', publishEveryMs, log, () =>
    outside.length === 0 ? Promise.resolve(false) : publishLeft(new Date(clock.now().getTime() - leftAfterMs)),
  )

  return {
    start: () => {
      sealing.start()
      leftovers.start()
    },
    drain: async () => {
      await sealing.drain()
      await publishing
      while (outside.length > 0 && (await publishLeft(new Date(clock.now().getTime() + 1)))) {}
    },
    sealOne: async (organizationId) => {
      const { seals } = await seal(async () => [organizationId])
      publishSoon(seals)
      return seals.length > 0
    },
    stop: async () => {
      await Promise.all([sealing.stop(), leftovers.stop()])
      await publishing
    },
  }
}
