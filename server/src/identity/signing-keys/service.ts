import { type KeyObject, verify as verifySignature } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { bySystem, type Fact, factBy } from '../../facts/fact.ts'
import { inTransaction } from '../../platform/database/db.ts'
import { installationId, newId } from '../../platform/ids.ts'
import type { Logger } from '../../platform/log.ts'
import { isKeyUnavailable, keyUnavailable } from '../../platform/secrets/key-encryption.ts'
import { isNotWhatWasSealed, type Place, type Sealer } from '../../platform/secrets/sealed-text.ts'
import { withContext } from '../../platform/with-context.ts'
import type { IdentityContext } from '../context.ts'
import type { Jwk, Purpose, Signer, SigningKey } from './signing-key.ts'
import * as rules from './signing-key.ts'
import * as store from './store.ts'

export interface SigningKeys {
  /** The key that signs now, made if there is none yet. It is remembered, so a hot path may ask each time. */
  signer(purpose: Purpose): Promise<Signer>
  /** A compact JWS (EdDSA) over `payload`, with the key's id in its header. */
  sign(purpose: Purpose, payload: Readonly<Record<string, unknown>>, header: { readonly typ: string }): Promise<string>
  /** The payload segment of a compact JWS that a key of ours has signed for this purpose, and that key; null for any other text. */
  verify(purpose: Purpose, jws: string, header: { readonly typ: string }): Promise<Signed | null>
  /** The key of this service with this id and purpose; null if there is none. */
  find(purpose: Purpose, kid: string): Promise<PublicKey | null>
  /** The public parts of all keys, retired ones too: what they signed stays verifiable. */
  keySet(): Promise<readonly Jwk[]>
  /** Those of these purposes, leaked ones too: for evidence, which shows what they are worth. */
  everyKey(purposes: readonly Purpose[]): Promise<readonly Jwk[]>
  /**
   * A new key. It is published at once and signs after the overlap, when every copy of the key set has it. `revoke` is for
   * a key that has leaked: the new one signs at once, and nothing that an earlier one signed is valid any more.
   */
  rotate(purpose: Purpose, how?: Rotation): Promise<SigningKey>
}

/** Whether what a key has signed still counts. */
export interface KeyStanding {
  readonly kid: string
  readonly retiredAt: Date | null
  readonly isRevoked: boolean
}

export interface PublicKey extends KeyStanding {
  readonly key: KeyObject
}

export interface Signed {
  readonly payload: string
  readonly key: KeyStanding
}

export type Rotation = { readonly overlapMs?: number } | { readonly revoke: true }

export interface SigningKeyDependencies extends IdentityContext {
  readonly sealer: Sealer
  readonly log: Logger
  /** What this installation signs: keys for it are in the key set before anything is signed. */
  readonly inUse: readonly Purpose[]
}

/**
 * "Revoked within a second everywhere" holds for keys too: a look-up counts for 800 ms from its *start*, so a change made
 * by another process is seen after that time at the latest (credential-cache.ts). One small statement per process while
 * keys are used; private parts that were opened are remembered by their kid.
 */
const livesMs = 800
/** All unknown key ids share one look-up, and there is at most one in this time: forgers make up as many ids as they like. */
const missEveryMs = 100
/** Well above the time for which readers may cache the key set (routes.ts) and processes remember it. */
export const defaultOverlapMs = 15 * 60_000

/** The hosts' clocks may differ by this much: this long after a key retired, no process signs with it any more. */
const retiredForMs = 60_000

const scope = { organizationId: installationId }

/** The keys as one look-up found them. */
interface Found {
  readonly keys: readonly SigningKey[]
  readonly byKid: ReadonlyMap<string, store.StoredSigningKey>
  /** Why nobody can tell of some rows whether this service made them; null when there are none. */
  readonly unreadable: unknown
}

interface SigningKeyContext extends SigningKeyDependencies {
  /** What this process remembers. */
  readonly memory: {
    found: Promise<Found> | null
    /** When that look-up began. */
    readAt: number
    /** The next look-up for unknown key ids, shared by all who wait for it. */
    missing: Promise<Found> | null
    readonly signers: Map<string, Promise<Signer>>
    readonly publicKeys: Map<string, KeyObject>
    /** Keys whose proof was opened, and what it showed. */
    readonly judged: Map<string, boolean>
  }
}

