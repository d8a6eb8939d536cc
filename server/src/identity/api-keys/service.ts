import type { Fact } from '../../facts/fact.ts'
import { later } from '../../platform/clock.ts'
import { inTransaction, type Tx } from '../../platform/database/db.ts'
import { createOnce, type Idempotency } from '../../platform/idempotency.ts'
import { newId } from '../../platform/ids.ts'
import { invalid } from '../../platform/problem.ts'
import { withContext } from '../../platform/with-context.ts'
import { newAgent, type RegisteredAgent } from '../agents/agent.ts'
import { agentFact } from '../agents/facts.ts'
import * as agents from '../agents/store.ts'
import type { IdentityContext } from '../context.ts'
import { secretFor } from '../derived-secret.ts'
import type { Permit } from '../factors/step-ups/service.ts'
import type { Caller, Person } from '../principal.ts'
import { hashApiKey, mintApiKey } from './api-key.ts'
import type { ApiKey } from './api-key-terms.ts'
import * as terms from './api-key-terms.ts'
import { keyFact, type UsedStepUp } from './facts.ts'
import * as store from './store.ts'

export interface ApiKeyContext extends IdentityContext {
  readonly secretKey: string
  /** A credential changed: this process must forget what it remembers of it. */
  readonly forget: (id: string) => void
}

export interface NewKey {
  readonly name: string
  readonly description?: string | null | undefined
  /** Left out: a new agent of the same name is made for the key. */
  readonly agentId?: string | undefined
  readonly scopes?: readonly string[] | undefined
  readonly expiresAt?: Date | undefined
  readonly allowedNetworks?: readonly string[] | undefined
}

export interface KeyChanges extends Omit<NewKey, 'name' | 'agentId'> {
  readonly name?: string | undefined
  readonly isActive?: boolean | undefined
}

/** A new key, with its raw text for this one reply. */
export interface MadeKey {
  readonly key: ApiKey
  readonly raw: string
  readonly replayed: boolean
}

export type ApiKeys = ReturnType<typeof createApiKeys>

/** The use cases of API keys. `permit` is the step-up for the act; null where none is asked for (sample data). */
export function createApiKeys(context: ApiKeyContext) {
  return withContext(context, { createApiKey, rotate, apiKeys, apiKey, changeApiKey })
}

function createApiKey(
  context: ApiKeyContext,
  by: Caller<Person>,
  input: NewKey,
  idempotency: Idempotency | null,
  permit: Permit | null,
): Promise<MadeKey> {
  const id = newId()
  const asked = (given: Pick<ApiKey, 'id' | 'agentId' | 'createdAt'>): ApiKey => ({
    ...unused,
    ...given,
    organizationId: by.principal.organizationId,
    name: input.name,
    description: input.description ?? null,
    scopes: terms.scopesOf(input.scopes),
    expiresAt: terms.expiryOf(input.expiresAt, given.createdAt),
    allowedNetworks: terms.networksOf(input.allowedNetworks),
    updatedAt: given.createdAt,
  })
  const prepare = async (tx: Tx) => {
    const createdAt = context.clock.now()
    const [agent, registered] = await agentFor(context, tx, by, input)
    const key = asked({ id, agentId: agent.id, createdAt })
    const facts = (stepUp: UsedStepUp | null) => [...registered, keyFact(by, 'api_key.created', null, key, stepUp)]
    return { key, facts }
  }
  const initialReply = ({ id, agentId, createdAt }: ApiKey) => asked({ id, agentId, createdAt })
  return make(context, by, id, { idempotency, permit, prepare, initialReply })
}

/** Replaces a key. The old one goes on working until the overlap ends. */
async function rotate(
  context: ApiKeyContext,
  by: Caller<Person>,
  id: string,
  asked: { readonly overlapMinutes: number; readonly expiresAt: Date | undefined },
  idempotency: Idempotency | null,
  permit: Permit | null,
): Promise<MadeKey> {
  const freshId = newId()
  const prepare = async (tx: Tx) => {
    const before = await store.apiKeyById(tx, by.principal.organizationId, id, true)
    if (before === null) throw terms.apiKeyNotFound()
    const successor = await store.successorOf(tx, before)
    if (successor !== null) throw terms.alreadyRotated(successor)
    const { old, fresh } = terms.rotate(before, freshId, asked, context.clock.now())
    // No warning: the person who rotates it knows when it ends.
    await store.saveApiKey(tx, old, null)
    const facts = (stepUp: UsedStepUp | null) => [
      keyFact(by, 'api_key.created', null, fresh, stepUp),
      keyFact(by, 'api_key.rotated', before, old, null),
    ]
    return { key: fresh, facts }
  }
  // Its name, scopes and networks are those of the key it replaced, and may have been changed since.
  const initialReply = (made: ApiKey) => ({
    ...made,
    ...unused,
    rotatedFrom: made.rotatedFrom,
    updatedAt: made.createdAt,
  })
  const made = await make(context, by, freshId, { idempotency, permit, prepare, initialReply })
  if (made.key.rotatedFrom !== null) context.forget(made.key.rotatedFrom)
  return made
}

function apiKeys(
  { db }: ApiKeyContext,
  { organizationId }: Person,
  agentId: string | null,
): Promise<readonly ApiKey[]> {
  return store.apiKeys(db.within({ organizationId }), organizationId, agentId)
}

