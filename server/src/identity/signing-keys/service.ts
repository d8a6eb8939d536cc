import type { KeyObject } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { type Fact, type Report, system } from '../../facts/fact.ts'
import type { Clock } from '../../platform/clock.ts'
import { type Db, inTransaction } from '../../platform/database/db.ts'
import { installationId, newId } from '../../platform/ids.ts'
import { keyUnavailable } from '../../platform/secrets/key-encryption.ts'
import type { Place, Sealer } from '../../platform/secrets/sealed-text.ts'

import type { Jwk, Purpose, Signer, SigningKey } from './signing-key.ts'
import * as rules from './signing-key.ts'
import * as store from './store.ts'

export interface SigningKeys {
  /** The key that signs now, made if there is none yet. Remembered, so that a hot path may ask each time. */
  signer(purpose: Purpose): Promise<Signer>
  /** A compact JWS (EdDSA) over `payload`, with the key's id in its header. */
  sign(purpose: Purpose, payload: Readonly<Record<string, unknown>>, header: { readonly typ: string }): Promise<string>
  /** The key of ours with this id and purpose; null when there is none, or when it was revoked. */
  find(purpose: Purpose, kid: string): Promise<PublicKey | null>
  /** The ids of the purpose's revoked keys. */
  revokedKids(purpose: Purpose): Promise<ReadonlySet<string>>
  /** The public parts of all keys, retired ones too: what they signed stays verifiable. */
  keySet(): Promise<readonly Jwk[]>
  /**
   * A new key. It is published at once and signs after the overlap, when every copy of the key set has it. `revoke` is for
   * a key that has leaked: the new one signs at once, and what any earlier one signed counts no more.
   */
  rotate(purpose: Purpose, how?: Rotation): Promise<SigningKey>
}

export interface PublicKey {
  readonly key: KeyObject
  readonly retiredAt: Date | null
}

export type Rotation = { readonly overlapMs?: number } | { readonly revoke: true }

export interface SigningKeyDependencies {
  readonly db: Db
  readonly clock: Clock
  readonly sealer: Sealer
  /** What this installation signs: keys for it are in the key set before anything is signed. */
  readonly inUse: readonly Purpose[]
  /** Appends to the event log in the caller's transaction. */
  readonly report: Report
}

/**
 * "Revoked within a second everywhere" holds for keys too: what another process has changed counts 800 ms after the *start*
 * of the look-up at the latest (credential-cache.ts). One small statement per process while keys are used; private parts
 * that were opened are remembered by their kid.
 */
const livesMs = 800
/** Unknown key ids are looked up in the database this often at most, together: forgers make up as many as they like. */
const missEveryMs = 100
/** Well above the time for which readers may keep the key set (routes.ts) and processes remember it. */
export const defaultOverlapMs = 15 * 60_000

/** How far the clocks of hosts may differ: this long after its time a key is not needed for signing anywhere. */
const retiredForMs = 60_000

const scope = { organizationId: installationId }

interface Known {
  readonly keys: readonly SigningKey[]
  readonly byKid: ReadonlyMap<string, store.StoredSigningKey>
}