export function createSigningKeys(dependencies: SigningKeyDependencies): SigningKeys {
  const memory = { found: null, readAt: 0, missing: null, signers: new Map(), publicKeys: new Map(), judged: new Map() }
  const context: SigningKeyContext = { ...dependencies, memory }
  return withContext(context, { signer, sign, verify, find, keySet, everyKey, rotate })
}

async function everyKey(context: SigningKeyContext, purposes: readonly Purpose[]): Promise<readonly Jwk[]> {
  return (await current(context)).keys.filter((key) => purposes.includes(key.purpose)).map(rules.jwkOf)
}

async function sign(
  context: SigningKeyContext,
  purpose: Purpose,
  payload: Readonly<Record<string, unknown>>,
  header: { readonly typ: string },
): Promise<string> {
  return (await signer(context, purpose)).sign(payload, header)
}

async function signer(context: SigningKeyContext, purpose: Purpose): Promise<Signer> {
  const { signers } = context.memory
  const stored = await signingKey(context, purpose)
  const { kid } = stored.key
  const ready = signers.get(kid) ?? openSigner(context, stored)
  signers.set(kid, ready)
  ready.catch(() => signers.delete(kid))
  return ready
}

async function verify(
  context: SigningKeyContext,
  purpose: Purpose,
  jws: string,
  { typ }: { readonly typ: string },
): Promise<Signed | null> {
  const parts = rules.splitJws(jws)
  const kid = parts === null ? null : rules.kidOf(parts.header, typ)
  if (parts === null || kid === null || parts.signature.length !== 64) return null
  const key = await find(context, purpose, kid)
  if (key === null || !verifySignature(null, Buffer.from(parts.signed), key.key, parts.signature)) return null
  return { payload: parts.payload, key }
}

async function find(context: SigningKeyContext, purpose: Purpose, kid: string): Promise<PublicKey | null> {
  const { publicKeys } = context.memory
  const found = (await current(context)).byKid.get(kid) ?? findIn(await lookAgain(context), kid)
  if (found === undefined || found.key.purpose !== purpose) return null
  const key = publicKeys.get(kid) ?? rules.publicKeyOf(found.key)
  publicKeys.set(kid, key)
  return { key, kid, retiredAt: found.key.retiredAt, isRevoked: found.key.revokedAt !== null }
}

/** Throws where the key may be one that cannot be told from a stranger's now. */
function findIn({ byKid, unreadable }: Found, kid: string): store.StoredSigningKey | undefined {
  const found = byKid.get(kid)
  if (found === undefined && unreadable !== null) throw unreadable
  return found
}

async function keySet(context: SigningKeyContext): Promise<readonly Jwk[]> {
  for (const purpose of context.inUse) await signingKey(context, purpose)
  return (await current(context)).keys.filter(rules.isPublished).map(rules.jwkOf)
}

async function rotate(context: SigningKeyContext, purpose: Purpose, how: Rotation = {}): Promise<SigningKey> {
  const { db, clock, report } = context
  const revoke = 'revoke' in how
  const now = clock.now()
  const activeAt = revoke ? now : new Date(now.getTime() + (how.overlapMs ?? defaultOverlapMs))
  const made = await generate(context, purpose, now, activeAt)
  const { key } = made
  await inTransaction(db, scope, async (tx) => {
    await store.lockRotation(tx, purpose)
    const retired = await store.retireSigningKeys(tx, purpose, activeAt)
    if (revoke) {
      await store.revokeSigningKeys(tx, purpose, now)
      await store.dropRetiredSecrets(tx, now)
    }
    await store.insertSigningKey(tx, made)
    await report(tx, [factOf(revoke ? 'revoked' : 'rotated', key, retired)])
  })
  await reload(context)
  return key
}

function current(context: SigningKeyContext): Promise<Found> {
  const { found, readAt } = context.memory
  return found !== null && performance.now() - readAt < livesMs ? found : reload(context)
}

function reload(context: SigningKeyContext): Promise<Found> {
  const { memory } = context
  memory.readAt = performance.now()
  const reading = read(context)
  memory.found = reading
  // A failed look-up is not remembered: the next caller asks again.
  reading.catch(() => {
    if (memory.found === reading) memory.found = null
  })
  return reading
}