async function apiKey({ db }: ApiKeyContext, { organizationId }: Person, id: string): Promise<ApiKey> {
  const key = await store.apiKeyById(db.within({ organizationId }), organizationId, id)
  if (key === null) throw terms.apiKeyNotFound()
  return key
}

async function changeApiKey(
  { db, clock, report, forget }: ApiKeyContext,
  by: Caller<Person>,
  id: string,
  changes: KeyChanges,
  permit: Permit | null,
): Promise<ApiKey> {
  const { organizationId, accountId, userId } = by.principal
  const after = await inTransaction(db, { organizationId, accountId }, async (tx) => {
    const before = await store.apiKeyById(tx, organizationId, id, true)
    if (before === null) throw terms.apiKeyNotFound()
    const moved = changed(before, changes, userId, clock.now())
    if (moved === null) return before
    const stepUp = await use(tx, permit)
    await store.saveApiKey(tx, moved, warningFor(before, moved))
    await report(tx, [keyFact(by, 'api_key.changed', before, moved, stepUp)])
    return moved
  })
  // Not the path's id: it may be spelled in capitals, and the key's own id never is.
  forget(after.id)
  return after
}

interface Making {
  readonly idempotency: Idempotency | null
  readonly permit: Permit | null
  readonly prepare: (tx: Tx) => Promise<{ readonly key: ApiKey; readonly facts: (stepUp: UsedStepUp | null) => Fact[] }>
  readonly initialReply: (earlier: ApiKey) => ApiKey
}

/** Inserts the key that `prepare` makes and reports its facts. A repeated call gets the same raw key again. */
async function make(
  { db, secretKey, report }: ApiKeyContext,
  by: Caller<Person>,
  id: string,
  { idempotency, permit, prepare, initialReply }: Making,
): Promise<MadeKey> {
  const { organizationId, accountId, userId } = by.principal
  const rawFor = (keyId: string) => mintApiKey(keyId, secretFor(secretKey, 'api key', by.principal, idempotency, keyId))
  const raw = rawFor(id)
  const { made: key, replayed } = await createOnce(idempotency, {
    findFirst: true,
    find: (text) => store.apiKeyByIdempotencyKey(db.within({ organizationId }), organizationId, userId, text),
    initialReply,
    insert: () =>
      inTransaction(db, { organizationId, accountId }, async (tx) => {
        const { key, facts } = await prepare(tx)
        const isNew = await store.insertApiKey(tx, { key, hash: hashApiKey(raw), createdBy: userId, idempotency })
        if (!isNew) throw repeated
        await report(tx, facts(await use(tx, permit)))
        return key
      }).catch((error: unknown) => {
        if (error === repeated) return null
        throw error
      }),
  })
  return { key, raw: replayed ? rawFor(key.id) : raw, replayed }
}

/** Rolls back what was prepared, as another call with the same Idempotency-Key was first. Never leaves this file. */
const repeated = new Error('this Idempotency-Key was used in the meantime')

async function agentFor(
  { clock }: ApiKeyContext,
  tx: Tx,
  by: Caller<Person>,
  { agentId, name, description }: NewKey,
): Promise<[RegisteredAgent, Fact[]]> {
  const { organizationId, userId } = by.principal
  if (agentId !== undefined) {
    const found = await agents.agentById(tx, organizationId, agentId)
    if (found === null) throw invalid('agent_id', 'names no agent of this organization')
    return [found, []]
  }
  const agent = newAgent({ organizationId, name, description, ownerId: userId }, newId(), clock.now())
  const inserted = (await agents.insertAgent(tx, agent, userId, null)) ?? agent
  return [inserted, [agentFact(by, 'agent.created', null, inserted)]]
}

async function use(tx: Tx, permit: Permit | null): Promise<UsedStepUp | null> {
  return permit === null ? null : { digest: permit.digest, assurance: await permit.use(tx) }
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

/** The key with the changes; null when they change nothing. */
function changed(before: ApiKey, changes: KeyChanges, userId: string, now: Date): ApiKey | null {
  const { isActive, scopes, expiresAt, allowedNetworks } = changes
  const asked: ApiKey = {
    ...before,
    name: changes.name ?? before.name,
    description: changes.description === undefined ? before.description : changes.description,
    scopes: scopes === undefined ? before.scopes : terms.scopesOf(scopes),
    expiresAt: expiresAt === undefined ? before.expiresAt : terms.expiryOf(expiresAt, now),
    allowedNetworks: allowedNetworks === undefined ? before.allowedNetworks : terms.networksOf(allowedNetworks),
  }
  const after = isActive === undefined ? asked : terms.setActive(asked, isActive, userId, now)
  return JSON.stringify(after) === JSON.stringify(before) ? null : { ...after, updatedAt: later(before, now) }
}

/** When to warn: reset if the expiry changed, none if revoked; undefined leaves it as it is. */
function warningFor(before: ApiKey, after: ApiKey): Date | null | undefined {
  if (!after.isActive) return null
  const isSame = before.isActive && after.expiresAt.getTime() === before.expiresAt.getTime()
  return isSame ? undefined : terms.warnAtOf(after)
}
