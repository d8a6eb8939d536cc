import type { Clock } from '../../platform/clock.ts'
import { type Db, inTransaction } from '../../platform/database/db.ts'
import { outageOf } from '../../platform/database/errors.ts'
import { createFailureLog } from '../../platform/failure-log.ts'
import { installationId } from '../../platform/ids.ts'
import type { Logger } from '../../platform/log.ts'
import { createLoop } from '../../platform/loop.ts'
import { watchHeldBack } from './held-back.ts'
import { createHeadMemory, payloadOf } from './memory.ts'
import { lastHeadsOf, type OutsidePlace } from './outside.ts'
import { watchProgress } from './progress.ts'
import { type AuditSigner, type Batch, headOf, headType, type PublicHead, type Seal } from './seal.ts'
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
/** All last heads are compared with the remembered ones so often, also where nothing is to be sealed. */
const compareEveryMs = 60_000
const comparedAtOnce = 500

export interface SealingDependencies {
  readonly db: Db
  readonly clock: Clock
  readonly log: Logger
  readonly signer: AuditSigner
  readonly outside: readonly OutsidePlace[]
  /** The file that heads are written to: its last lines say what was sealed before this process started. */
  readonly headsFile: string | null
}

export interface Sealing {
  start(): void
  /** Compares the heads, and looks whether others seal: for a process that seals nothing but what an export needs. */
  watch(): void
  /** Seals everything that is settled, and writes the heads outside; for tests. */
  drain(): Promise<void>
  /** Seals what one organization has; returns whether there was anything. */
  sealOne(organizationId: string): Promise<boolean>
  /** False once an organization is not sealed any more because its seals are not those that were there. */
  isIntact(): boolean
  /** How long a transaction that stays open has held back all seals; null where none does. */
  heldBackSeconds(): number | null
  stop(): Promise<void>
}

/**
 * Seals events into their organization's chain. Any number of processes may run it: an organization is sealed by one at a
 * time, under a lock of the transaction. PostgreSQL computes the hashes (docs/decisions/0009-audit-chain.md).
 */
export function createSealing({ db, clock, log, signer, outside, headsFile }: SealingDependencies): Sealing {
  const memory = createHeadMemory(signer, log)
  const heldBack = watchHeldBack(db, log)
  const progress = watchProgress(db, log)
  let recalled: Promise<void> | null = null
  /** Once: what the file outside says was sealed. When a look-up of keys fails, nothing is sealed until it succeeds. */
  const recall = (): Promise<void> => {
    recalled ??= recallHeads().catch((error: unknown) => {
      recalled = null
      throw error
    })
    return recalled
  }
  const recallHeads = async (): Promise<void> => {
    if (headsFile === null) return
    const heads = await lastHeadsOf(headsFile).catch((error: unknown) => {
      // Some files can only be appended to.
      log.error({ err: error }, 'AUDIT_HEADS_FILE cannot be read: what was sealed before this start is not recalled')
      return []
    })
    for (const { organizationId, number, head } of heads) {
      const claims = (await signer.verify(head, headType)) && payloadOf(head)
      if (claims?.organization_id === organizationId && claims.number === number) {
        memory.remember({ organizationId, number, head })
      } else {
        log.error(
          { organization_id: organizationId, number },
          'a line of AUDIT_HEADS_FILE was signed by no key of this service',
        )
      }
    }
  }

  const signed = async (batch: Batch): Promise<Seal | null> => {
    if (!(await memory.mayFollow(batch))) return null
    const sealedAt = clock.now()
    return { ...batch, sealedAt, head: await signer.sign(headOf(batch, sealedAt), headType) }
  }

  const seal = async (choose: (tx: Parameters<typeof store.unsealed>[0]) => Promise<readonly string[]>) => {
    await recall()
    const made = await inTransaction(db, { worker: true }, async (tx) => {
      const organizations = await choose(tx)
      if (organizations.length === 0) return { seals: [], full: false }
      const batches = await store.nextBatches(tx, organizations, maxEvents)
      const seals = (await Promise.all(batches.map(signed))).filter((one) => one !== null)
      if (seals.length > 0) tx.last(store.insertSeals(tx, seals))
      const full = seals.some((one) => one.lastPosition - one.firstPosition + 1 === maxEvents)
      return { seals, full }
    })
    // After the commit: a head that was never written must not be missed later.
    for (const one of made.seals) memory.remember(one)
    return made
  }

  let comparedFrom = installationId
  const comparing = createLoop('audit comparison', compareEveryMs, log, async () => {
    await recall()
    const before = memory.known()
    const from = comparedFrom
    const heads = await store.lastHeads(db.within({ worker: true }), from, comparedAtOnce)
    const last = heads.at(-1)
    const isEnd = heads.length < comparedAtOnce || last === undefined
    await memory.compare(heads, before, from, isEnd ? null : last.organizationId)
    // The last one again as the first of the next page: ids cannot be counted up.
    comparedFrom = isEnd ? installationId : last.organizationId
    return !isEnd
  })

  const publish = async (heads: readonly PublicHead[]): Promise<void> => {
    if (heads.length === 0 || outside.length === 0) return
    for (const write of outside) await write(heads)
    outsideLines.worked()
    await store.markPublished(db.within({ worker: true }), heads, clock.now())
  }

  const outsideLines = createFailureLog(log, {
    failed: 'heads of the audit were not written outside; trying again',
    worked: 'heads of the audit are written outside again',
  })
  const publishingFailed = (error: unknown): void => {
    if (outageOf(error) === null) outsideLines.failed(error)
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
      .catch(publishingFailed)
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
  // Its failures are those of `publishSoon`, and one line with them.
  const leftovers = createLoop('audit heads', publishEveryMs, log, async () => {
    if (outside.length === 0) return false
    return publishLeft(new Date(clock.now().getTime() - leftAfterMs)).catch((error: unknown) => {
      publishingFailed(error)
      return false
    })
  })

  return {
    start: () => {
      comparing.start()
      heldBack.loop.start()
      sealing.start()
      leftovers.start()
    },
    watch: () => {
      comparing.start()
      progress.start()
    },
    drain: async () => {
      await comparing.drain()
      await heldBack.loop.drain()
      await sealing.drain()
      await publishing
      while (outside.length > 0 && (await publishLeft(new Date(clock.now().getTime() + 1)))) {}
    },
    sealOne: async (organizationId) => {
      const { seals } = await seal(async () => [organizationId])
      publishSoon(seals)
      return seals.length > 0
    },
    isIntact: memory.isIntact,
    heldBackSeconds: heldBack.seconds,
    stop: async () => {
      await Promise.all([comparing, heldBack.loop, progress, sealing, leftovers].map((loop) => loop.stop()))
      await publishing
    },
  }
}
