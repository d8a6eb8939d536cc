import { setTimeout as delay } from 'node:timers/promises'
import { type Person, type Principal, payerOf } from '../identity/principal.ts'
import { createBatcher, type Outcome } from '../platform/batch.ts'
import type { Queryable } from '../platform/database/db.ts'
import { isId } from '../platform/ids.ts'
import { type Consultation, mostCounted, notFound } from './consultation.ts'
import type { Context } from './context.ts'
import { digestAhead } from './digest.ts'
import type { ListFilter } from './list-filter.ts'
import { type ListQuery, parseKeptQuery } from './list-query.ts'
import * as lists from './list-store.ts'
import type { OpenWrites } from './open-writes.ts'
import { soonAt } from './queues.ts'
import { byKey, distinct, type Key, keyOf, scopeOf } from './row-keys.ts'
import * as store from './store.ts'

export interface ReadContext {
  /** Undefined: it did not fit into its batch. */
  readonly find: (key: Key) => Promise<Consultation | null | undefined>
  readonly findPage: (filter: ListFilter) => Promise<lists.Page>
}

export function createReading({ db, openWrites }: Context): ReadContext {
  return {
    find: createBatcher({
      concurrency: 3,
      maxSize: 64,
      groupOf: ({ organizationId }: Key) => organizationId,
      // A read is always safe to repeat.
      rolledBack: () => true,
      perform: async (keys) => {
        const { found, left } = await store.read(db.within(scopeOf(keys[0])), distinct(keys))
        const [rows, unread] = [byKey(found), byKey(left)]
        return keys.map((key) => ({ value: rows.get(keyOf(key)) ?? (unread.has(keyOf(key)) ? undefined : null) }))
      },
    }),
    findPage: createBatcher({
      concurrency: 4,
      maxSize: 256,
      perform: (filters: readonly ListFilter[]) => listTogether({ db, openWrites }, filters),
    }),
  }
}

/** Every open inbox polls the same first page: equal queries that wait at the same time run once. */
function listTogether(
  grounds: Pick<Context, 'db' | 'openWrites'>,
  filters: readonly ListFilter[],
): Promise<readonly Outcome<lists.Page>[]> {
  const asked = new Map<string, Promise<Outcome<lists.Page>>>()
  const answers = filters.map((filter) => {
    const question = JSON.stringify(filter)
    const answer =
      asked.get(question) ??
      listSettled(grounds, filter).then(
        (value) => ({ value }),
        (error: unknown) => ({ error }),
      )
    asked.set(question, answer)
    return answer
  })
  return Promise.all(answers)
}

/** A poll shows changes in the order of their times: none while an earlier one is under way here (open-writes.ts) or elsewhere. */
async function listSettled(
  { db, openWrites }: Pick<Context, 'db' | 'openWrites'>,
  filter: ListFilter,
): Promise<lists.Page> {
  const scoped = db.within(scopeOf(filter))
  const isFirstOfPoll = filter.updatedAfter !== null && filter.updatedUntil === null && filter.search === null
  const updatedUntil = isFirstOfPoll ? await settledUntil(scoped, openWrites) : filter.updatedUntil
  return lists.list(scoped, { ...filter, updatedUntil })
}

/** A change may have its time this long before PostgreSQL knows of its transaction, clocks of other hosts included. */
const unknownMs = 100

async function settledUntil(db: Queryable, openWrites: OpenWrites, asked = openWrites.settledUntil()): Promise<Date> {
  if (!(await lists.otherProcesses(db)).present) return asked
  // By then, what other processes have begun before is known to PostgreSQL, or over.
  await delay(unknownMs)
  const { oldest } = await lists.otherProcesses(db)
  return oldest === null ? asked : new Date(Math.min(asked.getTime(), oldest.getTime() - unknownMs))
}

/** For the service itself, which may see all of them. */
export async function find(reading: ReadContext, key: Key): Promise<Consultation | null> {
  let row = await reading.find(key)
  while (row === undefined) row = await reading.find(key)
  return row
}

export async function read(reading: ReadContext, principal: Principal, id: string): Promise<Consultation> {
  const found = visibleTo(principal, await find(reading, keyFor(principal, id)))
  await digestAhead(found, payerOf(principal))
  return found
}

/** By the ids: of those requests that the caller may see, what answers to many of them are judged by together. */
export async function outlines(
  { db }: Pick<Context, 'db'>,
  principal: Person,
  ids: readonly string[],
): Promise<ReadonlyMap<string, store.Outline>> {
  const { organizationId } = principal
  const keys = ids.filter(isId).map((id) => ({ organizationId, id }))
  const found = await store.readOutlines(db.within({ organizationId }), keys)
  return new Map(found.map((outline) => [outline.id, outline]))
}

/** An agent's list holds only its own requests. */
export async function list(
  { findPage }: ReadContext,
  principal: Principal,
  { agent, ...query }: ListQuery,
): Promise<lists.Page> {
  const own = principal.kind === 'agent' ? principal.agentId : null
  const { limit, offset, updatedUntil, search } = query
  if (search?.query === '' || (own !== null && agent !== null && agent !== own))
    return { items: [], total: 0, limit, offset, next: null, updatedUntil, search }
  return findPage({ ...query, organizationId: principal.organizationId, agentId: own ?? agent })
}

/** How many requests the first page of a kept query has, and whether there may be more. */
export function countOf({ db, clock }: Pick<Context, 'db' | 'clock'>, principal: Person, query: string) {
  const { agent, ...filter } = parseKeptQuery(query, principal, clock.now())
  const { organizationId } = principal
  return lists.countPage(db.within({ organizationId }), { ...filter, organizationId, agentId: agent })
}

/** The numbers beside the queues of each of these people, in one statement. */
export async function counts(
  { db, clock }: Pick<Context, 'db' | 'clock'>,
  organizationId: string,
  userIds: readonly string[],
): Promise<(userId: string) => object> {
  const now = clock.now()
  const times = { now, soon: soonAt(now) }
  const { byState, pending, aside } = await lists.counts(db.within({ organizationId }), organizationId, userIds, times)
  const { pending: _, ...closed } = byState
  const done = Object.values(closed).reduce((sum, count) => sum + count, 0)
  const bounded = (count: number): number => Math.min(count, mostCounted)
  return (userId) => {
    const { total, due, risky } = aside.get(userId) ?? { total: 0, due: 0, risky: 0 }
    const queues = {
      all: pending.total - total,
      high_risk: bounded(pending.risky - risky),
      due_soon: bounded(pending.due - due),
      snoozed: total,
      done,
    }
    return { queues, by_state: byState }
  }
}

/** Up to when every change of every organization is settled, in any process. */
export async function settled({ workerDb, openWrites }: Pick<Context, 'workerDb' | 'openWrites'>): Promise<Date> {
  return settledUntil(workerDb.within({}), openWrites)
}

/** The same, without moving the times of changes to come: up to some milliseconds ago. */
export async function settledBefore({ workerDb, openWrites }: Pick<Context, 'workerDb' | 'openWrites'>): Promise<Date> {
  return settledUntil(workerDb.within({}), openWrites, openWrites.settledBefore())
}

/** Throws 404 for an invalid id, because no request can have it. */
export function keyFor({ organizationId }: Principal, id: string): Key {
  if (!isId(id)) throw notFound()
  return { organizationId, id: id.toLowerCase() }
}

export function visibleTo(principal: Principal, found: Consultation | null): Consultation {
  const visible =
    found !== null &&
    found.organizationId === principal.organizationId &&
    (principal.kind === 'person' || found.agentId === principal.agentId)
  if (visible) return found
  throw notFound()
}
