import type { Events } from '../events/service.ts'
import { type Fact, factBy } from '../facts/fact.ts'
import { type Agent, actorOf, byCaller, type Caller, type Person, type Principal } from '../identity/principal.ts'
import { createBatcher, type Outcome } from '../platform/batch.ts'
import type { Clock } from '../platform/clock.ts'
import { type Db, inTransaction, type Scope, type Tx } from '../platform/database/db.ts'
import { provesRollback, sqlState } from '../platform/database/errors.ts'
import { type Idempotency, idempotencyMismatch } from '../platform/idempotency.ts'
import { newId } from '../platform/ids.ts'
import { Problem } from '../platform/problem.ts'
import type { Place, Sealer } from '../platform/secrets/sealed-text.ts'
import type { Certifier, RevocationCheck } from './certificate.ts'
import type { Change, Consultation, ConsultationCore, RequestFact } from './consultation.ts'
import * as consultation from './consultation.ts'
import * as lists from './list-store.ts'
import { redeem } from './redemption.ts'
import * as store from './store.ts'

export interface ConsultationDependencies {
  readonly db: Db
  /** For background work. */
  readonly workerDb: Db
  readonly clock: Clock
  readonly events: Events<RequestChange>
  readonly sealer: Sealer
  /** Why an agent is held back just now: the 403 to answer with. */
  readonly refusalOf: (by: Caller<Agent>) => Promise<Problem>
  readonly certifier: Certifier
  readonly revocations: RevocationCheck
}

export interface NewRequest extends Omit<consultation.Proposal, 'callbackSecret'> {
  readonly callbackSecret: string | null
}

/** An act on one consultation: the rule to apply to what is locked. */
interface Act {
  readonly key: store.Key
  readonly decide: (before: Consultation | null) => Change
  /** Who, how signed in, from where. */
  readonly from: Caller
}

interface Creation extends store.NewConsultation {
  readonly facts: readonly RequestFact[]
  /** Who, how signed in, from where. */
  readonly from: Caller
}

/** One act on one request, for the readers of events. */
export interface RequestChange {
  readonly kind: 'request'
  readonly before: Consultation | null
  readonly after: Consultation
}

export type Consultations = ReturnType<typeof createConsultations>

/** Where a callback's secret belongs: authenticated when it is sealed, so it opens nowhere else. */
export function secretPlace(organizationId: string, consultationId: string): Place {
  return { organizationId, table: 'consultation_requests', column: 'callback_secret', row: consultationId }
}

