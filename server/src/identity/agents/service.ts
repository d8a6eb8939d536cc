import type { Clock } from '../../platform/clock.ts'
import { type Db, inTransaction, type Tx } from '../../platform/db.ts'
import { type Idempotency, idempotencyMismatch } from '../../platform/idempotency.ts'
import { newId } from '../../platform/ids.ts'
import { Problem } from '../../platform/problem.ts'
import { type ApiKey, hashApiKey, mintApiKey } from './api-key.ts'
import { secretFor } from '../derived-secret.ts'
import type { IdentityFact } from '../fact.ts'
import { actorOf, type Caller, type Person } from '../principal.ts'
import * as store from './store.ts'

export interface ApiKeyDependencies {
  readonly db: Db
  readonly clock: Clock
  readonly secretKey: string
  /** Appends to the event log in the caller's transaction. */
  readonly report: (tx: Tx, facts: readonly IdentityFact[]) => Promise<void>
  /** A credential changed: this process must not remember it. */
  readonly forget: (id: string) => void
}

export type ApiKeys = ReturnType<typeof createApiKeys>

/** The use cases of API keys. */
export function createApiKeys({ db, clock, secretKey, report, forget }: ApiKeyDependencies) {
  return {
    createApiKey: async (
      by: Caller<Person>,
      input: { readonly name: string; readonly description?: string | null | undefined },
      idempotency: Idempotency | null,
    ): Promise<{ readonly key: ApiKey; readonly raw: string; readonly replayed: boolean }> => {
      const { organizationId, userId } = by.principal
      const now = clock.now()
      const id = newId()
      const rawFor = (keyId: string) =>
        mintApiKey(keyId, secretFor(secretKey, 'api key', by.principal, idempotency, keyId))
      const key: ApiKey = {
        organizationId,
        id,
        name: input.name,
        description: input.description ?? null,
        isActive: true,
        lastUsedAt: null,
        createdAt: now,
        updatedAt: now,
      }
      const raw = rawFor(id)
      const added = await inTransaction(db, { organizationId }, async (tx) => {
        const isNew = await store.insertApiKey(tx, { key, hash: hashApiKey(raw), createdBy: userId, idempotency })
        if (isNew) await report(tx, [apiKeyFact(by, 'api_key.created', null, key, now)])
        return isNew
      })
      if (added || idempotency === null) return { key, raw, replayed: false }
      const earlier = await store.apiKeyByIdempotencyKey(db.within({ organizationId }), organizationId, userId, idempotency.key)
      if (earlier === null || !earlier.hash?.equals(idempotency.hash)) throw idempotencyMismatch()
      const asCreated = { ...earlier.key, isActive: true, lastUsedAt: null, updatedAt: earlier.key.createdAt }
      return { key: asCreated, raw: rawFor(earlier.key.id), replayed: true }
    },

    apiKeys: (person: Person): Promise<readonly ApiKey[]> => 
      store.apiKeys(db.within({ organizationId: person.organizationId }), person.organizationId),

    apiKey: async (person: Person, id: string): Promise<ApiKey> => {
      const { organizationId } = person
      const key = await store.apiKeyById(db.within({ organizationId }), organizationId, id)
      if (key === null) throw apiKeyNotFound()
      return key
    },

    changeApiKey: async (
      by: Caller<Person>,
      id: string,
      changes: {
        readonly name?: string | undefined
        readonly description?: string | null | undefined
        readonly is_active?: boolean | undefined
      },
    ): Promise<ApiKey> => {
      const { organizationId } = by.principal
      const after = await inTransaction(db, { organizationId }, async (tx) => {
        const before = await store.apiKeyById(tx, organizationId, id, true)
        if (before === null) throw apiKeyNotFound()
        const changed: ApiKey = {
          ...before,
          name: changes.name ?? before.name,
          description: changes.description === undefined ? before.description : changes.description,
          isActive: changes.is_active ?? before.isActive,
        }
        if (sameKey(before, changed)) return before
        const moved = {
          ...changed,
          updatedAt: new Date(Math.max(clock.now().getTime(), before.updatedAt.getTime() + 1)),
        }
        await store.saveApiKey(tx, moved)
        await report(tx, [apiKeyFact(by, 'api_key.changed', before, moved, moved.updatedAt)])
        return moved
      })
      // Not the path's id: it may be spelled in capitals, and the key's own id never is.
      forget(after.id)
      return after
    },
  }
}

function apiKeyFact(by: Caller, kind: string, before: ApiKey | null, after: ApiKey, occurredAt: Date): IdentityFact {
  const shown = (key: ApiKey) => ({ name: key.name, description: key.description, is_active: key.isActive })
  return {
    organizationId: after.organizationId,
    kind,
    subjectKind: 'api_key',
    subjectId: after.id,
    actor: actorOf(by.principal),
    httpRequestId: by.httpRequestId,
    before: before === null ? null : shown(before),
    after: shown(after),
    occurredAt,
  }
}

function sameKey(a: ApiKey, b: ApiKey): boolean {
  return a.name === b.name && a.description === b.description && a.isActive === b.isActive
}

function apiKeyNotFound(): Problem {
  return new Problem(404, 'api_key.not_found', 'API key not found')
}