async function read(context: SigningKeyContext): Promise<Found> {
  const { db, clock } = context
  let unreadable: unknown = null
  const stored: store.StoredSigningKey[] = []
  for (const entry of await store.signingKeys(db.within(scope))) {
    try {
      if (await isOurs(context, entry)) stored.push(entry)
    } catch (error) {
      if (!isKeyUnavailable(error)) throw error
      unreadable = error
    }
  }
  const longAgo = new Date(clock.now().getTime() - retiredForMs)
  const isOver = ({ key, sealed }: store.StoredSigningKey) =>
    sealed !== null && key.retiredAt !== null && key.retiredAt < longAgo
  if (stored.some(isOver)) await store.dropRetiredSecrets(db.within(scope), longAgo)
  return {
    keys: stored.map((entry) => entry.key),
    byKid: new Map(stored.map((entry) => [entry.key.kid, entry])),
    unreadable,
  }
}

/** Whether this service made the key. Throws 503 where the key that would show it is missing. */
async function isOurs(
  { sealer, log, memory }: SigningKeyContext,
  { key, proof }: store.StoredSigningKey,
): Promise<boolean> {
  const judged = `${key.purpose} ${key.kid} ${key.publicKey.toString('hex')} ${proof.toString('hex')}`
  const known = memory.judged.get(judged)
  if (known !== undefined) return known
  const opened = await sealer.open(proof, proofPlace(key.id)).catch((error: unknown) => {
    if (isNotWhatWasSealed(error)) return ''
    throw error
  })
  const ours = rules.isProven(key, opened)
  memory.judged.set(judged, ours)
  const { kid, purpose } = key
  if (!ours) {
    log.error({ kid, purpose }, 'a signing key in the database was not made by this service, and counts for nothing')
  }
  return ours
}

/** For a key id that another process may have made since the last look-up. */
function lookAgain(context: SigningKeyContext): Promise<Found> {
  const { memory } = context
  const wait = Math.max(0, memory.readAt + missEveryMs - performance.now())
  memory.missing ??= pause(wait)
    .then(() => reload(context))
    .finally(() => {
      memory.missing = null
    })
  return memory.missing
}

async function signingKey(context: SigningKeyContext, purpose: Purpose): Promise<store.StoredSigningKey> {
  const pick = ({ keys, byKid }: Found) => byKid.get(rules.signingKeyAt(keys, purpose, context.clock.now())?.kid ?? '')
  const picked = pick(await current(context)) ?? pick(await makeFirst(context, purpose))
  if (picked === undefined) throw keyUnavailable(`there is no key for "${purpose}"`)
  return picked
}

async function makeFirst(context: SigningKeyContext, purpose: Purpose): Promise<Found> {
  const { db, clock, report } = context
  const now = clock.now()
  const made = await generate(context, purpose, now, now)
  await inTransaction(db, scope, async (tx) => {
    if (await store.insertSigningKey(tx, made)) await report(tx, [factOf('created', made.key, [])])
  })
  return reload(context)
}

/** Sealed before the transaction begins: sealing may take a statement of its own, on another connection. */
async function generate({ sealer }: SigningKeyContext, purpose: Purpose, now: Date, activeAt: Date) {
  const { key, secret } = rules.generateSigningKey(newId(), purpose, now, activeAt)
  const sealed = await sealer.seal(secret, secretPlace(key.id))
  return { key, sealed, proof: await sealer.seal(rules.proofOf(key), proofPlace(key.id)) }
}

async function openSigner({ sealer }: SigningKeyContext, { key, sealed }: store.StoredSigningKey): Promise<Signer> {
  if (sealed === null) throw keyUnavailable(`the private part of signing key ${key.kid} is gone`)
  return rules.createSigner(key, await sealer.open(sealed, secretPlace(key.id)))
}

/** Where a private part belongs: authenticated when it is sealed. */
function secretPlace(id: string): Place {
  return { organizationId: installationId, table: 'signing_keys', column: 'private_key', row: id }
}

function proofPlace(id: string): Place {
  return { ...secretPlace(id), column: 'proof' }
}

function factOf(act: 'created' | 'rotated' | 'revoked', key: SigningKey, retired: readonly string[]): Fact {
  return factBy(bySystem(installationId), `signing_key.${act}`, ['signing_key', key.id], {
    before: retired.length === 0 ? null : { kids: retired },
    after: { purpose: key.purpose, kid: key.kid, active_at: key.activeAt },
    occurredAt: key.createdAt,
  })
}