export function createConsultations(dependencies: ConsultationDependencies) {
  const { db, workerDb, clock, events, sealer, certifier, revocations, refusalOf } = dependencies
  // Measured on 2 cores at concurrency 16 and 64: one lane does as well, more make smaller commits.
  const writes = { lanes: 2, maxSize: 64, rolledBack: provesRollback }

  /** Lock, decide, save, append, commit: for every act that came meanwhile, in one transaction. */
  const performActs = (acts: readonly Act[]): Promise<readonly Outcome<Consultation>[]> =>
    inTransaction(db, scopeOf(acts[0]?.key), async (tx) => {
      const current = byKey(await store.lock(tx, distinct(acts.map((act) => act.key))))
      const changes = new Map<string, Change>()
      const facts: Fact[] = []
      const told: RequestChange[] = []
      const outcomes = acts.map(({ key, decide, from }): Outcome<Consultation> => {
        try {
          const change = decide(current.get(keyOf(key)) ?? null)
          // A later act of the batch sees what an earlier one left, as if they had come in two commits.
          current.set(keyOf(key), change.after)
          changes.set(keyOf(key), { ...change, before: changes.get(keyOf(key))?.before ?? change.before })
          facts.push(...change.facts.map((fact) => factOf(change.after, fact, from, clock.now())))
          told.push(requestChange(change))
          return { value: change.after }
        } catch (error) {
          return { error }
        }
      })
      if (changes.size > 0)
        tx.last(Promise.all([store.save(tx, [...changes.values()]), events.append(tx, facts, told)]))
      return outcomes
    })

  const performCreations = (creations: readonly Creation[]): Promise<readonly Outcome<boolean>[]> =>
    inTransaction(db, scopeOf(creations[0]?.consultation), async (tx) => {
      const append = (added: readonly Creation[]): Promise<void> =>
        events.append(
          tx,
          added.flatMap(({ consultation, facts, from }) =>
            facts.map((fact) => factOf(consultation, fact, from, consultation.createdAt)),
          ),
          added.map(({ consultation: after }) => ({ kind: 'request', before: null, after })),
        )
      const inserting = store.insert(tx, creations)
      if (creations.every((creation) => creation.idempotency === null)) {
        // Nothing can be a repetition: both statements travel together.
        tx.last(Promise.all([inserting, append(creations)]))
        return creations.map(() => ({ value: true }))
      }
      const inserted = await inserting
      const isNew = (creation: Creation) => inserted.has(creation.consultation.id)
      tx.last(append(creations.filter(isNew)))
      return creations.map((creation) => ({ value: isNew(creation) }))
    })

  const act = createBatcher({ ...writes, groupOf: ({ key }) => key.organizationId, perform: performActs })
  const create = createBatcher({
    ...writes,
    groupOf: ({ consultation: { organizationId } }) => organizationId,
    bytesOf: ({ consultation: { context, metadata } }) => context.length + (metadata?.length ?? 0),
    perform: performCreations,
  })
  const find = createBatcher({
    lanes: 3,
    maxSize: 64,
    groupOf: (key: store.Key) => key.organizationId,
    // A read may always be repeated.
    rolledBack: () => true,
    perform: async (keys: readonly store.Key[]) => {
      const found = byKey(await store.read(db.within(scopeOf(keys[0])), distinct(keys)))
      return keys.map((key) => ({ value: found.get(keyOf(key)) ?? null }))
    },
  })

  /** Every open inbox asks for the same first page: equal questions that wait together are asked once. */
  const findPage = createBatcher({
    lanes: 4,
    maxSize: 256,
    perform: async (filters: readonly lists.ListFilter[]) => {
      const asked = new Map<string, Promise<Outcome<lists.Page>>>()
      const answers = filters.map((filter) => {
        const question = JSON.stringify(filter)
        const answer =
          asked.get(question) ??
          lists.list(db.within(scopeOf(filter)), filter).then(
            (value) => ({ value }),
            (error: unknown) => ({ error }),
          )
        asked.set(question, answer)
        return answer
      })
      return Promise.all(answers)
    },
  })

  /** The act of `by` on the consultation `id`: what it may not see is 404, like what is not there. */
  const actAs = (by: Caller, id: string, decide: (before: Consultation) => Change): Promise<Consultation> =>
    act({
      key: { organizationId: by.principal.organizationId, id: id.toLowerCase() },
      from: by,
      decide: (before) => decide(visibleTo(by.principal, before)),
    })

  return {
    /** A new request; with a known Idempotency-Key the earlier one, as it was when it was created. */
    create: async (
      by: Caller<Agent>,
      { callbackSecret, ...input }: NewRequest,
      idempotency: Idempotency | null,
    ): Promise<{ readonly consultation: Consultation; readonly replayed: boolean }> => {
      const id = newId()
      const { organizationId, agentId } = by.principal
      const place = secretPlace(organizationId, id)
      const secret = callbackSecret === null ? null : await sealer.seal(callbackSecret, place)
      const opened = consultation.open({ ...input, callbackSecret: secret }, by.principal, id, clock.now())
      const creation = { consultation: opened.after, facts: opened.facts, idempotency, from: by }
      const isNew = await create(creation).catch(async (error: unknown) => {
        // Paused since its key was looked up: what PostgreSQL reads is never older than the pause.
        if (sqlState(error) === store.agentRefused) throw await refusalOf(by)
        throw error
      })
      if (isNew || idempotency === null) return { consultation: opened.after, replayed: false }
      const known = db.within({ organizationId })
      const earlier = await store.byIdempotencyKey(known, organizationId, agentId, idempotency.key)
      if (earlier === null || !idempotency.isOf(earlier.hash)) throw idempotencyMismatch()
      return { consultation: consultation.initialReply(earlier.consultation), replayed: true }
    },

    respond: async (
      by: Caller<Person>,
      id: string,
      answer: {
        readonly decision: consultation.Decision
        readonly comment: string | null
        readonly revision?: number | undefined
      },
    ): Promise<Consultation> => {
      const certify = await certifier(by.principal)
      return actAs(by, id, (before) => consultation.respond(before, by.principal.userId, answer, clock.now(), certify))
    },

    cancel: (by: Caller<Agent>, id: string): Promise<Consultation> =>
      actAs(by, id, (before) => consultation.cancel(before, actorOf(by.principal), clock.now())),

    redeem: async (by: Caller<Agent>, id: string, digest: string | null): Promise<Consultation> => {
      const isRevoked = await revocations()
      return actAs(by, id, (before) => redeem(before, actorOf(by.principal), digest, clock.now(), isRevoked))
    },

    redeliver: (by: Caller, id: string): Promise<Consultation> =>
      actAs(by, id, (before) => consultation.redeliver(before, actorOf(by.principal), clock.now())),

    read: async (principal: Principal, id: string): Promise<Consultation> =>
      visibleTo(principal, await find({ organizationId: principal.organizationId, id: id.toLowerCase() })),

    /** An agent's list holds its own requests only. */
    list: (principal: Principal, filter: Omit<lists.ListFilter, 'organizationId' | 'agentId'>): Promise<lists.Page> =>
      findPage({
        ...filter,
        organizationId: principal.organizationId,
        agentId: principal.kind === 'agent' ? principal.agentId : null,
      }),

    /**
     * Times out what is due, at most `limit`; answers how many. Any number of processes may sweep at once: each
     * organization's rows are locked in a transaction of its own, where nobody else holds them.
     */
    expireDue: async (limit: number): Promise<number> => {
      const now = clock.now()
      const due = await store.findDue(workerDb.within({ worker: true }), now, limit)
      let expired = 0
      for (const [organizationId, keys] of Map.groupBy(due, (key) => key.organizationId)) {
        expired += await inTransaction(workerDb, { organizationId }, async (tx) => {
          const changes = (await store.lockFree(tx, keys)).flatMap((before) => consultation.expire(before, now) ?? [])
          if (changes.length > 0) {
            tx.last(
              Promise.all([
                store.save(tx, changes),
                events.append(tx, factsOf(changes, now), changes.map(requestChange)),
              ]),
            )
          }
          return changes.length
        })
      }
      return expired
    },

    /**
     * For the delivery module's transaction: takes the requests' locks, as every act does before it touches anything
     * else, and answers the function that records how their callbacks fared.
     */
    holdForCallbacks: (tx: Tx, keys: readonly store.Key[]) => {
      const locking = store.lockCore(tx, distinct(keys))
      // Awaited below, unless the transaction fails before.
      locking.catch(() => {})
      return async (attempts: readonly CallbackAttempt[]): Promise<void> => {
        const outcomes = byKey(attempts)
        const changes = (await locking).flatMap((before) => {
          const outcome = outcomes.get(keyOf(before))?.outcome
          return outcome === undefined ? [] : [consultation.callbackAttempted(before, outcome)]
        })
        if (changes.length === 0) return
        tx.last(Promise.all([store.save(tx, changes), events.append(tx, factsOf(changes, clock.now()))]))
      }
    },
  }
}

