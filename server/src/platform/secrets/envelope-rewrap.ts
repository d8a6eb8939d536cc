import { setTimeout as pause } from 'node:timers/promises'
import { type Db, inTransaction } from '../database/db.ts'
import { installationId } from '../ids.ts'
import type { Logger } from '../log.ts'
import { type Envelope, keyLivesMs, type ReportKeyChange } from './envelope.ts'
import { type SealedColumn, type SealedRow, sealedRows } from './envelope-columns.ts'
import * as store from './envelope-store.ts'
import { isKeyUnavailable, type KeyRing, type WrappedKey } from './key-encryption.ts'
import { dataKeyIdOf, type Place } from './sealed-text.ts'

export interface RewrapDependencies {
  readonly db: Db
  readonly keyRing: KeyRing
  readonly envelope: Envelope
  /** Every column of the database that holds sealed values. */
  readonly columns: readonly SealedColumn[]
  readonly organizationIds: () => Promise<readonly string[]>
  readonly log: Logger
  readonly report?: ReportKeyChange
}

export interface RewrapOptions {
  /** Makes new data keys too and re-encrypts every value. Without it, only the keys are wrapped again. */
  readonly rotateDataKeys?: boolean
  /** The wait until every process seals with the new data keys. */
  readonly settleMs?: number
  readonly batchSize?: number
  /** The pause between two batches, which leaves room for other work on the database. */
  readonly pauseMs?: number
}

export interface RewrapReport {
  readonly organizations: number
  readonly dataKeys: { readonly rewrapped: number; readonly unavailable: number }
  readonly values: { readonly resealed: number; readonly unreadable: number }
}

/**
 * Re-encrypts everything under the current keys while the service runs: only the rows of a batch are locked, every change is a
 * compare-and-set, and both the old and the new form can be opened at any moment. A second run finds nothing left to do.
 */
export async function rewrap(dependencies: RewrapDependencies, options: RewrapOptions = {}): Promise<RewrapReport> {
  const { envelope, columns, log } = dependencies
  const organizations = [installationId, ...(await dependencies.organizationIds())]
  const dataKeys = { rewrapped: 0, unavailable: 0 }
  const values = { resealed: 0, unreadable: 0 }
  const complete = new Set<string>()
  for (const organizationId of organizations) {
    if (await rewrapKeys(dependencies, organizationId, dataKeys)) complete.add(organizationId)
  }
  log.info(dataKeys, 'data keys are wrapped by the current key-encryption key')
  if (options.rotateDataKeys === true) {
    // Not when a key is lost: a new one would hide that until an old value is needed.
    for (const organizationId of complete) await envelope.rotate(organizationId)
    await pause(options.settleMs ?? keyLivesMs + 5_000)
  }
  for (const organizationId of organizations) {
    const own = { resealed: 0, unreadable: 0 }
    for (const column of columns) await resealColumn(dependencies, options, column, organizationId, own)
    await reportResealed(dependencies, organizationId, own)
    values.resealed += own.resealed
    values.unreadable += own.unreadable
  }
  log.info(values, 'sealed values are under current data keys')
  return { organizations: organizations.length - 1, dataKeys, values }
}

/** An organization's few keys, in one commit. False when a key could not be opened. */
async function rewrapKeys(
  { db, keyRing, log, report }: RewrapDependencies,
  organizationId: string,
  counts: { rewrapped: number; unavailable: number },
): Promise<boolean> {
  let unavailable = 0
  const changes: { readonly before: WrappedKey; readonly after: WrappedKey }[] = []
  for (const before of await store.dataKeys(db.within({ organizationId }), organizationId)) {
    try {
      const after = keyRing.rewrap(before)
      if (after !== null) changes.push({ before, after })
    } catch (error) {
      if (!isKeyUnavailable(error)) throw error
      unavailable += 1
      log.error({ organization_id: organizationId, data_key: before.id, kek: before.kekId }, 'a data key does not open')
    }
  }
  counts.unavailable += unavailable
  const [first] = changes
  if (first === undefined) return unavailable === 0
  counts.rewrapped += await inTransaction(db, { organizationId }, async (tx) => {
    let saved = 0
    for (const { before, after } of changes) if (await store.saveWrapping(tx, before, after)) saved += 1
    const after = { kek_id: first.after.kekId, data_keys: saved, unavailable }
    if (saved > 0) await report?.(tx, { organizationId, kind: 'data_key.rewrapped', before: null, after })
    return saved
  })
  return unavailable === 0
}

/** Values are re-encrypted in many commits; the event that counts them follows. */
async function reportResealed(
  { db, envelope, report }: RewrapDependencies,
  organizationId: string,
  { resealed, unreadable }: { readonly resealed: number; readonly unreadable: number },
): Promise<void> {
  if (resealed === 0 || report === undefined) return
  const data_key_id = (await envelope.currentKeyId(organizationId)) ?? ''
  const after = { data_key_id, values: resealed, unreadable }
  await inTransaction(db, { organizationId }, (tx) =>
    report(tx, { organizationId, kind: 'secret.resealed', before: null, after }),
  )
}

async function resealColumn(
  { db, envelope, log }: RewrapDependencies,
  { batchSize = 200, pauseMs = 10 }: RewrapOptions,
  column: SealedColumn,
  organizationId: string,
  counts: { resealed: number; unreadable: number },
): Promise<void> {
  const rows = sealedRows(db, column, organizationId)
  if (rows === null) return
  const reseal = async (sealed: Buffer, place: Place): Promise<Buffer> =>
    envelope.seal(await envelope.open(sealed, place), place)
  for (let after: string | null = null; ; await pause(pauseMs)) {
    const page: readonly SealedRow[] = await rows.page(after, batchSize)
    const current = await envelope.currentKeyId(organizationId)
    const changes = []
    for (const { id, sealed, place } of page) {
      try {
        if (dataKeyIdOf(sealed) === current) continue
        changes.push({ id, before: sealed, after: await reseal(sealed, place) })
      } catch (error) {
        counts.unreadable += 1
        const { table, row } = place
        log.error({ err: error, organization_id: organizationId, table, row }, 'a sealed value does not open')
      }
    }
    if (changes.length > 0) counts.resealed += await rows.replace(changes)
    after = page.at(-1)?.id ?? null
    if (page.length < batchSize) return
  }
}
