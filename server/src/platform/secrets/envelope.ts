import { randomBytes } from 'node:crypto'
import { type Db, inTransaction, type Tx } from '../database/db.ts'
import { newId } from '../ids.ts'
import * as store from './envelope-store.ts'
import { type KeyRing, keyUnavailable } from './key-encryption.ts'
import { type DataKey, dataKeyIdOf, openText, type Sealer, sealText } from './sealed-text.ts'

/**
 * Envelope encryption: a data key per organization seals its values, key-encryption keys from outside the database wrap
 * the data keys. Changing the outer key touches one row per organization.
 */
export interface Envelope extends Sealer {
  /** The id of the key that new values of the organization get; null while it has none. */
  currentKeyId(organizationId: string): Promise<string | null>
  /** A new key for new values. Other processes use it within `keyLivesMs`; the old key still opens what it sealed. */
  rotate(organizationId: string): Promise<void>
  /** Forgets the organization's cached keys, so that they are read again. */
  forget(organizationId: string): void
}

/** Reported to the audit once per organization and run. Ids of keys, never keys. */
export interface KeyChange {
  readonly organizationId: string
  readonly kind: 'data_key.rotated' | 'data_key.rewrapped' | 'secret.resealed'
  readonly before: Readonly<Record<string, string>> | null
  readonly after: Readonly<Record<string, string | number>>
}

/** In the commit that makes the change. */
export type ReportKeyChange = (tx: Tx, change: KeyChange) => Promise<void>

export interface EnvelopeOptions {
  readonly db: Db
  readonly keyRing: KeyRing
  readonly report?: ReportKeyChange
  readonly maxOrganizations?: number
  readonly maxSealsPerKey?: number
}

/** How long a process may go on sealing with a key that another one has replaced. */
export const keyLivesMs = 30_000

/**
 * NIST SP 800-38D, 8.3: at most 2^32 random nonces under one key. Each process allows a sixteenth of that per run, because
 * processes do not count together; at 3 000 values a second that means a new key every day.
 */
const defaultMaxSeals = 2 ** 28

interface KnownKey {
  readonly stored: store.StoredKey
  opened: DataKey | null
  seals: number
}

interface KnownKeys {
  readonly all: ReadonlyMap<string, KnownKey>
  readonly current: KnownKey | null
}

export function createEnvelope(options: EnvelopeOptions): Envelope {
  const { db, keyRing, maxOrganizations = 10_000, maxSealsPerKey = defaultMaxSeals } = options
  const remembered = new Map<string, { readonly keys: Promise<KnownKeys>; readonly until: number }>()

  const load = async (organizationId: string, earlier: Promise<KnownKeys> | undefined): Promise<KnownKeys> => {
    const rows = await store.dataKeys(db.within({ organizationId }), organizationId)
    // Keeps what this process has counted and unwrapped; a failed earlier look-up does not matter.
    const known = (await earlier?.catch(() => null))?.all
    const keys = rows.map((stored): KnownKey => {
      const before = known?.get(stored.id)
      return { stored, opened: before?.opened ?? null, seals: before?.seals ?? 0 }
    })
    return {
      all: new Map(keys.map((key) => [key.stored.id, key])),
      current: keys.find((key) => key.stored.isCurrent) ?? null,
    }
  }

  const reload = (organizationId: string): Promise<KnownKeys> => {
    const startedAt = performance.now()
    const earlier = remembered.get(organizationId)
    const keys = load(organizationId, earlier?.keys)
    remembered.delete(organizationId)
    // Drops the one that was read longest ago.
    const oldest = remembered.size >= maxOrganizations ? remembered.keys().next() : null
    if (oldest !== null && oldest.done !== true) remembered.delete(oldest.value)
    remembered.set(organizationId, { keys, until: startedAt + keyLivesMs })
    keys.catch(() => remembered.get(organizationId)?.keys === keys && remembered.delete(organizationId))
    return keys
  }

  /** Callers that miss together share one statement. */
  const keysOf = (organizationId: string): Promise<KnownKeys> => {
    const known = remembered.get(organizationId)
    return known !== undefined && known.until > performance.now() ? known.keys : reload(organizationId)
  }

  const newKey = (organizationId: string) => {
    const bytes = randomBytes(32)
    const wrapped = keyRing.wrap(organizationId, newId(), bytes)
    bytes.fill(0)
    return wrapped
  }

  const replace = async (organizationId: string, id: string): Promise<KnownKeys> => {
    await inTransaction(db, { organizationId }, async (tx) => {
      if (!(await store.retireDataKey(tx, organizationId, id))) return
      const next = newKey(organizationId)
      await store.insertDataKey(tx, next)
      const [before, after] = [{ data_key_id: id }, { data_key_id: next.id, kek_id: next.kekId }]
      await options.report?.(tx, { organizationId, kind: 'data_key.rotated', before, after })
    })
    return reload(organizationId)
  }

  const keyForSealing = async (organizationId: string): Promise<DataKey> => {
    let { current } = await keysOf(organizationId)
    if (current === null) {
      await store.insertDataKey(db.within({ organizationId }), newKey(organizationId))
      current = (await reload(organizationId)).current
    } else if (current.seals >= maxSealsPerKey) {
      current = (await replace(organizationId, current.stored.id)).current
    }
    if (current === null) throw keyUnavailable(`organization ${organizationId} has no data key`)
    current.seals += 1
    return opened(current, keyRing)
  }

  return {
    seal: async (plain, place) => sealText(await keyForSealing(place.organizationId), plain, place),
    open: async (sealed, place) => {
      const id = dataKeyIdOf(sealed)
      const { organizationId } = place
      // Another process may have made it a moment ago.
      const key = (await keysOf(organizationId)).all.get(id) ?? (await reload(organizationId)).all.get(id)
      if (key === undefined) throw keyUnavailable(`organization ${organizationId} has no data key ${id}`)
      return openText(opened(key, keyRing), sealed, place)
    },
    currentKeyId: async (organizationId) => (await keysOf(organizationId)).current?.stored.id ?? null,
    rotate: async (organizationId) => {
      const { current } = await reload(organizationId)
      if (current !== null) await replace(organizationId, current.stored.id)
    },
    forget: (organizationId) => void remembered.delete(organizationId),
  }
}

function opened(known: KnownKey, keyRing: KeyRing): DataKey {
  known.opened ??= { id: known.stored.id, key: keyRing.unwrap(known.stored) }
  return known.opened
}