export interface CallbackAttempt extends store.Key {
  readonly outcome: consultation.CallbackOutcome
}

function visibleTo(principal: Principal, found: Consultation | null): Consultation {
  const visible =
    found !== null &&
    found.organizationId === principal.organizationId &&
    (principal.kind === 'person' || found.agentId === principal.agentId)
  if (visible) return found
  throw new Problem(404, 'consultation.not_found', 'Request not found')
}

/** A batch is of one organization. */
function scopeOf(key: { readonly organizationId: string } | undefined): Scope {
  return key === undefined ? {} : { organizationId: key.organizationId }
}

function distinct(keys: readonly store.Key[]): readonly store.Key[] {
  return [...byKey(keys).values()]
}

function byKey<K extends store.Key>(rows: readonly K[]): Map<string, K> {
  return new Map(rows.map((row) => [keyOf(row), row]))
}

function keyOf(key: store.Key): string {
  return `${key.organizationId}/${key.id}`
}

function requestChange({ before, after }: Change): RequestChange {
  return { kind: 'request', before, after }
}

function factsOf(changes: readonly Change<ConsultationCore>[], now: Date): readonly Fact[] {
  return changes.flatMap(({ after, facts }) => facts.map((fact) => factOf(after, fact, null, now)))
}

function factOf(subject: ConsultationCore, fact: RequestFact, from: Caller | null, occurredAt: Date): Fact {
  const { kind, actor, ...change } = fact
  const call = from === null ? { organizationId: subject.organizationId, httpRequestId: null } : byCaller(from)
  // The rule knows who acts; how they had signed in, and with which key, only the call knows.
  const origin = from?.principal.kind === actor.kind ? byCaller(from) : { ...call, actor }
  return factBy(origin, kind, ['request', subject.id], { ...change, digest: subject.digest, occurredAt })
}
