import type { Fact, Report } from '../../facts/fact.ts'
import { type Clock, later } from '../../platform/clock.ts'
import { type Db, inTransaction, type Tx } from '../../platform/database/db.ts'
import { type Idempotency, idempotencyMismatch } from '../../platform/idempotency.ts'
import { newId } from '../../platform/ids.ts'
import { invalid } from '../../platform/problem.ts'
import { newAgent, type RegisteredAgent } from '../agents/agent.ts'
import { agentFact } from '../agents/facts.ts'
import * as agents from '../agents/store.ts'
import { secretFor } from '../derived-secret.ts'
import type { Permit } from '../factors/step-ups/service.ts'
import type { Caller, Person } from '../principal.ts'
import { hashApiKey, mintApiKey } from './api-key.ts'
import type { ApiKey } from './api-key-terms.ts'
import * as terms from './api-key-terms.ts'
import { keyFact, type Proof } from './facts.ts'
import * as store from './store.ts'

export interface ApiKeyDependencies {
  readonly db: Db
  readonly clock: Clock
  readonly secretKey: string
  /** Appends to the event log in the caller's transaction. */
  readonly report: Report
  /** A credential changed: this process must not remember it. */
  readonly forget: (id: string) => void
}

export interface NewKey {
  readonly name: string
  readonly description?: string | null | undefined
  /** Left out: the key gets an agent of its own, of the same name. */
  readonly agentId?: string | undefined
  readonly scopes?: readonly string[] | undefined
  readonly expiresAt?: Date | undefined
  readonly allowedNetworks?: readonly string[] | undefined
}

export interface KeyChanges {
  readonly name?: string | undefined
  readonly description?: string | null | undefined
  readonly isActive?: boolean | undefined
  readonly scopes?: readonly string[] | undefined
  readonly expiresAt?: Date | undefined
  readonly allowedNetworks?: readonly string[] | undefined
}

/** A key as whoever made it gets it: raw, this once. */
export interface MadeKey {
  readonly key: ApiKey
  readonly raw: string
  readonly replayed: boolean
}

export type ApiKeys = ReturnType<typeof createApiKeys>

/** The use cases of API keys. `permit`: the step-up behind an act; null where nobody is asked (sample data). */
export function createApiKeys({ db, clock, secretKey, report, forget }: ApiKeyDependencies) {
  const scopeOf = ({ organizationId, accountId }: Person) => ({ organizationId, accountId })

  const use = async (tx: Tx, permit: Permit | null): Promise<Proof | null> =>
    permit === null ? null : { permit, assurance: await permit.use(tx) }

  /** Stores what `facts` tells of; the raw key again when it is the repetition of an earlier call. */
  const make = async (
    by: Caller<Person>,
    id: string,
    idempotency: Idempotency | null,
    permit: Permit | null,
    prepare: (tx: Tx) => Promise<{ readonly key: ApiKey; readonly facts: (proof: Proof | null) => Fact[] }>,
  ): Promise<MadeKey> => {
    const { organizationId, userId } = by.principal
    const rawFor = (keyId: string) =>
      mintApiKey(keyId, secretFor(secretKey, 'api key', by.principal, idempotency, keyId))
    const raw = rawFor(id)
    const earlier =
      idempotency === null
        ? null
        : await store.apiKeyByIdempotencyKey(db.within({ organizationId }), organizationId, userId, idempotency.key)
    if (earlier !== null) return replay(earlier, idempotency, rawFor)
    const made = await inTransaction(db, scopeOf(by.principal), async (tx) => {
      const { key, facts } = await prepare(tx)
      const isNew = await store.insertApiKey(tx, { key, hash: hashApiKey(raw), createdBy: userId, idempotency })
      // Another call of the same Idempotency-Key was first: what was prepared for this one must go.
      if (!isNew) throw repeated
      await report(tx, facts(await use(tx, permit)))
      return key
    }).catch((error: unknown) => {
      if (error === repeated) return null
      throw error
    })
    if (made === null) return make(by, id, idempotency, permit, prepare)
    return { key: made, raw, replayed: false }
  }

  const agentFor = async (tx: Tx, by: Caller<Person>, input: NewKey): Promise<[RegisteredAgent, Fact[]]> => {
    const { organizationId, userId } = by.principal
    if (input.agentId !== undefined) {
      const found = await agents.agentById(tx, organizationId, input.agentId)
      if (found === null) throw invalid('agent_id', 'names no agent of this organization')
      return [found, []]
    }
    const { name, description } = input
    const agent = newAgent({ organizationId, name, description, ownerId: userId }, newId(), clock.now())
    const inserted = (await agents.insertAgent(tx, agent, userId, null)) ?? agent
    return [inserted, [agentFact(by, 'agent.created', null, inserted)]]
  }

  return {
    createApiKey: (
      by: Caller<Person>,
      input: NewKey,
      idempotency: Idempotency | null,
      permit: Permit | null,
    ): Promise<MadeKey> => {
      const now = clock.now()
      const id = newId()
      const expiresAt = terms.expiryOf(input.expiresAt, now)
      const allowedNetworks = terms.networksOf(input.allowedNetworks)
      return make(by, id, idempotency, permit, async (tx) => {
        const [agent, registered] = await agentFor(tx, by, input)
        const key: ApiKey = {
          ...unused,
          organizationId: by.principal.organizationId,
          id,
          agentId: agent.id,
          name: input.name,
          description: input.description ?? null,
          scopes: terms.scopesOf(input.scopes),
          expiresAt,
          allowedNetworks,
          createdAt: now,
          updatedAt: now,
        }
        return { key, facts: (proof) => [...registered, keyFact(by, 'api_key.created', null, key, proof)] }
      })
    },

    /** A new key in the place of another, which goes on until the overlap ends. */
    rotate: async (
      by: Caller<Person>,
      id: string,
      asked: { readonly overlapMinutes: number; readonly expiresAt: Date | undefined },
      idempotency: Idempotency | null,
      permit: Permit | null,
    ): Promise<MadeKey> => {
      const { organizationId } = by.principal
      const freshId = newId()
      const made = await make(by, freshId, idempotency, permit, async (tx) => {
        const before = await store.apiKeyById(tx, organizationId, id, true)
        if (before === null) throw terms.apiKeyNotFound()
        const successor = await store.successorOf(tx, before)
        if (successor !== null) throw terms.alreadyRotated(successor)
        const { old, fresh } = terms.rotate(before, freshId, asked, clock.now())
        // Its end is known to whoever replaced it: no warning.
        await store.saveApiKey(tx, old, null)
        return {
          key: fresh,
          facts: (proof) => [
            keyFact(by, 'api_key.created', null, fresh, proof),
            keyFact(by, 'api_key.rotated', before, old, null),
          ],
        }
      })
      if (made.key.rotatedFrom !== null) forget(made.key.rotatedFrom)
      return made
    },

    apiKeys: ({ organizationId }: Person, agentId: string | null): Promise<readonly ApiKey[]> =>
      store.apiKeys(db.within({ organizationId }), organizationId, agentId),

    apiKey: async ({ organizationId }: Person, id: string): Promise<ApiKey> => {
      const key = await store.apiKeyById(db.within({ organizationId }), organizationId, id)
      if (key === null) throw terms.apiKeyNotFound()
      return key
    },

    changeApiKey: async (
      by: Caller<Person>,
      id: string,
      changes: KeyChanges,
      permit: Permit | null,
    ): Promise<ApiKey> => {
      const { organizationId, userId } = by.principal
      const after = await inTransaction(db, scopeOf(by.principal), async (tx) => {
        const before = await store.apiKeyById(tx, organizationId, id, true)
        if (before === null) throw terms.apiKeyNotFound()
        const now = clock.now()
        const moved = change(before, changes, userId, now)
        if (moved === null) return before
        const proof = await use(tx, permit)
        await store.saveApiKey(tx, moved, warningFor(before, moved))
        await report(tx, [keyFact(by, 'api_key.changed', before, moved, proof)])
        return moved
      })
      // Not the path's id: it may be spelled in capitals, and the key's own id never is.
      forget(after.id)
      return after
    },
  }
}