export function createSigningKeys({ db, clock, sealer, inUse, report }: SigningKeyDependencies): SigningKeys {
  let known: Promise<Known> | null = null
  let readAt = 0
  let missing: Promise<Known> | null = null
  const signers = new Map<string, Promise<Signer>>()
  const publicKeys = new Map<string, KeyObject>()

  const reload = (): Promise<Known> => {
    readAt = performance.now()
    const reading = store.signingKeys(db.within(scope)).then(async (stored): Promise<Known> => {
      const longAgo = new Date(clock.now().getTime() - retiredForMs)
      const isOver = ({ key, sealed }: store.StoredSigningKey) =>
        sealed !== null && key.retiredAt !== null && key.retiredAt < longAgo
      if (stored.some(isOver)) await store.dropRetiredSecrets(db.within(scope), longAgo)
      return {
        keys: stored.map((entry) => entry.key),
        byKid: new Map(stored.map((entry) => [entry.key.kid, entry])),
      }
    })
    known = reading
    // A failed look-up is nobody's answer: the next caller asks again.
    reading.catch(() => {
      if (known === reading) known = null
    })
    return reading
  }
  const current = (): Promise<Known> => (known !== null && performance.now() - readAt < livesMs ? known : reload())

  /** For a key id that another process may have made since the last look. */
  const lookAgain = (): Promise<Known> => {
    const wait = Math.max(0, readAt + missEveryMs - performance.now())
    missing ??= pause(wait)
      .then(reload)
      .finally(() => {
        missing = null
      })
    return missing
  }

  /** Sealed before the transaction begins: that may take a statement of its own, on another connection. */
  const prepare = async (purpose: Purpose, now: Date, activeAt: Date) => {
    const { key, secret } = rules.generateSigningKey(newId(), purpose, now, activeAt)
    return { key, sealed: await sealer.seal(secret, secretPlace(key.id)) }
  }

  const makeFirst = async (purpose: Purpose): Promise<Known> => {
    const now = clock.now()
    const { key, sealed } = await prepare(purpose, now, now)
    await inTransaction(db, scope, async (tx) => {
      if (await store.insertSigningKey(tx, key, sealed)) await report(tx, [factOf('created', key, [])])
    })
    return reload()
  }

  const signingKey = async (purpose: Purpose): Promise<store.StoredSigningKey> => {
    const find = ({ keys, byKid }: Known) => byKid.get(rules.signingKeyAt(keys, purpose, clock.now())?.kid ?? '')
    const found = find(await current()) ?? find(await makeFirst(purpose))
    if (found === undefined) throw keyUnavailable(`there is no key for "${purpose}"`)
    return found
  }

  const openSigner = async ({ key, sealed }: store.StoredSigningKey): Promise<Signer> => {
    if (sealed === null) throw keyUnavailable(`the private part of signing key ${key.kid} is gone`)
    return rules.createSigner(key, await sealer.open(sealed, secretPlace(key.id)))
  }

  const signer = async (purpose: Purpose): Promise<Signer> => {
    const stored = await signingKey(purpose)
    const { kid } = stored.key
    const ready = signers.get(kid) ?? openSigner(stored)
    signers.set(kid, ready)
    ready.catch(() => signers.delete(kid))
    return ready
  }

  return {
    signer,
    sign: async (purpose, payload, header) => (await signer(purpose)).sign(payload, header),
    find: async (purpose, kid) => {
      const found = (await current()).byKid.get(kid) ?? (await lookAgain()).byKid.get(kid)
      if (found === undefined || found.key.purpose !== purpose || found.key.revokedAt !== null) return null
      const key = publicKeys.get(kid) ?? rules.publicKeyOf(found.key)
      publicKeys.set(kid, key)
      return { key, retiredAt: found.key.retiredAt }
    },
    revokedKids: async (purpose) => {
      const revoked = (await current()).keys.filter((key) => key.purpose === purpose && key.revokedAt !== null)
      return new Set(revoked.map((key) => key.kid))
    },
    keySet: async () => {
      for (const purpose of inUse) await signingKey(purpose)
      return (await current()).keys.filter((key) => key.revokedAt === null).map(rules.jwkOf)
    },
    rotate: async (purpose, how = {}) => {
      const revoke = 'revoke' in how
      const now = clock.now()
      const activeAt = revoke ? now : new Date(now.getTime() + (how.overlapMs ?? defaultOverlapMs))
      const { key, sealed } = await prepare(purpose, now, activeAt)
      await inTransaction(db, scope, async (tx) => {
        await store.lockRotation(tx, purpose)
        const retired = await store.retireSigningKeys(tx, purpose, activeAt)
        if (revoke) {
          await store.revokeSigningKeys(tx, purpose, now)
          await store.dropRetiredSecrets(tx, now)
        }
        await store.insertSigningKey(tx, key, sealed)
        await report(tx, [factOf(revoke ? 'revoked' : 'rotated', key, retired)])
      })
      await reload()
      return key
    },
  }
}

/** Where a private part belongs: authenticated when it is sealed. */
function secretPlace(id: string): Place {
  return { organizationId: installationId, table: 'signing_keys', column: 'private_key', row: id }
}

function factOf(act: 'created' | 'rotated' | 'revoked', key: SigningKey, retired: readonly string[]): Fact {
  return {
    organizationId: installationId,
    kind: `signing_key.${act}`,
    subjectKind: 'signing_key',
    subjectId: key.id,
    actor: system,
    httpRequestId: null,
    before: retired.length === 0 ? null : { kids: retired },
    after: { purpose: key.purpose, kid: key.kid, active_at: key.activeAt },
    occurredAt: key.createdAt,
  }
}