/** Thrown to roll back, and never seen outside of this file. */
const repeated = new Error('this Idempotency-Key was used in the meantime')

function replay(
  earlier: { readonly key: ApiKey; readonly hash: Buffer | null },
  idempotency: Idempotency | null,
  rawFor: (keyId: string) => string,
): MadeKey {
  if (!idempotency?.isOf(earlier.hash)) throw idempotencyMismatch()
  const { createdAt } = earlier.key
  return {
    key: { ...earlier.key, ...unused, rotatedFrom: earlier.key.rotatedFrom, updatedAt: createdAt },
    raw: rawFor(earlier.key.id),
    replayed: true,
  }
}

/** What a key is like before anybody has used or revoked it. */
const unused = {
  isActive: true,
  lastUsedAt: null,
  lastUsedAddress: null,
  rotatedFrom: null,
  revokedAt: null,
  revokedBy: null,
  leakedAt: null,
} as const

/** The key as asked for; null when that is how it is. */
function change(before: ApiKey, changes: KeyChanges, userId: string, now: Date): ApiKey | null {
  const { isActive, scopes, expiresAt, allowedNetworks } = changes
  const asked: ApiKey = {
    ...before,
    name: changes.name ?? before.name,
    description: changes.description === undefined ? before.description : changes.description,
    scopes: scopes === undefined ? before.scopes : terms.scopesOf(scopes),
    expiresAt: expiresAt === undefined ? before.expiresAt : terms.expiryOf(expiresAt, now),
    allowedNetworks: allowedNetworks === undefined ? before.allowedNetworks : terms.networksOf(allowedNetworks),
  }
  const changed = isActive === undefined ? asked : terms.setActive(asked, isActive, userId, now)
  return JSON.stringify(changed) === JSON.stringify(before) ? null : { ...changed, updatedAt: later(before, now) }
}

/** A new end is told of anew, that of a revoked key not at all; undefined: as it was. */
function warningFor(before: ApiKey, after: ApiKey): Date | null | undefined {
  if (!after.isActive) return null
  const isSame = before.isActive && after.expiresAt.getTime() === before.expiresAt.getTime()
  return isSame ? undefined : terms.warnAtOf(after)
}
